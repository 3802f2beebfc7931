// The first page of a segment file: which log it belongs to and where it stands in it. docs/FORMAT.md, "Segment file".
//
//   0 u32 magic │ 4 u32 format │ 8 16 bytes cluster id │ 24 u64 base offset │ 32 u64 created, Unix ms │ 40 u64 check │ zeros to 4096

import { SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { fromHex, getOffset, setOffset, toHex, viewOf } from '../core/bytes.ts';
import { LogError } from '../core/errors.ts';
import { MAX_LOG_OFFSET } from '../core/limits.ts';
import { FORMAT_VERSION, refuseOtherFormat } from './version.ts';
import { xxh64 } from './xxh64.ts';

const MAGIC = 0x4753_4c4c; // "LLSG"
const CHECKED_BYTES = 40;

export interface SegmentHeader {
  /** 32 hexadecimal digits. */
  readonly clusterId: string;
  /** Log offset of the first entry. */
  readonly base: number;
  /** Unix milliseconds. */
  readonly createdMs: number;
}

/** The header page, 4096 bytes. */
export function encodeSegmentHeader(header: SegmentHeader): Uint8Array {
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
  const view = viewOf(bytes);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, FORMAT_VERSION, true);
  bytes.set(fromHex(header.clusterId), 8);
  setOffset(view, 24, header.base);
  setOffset(view, 32, header.createdMs);
  view.setBigUint64(CHECKED_BYTES, xxh64(bytes.subarray(0, CHECKED_BYTES)), true);
  return bytes;
}

/** Reads a header page. Throws a LogError `DAMAGE`, `NEWER_FORMAT` or `OLDER_FORMAT` that names `file` and what was found. */
export function decodeSegmentHeader(bytes: Uint8Array, file: string): SegmentHeader {
  const damage = (what: string): LogError => new LogError('DAMAGE', `${file} at byte 0: ${what}`, { file, position: 0 });
  if (bytes.length < SEGMENT_HEADER_BYTES) throw damage(`a segment header has ${SEGMENT_HEADER_BYTES} bytes, found ${bytes.length}`);
  const view = viewOf(bytes);
  if (view.getUint32(0, true) !== MAGIC) throw damage('this is not a LogLog segment (wrong magic number)');
  if (view.getBigUint64(CHECKED_BYTES, true) !== xxh64(bytes.subarray(0, CHECKED_BYTES))) {
    throw damage('the segment header does not match its check');
  }
  refuseOtherFormat(view.getUint32(4, true), file);
  const header = { clusterId: toHex(bytes.subarray(8, 24)), base: getOffset(view, 24), createdMs: getOffset(view, 32) };
  if (header.base > MAX_LOG_OFFSET || header.createdMs > MAX_LOG_OFFSET) throw damage('the segment header has a value above 2^53 - 1');
  return header;
}
