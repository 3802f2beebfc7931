// The memory map: what stands where in the one WebAssembly.Memory that all threads of a node share. Nothing in it moves, and it
// never grows (a view made before a grow would silently keep the old length).
//
//   0         unused (address 0 means "none")
//   1024      control block: the log's words, wake-up words, counters, one descriptor a slot
//   …         results: 32 bytes a user of the walks (the main thread, each slot's writer, each cold reader)
//   …         index points of each slot, u32 file positions
//   4 KiB …   last pages: where each slot's writer composes the page that its write ends in, with the mark behind the entries
//   64 KiB …  slots: exact images of segment files, position in slot = position in file
//   …         cold buffers: where cold readers put what they read

import { INDEX_INTERVAL_BYTES, RESULT_SIZE_BYTES } from '../../assembly/layout.ts';
import { COLD_READERS, MAX_ENTRY_BYTES, MAX_READ_BYTES } from '../core/limits.ts';

const PAGE_BYTES = 65536;

/** Two pages of 4096 bytes: a mark may cross from one into the next. */
export const LAST_PAGES_BYTES = 8192;

/** What the map follows from; every thread computes the same map from the same shape. */
export interface MemoryShape {
  readonly segmentBytes: number;
  readonly slots: number;
}

export const CONTROL_AT = 1024;
const SLOT_DESCRIPTORS_AT = CONTROL_AT + 1024;
const SLOT_DESCRIPTOR_BYTES = 64;

/** 64-bit words of the control block, by address. Each has one writer at a time, named behind it. */
export const WORD = {
  START: CONTROL_AT, // first offset kept: main thread
  TAIL: CONTROL_AT + 8, // end of the ordered log: whoever owns the log's end
  DURABLE: CONTROL_AT + 16, // end of what fdatasync has returned for: the open segment's writer
  COMMIT: CONTROL_AT + 24, // end of what may be read: main thread (later: the raft thread)
  TERM: CONTROL_AT + 32, // current term: main thread (later: the raft thread)
  TERM_START_END: CONTROL_AT + 40, // end of this term's no-op: commit counts only strictly past it
  SYNC_MICROSECONDS: CONTROL_AT + 48, // sum over all fdatasync of entries: writers
  WRITTEN_BYTES: CONTROL_AT + 56, // sum over all writes of entries: writers
} as const;

/** 32-bit words that threads wait on, by address. */
export const SIGNAL = {
  TAIL: CONTROL_AT + 128, // bumped when TAIL moves, a slot closes or STOP is set; writers wait on it
  DURABLE: CONTROL_AT + 132, // bumped when DURABLE moves; the main thread and the next segment's writer wait on it
  STOP: CONTROL_AT + 136, // 1: writers finish what there is and return
} as const;

/** Histogram of fdatasync times: bucket i counts those under 2^i × 16 µs; the last one counts all others. */
export const SYNC_BUCKETS_AT = CONTROL_AT + 192;
export const SYNC_BUCKETS = 16;

/** Fields of a slot's descriptor. */
export const SLOT = {
  BASE: 0, // f64 word: log offset of the segment's first entry
  CLOSED_END: 8, // f64 word: 0 while entries may follow, else the segment's end offset
  FIRST_MS: 16, // f64 word: time of the first append, Unix milliseconds
  LAST_MS: 24, // f64 word: time of the last append
  ENTRIES: 32, // f64 word
  STATE: 40, // i32: SLOT_FREE, SLOT_IN_USE, SLOT_SEALED
  POINTS: 44, // i32: index points at pointsAt(slot)
} as const;

export const SLOT_FREE = 0;
export const SLOT_IN_USE = 1;
export const SLOT_SEALED = 2;

export interface MemoryMap {
  readonly shape: MemoryShape;
  /** Address of a slot's descriptor. */
  descriptorAt(slot: number): number;
  /** Address of a slot's segment image. */
  slotAt(slot: number): number;
  /** Address of a slot's index points. */
  pointsAt(slot: number): number;
  /** Address of the main thread's result. */
  readonly mainResultAt: number;
  /** Address of a slot writer's result. */
  slotResultAt(slot: number): number;
  /** Address of the two pages in which a slot's writer composes the end of a write. */
  lastPagesAt(slot: number): number;
  coldResultAt(buffer: number): number;
  coldAt(buffer: number): number;
  readonly coldBytes: number;
  readonly totalBytes: number;
}

function align(address: number, to: number): number {
  return Math.ceil(address / to) * to;
}

/** Lays out the memory of a node. */
export function memoryMap(shape: MemoryShape): MemoryMap {
  const { segmentBytes, slots } = shape;
  const resultsAt = align(SLOT_DESCRIPTORS_AT + slots * SLOT_DESCRIPTOR_BYTES, 64);
  const resultBytes = RESULT_SIZE_BYTES;
  const pointsAt = resultsAt + (1 + slots + COLD_READERS) * resultBytes;
  const pointsBytes = (segmentBytes / INDEX_INTERVAL_BYTES + 1) * 4;
  const lastPagesAt = align(pointsAt + slots * pointsBytes, LAST_PAGES_BYTES);
  const slotsAt = align(lastPagesAt + slots * LAST_PAGES_BYTES, PAGE_BYTES);
  const coldAt = slotsAt + slots * segmentBytes;
  const coldBytes = align(MAX_ENTRY_BYTES + MAX_READ_BYTES, PAGE_BYTES);
  return {
    shape,
    descriptorAt: (slot) => SLOT_DESCRIPTORS_AT + slot * SLOT_DESCRIPTOR_BYTES,
    slotAt: (slot) => slotsAt + slot * segmentBytes,
    pointsAt: (slot) => pointsAt + slot * pointsBytes,
    mainResultAt: resultsAt,
    slotResultAt: (slot) => resultsAt + (1 + slot) * resultBytes,
    lastPagesAt: (slot) => lastPagesAt + slot * LAST_PAGES_BYTES,
    coldResultAt: (buffer) => resultsAt + (1 + slots + buffer) * resultBytes,
    coldAt: (buffer) => coldAt + buffer * coldBytes,
    coldBytes,
    totalBytes: coldAt + COLD_READERS * coldBytes,
  };
}
