// The file beside a sealed segment: that it is sealed, where it ends, and sparse entry boundaries. It can always be rebuilt from
// the segment. docs/FORMAT.md, "Index file".
//
//   0 u32 magic │ 4 u32 format │ 8 16 bytes cluster id │ 24 u64 base │ 32 u64 end │ 40 u64 entries │ 48 u64 first append, ms
//   56 u64 last append, ms │ 64 u64 digest │ 72 u32 points │ 76 u32 terms │ 80 points × u32 │ terms × 16 bytes │ u64 check
//
//   a term:  0 u32 term │ 4 u32 position │ 8 8 bytes instance of its leader

import { SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { fromHex, getOffset, setOffset, toHex, viewOf } from '../core/bytes.ts';
import { LogError } from '../core/errors.ts';
import { readInstance, writeInstance } from '../core/instances.ts';
import { MAX_LOG_OFFSET } from '../core/limits.ts';
import { positionOf } from '../core/position.ts';
import { FORMAT_VERSION, refuseOtherFormat } from './version.ts';
import { xxh64 } from './xxh64.ts';

const MAGIC = 0x5849_4c4c; // "LLIX"
const FIXED_BYTES = 80;
const CHECK_BYTES = 8;
const TERM_BYTES = 16;

/** Where a term begins inside a segment, and whose term it is. */
export interface TermStart {
  readonly term: number;
  /** File position of the term's first entry in this segment. */
  readonly position: number;
  /** Instance of the term's leader, 16 hexadecimal digits. A term that goes on in this segment was named in one before it. */
  readonly leader: string;
}

export interface SegmentIndex {
  readonly clusterId: string;
  /** Log offsets of the first entry and past the last one. */
  readonly base: number;
  readonly end: number;
  readonly entries: number;
  /** Times of the first and last append, Unix milliseconds. */
  readonly firstMs: number;
  readonly lastMs: number;
  /** XXH64 of all entry bytes, seed 0: equal on every node that holds this segment. */
  readonly digest: bigint;
  /** File positions of entry boundaries, the first at or after each multiple of 16 KiB; ascending. */
  readonly points: Uint32Array;
  readonly terms: readonly TermStart[];
}

export function encodeSegmentIndex(index: SegmentIndex): Uint8Array {
  const termsAt = FIXED_BYTES + index.points.length * 4;
  const checkAt = termsAt + index.terms.length * TERM_BYTES;
  const bytes = new Uint8Array(checkAt + CHECK_BYTES);
  const view = viewOf(bytes);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, FORMAT_VERSION, true);
  bytes.set(fromHex(index.clusterId), 8);
  setOffset(view, 24, index.base);
  setOffset(view, 32, index.end);
  setOffset(view, 40, index.entries);
  setOffset(view, 48, index.firstMs);
  setOffset(view, 56, index.lastMs);
  view.setBigUint64(64, index.digest, true);
  view.setUint32(72, index.points.length, true);
  view.setUint32(76, index.terms.length, true);
  index.points.forEach((position, i) => {
    view.setUint32(FIXED_BYTES + i * 4, position, true);
  });
  index.terms.forEach(({ term, position, leader }, i) => {
    const at = termsAt + i * TERM_BYTES;
    view.setUint32(at, term, true);
    view.setUint32(at + 4, position, true);
    writeInstance(view, at + 8, leader);
  });
  view.setBigUint64(checkAt, xxh64(bytes.subarray(0, checkAt)), true);
  return bytes;
}

/**
 * Reads an index file; `hash` gives the {@link xxh64} of bytes, for who has a faster one. Throws a LogError `DAMAGE`, `NEWER_FORMAT` or `OLDER_FORMAT` that names `file` and what was
 * found.
 */
export function decodeSegmentIndex(bytes: Uint8Array, file: string, hash: (bytes: Uint8Array) => bigint = xxh64): SegmentIndex {
  const damage = (what: string): LogError => new LogError('DAMAGE', `${file}: ${what}`, { file, position: 0 });
  if (bytes.length < FIXED_BYTES + CHECK_BYTES)
    throw damage(`an index file has at least ${FIXED_BYTES + CHECK_BYTES} bytes, found ${bytes.length}`);
  const view = viewOf(bytes);
  if (view.getUint32(0, true) !== MAGIC) throw damage('this is not a LogLog index (wrong magic number)');
  const checkedBytes = bytes.length - CHECK_BYTES;
  if (view.getBigUint64(checkedBytes, true) !== hash(bytes.subarray(0, checkedBytes))) throw damage('the index does not match its check');
  refuseOtherFormat(view.getUint32(4, true), file);
  const pointCount = view.getUint32(72, true);
  const termCount = view.getUint32(76, true);
  const termsAt = FIXED_BYTES + pointCount * 4;
  const asked = termsAt + termCount * TERM_BYTES + CHECK_BYTES;
  if (bytes.length !== asked) throw damage(`its counts ask for ${asked} bytes, found ${bytes.length}`);
  const index: SegmentIndex = {
    clusterId: toHex(bytes.subarray(8, 24)),
    base: getOffset(view, 24),
    end: getOffset(view, 32),
    entries: getOffset(view, 40),
    firstMs: getOffset(view, 48),
    lastMs: getOffset(view, 56),
    digest: view.getBigUint64(64, true),
    points: pointsIn(view, pointCount),
    terms: Array.from({ length: termCount }, (_, i) => ({
      term: view.getUint32(termsAt + i * TERM_BYTES, true),
      position: view.getUint32(termsAt + i * TERM_BYTES + 4, true),
      leader: readInstance(view, termsAt + i * TERM_BYTES + 8),
    })),
  };
  const wrong = inconsistency(index);
  if (wrong !== undefined) throw damage(wrong);
  return index;
}

function pointsIn(view: DataView, count: number): Uint32Array {
  const points = new Uint32Array(count);
  for (let i = 0; i < count; i += 1) points[i] = view.getUint32(FIXED_BYTES + i * 4, true);
  return points;
}

/** What no writer of ours would write, although the check matches; readers rely on it. */
function inconsistency({ base, end, entries, firstMs, lastMs, points, terms }: SegmentIndex): string | undefined {
  if (!(base < end && Math.max(end, entries, firstMs, lastMs) <= MAX_LOG_OFFSET)) return 'its offsets, times or count are out of range';
  const fileBytes = positionOf(end, base);
  const positions = [points, Uint32Array.from(terms, ({ position }) => position)];
  for (const ascending of positions) {
    if (ascending[0] !== SEGMENT_HEADER_BYTES) return 'its first point or term is not the first entry';
    if (!ascending.every((position, i) => position < fileBytes && (i === 0 || position > (ascending[i - 1] ?? 0)))) {
      return 'its points or terms do not rise, or lie past the end';
    }
  }
  return undefined;
}
