import { expect, it } from 'vitest';
import { type DurableMark, decodeMark, encodeMark, findMark } from '../../src/format/durableMark.ts';
import { bytesOf, flipped, hexOf } from './hex.ts';

const SEED = 0x0123_4567_89ab_cdefn;
const MARK: DurableMark = { durable: 0x1_2345_6789_abcd, at: 0x1_2345_6789_abf1, commit: 0x1_2345_6789_ab00 };

const GOLDEN = bytesOf(`
  00000000 4c4c4d43
  cdab896745230100 f1ab896745230100
  00ab896745230100
  ddcaca18bf228ea5
`);

const FIELDS = [
  ['zero', 0],
  ['magic', 4],
  ['durable offset', 8],
  ['own offset', 16],
  ['commit', 24],
  ['check', 32],
] as const;

function encoded(mark: DurableMark): Uint8Array {
  const bytes = new Uint8Array(40);
  encodeMark(bytes, mark, SEED);
  return bytes;
}

it('durable mark: golden bytes', () => {
  expect(hexOf(encoded(MARK))).toBe(hexOf(GOLDEN));
});

it('durable mark: golden bytes decode to what they mean, and encode to themselves', () => {
  const decoded = decodeMark(GOLDEN, MARK.at, SEED);
  expect(decoded).toEqual(MARK);
  expect(hexOf(encoded(decoded ?? { durable: 0, at: 0, commit: 0 }))).toBe(hexOf(GOLDEN));
});

it.each(FIELDS)('durable mark: with a damaged %s it is none', (_field, at) => {
  expect(decodeMark(flipped(GOLDEN, at), MARK.at, SEED)).toBeUndefined();
});

it('durable mark: at another place, with another seed or cut short it is none', () => {
  expect(decodeMark(GOLDEN, MARK.at + 1, SEED)).toBeUndefined();
  expect(decodeMark(GOLDEN, MARK.at, SEED ^ 1n)).toBeUndefined();
  expect(decodeMark(GOLDEN.subarray(0, 39), MARK.at, SEED)).toBeUndefined();
});

it('durable mark: of several marks among other bytes the one with the highest durable offset is found', () => {
  const bytes = new Uint8Array(1000).fill(0x4c);
  const place = (at: number, durable: number): void => bytes.set(encoded({ durable, at: 5000 + at, commit: 1 }), at);
  place(0, 4000);
  place(333, 5000);
  place(960, 4500);
  expect(findMark(bytes, 5000, SEED)).toEqual({ durable: 5000, at: 5333, commit: 1 });
  expect(findMark(bytes, 5001, SEED)).toBeUndefined();
  expect(findMark(new Uint8Array(0), 5000, SEED)).toBeUndefined();
});
