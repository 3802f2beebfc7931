// The durable mark: 40 bytes that the segment writer puts after the last entry of every write, in the same write. It says how far
// the log was already durable when that write began, so that recovery can tell damage (below a mark's durable offset: refuse) from a
// torn tail (above: cut), and how far it was committed. It is not part of the log: the next write's entries overwrite it. Its check is
// seeded with a secret of the data directory, so that no client can put a mark into a payload. docs/FORMAT.md, "Durable mark".
//
//   0 u32 zero (never a term) │ 4 u32 magic │ 8 u64 durable offset │ 16 u64 its own log offset │ 24 u64 commit bound │ 32 u64 check

import { getOffset, setOffset, viewOf } from '../core/bytes.ts';
import { MARK_BYTES } from '../core/capacities.ts';
import { xxh64 } from './xxh64.ts';

const MAGIC = 0x434d_4c4c; // "LLMC"
const MAGIC_AT = 4;
const CHECK_AT = 32;

export interface DurableMark {
  /** Log offset below which everything was durable when this mark was written. */
  readonly durable: number;
  /** Log offset at which the mark stands: the end of the entries of its write. */
  readonly at: number;
  /** Log offset below which everything was committed, at most `durable`. */
  readonly commit: number;
}

/** Writes a mark into `bytes`, which has MARK_BYTES. `seed` is the data directory's secret. */
export function encodeMark(bytes: Uint8Array, mark: DurableMark, seed: bigint): void {
  const view = viewOf(bytes);
  view.setUint32(0, 0, true);
  view.setUint32(MAGIC_AT, MAGIC, true);
  setOffset(view, 8, mark.durable);
  setOffset(view, 16, mark.at);
  setOffset(view, 24, mark.commit);
  view.setBigUint64(CHECK_AT, xxh64(bytes.subarray(0, CHECK_AT), seed), true);
}

/** The mark at the start of `bytes`, which must stand at log offset `at`; undefined when there is none. */
export function decodeMark(bytes: Uint8Array, at: number, seed: bigint): DurableMark | undefined {
  if (bytes.length < MARK_BYTES) return undefined;
  const view = viewOf(bytes);
  if (view.getUint32(0, true) !== 0 || view.getUint32(MAGIC_AT, true) !== MAGIC || getOffset(view, 16) !== at) return undefined;
  if (view.getBigUint64(CHECK_AT, true) !== xxh64(bytes.subarray(0, CHECK_AT), seed)) return undefined;
  return { durable: getOffset(view, 8), at, commit: getOffset(view, 24) };
}

/** The mark in `bytes` with the highest durable offset, and so with the highest commit; `offset` is the log offset of the first byte. */
export function findMark(bytes: Uint8Array, offset: number, seed: bigint): DurableMark | undefined {
  let best: DurableMark | undefined;
  for (let i = bytes.indexOf(MAGIC & 0xff, MAGIC_AT); i >= 0; i = bytes.indexOf(MAGIC & 0xff, i + 1)) {
    const start = i - MAGIC_AT;
    const mark = decodeMark(bytes.subarray(start, start + MARK_BYTES), offset + start, seed);
    if (mark !== undefined && (best === undefined || mark.durable > best.durable)) best = mark;
  }
  return best;
}
