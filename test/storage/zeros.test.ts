import { expect, test } from 'vitest';
import { isZero, ZERO_PIECE_BYTES as PIECE, usedBytes } from '../../src/storage/zeros.ts';

test.each([0, 1, 100, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 17])('all of %i zeros are unused', (size) => {
  expect(usedBytes(new Uint8Array(size))).toBe(0);
});

test.each([1, 2, 100, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 3 * PIECE + 17])(
  'bytes are used up to the last one that is not 0, at %i',
  (used) => {
    for (const size of [used, used + 1, used + PIECE - 1, used + PIECE, 4 * PIECE]) {
      const bytes = new Uint8Array(new SharedArrayBuffer(size));
      bytes[0] = 1;
      bytes[used - 1] = 255;
      expect(usedBytes(bytes)).toBe(used);
    }
  },
);

test('a single byte makes a piece more than zeros', () => {
  const bytes = new Uint8Array(PIECE);
  expect(isZero(bytes)).toBe(true);
  bytes[PIECE - 1] = 1;
  expect(isZero(bytes)).toBe(false);
  expect(isZero(new Uint8Array(0))).toBe(true);
});
