import { describe, expect, it } from 'vitest';
import { viewOf } from '../../src/core/bytes.ts';
import { decodeSegmentIndex, encodeSegmentIndex, type SegmentIndex } from '../../src/format/segmentIndex.ts';
import { xxh64 } from '../../src/format/xxh64.ts';
import { bytesOf, flipped, hexOf } from './hex.ts';

const INDEX: SegmentIndex = {
  clusterId: '00112233445566778899aabbccddeeff',
  base: 0x1_0000_0000,
  end: 0x1_0000_ea60,
  entries: 1234,
  firstMs: 1_700_000_000_000,
  lastMs: 1_700_000_000_999,
  digest: 0xfedc_ba98_7654_3210n,
  points: Uint32Array.of(4096, 16_390, 32_800),
  terms: [
    { term: 7, position: 4096, leader: '0f1e2d3c4b5a6978' },
    { term: 9, position: 5000, leader: 'a50c9ae1f7726b38' },
  ],
};

const GOLDEN = bytesOf(`
  4c4c4958 03000000
  00112233445566778899aabbccddeeff
  0000000001000000 60ea000001000000
  d204000000000000
  0068e5cf8b010000 e76be5cf8b010000
  1032547698badcfe
  03000000 02000000
  00100000 06400000 20800000
  07000000 00100000 0f1e2d3c4b5a6978
  09000000 88130000 a50c9ae1f7726b38
  39a08e4d907748b3
`);

/** The same as a build of another format would write it. */
function ofFormat(format: number): Uint8Array {
  const bytes = GOLDEN.slice();
  viewOf(bytes).setUint32(4, format, true);
  viewOf(bytes).setBigUint64(124, xxh64(bytes.subarray(0, 124)), true);
  return bytes;
}

const FIELDS = [
  ['magic', 0],
  ['format', 4],
  ['format, to a newer one', 7],
  ['cluster id', 8],
  ['base', 24],
  ['end', 32],
  ['entries', 40],
  ['first append', 48],
  ['last append', 56],
  ['digest', 64],
  ['count of points', 72],
  ['count of terms', 76],
  ['point', 84],
  ['term', 92],
  ['term position', 96],
  ["term's leader", 100],
  ['check', 124],
] as const;

it('segment index: golden bytes', () => {
  expect(hexOf(encodeSegmentIndex(INDEX))).toBe(hexOf(GOLDEN));
});

it('segment index: golden bytes decode to what they mean, and encode to themselves', () => {
  const decoded = decodeSegmentIndex(GOLDEN, 'file');
  expect(decoded).toEqual(INDEX);
  expect(hexOf(encodeSegmentIndex(decoded))).toBe(hexOf(GOLDEN));
});

it.each(FIELDS)('segment index: a damaged %s is refused', (_field, at) => {
  expect(() => decodeSegmentIndex(flipped(GOLDEN, at), 'some/file')).toThrow(
    expect.objectContaining({ code: 'DAMAGE', message: expect.stringContaining('some/file'), details: { file: 'some/file', position: 0 } }),
  );
});

it('segment index: a newer format is refused as such', () => {
  const newer = ofFormat(4);
  expect(() => decodeSegmentIndex(newer, 'some/file')).toThrow(
    expect.objectContaining({
      code: 'NEWER_FORMAT',
      message: expect.stringContaining('some/file has format 4'),
      details: { file: 'some/file' },
    }),
  );
});

it('segment index: every shorter or longer file is refused', () => {
  for (let bytes = 0; bytes < GOLDEN.length; bytes += 1) {
    expect(() => decodeSegmentIndex(GOLDEN.subarray(0, bytes), 'some/file')).toThrow(expect.objectContaining({ code: 'DAMAGE' }));
  }
  expect(() => decodeSegmentIndex(bytesOf(`${hexOf(GOLDEN)}00`), 'some/file')).toThrow(expect.objectContaining({ code: 'DAMAGE' }));
});

describe('segment index: what no writer writes is refused, although the check matches', () => {
  const wrong: Readonly<Record<string, Partial<SegmentIndex>>> = {
    'an empty segment': { end: INDEX.base },
    'an end before the base': { end: INDEX.base - 1 },
    'an offset above 2^53 - 1': { base: 2 ** 53, end: 2 ** 53 + 60_000 },
    'a time above 2^53 - 1': { lastMs: 2 ** 53 },
    'no points': { points: new Uint32Array(0) },
    'no terms': { terms: [] },
    'a first point that is not the first entry': { points: Uint32Array.of(4097, 16_390) },
    'points that fall': { points: Uint32Array.of(4096, 32_800, 16_390) },
    'a point past the end': { points: Uint32Array.of(4096, 4096 + 60_000) },
    'terms that do not rise': {
      terms: [
        { term: 7, position: 4096, leader: '0f1e2d3c4b5a6978' },
        { term: 9, position: 4096, leader: 'a50c9ae1f7726b38' },
      ],
    },
  };
  it.each(Object.entries(wrong))('%s', (_name, fields) => {
    const bytes = encodeSegmentIndex({ ...INDEX, ...fields });
    expect(() => decodeSegmentIndex(bytes, 'some/file')).toThrow(expect.objectContaining({ code: 'DAMAGE' }));
  });
});
