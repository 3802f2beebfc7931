// The words of an entry (docs/FORMAT.md, "Entry"), for whoever walks over whole entries that were verified. Checks are the WebAssembly's.
//
//   0 u32 term │ 4 u32 the batch goes on ‖ kind ‖ payload bytes │ 8 payload │ u32 check

import {
  ENTRY_HEADER_BYTES,
  ENTRY_KIND_SIZE_AT,
  ENTRY_OVERHEAD_BYTES,
  ENTRY_TERM_AT,
  KIND_CONTINUED,
  KIND_DATA,
  KIND_MASK,
  MAX_PAYLOAD_BYTES,
} from '../../assembly/layout.ts';

// Own constants are folded into the code of walks; imported ones are loaded again for each entry, which costs a quarter of a count.
const TERM_AT = ENTRY_TERM_AT;
const KIND_SIZE_AT = ENTRY_KIND_SIZE_AT;
const HEADER_BYTES = ENTRY_HEADER_BYTES;
const OVERHEAD_BYTES = ENTRY_OVERHEAD_BYTES;
const DATA = KIND_DATA;
const CONTINUED = KIND_CONTINUED;
const KIND_BITS = KIND_MASK;
const SIZE_BITS = MAX_PAYLOAD_BYTES;

/** Term of the entry at `at`. */
export function termAt(view: DataView, at: number): number {
  return view.getUint32(at + TERM_AT, true);
}

/** The word of kind and size of the entry at `at`, which the functions below read. */
export function kindSizeAt(view: DataView, at: number): number {
  return view.getUint32(at + KIND_SIZE_AT, true);
}

/** The word of an entry of data. `isContinued`: the next entry belongs to the same batch. */
export function dataKindSize(payloadBytes: number, isContinued: boolean): number {
  // Its kind is 0, so that the rest of the word is the size.
  return isContinued ? ((CONTINUED << 24) | payloadBytes) >>> 0 : payloadBytes;
}

export function payloadBytesOf(kindSize: number): number {
  return kindSize & SIZE_BITS;
}

/** Bytes of the whole entry: where the next one begins. */
export function entryBytesOf(kindSize: number): number {
  return (kindSize & SIZE_BITS) + OVERHEAD_BYTES;
}

/** Bytes of the whole entry at `at`. */
export function entryBytesAt(view: DataView, at: number): number {
  return entryBytesOf(kindSizeAt(view, at));
}

/** The kind, 0 to 127, whether its batch goes on or not. */
export function kindOf(kindSize: number): number {
  return (kindSize >>> 24) & KIND_BITS;
}

/** Whether a client appended it. */
export function isData(kindSize: number): boolean {
  return kindOf(kindSize) === DATA;
}

/** Whether the next entry belongs to the same batch. */
export function isContinued(kindSize: number): boolean {
  return ((kindSize >>> 24) & CONTINUED) !== 0;
}

/** A view of the payload of the entry at `at` of `bytes`. */
export function payloadAt(bytes: Uint8Array, at: number, kindSize: number): Uint8Array {
  return bytes.subarray(at + HEADER_BYTES, at + HEADER_BYTES + payloadBytesOf(kindSize));
}
