// The log's end, for the one thread that owns it at the moment: orders entries by stamping them into the open slot, or copies what a
// leader ordered, and rolls to the next slot when a batch does not fit. All state is in shared memory, so that the end can be handed
// between threads (gate.ts). Nothing here blocks, allocates per entry, or touches a file.

import {
  ENTRY_HEADER_BYTES,
  ENTRY_KIND_SIZE_AT,
  ENTRY_OVERHEAD_BYTES,
  ENTRY_TERM_AT,
  INDEX_INTERVAL_BYTES,
  KIND_DATA,
  MAX_PAYLOAD_BYTES,
  RESULT_STOPPED_AT,
  SCAN_ACTED_ON,
  SCAN_VERIFY,
  SCAN_WHOLE_BATCHES,
  SEGMENT_HEADER_BYTES,
  STAMP_ONE_BATCH,
  WALK_BAD_LEADER,
  WALK_BAD_TERM,
  WALK_COMPLETE,
  WALK_NEWER_KIND,
  WALK_TOO_LARGE,
} from '../../assembly/layout.ts';
import { assert } from '../core/assert.ts';
import { viewOf } from '../core/bytes.ts';
import { segmentCapacityBytes } from '../core/config.ts';
import { MAX_LOG_OFFSET } from '../core/limits.ts';
import { positionOf } from '../core/position.ts';
import { SIGNAL, SLOT, SLOT_FREE, SLOT_IN_USE, SLOT_SEALED, WORD } from './map.ts';
import { noteOrdered, type Upload } from './orderedUploads.ts';
import { noWalk, type TailMemory, type WalkResult } from './tailMemory.ts';

/**
 * What became of a batch: `ordered`, and {@link Tail.first} to {@link Tail.end} is its place; `full`: no slot is free until the disk
 * has caught up; `refused`: {@link Tail.badStatus} and {@link Tail.badAt} say why and where.
 */
export type AppendStatus = 'ordered' | 'full' | 'refused';

/** The same for a leader's batch; `misplaced`: it belongs to another segment than the one that is open, or that could be opened, here. */
export type ReplicatedStatus = AppendStatus | 'misplaced';

/** What was found of a batch that is published. */
type Published = Pick<WalkResult, 'count' | 'points' | 'dataEnd'>;

/** Whether an entry at `filePosition` is an index point, after `lastPoint` (0: none): the rule of assembly/entry.ts. */
function isPointDue(lastPoint: number, filePosition: number): boolean {
  return lastPoint === 0 || Math.floor(filePosition / INDEX_INTERVAL_BYTES) > Math.floor(lastPoint / INDEX_INTERVAL_BYTES);
}

export class Tail {
  readonly #memory: TailMemory;
  readonly #view: DataView;
  readonly #openSegment: (slot: number) => void;
  readonly #capacityBytes: number;
  readonly #walk: WalkResult = noWalk();
  /** The last ordered batch: its first offset, its end, and its entries. */
  first = 0;
  end = 0;
  count = 0;
  /** The last refused batch: a WALK_* status (WALK_COMPLETE: only its count was wrong), and the byte at which the bad entry begins. */
  badStatus = 0;
  badAt = 0;
  /** WALK_NEWER_KIND: the bad entry's word of kind and size. */
  badKindSize = 0;

  /** `openSegment` is told each slot that becomes the open one, so that it starts the slot's writer. */
  constructor(memory: TailMemory, openSegment: (slot: number) => void) {
    this.#memory = memory;
    this.#view = viewOf(memory.bytes);
    this.#openSegment = openSegment;
    this.#capacityBytes = segmentCapacityBytes(memory.map.shape.segmentBytes);
  }

  /**
   * Takes over at `end`, where the last data entry ends at `dataEnd`; `slot` holds the open segment that recovery loaded, or is undefined
   * when the next one is to be made.
   */
  start(end: number, dataEnd: number, slot: number | undefined): void {
    assert(dataEnd <= end, 'data ends where the log does, or before');
    this.#memory.setWord(WORD.DATA_END, dataEnd);
    this.#memory.setWord(WORD.TAIL, end);
    this.#memory.setWord(WORD.DURABLE, end);
    this.#memory.openSlot = slot ?? -1;
    if (slot !== undefined) this.#memory.setSlotState(slot, SLOT_IN_USE);
  }

  /**
   * Orders `entryCount` framed entries, all of them or none; `isOneBatch`: only if they are exactly one batch; `upload`: other nodes have them
   * from their client. `term` is the current one; times are Unix milliseconds. The caller wakes the writer ({@link wake}) when it has ordered all that it has.
   */
  append(
    entries: Uint8Array,
    entryCount: number,
    term: number,
    maxPayloadBytes: number,
    nowMs: number,
    isOneBatch = false,
    upload?: Upload,
  ): AppendStatus {
    const tail = this.#memory.tail;
    assert(tail + entries.length <= MAX_LOG_OFFSET, 'the log ends at offset 2^53 - 1');
    const slot = this.#makeRoom(tail, entries.length);
    if (slot < 0) return 'full';
    const { map, wasm } = this.#memory;
    const position = positionOf(tail, this.#memory.slotWord(slot, SLOT.BASE));
    const at = map.slotAt(slot) + position;
    this.#memory.copyIn(entries, at);
    const pointsAt = this.#nextPointAt(slot, position);
    const flags = isOneBatch ? STAMP_ONE_BATCH : 0;
    const status = wasm.stamp(at, entries.length, term, tail, maxPayloadBytes, flags, position, pointsAt, map.tailResultAt);
    this.#memory.readResult(map.tailResultAt, this.#walk);
    if (status !== WALK_COMPLETE || this.#walk.count !== entryCount) {
      return this.#refuse(status, this.#walk.bytes);
    }
    if (upload !== undefined) noteOrdered(this.#memory, tail, tail + entries.length, term, upload);
    this.#publish(slot, tail, entries.length, this.#walk, nowMs);
    return 'ordered';
  }

  /**
   * Orders log bytes as a leader stamped them, all of them or none: `byteCount` bytes, in `chunks`, whole batches of entries that all have
   * `term`. `base` is where the segment that they belong to begins on the leader: segments are the same on all nodes. A `misplaced` batch
   * goes in once the segment before the tail is open again ({@link truncateLog} at the tail does it). A refused one leaves no trace. With
   * `begins` they begin a term: it says whether the entry that stands in memory at an address is the no-op of the term's leader.
   */
  appendReplicated(
    chunks: readonly Uint8Array[],
    byteCount: number,
    term: number,
    base: number,
    nowMs: number,
    begins?: (view: DataView, at: number) => boolean,
  ): ReplicatedStatus {
    return this.#place(chunks, byteCount, base, nowMs, (slot, at, tail) => {
      if (!this.#verify(slot, at, byteCount, term, tail, positionOf(tail, base))) return false;
      if (begins?.(this.#view, at) !== false) return true;
      this.#refuse(WALK_BAD_LEADER, 0);
      return false;
    });
  }

  /**
   * Orders an upload: whole batches of entries as a client framed them, which are stamped here as the leader stamped its copy. `isSame` then says
   * whether these bytes are the leader's; where not, they leave no trace. See {@link appendReplicated}.
   */
  appendUpload(
    chunks: readonly Uint8Array[],
    byteCount: number,
    term: number,
    base: number,
    nowMs: number,
    isSame: (stamped: Uint8Array) => boolean,
  ): ReplicatedStatus {
    const { map, wasm, bytes } = this.#memory;
    return this.#place(chunks, byteCount, base, nowMs, (slot, at, tail) => {
      const position = positionOf(tail, base);
      const pointsAt = this.#nextPointAt(slot, position);
      const status = wasm.stamp(at, byteCount, term, tail, MAX_PAYLOAD_BYTES, 0, position, pointsAt, map.tailResultAt);
      this.#memory.readResult(map.tailResultAt, this.#walk);
      if (status === WALK_COMPLETE && isSame(bytes.subarray(at, at + byteCount))) return true;
      this.#refuse(status, this.#walk.bytes);
      return false;
    });
  }

  /** Copies `chunks` to the log's end, in the segment at `base`, and publishes them if `isRight`, told slot, address and log offset, says so. */
  #place(
    chunks: readonly Uint8Array[],
    byteCount: number,
    base: number,
    nowMs: number,
    isRight: (slot: number, at: number, tail: number) => boolean,
  ): ReplicatedStatus {
    const memory = this.#memory;
    const tail = memory.tail;
    if (byteCount > this.#capacityBytes - (tail - base) || tail + byteCount > MAX_LOG_OFFSET) return this.#refuse(WALK_TOO_LARGE, 0);
    const open = memory.openSlot;
    const rolls = open < 0 || memory.slotWord(open, SLOT.BASE) !== base;
    if (rolls && base !== tail) return 'misplaced';
    const slot = rolls ? this.#takeNext(tail) : open;
    if (slot < 0) return 'full';
    const at = memory.map.slotAt(slot) + positionOf(tail, base);
    let filled = 0;
    for (const chunk of chunks) {
      assert(filled + chunk.length <= byteCount, 'the chunks of a batch have as many bytes as it says');
      memory.copyIn(chunk, at + filled);
      filled += chunk.length;
    }
    assert(filled === byteCount && byteCount > 0, 'the chunks of a batch have as many bytes as it says');
    if (!isRight(slot, at, tail)) return 'refused';
    if (rolls) this.#roll(slot, tail);
    this.#publish(slot, tail, byteCount, this.#walk, nowMs);
    return 'ordered';
  }

  /** Orders one entry of the node's own, such as the no-op that begins a term. */
  appendOwn(kind: number, payload: Uint8Array, term: number, nowMs: number): AppendStatus {
    const tail = this.#memory.tail;
    assert(kind !== KIND_DATA, 'data is what clients append');
    const bytes = ENTRY_OVERHEAD_BYTES + payload.length;
    assert(tail + bytes <= MAX_LOG_OFFSET, 'the log ends at offset 2^53 - 1, and no term can begin there');
    const slot = this.#makeRoom(tail, bytes);
    if (slot < 0) return 'full';
    const { map, wasm } = this.#memory;
    const position = positionOf(tail, this.#memory.slotWord(slot, SLOT.BASE));
    const at = map.slotAt(slot) + position;
    this.#memory.copyIn(payload, at + ENTRY_HEADER_BYTES);
    wasm.stampOwn(at, term, kind, payload.length, tail);
    const isPoint = isPointDue(this.#memory.lastPoint(slot), position);
    if (isPoint) this.#memory.setWord32(this.#nextPointAt(slot, position), position);
    this.#publish(slot, tail, bytes, { count: 1, points: isPoint ? 1 : 0, dataEnd: 0 }, nowMs);
    return 'ordered';
  }

  /** Lets the writers see what was ordered. */
  wake(): void {
    this.#memory.raise(SIGNAL.TAIL);
  }

  /** Walks what stands at `at`: whole batches of valid entries of `term` and no other, to the last byte. */
  #verify(slot: number, at: number, byteCount: number, term: number, tail: number, position: number): boolean {
    const { map, wasm } = this.#memory;
    const pointsAt = this.#nextPointAt(slot, position);
    const result = map.tailResultAt;
    const flags = SCAN_VERIFY | SCAN_WHOLE_BATCHES | SCAN_ACTED_ON;
    const status = wasm.index(at, byteCount, tail, term, flags, position, pointsAt, result);
    const { bytes, lastTerm } = this.#memory.readResult(result, this.#walk);
    if (status === WALK_COMPLETE && lastTerm === term) return true;
    // Walks let terms rise from batch to batch; what comes in one piece has one term.
    const isHigher = status === WALK_COMPLETE || lastTerm !== term;
    if (!isHigher) {
      this.#refuse(status, this.#memory.u32(result + RESULT_STOPPED_AT));
      if (status === WALK_NEWER_KIND) this.badKindSize = this.#memory.u32(at + this.badAt + ENTRY_KIND_SIZE_AT);
    } else this.#refuse(WALK_BAD_TERM, this.#memory.u32(at + ENTRY_TERM_AT) === term ? wasm.sameTermBytes(at, bytes) : 0);
    return false;
  }

  /** Where the next index point of `slot` goes. Walks look for the last one in front of it, but for an entry that is the segment's first. */
  #nextPointAt(slot: number, position: number): number {
    const pointCount = this.#memory.pointCount(slot);
    assert(pointCount > 0 === position > SEGMENT_HEADER_BYTES, 'the first entry of a segment, and only that, has no index point before it');
    return this.#memory.map.pointsAt(slot) + pointCount * 4;
  }

  #refuse(status: number, at: number): 'refused' {
    this.badStatus = status;
    this.badAt = at;
    return 'refused';
  }

  /** Makes `bytes` at the tail part of the log; the last thing is that the tail moves. `dataEnd` counts from there, 0: no data. */
  #publish(slot: number, tail: number, bytes: number, { count, points, dataEnd }: Published, nowMs: number): void {
    this.#memory.setPointCount(slot, this.#memory.pointCount(slot) + points);
    this.#memory.setSlotWord(slot, SLOT.ENTRIES, this.#memory.slotWord(slot, SLOT.ENTRIES) + count);
    if (this.#memory.slotWord(slot, SLOT.FIRST_MS) === 0) this.#memory.setSlotWord(slot, SLOT.FIRST_MS, nowMs);
    this.#memory.setSlotWord(slot, SLOT.LAST_MS, nowMs);
    this.first = tail;
    this.end = tail + bytes;
    this.count = count;
    if (dataEnd > 0) this.#memory.setWord(WORD.DATA_END, tail + dataEnd);
    this.#memory.setWord(WORD.TAIL, this.end);
  }

  /** The slot that `bytes` fit into: the open one, or else the next one, which it rolls to. -1 when that one is not free. */
  #makeRoom(tail: number, bytes: number): number {
    assert(bytes <= this.#capacityBytes, 'a batch fits into a segment');
    const open = this.#memory.openSlot;
    if (open >= 0 && tail - this.#memory.slotWord(open, SLOT.BASE) + bytes <= this.#capacityBytes) return open;
    const next = this.#takeNext(tail);
    if (next >= 0) this.#roll(next, tail);
    return next;
  }

  /**
   * Takes a slot and prepares it for the segment at `base`: the next one around that is free or sealed and that nobody reads or sends from.
   * It stays free until {@link #roll}. -1 when there is none. A slot that a stalled connection holds is passed over: others need not wait.
   */
  #takeNext(base: number): number {
    const memory = this.#memory;
    const { slots } = memory.map.shape;
    for (let step = 1; step <= slots; step += 1) {
      const slot = (memory.openSlot + step) % slots;
      if (!this.#take(slot)) continue;
      memory.prepareSlot(slot, base, memory.lastEntry);
      return slot;
    }
    return -1;
  }

  /** Takes a slot unless it is in use or pinned. */
  #take(slot: number): boolean {
    const memory = this.#memory;
    const state = memory.slotState(slot);
    if (state !== SLOT_FREE && state !== SLOT_SEALED) return false;
    // Readers pin a slot first and look at its state second: one of the two sees the other.
    memory.setSlotState(slot, SLOT_FREE);
    if (!memory.isPinned(slot) || !memory.wantSlot(slot)) return true;
    memory.setSlotState(slot, state);
    return false;
  }

  /** Closes the open segment at `tail`, and opens the one that `next` was prepared for. */
  #roll(next: number, tail: number): void {
    const memory = this.#memory;
    const open = memory.openSlot;
    if (open >= 0) memory.setSlotWord(open, SLOT.CLOSED_END, tail);
    memory.setSlotState(next, SLOT_IN_USE);
    memory.openSlot = next;
    this.#openSegment(next);
  }
}
