// How much fits: into a segment, into memory, into a message.

import { ENTRY_OVERHEAD_BYTES, SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { MAX_STATE_ENTRY_BYTES, SESSION_ENTRY_BYTES, TIME_ENTRY_BYTES } from './limits.ts';

const MIB = 1024 * 1024;

/** A WebAssembly memory has at most 4 GiB; some of it is for other things than slots. */
export const MAX_SLOT_BYTES = 3 * 1024 * MIB;

/** A durable mark follows the last entry of every write, so a segment keeps this much room at its end. */
export const MARK_BYTES = 40;

/** Bytes of entries that one segment can hold. */
export function segmentCapacityBytes(segmentBytes: number): number {
  return segmentBytes - SEGMENT_HEADER_BYTES - MARK_BYTES;
}

/** Most bytes of the state entry that a segment begins with. */
export function stateCapacityBytes(segmentBytes: number): number {
  return Math.min(MAX_STATE_ENTRY_BYTES, Math.floor(segmentBytes / 4));
}

/**
 * Most bytes of a client's entries in one segment, and so in one batch: the state entry at the segment's beginning, and the time and session
 * entries before the batch, have room beside them.
 */
export function clientCapacityBytes(segmentBytes: number): number {
  return segmentCapacityBytes(segmentBytes) - stateCapacityBytes(segmentBytes) - TIME_ENTRY_BYTES - SESSION_ENTRY_BYTES;
}

/** Most bytes of entries in one APPEND message: one batch never spans two segments. */
export function maxBatchBytes(config: { readonly segmentBytes: number; readonly maxPayloadBytes: number }): number {
  return Math.min(clientCapacityBytes(config.segmentBytes), Math.max(config.maxPayloadBytes + ENTRY_OVERHEAD_BYTES, MIB));
}
