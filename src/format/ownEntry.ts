// A control entry as it stands in the log, for what writes logs without a node. Nodes stamp theirs in WebAssembly.

import { ENTRY_CHECK_BYTES, ENTRY_HEADER_BYTES, ENTRY_KIND_SIZE_AT, ENTRY_OVERHEAD_BYTES, ENTRY_TERM_AT } from '../../assembly/layout.ts';
import { viewOf } from '../core/bytes.ts';
import { xxh64 } from './xxh64.ts';

const PRIME_1 = 0x9e3779b185ebca87n;
const PRIME_2 = 0xc2b2ae3d27d4eb4fn;

/** What binds an entry's check to its place: docs/FORMAT.md, "The check". */
function place(term: number, offset: number): number {
  const mixed = BigInt(offset) ^ BigInt.asUintN(64, BigInt(term) * PRIME_1);
  return Number(BigInt.asUintN(64, mixed * PRIME_2) >> 32n);
}

/** The entry of `kind`, alone in its batch, with `payload`, in `term` at log offset `offset`. */
export function encodeOwnEntry(kind: number, payload: Uint8Array, term: number, offset: number): Uint8Array {
  const bytes = new Uint8Array(ENTRY_OVERHEAD_BYTES + payload.length);
  const view = viewOf(bytes);
  view.setUint32(ENTRY_TERM_AT, term, true);
  view.setUint32(ENTRY_KIND_SIZE_AT, ((kind << 24) | payload.length) >>> 0, true);
  bytes.set(payload, ENTRY_HEADER_BYTES);
  writeCheck(bytes, offset);
  return bytes;
}

/** Writes the check of `entry`, all else of which is there: it is to stand at log offset `offset`. */
export function writeCheck(entry: Uint8Array, offset: number): void {
  const view = viewOf(entry);
  const checkAt = entry.length - ENTRY_CHECK_BYTES;
  const producer = Number(BigInt.asUintN(32, xxh64(entry.subarray(ENTRY_KIND_SIZE_AT, checkAt))));
  view.setUint32(checkAt, (producer ^ place(view.getUint32(ENTRY_TERM_AT, true), offset)) >>> 0, true);
}
