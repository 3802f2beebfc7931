// Holds what clients did against the log as it stood at last. The checker wants to know which append each entry of the log is; payloads are
// the test's own, so that is found out by their bytes, and by the places that receipts named.

import { checkHistory } from '../history/check.ts';
import type { AppendRecord, DeliveryRecord, LogEntry, Violation } from '../history/types.ts';
import { OWN_ENTRY } from '../history/types.ts';
import type { FinalEntry } from './finalLog.ts';
import type { Fingerprint, Recording, SeenReading } from './recording.ts';

/** Which append's entry each entry of the log is, by the offset of the latter. */
class Assignment {
  readonly ids = new Map<number, number>();
  readonly #recording: Recording;
  readonly #byOffset: ReadonlyMap<number, number>;
  readonly #log: readonly FinalEntry[];
  /** Ids of entries that were found in the log. */
  readonly #placed = new Set<number>();
  /** Data entries of the log that are nobody's yet, ascending, by what they hold. */
  readonly #free = new Map<Fingerprint, number[]>();

  constructor(recording: Recording, log: readonly FinalEntry[]) {
    this.#recording = recording;
    this.#log = log;
    this.#byOffset = new Map(log.map(({ offset }, index) => [offset, index]));
    const { appends } = recording.recorder;
    // What was acknowledged is where its receipt says, if it is there at all.
    for (const append of appends) if (append.result.kind === 'ok') this.#claim(append, this.#byOffset.get(append.result.offset));
    for (const [index, { offset, fingerprint }] of log.entries()) {
      if (fingerprint === undefined || this.ids.has(offset)) continue;
      const same = this.#free.get(fingerprint) ?? [];
      same.push(index);
      this.#free.set(fingerprint, same);
    }
    // Then whatever may be there, the earliest first; at last what should not be there, or not a second time.
    const order = { ok: 0, done: 0, unknown: 1, failed: 2 } as const;
    for (const append of [...appends].sort((a, b) => order[a.result.kind] - order[b.result.kind] || a.invoked - b.invoked)) {
      if (append.ids.some((id) => this.#placed.has(id))) continue;
      const first = this.#free.get(recording.fingerprints[append.ids[0] ?? 0] ?? '') ?? [];
      this.#claim(
        append,
        first.find((index) => this.#fits(append, index)),
      );
    }
    this.#nameTheRest();
  }

  /** Whether all of `append` stands at `index` of the log, where nothing is anybody's yet. */
  #fits({ ids }: AppendRecord, index: number): boolean {
    return ids.every((id, i) => {
      const entry = this.#log[index + i];
      return entry !== undefined && entry.fingerprint === this.#recording.fingerprints[id] && !this.ids.has(entry.offset);
    });
  }

  #claim(append: AppendRecord, index: number | undefined): void {
    if (index === undefined || !this.#fits(append, index)) return;
    for (const [i, id] of append.ids.entries()) {
      this.ids.set(this.#log[index + i]?.offset ?? 0, id);
      this.#placed.add(id);
    }
  }

  /** What is left is a part of something, or a repetition, or was appended by somebody who was not watched. */
  #nameTheRest(): void {
    const idsOf = new Map<Fingerprint, number[]>();
    for (const [id, fingerprint] of this.#recording.fingerprints.entries()) {
      const same = idsOf.get(fingerprint) ?? [];
      same.push(id);
      idsOf.set(fingerprint, same);
    }
    let stranger = this.#recording.fingerprints.length;
    for (const { offset, fingerprint } of this.#log) {
      if (fingerprint === undefined || this.ids.has(offset)) continue;
      const same = idsOf.get(fingerprint) ?? [];
      const id = same.find((each) => !this.#placed.has(each)) ?? same[0];
      if (id !== undefined) this.#placed.add(id);
      this.ids.set(offset, id ?? stranger++);
    }
  }
}

/** Deliveries as the checker has them: with the log's own entries, which an iteration passes over, put back. */
function deliveriesOf(
  readings: readonly SeenReading[],
  entries: readonly LogEntry[],
  idOf: (seen: SeenReading['entries'][number]) => number,
): DeliveryRecord[] {
  const indexOf = new Map(entries.map(({ offset }, index) => [offset, index]));
  return readings.flatMap(({ client, subscription, invoked, from, entries: seen }) => {
    let at = from ?? seen[0]?.offset ?? 0;
    return seen.map((one): DeliveryRecord => {
      const begin = at;
      const passed: LogEntry[] = [];
      for (let index = indexOf.get(at); index !== undefined && at < one.offset; index += 1) {
        const entry = entries[index];
        if (entry === undefined || entry.id !== OWN_ENTRY) break;
        passed.push(entry);
        at = entry.end;
      }
      const { offset, end, term, completed } = one;
      at = end;
      return {
        client,
        node: 'of the library',
        session: undefined,
        invoked,
        completed,
        subscription,
        from: begin,
        to: end,
        commit: undefined,
        entries: [...passed, { offset, end, term, id: idOf(one) }],
      };
    });
  });
}

/** Whether a payload was appended more than once, and an answer was lost: which of them stands where is then a guess. */
function withoutGuesses(appends: readonly AppendRecord[], fingerprints: readonly Fingerprint[]): AppendRecord[] {
  const counts = new Map<Fingerprint, number>();
  for (const fingerprint of fingerprints) counts.set(fingerprint, (counts.get(fingerprint) ?? 0) + 1);
  const isGuess = ({ ids, result }: AppendRecord): boolean =>
    result.kind !== 'ok' && ids.some((id) => (counts.get(fingerprints[id] ?? '') ?? 0) > 1);
  const guessedChains = new Set(appends.filter(isGuess).flatMap(({ chain }) => chain?.id ?? []));
  return appends.map((append) => {
    if (isGuess(append)) return { ...append, expectedEnd: undefined, chain: undefined };
    return append.chain !== undefined && guessedChains.has(append.chain.id) ? { ...append, chain: undefined } : append;
  });
}

export interface Judgement {
  readonly violations: readonly Violation[];
  /** Entries in the log that clients appended. */
  readonly dataEntries: number;
}

/** Everything that is wrong with what was recorded, given the whole log and how many nodes make a majority. */
export function judge(recording: Recording, log: readonly FinalEntry[], majority: number): Judgement {
  const { recorder, fingerprints, readings } = recording;
  const { ids } = new Assignment(recording, log);
  const entries = log.map(({ offset, end, term }): LogEntry => ({ offset, end, term, id: ids.get(offset) ?? OWN_ENTRY }));
  const byOffset = new Map(log.map((entry) => [entry.offset, entry]));
  const anyId = new Map(fingerprints.map((fingerprint, id) => [fingerprint, id]));
  const idOf = ({ offset, fingerprint }: SeenReading['entries'][number]): number =>
    byOffset.get(offset)?.fingerprint === fingerprint
      ? (ids.get(offset) ?? OWN_ENTRY)
      : (anyId.get(fingerprint) ?? Number.MAX_SAFE_INTEGER);
  // Others may append to the same log, such as the program under test with clients of its own.
  const others = [...new Set(ids.values())].filter((id) => id >= fingerprints.length);
  const strangers = others.map(
    (id): AppendRecord => ({
      client: 0,
      ids: [id],
      level: 'received',
      expectedEnd: undefined,
      chain: undefined,
      session: undefined,
      invoked: Number.NEGATIVE_INFINITY,
      completed: Number.POSITIVE_INFINITY,
      result: { kind: 'unknown', why: 'it was appended by a client that was not watched' },
    }),
  );
  const history = {
    appends: [...withoutGuesses(recorder.appends, fingerprints), ...strangers],
    ends: recorder.ends,
    reads: [],
    deliveries: deliveriesOf(readings, entries, idOf),
  };
  return { violations: checkHistory(history, entries, { majority }), dataEntries: ids.size };
}
