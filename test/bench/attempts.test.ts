// Appends that go on through a loss: what of them is said.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Attempts } from '../../bench/load/attempts.ts';
import type { Driver } from '../../bench/load/drivers/driver.ts';
import { Lane } from '../../bench/load/lane.ts';

const PACE_MS = 5;
const BYTES = 1024;

/** A system that answers at once, and does not between two moments: every second append fails then, the others are never answered. */
function driverThatStalls(fromMs: number, toMs: number): Driver {
  const never = (): Promise<never> => new Promise(() => {});
  return {
    keepsOrder: true,
    keepsLiveOrder: true,
    appendAll: never,
    appendOne(_, index) {
      const nowMs = performance.now();
      if (nowMs < fromMs || nowMs >= toMs) return Promise.resolve();
      return index % 2 === 0 ? Promise.reject(new Error('it is gone')) : never();
    },
    readAll: never,
    subscribe: never,
    close: never,
  };
}

describe('attempts', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  async function runThroughStall(): Promise<{ attempts: Attempts; startedMs: number; backMs: number }> {
    const startedMs = performance.now();
    const attempts = new Attempts(driverThatStalls(startedMs + 100, startedMs + 300), new Lane(1, BYTES, 0));
    attempts.begin();
    const back = attempts.firstSince(startedMs + 100);
    await vi.advanceTimersByTimeAsync(400);
    attempts.end();
    return { attempts, startedMs, backMs: (await back) - startedMs };
  }

  it('the first that is acknowledged after a loss is found, to the pace', async () => {
    const { backMs } = await runThroughStall();
    expect(backMs).toBeGreaterThanOrEqual(300);
    expect(backMs).toBeLessThanOrEqual(300 + PACE_MS);
  });

  it('those that failed or were never answered are lost, and no others', async () => {
    const { attempts, startedMs } = await runThroughStall();
    const { lost, sent, isOrdered } = attempts.record();
    expect(lost).toHaveLength(200 / PACE_MS);
    for (const { from, to } of lost) expect(to - from).toBe(1);
    expect(isOrdered).toBe(false);
    const [before = 0, during, after = 0] = attempts.countsFrom(startedMs, 100, 1).concat(attempts.countsFrom(startedMs + 100, 200, 2));
    expect(during).toBe(0);
    expect(before + after + lost.length).toBe(sent);
  });

  it('when nothing is acknowledged any more, that is an error', async () => {
    const attempts = new Attempts(driverThatStalls(0, Number.POSITIVE_INFINITY), new Lane(1, BYTES, 0));
    attempts.begin();
    const back = expect(attempts.firstSince(performance.now())).rejects.toThrow('no append was acknowledged within 60 s');
    await vi.advanceTimersByTimeAsync(60_000);
    attempts.end();
    await back;
  });
});
