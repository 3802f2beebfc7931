import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Clock, type OpenLoopRun, runOpenLoop, Schedule, type Target } from '../../bench/load/schedule.ts';
import { LatencyRecorder } from '../../bench/statistics.ts';

describe('schedule of an open loop', () => {
  it('the entries that are due are those whose due time has come, whatever the rate', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 1e6, noNaN: true }),
        fc.integer({ min: 1, max: 1_000_000 }),
        fc.integer({ min: 1, max: 100_000 }),
        fc.double({ min: -1, max: 2, noNaN: true }),
        (startMs, rate, count, share) => {
          const schedule = new Schedule(startMs, rate, count);
          const nowMs = startMs + (schedule.endMs - startMs) * share;
          const due = schedule.dueBy(nowMs);
          if (due > 0) expect(schedule.dueMs(due - 1)).toBeLessThanOrEqual(nowMs);
          if (due < count) expect(schedule.dueMs(due)).toBeGreaterThan(nowMs);
        },
      ),
    );
  });

  it('an entry is due exactly at its time', () => {
    const schedule = new Schedule(100, 1000, 5);
    expect([99.9, 100, 100.9, 101, 104, 1e9].map((nowMs) => schedule.dueBy(nowMs))).toEqual([0, 1, 1, 2, 5, 5]);
    expect(schedule.endMs).toBe(105);
  });
});

/** Time that moves only when somebody waits for it, and after all that is due at its moment has happened. */
class FakeClock implements Clock {
  nowMs = 0;
  now(): number {
    return this.nowMs;
  }
  async sleep(untilMs: number): Promise<void> {
    await turn();
    this.nowMs = Math.max(this.nowMs, untilMs);
  }
}

/** A log that has no room between two moments, and answers at once otherwise. */
class StallingLog implements Target {
  readonly #clock: FakeClock;
  readonly #fromMs: number;
  readonly #toMs: number;
  constructor(clock: FakeClock, fromMs: number, toMs: number) {
    this.#clock = clock;
    this.#fromMs = fromMs;
    this.#toMs = toMs;
  }
  get hasRoom(): boolean {
    return this.#clock.nowMs < this.#fromMs || this.#clock.nowMs >= this.#toMs;
  }
  async ready(): Promise<void> {
    await turn();
    this.#clock.nowMs = Math.max(this.#clock.nowMs, this.#toMs);
  }
  async append(): Promise<void> {}
}

interface Outcome {
  readonly run: OpenLoopRun;
  readonly latency: LatencyRecorder;
  readonly unsentMs: readonly number[];
}

async function run(stall: readonly [number, number], patienceMs = 1000): Promise<Outcome> {
  const clock = new FakeClock();
  const latency = new LatencyRecorder();
  const target = new StallingLog(clock, ...stall);
  const schedule = new Schedule(0, 1000, 1000);
  const unsentMs: number[] = [];
  const onUnsent = (waitedMs: number): number => unsentMs.push(waitedMs);
  const outcome = await runOpenLoop({ schedule, target, clock, patienceMs, latency, lateness: new LatencyRecorder(), onUnsent });
  return { run: outcome, latency, unsentMs };
}

describe('open loop', () => {
  it('sends every entry when it is due', async () => {
    const { run: outcome, latency, unsentMs } = await run([5000, 5000]);
    expect(outcome).toMatchObject({ due: 1000, acknowledged: 1000, isReached: true });
    expect(latency.count).toBe(1000);
    expect(latency.percentileMs(1)).toBeLessThan(1.01);
    expect(unsentMs).toEqual([]);
  });

  it('a stall is in the times of all entries that were due meanwhile, not only in that of one', async () => {
    const { run: outcome, latency } = await run([200, 700]);
    expect(outcome).toMatchObject({ due: 1000, acknowledged: 1000, isReached: true });
    expect(latency.count).toBe(1000);
    // Entries of [200, 700) waited for 500, 499, … 1 ms: a closed loop would have one such time.
    expect(Math.abs(latency.percentileMs(1) - 500)).toBeLessThan(1);
    expect(Math.abs(latency.percentileMs(0.75) - 250)).toBeLessThan(2);
  });

  it('entries that were never sent are in the distribution too, and the rate was not reached', async () => {
    const { run: outcome, latency, unsentMs } = await run([200, 100_000], 500);
    expect(outcome).toMatchObject({ due: 1000, acknowledged: 200, isReached: false });
    expect(latency.count).toBe(1000);
    expect(latency.percentileMs(1)).toBeGreaterThan(99_000);
    // Whoever times deliveries is told of them, the one that waited longest first.
    expect(unsentMs).toEqual(Array.from({ length: 800 }, (_, index) => 100_000 - 200 - index));
  });

  it('a log that ends its stall only after the schedule has not kept up', async () => {
    for (const [toMs, isReached] of [
      [1500, false],
      [1060, false],
      [1040, true],
    ] as const) {
      const { run: outcome } = await run([200, toMs]);
      expect(outcome).toMatchObject({ acknowledged: 1000, isReached });
    }
  });
});
