import { describe, expect, test } from 'vitest';
import { Pace } from '../../src/replication/pace.ts';

const PIECE = 1_000_000;

/** Feeds one piece from `nowMs` on, which takes `tookMs`, while the log grows to `logEnd`. Returns the pause behind it. */
function feed(pace: Pace, nowMs: number, tookMs: number, logEnd: number): number {
  pace.start(nowMs);
  pace.finish(nowMs + tookMs, PIECE, logEnd);
  return Math.max(0, pace.readyAtMs - (nowMs + tookMs));
}

describe('the pace at which a node that lags behind is fed', () => {
  test('there is no pause while nobody appends', () => {
    expect(feed(new Pace(0, 500), 0, 10, 500)).toBe(0);
  });

  test('while few append, the pause is many times as long as the piece took', () => {
    expect(feed(new Pace(0, 500), 0, 10, 600)).toBe(240);
  });

  test('a piece that took very long is no reason for a very long pause', () => {
    expect(feed(new Pace(0, 500), 0, 10_000, 501)).toBe(1000);
  });

  test('a piece that took no time is fed without a pause, and counted to the next', () => {
    const pace = new Pace(0, 0);
    expect(feed(pace, 0, 1, 10)).toBe(0);
    expect(feed(pace, 1, 3, 40)).toBe(96);
  });

  test('a node is fed faster than the log grows, however many append', () => {
    // 40 kB a millisecond are appended: with a piece of 1 MB in 10 ms, a pause of 240 ms would let the log run away.
    const pace = new Pace(0, 0);
    let nowMs = 0;
    let logEnd = 0;
    let fedBytes = 0;
    for (let i = 0; i < 20; i++) {
      const pauseMs = feed(pace, nowMs, 10, logEnd + 400_000);
      fedBytes += PIECE;
      nowMs += 10 + pauseMs;
      logEnd += 40_000 * (10 + pauseMs);
    }
    expect(fedBytes).toBeGreaterThan(1.4 * logEnd);
    expect(fedBytes).toBeLessThan(1.6 * logEnd);
  });
});
