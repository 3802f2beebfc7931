// The check of histories agrees with the definition of linearizability, and finds every kind of broken promise.

import { describe, expect, test } from 'vitest';
import { checkHistory } from '../../src/history/check.ts';
import { HistoryRecorder } from '../../src/history/recorder.ts';
import {
  type AppendRecord,
  type AppendResult,
  type DeliveryRecord,
  type EndRecord,
  type History,
  type LogEntry,
  OWN_ENTRY,
  type PositionRecord,
  type ReadRecord,
  type ViolationKind,
} from '../../src/history/types.ts';
import { Random } from '../assembly/random.ts';
import { isLinearizable, type Operation } from './bruteForce.ts';
import { bend, correctHistory, ENTRY_BYTES, type SmallHistory } from './generator.ts';

const SEED = Number(process.env.HISTORY_SEED ?? 1);

/** The same question for the brute force: is there an order that ends in the final log, and do the reads match it? */
function isRight({ appends, ends, reads, log }: SmallHistory): boolean {
  const final = log.map(({ id }) => id);
  const operations: Operation[] = [];
  for (const { ids, level, invoked, completed, result } of appends) {
    const [id = -1] = ids;
    if (result.kind === 'failed') continue;
    const count = result.kind === 'ok' ? result.offset / ENTRY_BYTES : -1;
    const must = result.kind === 'ok' && level === 'committed';
    operations.push({ kind: 'append', invoked, completed: must ? completed : Number.POSITIVE_INFINITY, must, id, count });
  }
  for (const { invoked, completed, commit } of ends) {
    operations.push({ kind: 'look', invoked, completed, must: true, id: -1, count: commit / ENTRY_BYTES });
  }
  for (const { completed, from, to, entries } of reads) {
    // Reads may be old: as if they had begun long before.
    operations.push({ kind: 'look', invoked: Number.NEGATIVE_INFINITY, completed, must: true, id: -1, count: to / ENTRY_BYTES });
    if (entries.map(({ id }) => id).join() !== final.slice(from / ENTRY_BYTES, to / ENTRY_BYTES).join()) return false;
  }
  return isLinearizable(operations, final);
}

test.each([
  ['correct', 20_000, 0],
  ['bent once', 30_000, 1],
  ['bent three times', 20_000, 3],
])('the check agrees with brute force on small histories: %s', (_, count, bends) => {
  const random = new Random(SEED);
  let wrong = 0;
  for (let round = 0; round < count; round++) {
    const history = correctHistory(random, 2 + random.below(7));
    for (let bent = 0; bent < bends; bent++) bend(random, history);
    const violations = checkHistory(history, history.log);
    const expected = isRight(history);
    if (!expected) wrong += 1;
    if ((violations.length === 0) !== expected) {
      throw new Error(
        `round ${round}: brute force says ${expected ? 'right' : 'wrong'}: ${JSON.stringify({ history, violations }, null, 1)}`,
      );
    }
  }
  // The comparison means something only when both verdicts are frequent.
  if (bends === 0) expect(wrong).toBe(0);
  else expect(wrong).toBeGreaterThan(count / 5);
  if (bends > 0) expect(count - wrong).toBeGreaterThan(count / 20);
});

/** A history written down at will, where a recorder takes only what happens. */
class Script implements History {
  readonly appends: AppendRecord[] = [];
  readonly ends: EndRecord[] = [];
  readonly reads: ReadRecord[] = [];
  readonly deliveries: DeliveryRecord[] = [];
  readonly positions: PositionRecord[] = [];
  readonly log: LogEntry[] = [];

  get end(): number {
    return this.log.at(-1)?.end ?? 0;
  }

  /** An entry of the log that `id` appends. */
  push(id: number, term = 1): LogEntry {
    const entry = { offset: this.end, end: this.end + ENTRY_BYTES, term, id };
    this.log.push(entry);
    return entry;
  }

  append(
    ids: readonly number[],
    invoked: number,
    completed: number,
    result: AppendResult,
    { expectedEnd, chain, producer, level = 'committed' }: Partial<Pick<AppendRecord, 'expectedEnd' | 'chain' | 'level' | 'producer'>> = {},
  ): void {
    this.appends.push({ client: 1, ids, level, session: 'a', expectedEnd, chain, producer, invoked, completed, result });
  }

  /** What holder `holder` does with the name `n`, or another one. */
  named(
    kind: PositionRecord['kind'],
    holder: number,
    position: number | undefined,
    [invoked, completed]: readonly [number, number],
    { result = 'ok', name = 'n' }: { result?: PositionRecord['result']; name?: string } = {},
  ): void {
    this.positions.push({ client: holder, name, holder, kind, position, invoked, completed, result });
  }

  /** An append that is acknowledged, and in the log. */
  acknowledged(id: number, invoked: number, completed: number): void {
    this.append([id], invoked, completed, this.ok(this.push(id).offset));
  }

  /** Appends number `number` of chain 1, pipelined with all others of it; the head expects the end `at`. */
  chained(ids: readonly number[], number: number, result: AppendResult, at = this.end): void {
    this.append(ids, 200, 300, result, { expectedEnd: number === 1 ? at : undefined, chain: { id: 1, number } });
  }

  ok(offset: number, count = 1): AppendResult {
    return { kind: 'ok', offset, end: offset + count * ENTRY_BYTES, term: 1, nodes: [1, 2] };
  }

  look(
    commit: number,
    invoked: number,
    completed: number,
    { isLinearizable = false, session, atLeast }: { isLinearizable?: boolean; session?: string; atLeast?: number } = {},
  ): void {
    this.ends.push({ client: 2, node: '2', session, invoked, completed, isLinearizable, atLeast, commit });
  }

  read(entries: readonly LogEntry[], at: number, commit?: number, subscription?: number, hasSkipped = false): void {
    const [from, to] = [entries[0]?.offset ?? 0, entries.at(-1)?.end ?? 0];
    const read = { client: 3, node: '3', session: undefined, invoked: at - 1, completed: at, from, to, entries, commit };
    if (subscription === undefined) this.reads.push(read);
    else this.deliveries.push({ ...read, subscription, hasSkipped });
  }
}

const UNKNOWN: AppendResult = { kind: 'unknown', why: 'x' };

/** One broken promise each, in a script that is otherwise right. */
const PLANTED: [ViolationKind, string, (script: Script) => void][] = [
  ['malformed log', 'a gap', (s) => s.log.push({ offset: s.end + 1, end: s.end + 21, term: 1, id: OWN_ENTRY })],
  [
    'malformed log',
    'a term that falls',
    (s) => {
      s.push(OWN_ENTRY, 3);
      s.push(OWN_ENTRY, 2);
    },
  ],
  ['duplicate', 'an entry twice', (s) => s.push(1)],
  ['unsent', 'an entry of nobody', (s) => s.push(77)],
  ['lost', 'an acknowledged entry is gone', (s) => s.append([50], 100, 101, s.ok(s.end))],
  [
    'lost',
    'another entry stands where one was acknowledged',
    (s) => {
      s.append([50], 100, 101, s.ok(s.end));
      s.push(OWN_ENTRY);
    },
  ],
  ['lost', 'the rest of a batch is gone', (s) => s.append([s.push(50).id, 51], 100, 101, s.ok(s.end - ENTRY_BYTES, 2))],
  ['misplaced', 'acknowledged elsewhere', (s) => s.append([s.push(50).id], 100, 101, s.ok(0))],
  ['misplaced', 'acknowledged in another term', (s) => s.append([s.push(50, 2).id], 100, 101, s.ok(s.end - ENTRY_BYTES))],
  ['misplaced', 'a received entry moved', (s) => s.append([s.push(50).id], 100, 101, s.ok(0), { level: 'received' })],
  [
    'misplaced',
    'a batch torn apart',
    (s) => {
      const [first] = [s.push(50), s.push(OWN_ENTRY), s.push(51)];
      s.append([50, 51], 100, 101, s.ok(first.offset, 2));
    },
  ],
  ['misplaced', 'the end of a batch without its front', (s) => s.append([50, s.push(51).id], 100, 101, { kind: 'unknown', why: 'x' })],
  [
    'condition ignored',
    'an unknown append after other data than it expected',
    (s) => s.append([s.push(50).id], 100, 101, { kind: 'unknown', why: 'x' }, { expectedEnd: 0 }),
  ],
  [
    'condition ignored',
    'an append acknowledged after other data than it expected',
    (s) => s.append([s.push(50).id], 100, 101, s.ok(s.end - ENTRY_BYTES), { expectedEnd: 0 }),
  ],
  [
    'condition ignored',
    'an append that the log had not come far enough for',
    (s) => s.append([s.push(50).id], 100, 101, s.ok(s.end - ENTRY_BYTES), { expectedEnd: s.end }),
  ],
  [
    'condition ignored',
    'a received append that was lost, acknowledged before its expected end',
    (s) => s.append([50], 100, 101, s.ok(s.end), { expectedEnd: s.end + 1, level: 'received' }),
  ],
  [
    'condition ignored',
    'an append whose condition the data after an entry of the log itself had broken',
    (s) => {
      const { end } = s;
      s.push(OWN_ENTRY);
      s.acknowledged(50, 100, 101);
      s.append([s.push(51).id], 110, 111, s.ok(s.end - ENTRY_BYTES), { expectedEnd: end });
    },
  ],
  [
    'misplaced',
    'a part of a conditional append',
    (s) => s.append([s.push(50).id, 51], 100, 101, { kind: 'unknown', why: 'x' }, { expectedEnd: s.end - ENTRY_BYTES }),
  ],
  [
    'chain broken',
    'a link without the one before it',
    (s) => {
      s.chained([50], 1, UNKNOWN);
      s.chained([s.push(51).id], 2, s.ok(s.end - ENTRY_BYTES));
    },
  ],
  [
    'chain broken',
    'a link before the one before it',
    (s) => {
      const { end } = s;
      s.chained([51], 1, UNKNOWN, end);
      s.chained([s.push(50).id], 2, UNKNOWN);
      s.push(51);
    },
  ],
  [
    'chain broken',
    'an entry of somebody else in a chain',
    (s) => {
      s.chained([s.push(50).id], 1, s.ok(s.end - ENTRY_BYTES), s.end - ENTRY_BYTES);
      s.append([s.push(60).id], 200, 300, s.ok(s.end - ENTRY_BYTES));
      s.chained([s.push(51).id], 2, s.ok(s.end - ENTRY_BYTES));
    },
  ],
  [
    'chain broken',
    'a chain that goes on in another term',
    (s) => {
      s.chained([s.push(50).id], 1, s.ok(s.end - ENTRY_BYTES), s.end - ENTRY_BYTES);
      s.push(OWN_ENTRY, 2);
      s.chained([s.push(51, 2).id], 2, UNKNOWN);
    },
  ],
  [
    'chain broken',
    'a link that was done after one that was not',
    (s) => {
      s.chained([50], 1, { kind: 'failed', why: 'x' });
      s.append([51], 200, 300, s.ok(s.end), { chain: { id: 1, number: 2 }, level: 'received' });
    },
  ],
  [
    'misplaced',
    'a part of a link',
    (s) => {
      s.chained([s.push(50).id], 1, s.ok(s.end - ENTRY_BYTES), s.end - ENTRY_BYTES);
      s.chained([s.push(51).id, 52], 2, UNKNOWN);
    },
  ],
  ['failed append present', 'what failed is there', (s) => s.append([s.push(50).id], 100, 101, { kind: 'failed', why: 'x' })],
  [
    'too few nodes',
    'acknowledged by one node',
    (s) => {
      const { offset } = s.push(50);
      s.append([50], 100, 101, { kind: 'ok', offset, end: offset + ENTRY_BYTES, term: 1, nodes: [1] });
    },
  ],
  ['read differs', 'a read in another order', (s) => s.read([{ offset: 0, end: ENTRY_BYTES, term: 1, id: 2 }], 100)],
  [
    'read differs',
    'a read with a gap',
    (s) =>
      s.read(
        s.log.filter(({ id }) => id !== 2),
        100,
      ),
  ],
  ['read differs', 'an end inside an entry', (s) => s.look(ENTRY_BYTES + 1, 100, 101)],
  ['precommitted read', 'a read of an entry that never was', (s) => s.read([{ offset: 0, end: ENTRY_BYTES, term: 1, id: 99 }], 100)],
  ['precommitted read', 'an end beyond the log', (s) => s.look(s.end + ENTRY_BYTES, 100, 101)],
  ['precommitted read', 'a read beyond what it calls committed', (s) => s.read(s.log, 100, ENTRY_BYTES)],
  ['not linearizable', 'a stale linearizable end', (s) => s.look(ENTRY_BYTES, 90, 91, { isLinearizable: true })],
  ['not linearizable', 'a read from the future', (s) => s.read(s.log, 15, s.end)],
  [
    'not linearizable',
    'two linearizable ends, the later one shorter',
    (s) => {
      s.append([s.push(50).id], 100, 120, s.ok(s.end - ENTRY_BYTES));
      s.look(s.end, 101, 102, { isLinearizable: true });
      s.look(s.end - ENTRY_BYTES, 103, 104, { isLinearizable: true });
    },
  ],
  [
    'not linearizable',
    'a linearizable end behind what another client was shown',
    (s) => {
      s.append([s.push(50).id], 100, 120, s.ok(s.end - ENTRY_BYTES));
      s.read(s.log, 103, s.end);
      s.look(s.end - ENTRY_BYTES, 104, 105, { isLinearizable: true });
    },
  ],
  [
    'not linearizable',
    'appends against the order of time',
    (s) => {
      const [late, early] = [s.push(50), s.push(51)];
      s.append([51], 100, 101, s.ok(early.offset));
      s.append([50], 102, 103, s.ok(late.offset));
    },
  ],
  [
    'not monotonic',
    'a session goes back',
    (s) => {
      s.look(s.end, 100, 101, { session: 'b' });
      s.look(ENTRY_BYTES, 102, 103, { session: 'b' });
    },
  ],
  ['own write unread', 'a session does not see what it wrote', (s) => s.look(ENTRY_BYTES, 100, 101, { session: 'a' })],
  ['less than asked', 'an end below the one asked for', (s) => s.look(ENTRY_BYTES, 100, 101, { atLeast: s.end })],
  [
    'subscription gap',
    'a subscription leaves something out',
    (s) => {
      s.read(s.log.slice(0, 1), 100, undefined, 9);
      s.read(s.log.slice(2), 101, undefined, 9);
    },
  ],
  [
    'subscription gap',
    'a subscription says that it skips entries of the log, and skips data',
    (s) => {
      s.read(s.log.slice(0, 1), 100, undefined, 9);
      s.read(s.log.slice(2), 101, undefined, 9, true);
    },
  ],
  [
    'subscription gap',
    'a subscription repeats something',
    (s) => {
      s.read(s.log.slice(0, 2), 100, undefined, 9);
      s.read(s.log.slice(1), 101, undefined, 9);
    },
  ],
];

/** Appends of a session whose sequences these are, in the order of the log. */
function produced(script: Script, sequences: readonly number[]): void {
  for (const sequence of sequences)
    script.append([script.push(200 + sequence).id], 100, 200, UNKNOWN, { producer: { session: 5, sequence } });
}

/** One broken promise about sessions or names each. */
const PLANTED_NAMES: typeof PLANTED = [
  [
    'sequence hole',
    'an append of a session, and not the one before it',
    (s) => {
      produced(s, [1, 3]);
      s.append([202], 100, 200, UNKNOWN, { producer: { session: 5, sequence: 2 } });
    },
  ],
  ['sequence out of order', 'an append of a session before the one before it', (s) => produced(s, [1, 3, 2])],
  ['duplicate', 'an append of a session twice', (s) => produced(s, [1, 1])],
  [
    'lost',
    'an append of a session that was told to be done, and is not there',
    (s) => s.append([201], 100, 200, { kind: 'done' }, { producer: { session: 5, sequence: 1 } }),
  ],
  ['position fell', 'less than was confirmed to the one before', (s) => s.named('claim', 9, 20, [200, 201])],
  ['position fell', 'nothing, where something was confirmed', (s) => s.named('claim', 9, undefined, [200, 201])],
  [
    'position fell',
    'less than another one was told',
    (s) => {
      s.named('commit', 3, 60, [150, 200], { result: 'unknown' });
      s.named('claim', 8, 60, [160, 165]);
      s.named('claim', 9, 40, [170, 175]);
    },
  ],
  ['position of nobody', 'more than was ever committed', (s) => s.named('claim', 9, 50, [200, 201])],
  [
    'position of nobody',
    'what was committed later',
    (s) => {
      s.named('claim', 9, 60, [200, 201]);
      s.named('commit', 9, 60, [202, 203]);
    },
  ],
  ['commit of a former holder', 'of the one before the one before', (s) => s.named('commit', 1, 40, [200, 201])],
  ['position nowhere', 'beyond the log', (s) => s.named('commit', 3, 10_000, [200, 201])],
];

/** A history with every kind of operation, and nothing wrong. */
function rightScript(): Script {
  const script = new Script();
  script.push(OWN_ENTRY);
  for (let id = 1; id <= 3; id++) script.acknowledged(id, id * 10, id * 10 + 5);
  script.look(2 * ENTRY_BYTES, 16, 24, { isLinearizable: true });
  script.look(0, 40, 41);
  script.look(script.end, 42, 43, { session: 'a', atLeast: ENTRY_BYTES, isLinearizable: true });
  script.append([40], 50, 51, { kind: 'failed', why: 'refused' });
  script.append([41], 50, 52, { kind: 'unknown', why: 'lost' }, { expectedEnd: script.end });
  script.append([42], 50, 52, script.ok(script.end), { level: 'received' });
  const [first, second] = [script.push(43), script.push(44)];
  script.append([43, 44, 45], 55, 56, { kind: 'unknown', why: 'only its front was kept' });
  script.read(script.log.slice(0, 2), 60, script.end, 7);
  script.read(script.log.slice(2), 61, script.end, 7);
  script.read([first, second], 62);
  script.named('claim', 1, undefined, [63, 64]);
  script.named('commit', 1, 20, [65, 66]);
  script.named('commit', 1, 40, [67, 75]);
  // It may be told what is on its way; that was sent before it had the name, and is confirmed late.
  script.named('claim', 2, 40, [68, 70]);
  script.named('commit', 1, 40, [71, 72], { result: 'failed' });
  script.named('claim', 3, 40, [76, 77]);
  script.named('commit', 3, 20, [78, 79]);
  // Another name, which is begun anew.
  script.named('claim', 4, undefined, [63, 64], { name: 'other' });
  script.named('commit', 4, 40, [65, 66], { name: 'other' });
  script.named('reset', 0, undefined, [67, 68], { name: 'other' });
  script.named('claim', 5, undefined, [69, 70], { name: 'other' });
  return script;
}

describe('each broken promise is found, and named', () => {
  test('a history that keeps all of them passes', () => {
    const script = rightScript();
    expect(checkHistory(script, script.log, { majority: 2 })).toEqual([]);
  });

  test('conditions and chains that hold pass', () => {
    const script = rightScript();
    // Conditions that hold past entries of the log itself, and at an offset that is no boundary.
    const { end } = script;
    script.push(OWN_ENTRY);
    script.append([script.push(46).id], 57, 58, script.ok(script.end - ENTRY_BYTES), { expectedEnd: end });
    script.push(OWN_ENTRY);
    script.append([script.push(47).id], 57, 58, script.ok(script.end - ENTRY_BYTES), { expectedEnd: script.end - ENTRY_BYTES - 1 });
    // Two chains: one that was refused in its midst, and one whose rest is unknown.
    script.append([script.push(48).id], 57, 58, script.ok(script.end - ENTRY_BYTES), {
      expectedEnd: script.end - ENTRY_BYTES,
      chain: { id: 8, number: 1 },
    });
    script.push(OWN_ENTRY);
    script.append([script.push(49).id], 57, 58, script.ok(script.end - ENTRY_BYTES), { chain: { id: 8, number: 2 } });
    for (const number of [3, 4])
      script.append([80 + number], 57, 58, { kind: 'failed', why: 'CHAIN_BROKEN' }, { chain: { id: 8, number } });
    script.append([script.push(90).id], 57, 58, UNKNOWN, { expectedEnd: script.end - ENTRY_BYTES, chain: { id: 9, number: 1 } });
    script.append([91], 57, 58, UNKNOWN, { chain: { id: 9, number: 2 } });
    script.append([92, 93], 57, 58, UNKNOWN, { chain: { id: 9, number: 3 } });
    // One that its client resumed in the next term.
    script.append([script.push(94).id], 57, 58, UNKNOWN, { chain: { id: 10, number: 1, isResumed: true } });
    script.push(OWN_ENTRY, 2);
    script.append([script.push(95, 2).id], 57, 58, UNKNOWN, { chain: { id: 10, number: 2, isResumed: true } });
    expect(checkHistory(script, script.log, { majority: 2 })).toEqual([]);
  });

  test.each([...PLANTED, ...PLANTED_NAMES])('%s: %s', (kind, _, plant) => {
    const script = rightScript();
    plant(script);
    const violations = checkHistory(script, script.log, { majority: 2 });
    expect(violations.map((violation) => violation.kind)).toContain(kind);
    for (const { sentence } of violations) expect(sentence).toMatch(/^(the|entry|an entry) .*\d/);
  });

  test('a promise broken many times is told a few times and counted', () => {
    const script = rightScript();
    for (let id = 100; id < 200; id++) script.append([id], 100, 101, script.ok(0));
    const violations = checkHistory(script, script.log, { majority: 2 });
    expect(violations).toHaveLength(9);
    expect(violations.at(-1)?.sentence).toBe('and 92 more of the kind "lost"');
  });
});

test('a history of half a million operations is judged in one go, and one wrong answer in it is found', () => {
  const script = new Script();
  const random = new Random(SEED);
  for (let id = 0; id < 250_000; id++) {
    script.acknowledged(id, id * 10, id * 10 + 25);
    script.look(script.end, id * 10 + 5, id * 10 + 8 + random.below(30), { isLinearizable: true });
  }
  expect(checkHistory(script, script.log)).toEqual([]);
  script.look(script.end - ENTRY_BYTES * 4, 3_000_000, 3_000_001, { isLinearizable: true });
  const violations = checkHistory(script, script.log);
  expect(new Set(violations.map(({ kind }) => kind))).toEqual(new Set(['not linearizable']));
  expect(violations[0]?.sentence).toContain('3000001');
});

test('a recorder makes every moment distinct, keeps what is pending as unknown, and equal entries as one', () => {
  const recorder = new HistoryRecorder(() => 5);
  const complete = recorder.append({ client: 1, ids: [1], level: 'committed' });
  recorder.append({ client: 1, ids: [2], level: 'received', expectedEnd: 20 });
  complete({ kind: 'ok', offset: 0, end: ENTRY_BYTES, term: 1, nodes: [1] });
  const [first, second] = recorder.appends;
  expect(first?.result.kind).toBe('ok');
  expect(second).toMatchObject({ completed: Number.POSITIVE_INFINITY, expectedEnd: 20, result: { kind: 'unknown' } });
  expect(new Set([first?.invoked, second?.invoked, first?.completed]).size).toBe(3);
  expect(recorder.entry(0, ENTRY_BYTES, 1, 1)).toBe(recorder.entry(0, ENTRY_BYTES, 1, 1));
  expect(recorder.entry(0, ENTRY_BYTES, 2, 1).term).toBe(2);
});
