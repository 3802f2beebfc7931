// What a log's policy lets go, and when: by made-up segments, times and clocks, so that hours pass at once.

import { describe, expect, test } from 'vitest';
import { LogError } from '../../src/core/errors.ts';
import { RETENTION_LOOK_MS, RETENTION_WAIT_MS } from '../../src/core/limits.ts';
import { foldConsumers, NO_CONSUMERS } from '../../src/format/consumers.ts';
import type { Policy } from '../../src/format/controlEntries.ts';
import { WORD } from '../../src/memory/map.ts';
import { TailMemory } from '../../src/memory/tailMemory.ts';
import { Retention } from '../../src/node/retention.ts';
import { rethrow } from '../support/loop.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOON = 1_800_000_000_000;

/** A node with ten segments of 1,000 bytes, the last one open, whose heads are an hour apart, and a clock. */
class Bench {
  readonly memory = TailMemory.create({ segmentBytes: 65_536, slots: 3 });
  readonly trims: number[] = [];
  readonly lines: string[] = [];
  readonly lookedAt: number[] = [];
  readonly retention: Retention;
  policy: Policy = { bytes: 0, ageMs: 0 };
  /** Where the entry that says it ends. */
  policyEnd = 0;
  nowMs = 5_000;
  wallMs = NOON;
  timeMs = NOON;
  leads = true;
  /** So many segments do not say their time. */
  untimed = 0;
  /** The log's time at the head of a segment. */
  headMs: (base: number) => number = (base) => NOON - 10 * HOUR + (base / 1000) * HOUR;
  sealed = Array.from({ length: 9 }, (_, i) => ({ base: i * 1000, end: i * 1000 + 1000 }));
  failure: LogError | undefined;
  /** Undefined: they are being changed. */
  consumers: Uint8Array | undefined = NO_CONSUMERS;
  #looks: (() => void)[] = [];

  constructor(given: Partial<Policy> = {}) {
    this.memory.setWord(WORD.COMMIT, 9_500);
    this.memory.setWord(WORD.DURABLE, 9_500);
    const bench = this;
    this.retention = new Retention({
      memory: this.memory,
      loop: {
        nowMs: () => this.nowMs,
        wallMs: () => this.wallMs,
        after: (delayMs, run) => {
          expect(delayMs).toBe(RETENTION_LOOK_MS);
          this.#looks.push(run);
          return { cancel: () => undefined };
        },
      },
      fold: {
        get timeMs() {
          return bench.timeMs;
        },
        get settledPolicy() {
          return { ...bench.policy, end: bench.policyEnd };
        },
        named: {
          get settled() {
            return bench.consumers === undefined ? undefined : { table: bench.consumers, end: 0 };
          },
        },
      },
      own: { policy: () => (this.leads ? { policy: this.policy, term: 1, end: this.policyEnd, timeMs: this.timeMs } : undefined) },
      segments: { sealed: this.sealed as never, baseBefore: () => 0 },
      times: {
        timeAt: async (base) => {
          this.lookedAt.push(base);
          return base < this.untimed * 1000 ? undefined : this.headMs(base);
        },
      },
      trims: {
        request: (to) => {
          if (this.failure !== undefined) return Promise.reject(this.failure);
          this.trims.push(to);
          this.memory.setWord(WORD.START, to);
          return Promise.resolve(to);
        },
      },
      refusal: () => (this.leads ? undefined : new LogError('NOT_LEADER', 'no')),
      progress: () => Promise.resolve(),
      config: { retentionBytes: given.bytes ?? 0, retentionAge: given.ageMs ?? 0, callOf: (name) => `--${name}` },
      log: { info: () => undefined, warn: (text) => void this.lines.push(text) },
      broke: rethrow,
    });
    this.retention.start();
  }

  /** Time passes on all clocks, and the log's goes on with it. */
  passes(ms: number): this {
    this.nowMs += ms;
    this.wallMs += ms;
    this.timeMs += ms;
    return this;
  }

  /** The next look has come; returns where the log was trimmed to since the last one. */
  async look(): Promise<number[]> {
    this.trims.length = 0;
    for (const run of this.#looks.splice(0)) run();
    for (let i = 0; i < 200; i += 1) await Promise.resolve();
    return [...this.trims];
  }
}

async function bySize(bytes: number, change: (bench: Bench) => void = () => undefined): Promise<number[]> {
  const bench = new Bench();
  bench.policy = { bytes, ageMs: 0 };
  change(bench);
  return bench.look();
}

/** Heads stand at 02:00, 03:00, …, and it is 12:00 by the log; an hour after the start. */
function byAge(ageMs: number): Bench {
  const bench = new Bench();
  bench.policy = { bytes: 0, ageMs };
  bench.nowMs += RETENTION_WAIT_MS;
  return bench;
}

test('a policy that another leader cut off is not confirmed, also where as much is committed at once', async () => {
  const bench = new Bench();
  bench.memory.setWord(WORD.OPEN_TERM, 1);
  bench.policy = { bytes: 5_500, ageMs: 0 };
  bench.policyEnd = 9_600;
  const asked = bench.retention.request(bench.policy).catch((thrown: unknown) => thrown);
  await Promise.resolve();
  bench.memory.setWord(WORD.OPEN_TERM, 0);
  bench.memory.setWord(WORD.COMMIT, 9_700);
  expect(await asked).toMatchObject({ code: 'NOT_LEADER', outcome: 'unknown' });
});

/** A consumer for each position, and one that has none. */
function consumersAt(...positions: readonly number[]): Uint8Array {
  const claimed = foldConsumers(NO_CONSUMERS, { what: 'claim', name: 'none' }, 1);
  return positions.reduce((table, position, i) => foldConsumers(table, { what: 'reset', name: `c${i}`, position }, 1), claimed);
}

describe('that waits for named consumers', () => {
  const waits = (consumerBytes: number | undefined, consumers: Uint8Array | undefined, bytes = 3_500): Promise<number[]> =>
    bySize(bytes, (bench) => {
      bench.policy = { bytes, ageMs: 0, ...(consumerBytes === undefined ? {} : { consumerBytes }) };
      bench.consumers = consumers;
    });

  test('lets nothing go that one of them has not committed, up to its bound', async () => {
    // It ends at 9,500; without consumers it would begin at 6,000.
    expect(await waits(undefined, consumersAt(1_500))).toEqual([6_000]);
    expect(await waits(9_000, consumersAt())).toEqual([6_000]);
    expect(await waits(9_000, consumersAt(9_000, 1_500))).toEqual([1_000]);
    expect(await waits(9_000, consumersAt(4_000, 5_000))).toEqual([4_000]);
    expect(await waits(9_000, consumersAt(7_000))).toEqual([6_000]);
    expect(await waits(9_000, consumersAt(500))).toEqual([]);
    expect(await waits(5_000, consumersAt(500))).toEqual([4_000]);
    expect(await waits(3_000, consumersAt(500))).toEqual([6_000]);
  });

  test('lets nothing go while they are being changed, and looks again', async () => {
    expect(await waits(9_000, undefined)).toEqual([]);
  });
});

describe('by size', () => {
  test('the log begins at the first segment from which on it has no more', async () => {
    expect(await bySize(9_500)).toEqual([]);
    expect(await bySize(9_499)).toEqual([1000]);
    expect(await bySize(5_500)).toEqual([4000]);
    expect(await bySize(5_499)).toEqual([5000]);
  });

  test('the segment in which it goes on stays whole', async () => {
    expect(await bySize(10)).toEqual([9000]);
    // Nothing of the next one is committed yet.
    expect(await bySize(10, ({ memory }) => memory.setWord(WORD.COMMIT, 9_000))).toEqual([8000]);
  });

  test('what is not sealed yet ends what can go', async () => {
    expect(await bySize(10, ({ sealed }) => void sealed.splice(4, 1))).toEqual([4000]);
    expect(await bySize(10, ({ sealed }) => void sealed.splice(0, 1))).toEqual([]);
  });

  test('nothing goes past the commit, nor by what is not committed', async () => {
    expect(await bySize(10, ({ memory }) => memory.setWord(WORD.COMMIT, 5_400))).toEqual([5000]);
    expect(await bySize(10, ({ memory }) => memory.setWord(WORD.DURABLE, 5_400))).toEqual([5000]);
    expect(
      await bySize(10, (bench) => {
        bench.policyEnd = 9_501;
      }),
    ).toEqual([]);
  });

  test('who does not lead lets nothing go, and who leads later does', async () => {
    const bench = new Bench();
    bench.policy = { bytes: 5_500, ageMs: 0 };
    bench.leads = false;
    expect(await bench.look()).toEqual([]);
    bench.leads = true;
    expect(await bench.look()).toEqual([4000]);
    expect(await bench.look()).toEqual([]);
  });

  test('a start inside a segment counts, and is not taken back', async () => {
    expect(await bySize(6_000, ({ memory }) => memory.setWord(WORD.START, 3_700))).toEqual([]);
    expect(await bySize(5_700, ({ memory }) => memory.setWord(WORD.START, 3_700))).toEqual([4000]);
  });

  test('what keeps it from being done is said once, and it is tried again', async () => {
    const bench = new Bench();
    bench.policy = { bytes: 5_500, ageMs: 0 };
    bench.failure = new LogError('DAMAGED', 'the log is damaged');
    await bench.look();
    await bench.look();
    expect(bench.lines).toEqual(['retention: nothing goes: the log is damaged']);
    bench.failure = new LogError('NOT_LEADER', 'no');
    await bench.look();
    bench.failure = undefined;
    expect(await bench.look()).toEqual([4000]);
    expect(bench.lines).toHaveLength(1);
  });
});

describe('by age', () => {
  test('the log begins one segment before the last before which all is older', async () => {
    expect(await byAge(DAY).look()).toEqual([]);
    // 04:00 is the head of the third.
    expect(await byAge(8 * HOUR).look()).toEqual([]);
    expect(await byAge(8 * HOUR - 1).look()).toEqual([1000]);
    expect(await byAge(1_000).look()).toEqual([8000]);
  });

  test('what came while the log’s time stood still is as old as the time that it moved on to', async () => {
    const bench = byAge(HOUR);
    // It stood at 04:00 from the third segment to the seventh, and leapt to noon.
    bench.headMs = (base) => (base < 2000 ? NOON - 9 * HOUR : base < 7000 ? NOON - 8 * HOUR : NOON);
    expect(await bench.look()).toEqual([1000]);
    bench.passes(HOUR + 1);
    expect(await bench.look()).toEqual([6000]);
    // A log that was founded while the clocks of its nodes were apart has no time at first.
    const young = byAge(HOUR);
    young.headMs = (base) => (base < 7000 ? 0 : NOON);
    expect(await young.look()).toEqual([]);
  });

  test('a segment that is damaged does not keep what is too much', async () => {
    const bench = byAge(HOUR);
    bench.headMs = () => {
      throw new LogError('DAMAGED', 'one head is damaged');
    };
    bench.policy = { bytes: 3_500, ageMs: HOUR };
    expect(await bench.look()).toEqual([6000]);
    expect(bench.lines).toEqual(['retention: nothing goes by age: one head is damaged']);
  });

  test('whichever lets more go counts, of size and age', async () => {
    const bench = byAge(8 * HOUR - 1);
    bench.policy = { ...bench.policy, bytes: 3_500 };
    expect(await bench.look()).toEqual([6000]);
    bench.policy = { bytes: 9_000, ageMs: HOUR - 1 };
    expect(await bench.look()).toEqual([8000]);
  });

  test('this node’s clock decides nothing', async () => {
    const bench = byAge(DAY);
    bench.wallMs += 10 * 365 * DAY;
    expect(await bench.look()).toEqual([]);
  });

  test('a leader whose clock is behind the log’s time waits', async () => {
    const bench = byAge(8 * HOUR - 1);
    bench.wallMs = NOON - 60_001;
    expect(await bench.look()).toEqual([]);
    bench.wallMs = NOON - 60_000;
    expect(await bench.look()).toEqual([1000]);
  });

  test('nothing goes in the first hour', async () => {
    const bench = byAge(DAY - 1);
    bench.nowMs = 5_000 + RETENTION_WAIT_MS - 1;
    bench.policy = { bytes: 0, ageMs: HOUR - 1 };
    expect(await bench.look()).toEqual([]);
    bench.nowMs += 1;
    expect(await bench.look()).toEqual([8000]);
  });

  test('nor in an hour after a leap of the log’s time, whoever leads', async () => {
    for (const leads of [true, false]) {
      const bench = byAge(DAY);
      await bench.passes(DAY).look();
      bench.trims.length = 0;
      bench.memory.setWord(WORD.START, 0);
      // The clock of the leader says ten years later, and then what it should again.
      bench.leads = leads;
      bench.timeMs += 10 * 365 * DAY;
      bench.wallMs += 10 * 365 * DAY;
      expect(await bench.look()).toEqual([]);
      bench.leads = true;
      expect(await bench.passes(RETENTION_WAIT_MS - 1).look()).toEqual([]);
      bench.wallMs -= 10 * 365 * DAY;
      expect(await bench.passes(HOUR).look()).toEqual([]);
      // It is as late as it says, after all.
      bench.wallMs += 10 * 365 * DAY;
      expect(await bench.look()).toEqual([8000]);
    }
  });

  test('a log that was idle has not leapt', async () => {
    const bench = byAge(DAY);
    bench.nowMs += 12 * HOUR;
    bench.wallMs += 12 * HOUR;
    expect(await bench.look()).toEqual([]);
    bench.timeMs += 12 * HOUR + 59_999;
    bench.policy = { bytes: 0, ageMs: 19 * HOUR };
    expect(await bench.look()).toEqual([2000]);
  });

  test('few heads are looked at, and none twice while nothing changes', async () => {
    const bench = byAge(DAY);
    await bench.look();
    await bench.look();
    expect(bench.lookedAt).toEqual([1000]);
    bench.policy = { bytes: 0, ageMs: HOUR };
    await bench.look();
    expect(bench.lookedAt.length).toBeLessThan(6);
  });

  test('of a log of many segments the same goes, however many heads were looked at before', async () => {
    const count = 300;
    const many = (): Bench => {
      const bench = byAge(0);
      bench.sealed.splice(0, bench.sealed.length, ...Array.from({ length: count }, (_, i) => ({ base: i * 1000, end: i * 1000 + 1000 })));
      for (const word of [WORD.COMMIT, WORD.DURABLE]) bench.memory.setWord(word, count * 1000 + 500);
      bench.headMs = (base) => NOON - count * HOUR + (base / 1000) * HOUR;
      return bench;
    };
    const bench = many();
    for (let hours = count - 3; hours > 1; hours -= 7) {
      const policy = { bytes: 0, ageMs: hours * HOUR - 1 };
      bench.policy = policy;
      bench.memory.setWord(WORD.START, 0);
      expect(await bench.look(), `${hours} h`).toEqual([(count - hours - 1) * 1000]);
    }
  });

  test('what a log has of its time without times goes with the first segment that has one, and not before', async () => {
    for (const [untimed, gone] of [
      [2, 2000],
      [3, undefined],
    ] as const) {
      const bench = byAge(7 * HOUR - 1);
      bench.untimed = untimed;
      expect(await bench.look()).toEqual(gone === undefined ? [] : [gone]);
    }
  });
});

describe('what a node is started with', () => {
  test('holds for a new log, and is said to be ignored where the log has another policy', async () => {
    const sentence =
      '--retentionBytes and --retentionAge: only a new log takes that, and this one has another retention, which stays; loglog retention set changes it';
    const bench = new Bench({ bytes: 70_000, ageMs: 5_000 });
    bench.policy = { bytes: 70_000, ageMs: 0 };
    await bench.look();
    await bench.look();
    expect(bench.lines).toEqual([sentence]);
    const same = new Bench({ bytes: 70_000 });
    same.policy = { bytes: 70_000, ageMs: 5_000 };
    await same.look();
    expect(same.lines).toEqual([]);
  });
});
