import { expect, test } from 'vitest';
import { MAX_REQUESTS_PER_CONNECTION, OWN_REQUESTS_PER_CONNECTION } from '../../src/core/servingLimits.ts';
import { Shares } from '../../src/node/shares.ts';

/** Takes all that a connection with `count` can get. Returns how many it has then, and the refusal. */
function takeAll(shares: Shares, count = 0): [number, string] {
  for (let has = count; ; has += 1) {
    const refusal = shares.take(has, 'things open');
    if (refusal !== '') return [has, refusal];
  }
}

test("what is a connection's own nobody takes, and what all share is bounded", () => {
  const shares = new Shares(1000);
  const taken = Array.from({ length: 20 }, () => takeAll(shares));
  expect(taken[0]).toEqual([256, 'a connection may have 256 things open: finish or cancel one']);
  expect(taken.map(([count]) => count).slice(3, 6)).toEqual([
    256,
    1000 - 4 * 240 + OWN_REQUESTS_PER_CONNECTION,
    OWN_REQUESTS_PER_CONNECTION,
  ]);
  expect(taken[19]).toEqual([
    16,
    'this connection has 16 things open, and the 1000 that all connections share above 16 for each are taken: finish one, or try again later',
  ]);
  expect(shares.taken).toBe(1000);
});

test('what is given back may be taken again, and nothing else', () => {
  const shares = new Shares(MAX_REQUESTS_PER_CONNECTION - OWN_REQUESTS_PER_CONNECTION);
  expect(takeAll(shares)[0]).toBe(256);
  expect(takeAll(shares)[0]).toBe(16);
  shares.release(16);
  expect(takeAll(shares, 15)[0]).toBe(16);
  for (let count = 256; count > 0; count -= 1) shares.release(count);
  expect(shares.taken).toBe(0);
  expect(takeAll(shares, 16)[0]).toBe(256);
});
