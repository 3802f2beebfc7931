// Rule 6: what the log has of a producer's session is its appends in the order of their sequences, without holes, each once.

import { nameAppend, type Report } from './report.ts';
import type { AppendRecord, LogEntry } from './types.ts';

/** Checks the appends of sessions among `appends`; `withId` finds an entry of the final log. */
export function checkProducers(appends: readonly AppendRecord[], withId: (id: number) => LogEntry | undefined, report: Report): void {
  const sessions = new Map<number, AppendRecord[]>();
  for (const append of appends) {
    if (append.producer === undefined) continue;
    const { session } = append.producer;
    const known = sessions.get(session);
    if (known === undefined) sessions.set(session, [append]);
    else known.push(append);
  }
  for (const all of sessions.values()) checkSession(all, withId, report);
}

function checkSession(appends: readonly AppendRecord[], withId: (id: number) => LogEntry | undefined, report: Report): void {
  let last: { readonly append: AppendRecord; readonly end: number } | undefined;
  let missing: AppendRecord | undefined;
  for (const append of appends.toSorted((a, b) => (a.producer?.sequence ?? 0) - (b.producer?.sequence ?? 0))) {
    const places = append.ids.map(withId).filter((entry) => entry !== undefined);
    const [first] = places;
    if (first === undefined) {
      // A condition that does not hold takes no sequence.
      if (append.expectedEnd === undefined || append.result.kind !== 'failed') missing ??= append;
      continue;
    }
    if (missing !== undefined)
      report.add('sequence hole', `${nameAppend(append)} is in the log, and ${nameAppend(missing)} of its session before it is not`);
    if (last !== undefined && first.offset < last.end)
      report.add(
        'sequence out of order',
        `${nameAppend(append)} is in the log before ${nameAppend(last.append)} of its session, which came before it`,
      );
    last = { append, end: places.at(-1)?.end ?? first.end };
  }
}
