// The log's end, for the one thread that owns it: orders entries by stamping them into the open slot, and rolls to the next slot when
// a batch does not fit. Nothing here blocks, allocates per entry, or touches a file.

import { ENTRY_OVERHEAD_BYTES, INDEX_INTERVAL_BYTES, SEGMENT_HEADER_BYTES, WALK_COMPLETE } from '../../assembly/layout.ts';
import { assert } from '../core/assert.ts';
import { segmentCapacityBytes } from '../core/config.ts';
import { MAX_LOG_OFFSET } from '../core/limits.ts';
import { SIGNAL, SLOT, SLOT_FREE, SLOT_IN_USE, SLOT_SEALED, WORD } from './map.ts';
import type { TailMemory, WalkResult } from './tailMemory.ts';

/**
 * What became of a batch: `ordered`, and {@link Tail.first} to {@link Tail.end} is its place; `full`: no slot is free until the disk
 * has caught up; `refused`: {@link Tail.badStatus} and {@link Tail.badAt} say why and where.
 */
export type AppendStatus = 'ordered' | 'full' | 'refused';

/** Whether an entry at `filePosition` is an index point, after `lastPoint` (0: none): the rule of assembly/entry.ts. */
function isPointDue(lastPoint: number, filePosition: number): boolean {
  return lastPoint === 0 || Math.floor(filePosition / INDEX_INTERVAL_BYTES) > Math.floor(lastPoint / INDEX_INTERVAL_BYTES);
}

export class Tail {
  readonly #memory: TailMemory;
  readonly #openSegment: (slot: number) => void;
  readonly #capacityBytes: number;
  readonly #walk: WalkResult = { count: 0, bytes: 0, lastTerm: 0, points: 0 };
  #slot = -1;
  #base = 0;
  /** The last ordered batch: its first offset, the end behind it, and its entries. */
  first = 0;
  end = 0;
  count = 0;
  /** The last refused batch: a WALK_* status (WALK_COMPLETE: only its count was wrong), and the byte at which the bad entry begins. */
  badStatus = 0;
  badAt = 0;

  /** `openSegment` is told each slot that becomes the open one, so that it starts the slot's writer. */
  constructor(memory: TailMemory, openSegment: (slot: number) => void) {
    this.#memory = memory;
    this.#openSegment = openSegment;
    this.#capacityBytes = segmentCapacityBytes(memory.map.shape.segmentBytes);
  }

  /** Takes over at `end`; `slot` holds the open segment that recovery loaded, or is undefined when the next one is to be made. */
  start(end: number, slot: number | undefined): void {
    this.#memory.setWord(WORD.TAIL, end);
    this.#memory.setWord(WORD.DURABLE, end);
    if (slot === undefined) return;
    this.#slot = slot;
    this.#base = this.#memory.slotWord(slot, SLOT.BASE);
    this.#memory.setSlotState(slot, SLOT_IN_USE);
  }

  /**
   * Orders a batch of `entryCount` framed entries, all of them or none. `term` is the current one; times are Unix milliseconds. The caller wakes
   * the writer ({@link wake}) when it has ordered all that it has.
   */
  append(entries: Uint8Array, entryCount: number, term: number, maxPayloadBytes: number, nowMs: number): AppendStatus {
    const tail = this.#memory.tail;
    assert(tail + entries.length <= MAX_LOG_OFFSET, 'the log ends at offset 2^53 - 1');
    if (!this.#makeRoom(tail, entries.length)) return 'full';
    const { map, wasm, bytes } = this.#memory;
    const slot = this.#slot;
    const position = SEGMENT_HEADER_BYTES + tail - this.#base;
    const at = map.slotAt(slot) + position;
    bytes.set(entries, at);
    const pointCount = this.#memory.pointCount(slot);
    const pointsAt = map.pointsAt(slot) + pointCount * 4;
    const lastPoint = this.#memory.lastPoint(slot);
    const status = wasm.stamp(at, entries.length, term, tail, maxPayloadBytes, position, pointsAt, lastPoint, map.mainResultAt);
    this.#memory.readResult(map.mainResultAt, this.#walk);
    if (status !== WALK_COMPLETE || this.#walk.count !== entryCount) {
      this.badStatus = status;
      this.badAt = this.#walk.bytes;
      return 'refused';
    }
    this.#publish(tail, entries.length, this.#walk.count, this.#walk.points, nowMs);
    return 'ordered';
  }

  /** Orders one entry of the node's own without payload, such as the no-op that starts a term. */
  appendOwn(kind: number, term: number, nowMs: number): AppendStatus {
    const tail = this.#memory.tail;
    if (!this.#makeRoom(tail, ENTRY_OVERHEAD_BYTES)) return 'full';
    const { map, wasm } = this.#memory;
    const position = SEGMENT_HEADER_BYTES + tail - this.#base;
    wasm.stampOwn(map.slotAt(this.#slot) + position, term, kind, 0, tail);
    const pointCount = this.#memory.pointCount(this.#slot);
    const isPoint = isPointDue(this.#memory.lastPoint(this.#slot), position);
    if (isPoint) new Uint32Array(this.#memory.bytes.buffer, map.pointsAt(this.#slot) + pointCount * 4, 1)[0] = position;
    this.#publish(tail, ENTRY_OVERHEAD_BYTES, 1, isPoint ? 1 : 0, nowMs);
    return 'ordered';
  }

  /** Lets the writers see what was ordered. */
  wake(): void {
    this.#memory.raise(SIGNAL.TAIL);
  }

  #publish(tail: number, bytes: number, count: number, points: number, nowMs: number): void {
    const slot = this.#slot;
    this.#memory.setPointCount(slot, this.#memory.pointCount(slot) + points);
    this.#memory.setSlotWord(slot, SLOT.ENTRIES, this.#memory.slotWord(slot, SLOT.ENTRIES) + count);
    if (this.#memory.slotWord(slot, SLOT.FIRST_MS) === 0) this.#memory.setSlotWord(slot, SLOT.FIRST_MS, nowMs);
    this.#memory.setSlotWord(slot, SLOT.LAST_MS, nowMs);
    this.first = tail;
    this.end = tail + bytes;
    this.count = count;
    this.#memory.setWord(WORD.TAIL, this.end);
  }

  /** Makes sure that `bytes` fit into the open slot; rolls to the next one if not. False when that one is not free. */
  #makeRoom(tail: number, bytes: number): boolean {
    assert(bytes <= this.#capacityBytes, 'a batch fits into a segment');
    if (this.#slot >= 0 && tail - this.#base + bytes <= this.#capacityBytes) return true;
    const next = (this.#slot + 1) % this.#memory.map.shape.slots;
    const state = this.#memory.slotState(next);
    if (state !== SLOT_FREE && state !== SLOT_SEALED) return false;
    if (this.#slot >= 0) this.#memory.setSlotWord(this.#slot, SLOT.CLOSED_END, tail);
    this.#memory.setSlotState(next, SLOT_FREE);
    this.#memory.openSlot(next, tail);
    this.#memory.setSlotState(next, SLOT_IN_USE);
    this.#slot = next;
    this.#base = tail;
    this.#openSegment(next);
    return true;
  }
}
