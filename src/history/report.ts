// What the checks share: the list of violations with a bound for each kind, and how operations are named in sentences.

import type { AppendRecord, DeliveryRecord, EndRecord, LogEntry, PositionRecord, ReadRecord, Violation, ViolationKind } from './types.ts';

/** One fault breaks a promise a thousand times: so many of each kind are told, the rest only counted. */
const MAX_PER_KIND = 8;

export class Report {
  readonly #violations: Violation[] = [];
  readonly #counts = new Map<ViolationKind, number>();

  add(kind: ViolationKind, sentence: string): void {
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    if (count <= MAX_PER_KIND) this.#violations.push({ kind, sentence });
  }

  /** All violations; a kind that was found too often ends with one that says how often. */
  finish(): Violation[] {
    const more = [...this.#counts]
      .filter(([, count]) => count > MAX_PER_KIND)
      .map(([kind, count]) => ({ kind, sentence: `and ${count - MAX_PER_KIND} more of the kind "${kind}"` }));
    return [...this.#violations, ...more];
  }
}

function time(value: number): string {
  return Number.isFinite(value) ? String(Math.round(value * 1000) / 1000) : 'the end';
}

function span({ invoked, completed }: { readonly invoked: number; readonly completed: number }): string {
  return `${time(invoked)} to ${time(completed)}`;
}

export function nameAppend(append: AppendRecord): string {
  const { client, ids, level, expectedEnd, chain, result } = append;
  const what = ids.length === 1 ? `of entry ${ids[0]}` : `of entries ${ids[0]} to ${ids[ids.length - 1]}`;
  const expected = expectedEnd === undefined ? '' : `, expected at ${expectedEnd}`;
  const condition = chain === undefined ? expected : `${expected}, number ${chain.number} of chain ${chain.id}`;
  const told =
    result.kind === 'ok'
      ? `acknowledged (${level}) at [${result.offset}, ${result.end}) in term ${result.term}`
      : result.kind === 'done'
        ? 'acknowledged, at a place that is trimmed'
        : `${result.kind}: ${result.why}`;
  return `the append ${what} by client ${client} (${span(append)}${condition}; ${told})`;
}

export function nameEnd(end: EndRecord): string {
  const kind = end.isLinearizable ? 'linearizable end' : 'end';
  return `the ${kind} ${end.commit} that node ${end.node} told client ${end.client} (${span(end)})`;
}

export function nameRead(read: ReadRecord | DeliveryRecord): string {
  const what = 'subscription' in read ? `delivery of subscription ${read.subscription}` : 'read';
  const commit = read.commit === undefined ? '' : `, commit ${read.commit}`;
  return `the ${what} of [${read.from}, ${read.to})${commit} by client ${read.client} from node ${read.node} (${span(read)})`;
}

export function namePosition(record: PositionRecord): string {
  const { client, name, holder, kind, position, result } = record;
  const place = position ?? 'nothing yet';
  const told = kind === 'claim' ? `was told ${place}` : result;
  const what = kind === 'commit' ? `commit of ${place}` : kind;
  return `the ${what} of consumer ${JSON.stringify(name)} by holder ${holder} of client ${client} (${span(record)}) ${told}`;
}

export function nameEntry({ offset, end, term, id }: LogEntry): string {
  return `${id < 0 ? 'an entry of the log itself' : `entry ${id}`} at [${offset}, ${end}) of term ${term}`;
}
