// One thread's view of the shared tail memory: what the words of the control block (memoryWords.ts) mean, and the slots.

import { INDEX_INTERVAL_BYTES, SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { assert } from '../core/assert.ts';
import { LogError } from '../core/errors.ts';
import { type EntryTerm, NO_INSTANCE } from '../core/ids.ts';
import { readInstance, writeInstance } from '../core/instances.ts';
import { flagOf } from '../core/options.ts';
import {
  CONSUMERS,
  type MemoryShape,
  memoryMap,
  SESSIONS,
  SIGNAL,
  SLOT,
  SLOT_FREE,
  SLOT_SEALED,
  STATE,
  SYNC_BUCKETS,
  SYNC_BUCKETS_AT,
  WORD,
} from './map.ts';
import { MemoryWords, type SharedTailMemory } from './memoryWords.ts';
import { PeerTable } from './peerTable.ts';
import { compileServerWasm } from './wasm.ts';

const PAGE_BYTES = 65536;

export class TailMemory extends MemoryWords {
  readonly peers: PeerTable;

  private constructor(shared: SharedTailMemory) {
    super(shared);
    this.peers = new PeerTable(this);
  }

  /** Makes the memory of a node; all zero. Throws a LogError `USAGE` when there is not so much: at most 4 GiB, and what the process may have. */
  static create(shape: MemoryShape, callOf: (name: 'slots' | 'segmentBytes') => string = flagOf): TailMemory {
    return new TailMemory({ memory: allocate(shape, callOf), module: compileServerWasm(), shape });
  }

  /** Another thread's view of a memory made by {@link create}. */
  static attach(shared: SharedTailMemory): TailMemory {
    return new TailMemory(shared);
  }

  /** Whoever leads, or a mirror's source, said that `commit` is committed. */
  heardLeader(commit: number): void {
    this.setWord(WORD.LEADER_COMMIT, commit);
    this.setWord(WORD.LEADER_HEARD, this.word(WORD.LEADER_HEARD) + 1);
  }

  get tail(): number {
    return this.wasm.loadWord(WORD.TAIL);
  }

  /**
   * End of the last ordered data entry, for whoever owns the log's end: no data lies between it and {@link tail}. It may be too high where
   * that was not to be found out, which only refuses conditions that would hold.
   */
  get dataEnd(): number {
    return this.wasm.loadWord(WORD.DATA_END);
  }

  /**
   * Writer: the disk has everything before `end`. Where no other node has a say, that is the commit too, and the main thread learns it
   * from here, without a detour over the raft thread.
   */
  publishDurable(end: number): void {
    this.setWord(WORD.DURABLE, end);
    if (this.word32(STATE.SOLE) !== 0) {
      this.liftWord(WORD.COMMIT, end);
      this.raise(SIGNAL.COMMIT);
    }
    this.raise(SIGNAL.DURABLE);
  }

  /**
   * Raft thread: a cluster of one, and its term has begun. A majority is its own disk, so from now on the writers move the commit. They move
   * DURABLE first and look at SOLE second, here it is the other way around: one of the two sees the other.
   */
  leaveCommitToWriters(): void {
    this.setWord32(STATE.SOLE, 1);
    this.liftWord(WORD.COMMIT, this.durable);
  }

  /**
   * Raft thread: others are about to have a say. Whoever still moves the commit after this moves it to what was durable before it: so what is durable now, by a look
   * that comes after this, is to count as committed first.
   */
  takeCommitBack(): void {
    this.setWord32(STATE.SOLE, 0);
  }

  /**
   * Raft thread: COMMIT has moved. Wakes the main thread, and the open segment's writer if it rests until COMMIT has reached what is durable,
   * so that it notes that on disk. COMMIT is stored before this looks; a writer says that it rests first, and looks at COMMIT second.
   */
  committed(): void {
    this.raise(SIGNAL.COMMIT);
    if (this.word32(STATE.BOUND_AWAITED) === 0 || this.commit < this.durable) return;
    this.setWord32(STATE.BOUND_AWAITED, 0);
    this.raise(SIGNAL.TAIL);
  }

  /** Id of the log's generation, 16 hexadecimal digits; zeros while nothing says it, or nothing of the log is committed. */
  get generationId(): string {
    return this.commit === 0 ? NO_INSTANCE : readInstance(this.view, WORD.GENERATION_ID);
  }

  /** The same as node.json has it: zeros while this node is no voter, or has not committed what says it. */
  get knownGeneration(): string {
    return this.word32(STATE.GENERATION_IS_KNOWN) === 0 ? NO_INSTANCE : readInstance(this.view, WORD.KNOWN_GENERATION);
  }

  /** Only once, and only the raft thread. */
  set knownGeneration(id: string) {
    assert(this.word32(STATE.GENERATION_IS_KNOWN) === 0, 'a log is of one generation');
    writeInstance(this.view, WORD.KNOWN_GENERATION, id);
    this.setWord32(STATE.GENERATION_IS_KNOWN, 1);
  }

  /** The end of what is committed and durable here, which is here to stay. Never falls. */
  get commitBound(): number {
    return Math.min(this.commit, this.durable);
  }

  get durable(): number {
    return this.wasm.loadWord(WORD.DURABLE);
  }

  get commit(): number {
    return this.wasm.loadWord(WORD.COMMIT);
  }

  /** Slot of the open segment; -1 while there is none. */
  get openSlot(): number {
    return this.word32(STATE.OPEN_SLOT) - 1;
  }

  /** -1: there is no open segment. */
  set openSlot(slot: number) {
    this.setWord32(STATE.OPEN_SLOT, slot + 1);
  }

  slotWord(slot: number, field: number): number {
    return this.wasm.loadWord(this.map.descriptorAt(slot) + field);
  }

  setSlotWord(slot: number, field: number, value: number): void {
    this.wasm.storeWord(this.map.descriptorAt(slot) + field, value);
  }

  slotState(slot: number): number {
    return this.word32(this.map.descriptorAt(slot) + SLOT.STATE);
  }

  setSlotState(slot: number, state: number): void {
    this.setWord32(this.map.descriptorAt(slot) + SLOT.STATE, state);
  }

  pointCount(slot: number): number {
    return this.word32(this.map.descriptorAt(slot) + SLOT.POINTS);
  }

  setPointCount(slot: number, count: number): void {
    this.setWord32(this.map.descriptorAt(slot) + SLOT.POINTS, count);
  }

  /** Index points of a slot: file positions of entry boundaries, ascending. A live view. */
  points(slot: number): Uint32Array {
    const at = this.map.pointsAt(slot) >> 2;
    return this.words.subarray(at, at + this.pointCount(slot));
  }

  /** File position of a slot's last index point, or 0. */
  lastPoint(slot: number): number {
    const count = this.pointCount(slot);
    return count === 0 ? 0 : (this.words[(this.map.pointsAt(slot) >> 2) + count - 1] ?? 0);
  }

  /** Last index point of `slot` at or before `filePosition`; the segment must have one. */
  pointBefore(slot: number, filePosition: number): number {
    return lastAtOrBefore(this.points(slot), filePosition);
  }

  /** Bytes [from, to) of a slot's segment image. */
  slotBytes(slot: number, from: number, to: number): Uint8Array {
    const at = this.map.slotAt(slot);
    return this.bytes.subarray(at + from, at + to);
  }

  /** Counts one fdatasync of entries in the histogram. */
  recordSync(microseconds: number, bytes: number): void {
    this.wasm.addWord(WORD.SYNC_MICROSECONDS, microseconds);
    this.wasm.addWord(WORD.WRITTEN_BYTES, bytes);
    const bucket = Math.min(SYNC_BUCKETS - 1, Math.max(0, Math.ceil(Math.log2(Math.max(1, microseconds) / 16))));
    this.addWord32(SYNC_BUCKETS_AT + bucket * 4, 1);
  }

  /** Counts of the fdatasync histogram, one a bucket. */
  syncBuckets(): number[] {
    return Array.from({ length: SYNC_BUCKETS }, (_, bucket) => this.word32(SYNC_BUCKETS_AT + bucket * 4));
  }

  /**
   * Keeps the slot from being taken for another segment until {@link unpinSlot}. False, and no pin, when it no longer holds the segment
   * at `base`. Whoever takes a slot marks it free first and looks for pins second; here the pin comes first and the look second: one of
   * the two always sees the other.
   */
  pinSlot(slot: number, base: number): boolean {
    const at = this.map.descriptorAt(slot) + SLOT.PINS;
    this.addWord32(at, 1);
    if (this.slotState(slot) !== SLOT_FREE && this.slotWord(slot, SLOT.BASE) === base) return true;
    this.unpinSlot(slot);
    return false;
  }

  /** Takes one pin away. If somebody wants the slot and this was the last pin, wakes all who may be waiting for room. */
  unpinSlot(slot: number): void {
    const at = this.map.descriptorAt(slot);
    const pins = this.addWord32(at + SLOT.PINS, -1);
    assert(pins > 0, 'a slot is unpinned once for each pin');
    if (pins !== 1) return;
    if (this.exchangeWord32(at + SLOT.WANTED, 1, 0) !== 1) return;
    this.raise(SIGNAL.ORDERED);
    this.raise(SIGNAL.COMMIT);
  }

  /**
   * Says that the log's end needs a pinned slot. Returns whether it is pinned still; if so, {@link unpinSlot} will wake its owner. Several
   * slots may be wanted: whichever is let go first will do.
   */
  wantSlot(slot: number): boolean {
    this.setWord32(this.map.descriptorAt(slot) + SLOT.WANTED, 1);
    return this.isPinned(slot);
  }

  isPinned(slot: number): boolean {
    return this.word32(this.map.descriptorAt(slot) + SLOT.PINS) !== 0;
  }

  /** Prepares a slot for the segment at `base`, which follows an entry of `before`. */
  prepareSlot(slot: number, base: number, before: EntryTerm): void {
    this.setSlotWord(slot, SLOT.BASE, base);
    this.setSlotWord(slot, SLOT.CLOSED_END, 0);
    this.setSlotWord(slot, SLOT.FIRST_MS, 0);
    this.setSlotWord(slot, SLOT.LAST_MS, 0);
    this.setSlotWord(slot, SLOT.ENTRIES, 0);
    this.setWord32(this.map.descriptorAt(slot) + SLOT.TERM_BEFORE, before.term);
    writeInstance(this.view, this.map.descriptorAt(slot) + SLOT.LEADER_BEFORE, before.leader);
    this.setPointCount(slot, 0);
  }

  /** Whose the entry before a slot's segment is. */
  beforeSlot(slot: number): EntryTerm {
    const at = this.map.descriptorAt(slot);
    return { term: this.word32(at + SLOT.TERM_BEFORE), leader: readInstance(this.view, at + SLOT.LEADER_BEFORE) };
  }

  /** Whose the log's last entry is. Whoever owns the log's end reads it; the raft thread writes it, while it is the owner. */
  get lastEntry(): EntryTerm {
    return { term: this.word32(WORD.LAST_TERM), leader: readInstance(this.view, WORD.LAST_LEADER) };
  }

  set lastEntry({ term, leader }: EntryTerm) {
    this.setWord32(WORD.LAST_TERM, term);
    writeInstance(this.view, WORD.LAST_LEADER, leader);
  }

  /** Bytes of what the log's state at its end has of tokens, consumers and sessions. */
  get stateTableBytes(): number {
    const { consumersAt, sessionsAt } = this.map;
    return this.word(WORD.ACCESS_BYTES) + this.word(consumersAt + CONSUMERS.BYTES) + this.word(sessionsAt + SESSIONS.BYTES);
  }

  /** Whether a slot's segment is sealed, so that the slot is a cache that may be taken. */
  isSealed(slot: number): boolean {
    return this.slotState(slot) === SLOT_SEALED;
  }
}

/** `callOf`: what the options are called where they were given. */
function allocate(shape: MemoryShape, callOf: (name: 'slots' | 'segmentBytes') => string): WebAssembly.Memory {
  const { totalBytes } = memoryMap(shape);
  const pages = totalBytes / PAGE_BYTES;
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  } catch (thrown) {
    if (!(thrown instanceof RangeError || thrown instanceof TypeError)) throw thrown;
    const { segmentBytes, slots } = shape;
    throw new LogError(
      'USAGE',
      `this process cannot have the ${totalBytes} bytes of memory for ${callOf('slots')} ${slots} of ${callOf('segmentBytes')} ${segmentBytes} (${thrown.message}): ` +
        'give fewer or smaller ones, or raise its limit of address space',
    );
  }
}

/** Last element of an ascending list that is at most `limit`; the first element when none is. */
export function lastAtOrBefore(ascending: Uint32Array, limit: number): number {
  let low = 0;
  let high = ascending.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((ascending[middle] ?? 0) <= limit) low = middle;
    else high = middle - 1;
  }
  return ascending[low] ?? 0;
}

/** The last of the index points `points` of a segment that is before file position `filePosition`: that of its first entry, where no other is. */
export function lastPointBefore(points: Uint32Array, filePosition: number): number {
  return points.length === 0 ? SEGMENT_HEADER_BYTES : lastAtOrBefore(points, filePosition - 1);
}

/** Most index points that one segment can have. */
export function maxPoints(segmentBytes: number): number {
  return segmentBytes / INDEX_INTERVAL_BYTES + 1;
}
