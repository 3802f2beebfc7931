// Small random histories: those of a correct log by construction, and such ones bent afterwards.

import type { AppendRecord, AppendResult, EndRecord, History, LogEntry, ReadRecord } from '../../src/history/types.ts';
import type { Random } from '../assembly/random.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export interface SmallHistory extends History {
  readonly appends: Mutable<AppendRecord>[];
  readonly ends: Mutable<EndRecord>[];
  readonly reads: Mutable<ReadRecord>[];
  readonly log: LogEntry[];
}

/** Bytes of every entry here. */
export const ENTRY_BYTES = 20;

interface Moments {
  readonly invoked: number;
  readonly completed: number;
}

/** An interval around `moment`, which is distinct from all others: the histories have no draws. */
function around(random: Random, moment: number): Moments {
  const before = random.below(40) + random.u32() / 2 ** 33;
  const after = random.below(40) + random.u32() / 2 ** 33;
  return { invoked: moment - before, completed: moment + after };
}

function entriesOf(log: readonly LogEntry[], from: number, to: number): LogEntry[] {
  return log.filter(({ offset }) => offset >= from && offset < to);
}

/** What its client was told of an append that took effect at the end of `log`. */
function resultOf(random: Random, offset: number): AppendResult {
  if (random.oneIn(5)) return { kind: 'unknown', why: 'its connection was lost' };
  return { kind: 'ok', offset, end: offset + ENTRY_BYTES, term: 1, nodes: [1, 2] };
}

/** The history of a log that does everything at some moment between beginning and end. */
export function correctHistory(random: Random, operationCount: number): SmallHistory {
  const history: SmallHistory = { appends: [], ends: [], reads: [], deliveries: [], log: [] };
  const { log } = history;
  for (let index = 0; index < operationCount; index++) {
    const moment = index * 10;
    const times = around(random, moment);
    const client = random.below(3);
    const seen = { client, node: '1', session: undefined, ...times };
    const end = log.length * ENTRY_BYTES;
    switch (random.below(8)) {
      case 0:
      case 1:
      case 2:
      case 3: {
        const level = random.oneIn(6) ? 'received' : 'committed';
        const common = {
          client,
          ids: [index],
          expectedEnd: undefined,
          chain: undefined,
          session: undefined,
          level,
          invoked: times.invoked,
        } as const;
        const result = random.oneIn(8) ? ({ kind: 'failed', why: 'refused' } as const) : resultOf(random, end);
        const isThere = result.kind === 'ok' ? level === 'committed' || !random.oneIn(4) : result.kind === 'unknown' && !random.oneIn(3);
        history.appends.push({ ...common, completed: times.completed, result });
        if (isThere) log.push({ offset: end, end: end + ENTRY_BYTES, term: 1, id: index });
        break;
      }
      case 4:
      case 5:
      case 6:
        history.ends.push({ ...seen, isLinearizable: true, atLeast: undefined, commit: end });
        break;
      default: {
        const to = random.below(log.length + 1) * ENTRY_BYTES;
        const from = random.below(to / ENTRY_BYTES + 1) * ENTRY_BYTES;
        history.reads.push({ ...seen, from, to, entries: entriesOf(log, from, to), commit: to });
      }
    }
  }
  return history;
}

/** Changes one thing, which may or may not make the history wrong. */
export function bend(random: Random, history: SmallHistory): void {
  const { appends, ends, reads, log } = history;
  const operations = [...appends, ...ends, ...reads];
  const operation = operations[random.below(operations.length)];
  const append = appends[random.below(appends.length)];
  const end = ends[random.below(ends.length)];
  const shift = (random.below(120) - 60) * (1 + random.u32() / 2 ** 40);
  switch (random.below(6)) {
    case 0:
    case 1:
      if (operation === undefined) return;
      operation.invoked += shift;
      operation.completed += shift;
      return;
    case 2:
      if (end !== undefined) end.commit = random.below(log.length + 1) * ENTRY_BYTES;
      return;
    case 3:
      if (append?.result.kind === 'unknown') append.result = resultOf(random, random.below(log.length + 1) * ENTRY_BYTES);
      else if (append !== undefined) append.result = { kind: 'failed', why: 'bent' };
      return;
    case 4: {
      // The last entry is gone.
      const lost = log.pop();
      if (lost !== undefined && random.oneIn(2))
        history.appends.splice(0, appends.length, ...appends.filter(({ ids }) => ids[0] !== lost.id));
      return;
    }
    default: {
      const [one, other] = [random.below(log.length + 1), random.below(log.length + 1)];
      const [first, second] = [log[one], log[other]];
      if (first === undefined || second === undefined) return;
      log[one] = { ...first, id: second.id };
      log[other] = { ...second, id: first.id };
    }
  }
}
