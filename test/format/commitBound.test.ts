import { expect, it } from 'vitest';
import { putBound, readBound } from '../../src/format/commitBound.ts';
import { bytesOf, flipped, hexOf } from './hex.ts';

const SEED = 0x0123_4567_89ab_cdefn;
const BOUND = 0x1_2345_6789_abcd;
const GOLDEN = bytesOf('4c4c4342 00000000 cdab896745230100 00b89bb97f4b83f8');

function page(...bounds: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(4096);
  for (const bound of bounds) putBound(bytes, bound, SEED);
  return bytes;
}

it('commit bound: golden bytes, which read back as what they mean', () => {
  const bytes = page(BOUND);
  expect(hexOf(bytes.subarray(1024, 1048))).toBe(hexOf(GOLDEN));
  expect(readBound(bytes, SEED)).toBe(BOUND);
  bytes.fill(0, 1024, 1048);
  expect(bytes.every((byte) => byte === 0)).toBe(true);
});

it('commit bound: the records are written in turn, so that the larger of the two is never overwritten', () => {
  const bytes = page();
  const positions = [5, 7, 7, 100].map((bound) => putBound(bytes, bound, SEED).position);
  expect(positions).toEqual([1024, 2048, 1024, 1024]);
  expect(readBound(bytes, SEED)).toBe(100);
  // The last write is torn: the one before it stands.
  bytes.fill(0, 1030, 1040);
  expect(readBound(bytes, SEED)).toBe(7);
});

it.each([
  ['magic', 0],
  ['zero', 4],
  ['bound', 8],
  ['check', 16],
])('commit bound: with a damaged %s there is none', (_field, at) => {
  const bytes = new Uint8Array(4096);
  bytes.set(flipped(GOLDEN, at), 1024);
  expect(readBound(bytes, SEED)).toBe(0);
});

it('commit bound: with another seed, or in a part of a page, there is none', () => {
  expect(readBound(page(BOUND), SEED ^ 1n)).toBe(0);
  expect(readBound(page(BOUND).subarray(0, 1047), SEED)).toBe(0);
  expect(readBound(page(BOUND).subarray(0, 1048), SEED)).toBe(BOUND);
});
