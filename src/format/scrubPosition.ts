// How far a node has read its own sealed segments through, over restarts. docs/FORMAT.md, "The file scrub".
//
//   0 u32 magic │ 4 u32 format │ 8 u64 origin │ 16 u64 position │ 24 u64 tour began, ms │ 32 u64 the one before began, ms │ 40 u32 has wrapped
//   44 u32 zero │ 48 u64 check

import { getOffset, setOffset, viewOf } from '../core/bytes.ts';
import { LogError } from '../core/errors.ts';
import { MAX_LOG_OFFSET } from '../core/limits.ts';
import { FORMAT_VERSION, refuseOtherFormat } from './version.ts';
import { xxh64 } from './xxh64.ts';

const MAGIC = 0x4353_4c4c; // "LLSC"
const CHECK_AT = 48;
export const SCRUB_POSITION_BYTES = 56;

/** Where a tour is: from `origin` to the log's end, then from its start to `origin`. */
export interface ScrubPosition {
  /** Log offset where each tour begins: drawn at random, so that nodes do not read the same place in the same days. */
  readonly origin: number;
  /** Log offset up to which this tour has read. */
  readonly position: number;
  /** Whether it goes on from the log's start. */
  readonly hasWrapped: boolean;
  /** When it began, Unix milliseconds. */
  readonly beganMs: number;
  /** When the tour before it began; 0: there was none. */
  readonly previousMs: number;
}

export function encodeScrubPosition({ origin, position, hasWrapped, beganMs, previousMs }: ScrubPosition): Uint8Array {
  const bytes = new Uint8Array(SCRUB_POSITION_BYTES);
  const view = viewOf(bytes);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, FORMAT_VERSION, true);
  setOffset(view, 8, origin);
  setOffset(view, 16, position);
  setOffset(view, 24, beganMs);
  setOffset(view, 32, previousMs);
  view.setUint32(40, hasWrapped ? 1 : 0, true);
  view.setBigUint64(CHECK_AT, xxh64(bytes.subarray(0, CHECK_AT)), true);
  return bytes;
}

/** Reads the file. Throws a LogError `DAMAGE`, `NEWER_FORMAT` or `OLDER_FORMAT` that names `file`: nothing is lost with it but where a tour was. */
export function decodeScrubPosition(bytes: Uint8Array, file: string): ScrubPosition {
  const damage = (what: string): LogError => new LogError('DAMAGE', `${file}: ${what}`, { file, position: 0 });
  if (bytes.length !== SCRUB_POSITION_BYTES)
    throw damage(`the position of a scrub has ${SCRUB_POSITION_BYTES} bytes, found ${bytes.length}`);
  const view = viewOf(bytes);
  if (view.getUint32(0, true) !== MAGIC) throw damage('this is not the position of a scrub (wrong magic number)');
  if (view.getBigUint64(CHECK_AT, true) !== xxh64(bytes.subarray(0, CHECK_AT)))
    throw damage('the position of the scrub does not match its check');
  refuseOtherFormat(view.getUint32(4, true), file);
  const wrapped = view.getUint32(40, true);
  const found = {
    origin: getOffset(view, 8),
    position: getOffset(view, 16),
    beganMs: getOffset(view, 24),
    previousMs: getOffset(view, 32),
    hasWrapped: wrapped === 1,
  };
  const { origin, position, beganMs, previousMs } = found;
  const isOutOfRange = Math.max(origin, position, beganMs, previousMs) > MAX_LOG_OFFSET || wrapped > 1 || view.getUint32(44, true) !== 0;
  if (isOutOfRange) throw damage('the position of the scrub has a value that nobody writes');
  return found;
}
