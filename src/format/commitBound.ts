// The commit bound in a segment's header page: a log offset below which everything was committed, in two records that are written in turn.
// No write of entries touches them, so a torn write, which may take the mark of the write before with it, leaves the bound; and a torn write
// of one record leaves the other. docs/FORMAT.md, "Commit bound".
//
//   0 u32 magic │ 4 u32 zero │ 8 u64 commit bound │ 16 u64 check      at positions 1024 and 2048 of the file

import { getOffset, setOffset, viewOf } from '../core/bytes.ts';
import { MAX_LOG_OFFSET } from '../core/limits.ts';
import { xxh64 } from './xxh64.ts';

const MAGIC = 0x4243_4c4c; // "LLCB"
const CHECK_AT = 16;
const RECORD_BYTES = 24;
const RECORDS_AT = [1024, 2048] as const;

/** Where a record was written, so that only it need go to the file. */
export interface BoundRecord {
  readonly position: number;
  readonly bytes: Uint8Array;
}

/** The bound that the record at `position` of a header page says; -1 when there is none. */
function boundAt(page: Uint8Array, position: number, seed: bigint): number {
  const bytes = page.subarray(position, position + RECORD_BYTES);
  if (bytes.length < RECORD_BYTES) return -1;
  const view = viewOf(bytes);
  if (view.getUint32(0, true) !== MAGIC || view.getUint32(4, true) !== 0) return -1;
  if (view.getBigUint64(CHECK_AT, true) !== xxh64(bytes.subarray(0, CHECK_AT), seed)) return -1;
  const bound = getOffset(view, 8);
  return bound <= MAX_LOG_OFFSET ? bound : -1;
}

/** The larger bound of a header page's two records; 0 when there is none. `seed` is the data directory's secret. */
export function readBound(page: Uint8Array, seed: bigint): number {
  return Math.max(0, ...RECORDS_AT.map((position) => boundAt(page, position, seed)));
}

/** Puts `bound` into the record of a header page that has the smaller one, or none. */
export function putBound(page: Uint8Array, bound: number, seed: bigint): BoundRecord {
  const [first, second] = RECORDS_AT;
  const position = boundAt(page, first, seed) <= boundAt(page, second, seed) ? first : second;
  const bytes = page.subarray(position, position + RECORD_BYTES);
  const view = viewOf(bytes);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, 0, true);
  setOffset(view, 8, bound);
  view.setBigUint64(CHECK_AT, xxh64(bytes.subarray(0, CHECK_AT), seed), true);
  return { position, bytes };
}
