import { describe, expect, test } from 'vitest';
import { MIN_CLIENT_BYTES_PER_SECOND, UNFINISHED_PING_MS } from '../../src/core/servingLimits.ts';
import { longestMessageMs, unfinished } from '../../src/server/unfinished.ts';

describe('A3: a message that does not end', () => {
  test('who is silent is pinged, and has as long as the largest message takes; longer while it takes what it was sent', () => {
    const pinged: string[] = [];
    const watched = (name: string, startedMs: number, hasUnsent = false) => ({
      name,
      startedMs,
      session: { hasUnsent, ping: () => void pinged.push(name) },
    });
    const limitMs = longestMessageMs(16 << 20);
    expect(limitMs).toBeGreaterThan(2 * ((16 << 20) / 125_000) * 1000 - 1);
    const all = [
      watched('new', 1e6),
      watched('idle', 1e6 - UNFINISHED_PING_MS - 1),
      watched('late', 1e6 - limitMs - 1),
      watched('slow', 1e6 - limitMs - 1, true),
    ];
    expect(unfinished(all, 1e6, 0, limitMs).map(({ name }) => name)).toEqual(['late']);
    expect(pinged).toEqual(['idle', 'slow']);
    // The node itself stood still for an hour: nobody is to blame for that.
    expect(unfinished([watched('idle', 1e6)], 1e6 + 3_600_000, 3_600_000 - 1000, limitMs)).toEqual([]);
    expect(MIN_CLIENT_BYTES_PER_SECOND).toBeLessThan(125_000);
  });
});
