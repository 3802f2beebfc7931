import { expect, it } from 'vitest';
import { viewOf } from '../../src/core/bytes.ts';
import { decodeSegmentHeader, encodeSegmentHeader, type SegmentHeader } from '../../src/format/segmentHeader.ts';
import { xxh64 } from '../../src/format/xxh64.ts';
import { bytesOf, flipped, hexOf } from './hex.ts';

const HEADER: SegmentHeader = { clusterId: '00112233445566778899aabbccddeeff', base: 0x1_2345_6789_abcd, createdMs: 1_700_000_000_000 };

const GOLDEN = new Uint8Array(4096);
GOLDEN.set(
  bytesOf(`
    4c4c5347 03000000
    00112233445566778899aabbccddeeff
    cdab896745230100
    0068e5cf8b010000
    6099a3c2d7ed2efa
  `),
);

/** The same as a build of another format would write it. */
function ofFormat(format: number): Uint8Array {
  const bytes = GOLDEN.slice();
  viewOf(bytes).setUint32(4, format, true);
  viewOf(bytes).setBigUint64(40, xxh64(bytes.subarray(0, 40)), true);
  return bytes;
}

const FIELDS = [
  ['magic', 0],
  ['format', 4],
  ['format, to a newer one', 7],
  ['cluster id', 8],
  ['base offset', 24],
  ['created', 32],
  ['check', 40],
] as const;

it('segment header: golden bytes', () => {
  expect(hexOf(encodeSegmentHeader(HEADER))).toBe(hexOf(GOLDEN));
});

it('segment header: golden bytes decode to what they mean, and encode to themselves', () => {
  const decoded = decodeSegmentHeader(GOLDEN, 'file');
  expect(decoded).toEqual(HEADER);
  expect(hexOf(encodeSegmentHeader(decoded))).toBe(hexOf(GOLDEN));
});

it.each(FIELDS)('segment header: a damaged %s is refused', (_field, at) => {
  expect(() => decodeSegmentHeader(flipped(GOLDEN, at), 'some/file')).toThrow(
    expect.objectContaining({ code: 'DAMAGE', details: { file: 'some/file', position: 0 } }),
  );
});

it('segment header: a newer format is refused as such', () => {
  const newer = ofFormat(4);
  expect(() => decodeSegmentHeader(newer, 'some/file')).toThrow(
    expect.objectContaining({
      code: 'NEWER_FORMAT',
      message: expect.stringContaining('some/file has format 4'),
      details: { file: 'some/file' },
    }),
  );
});

it.each([1, 2])('segment header: format %i is refused as such', (format) => {
  expect(() => decodeSegmentHeader(ofFormat(format), 'some/file')).toThrow(
    expect.objectContaining({
      code: 'OLDER_FORMAT',
      message: expect.stringContaining(`some/file has format ${format}, which was never released; this LogLog reads formats from 3 on`),
      details: { file: 'some/file' },
    }),
  );
});

it('segment header: a part of a page is refused', () => {
  expect(() => decodeSegmentHeader(GOLDEN.subarray(0, 4095), 'some/file')).toThrow(/4096 bytes, found 4095/);
});

it.each([24, 32])('segment header: a value above 2^53 - 1 at byte %i is refused, although the check matches', (at) => {
  const bytes = GOLDEN.slice();
  viewOf(bytes).setBigUint64(at, 1n << 53n, true);
  viewOf(bytes).setBigUint64(40, xxh64(bytes.subarray(0, 40)), true);
  expect(() => decodeSegmentHeader(bytes, 'some/file')).toThrow(expect.objectContaining({ code: 'DAMAGE' }));
});
