// The log's end, for the one thread that owns it at the moment: orders entries by stamping them into the open slot, or copies what a
// leader ordered, and rolls to the next slot when a batch does not fit. All state is in shared memory, so that the end can be handed
// between threads (gate.ts). Nothing here blocks, allocates per entry, or touches a file.

import {
  ENTRY_HEADER_BYTES,
  ENTRY_KIND_SIZE_AT,
  ENTRY_OVERHEAD_BYTES,
  ENTRY_TERM_AT,
  KIND_CONTINUED,
  KIND_DATA,
  KIND_NOOP,
  KIND_SESSION,
  KIND_STATE,
  KIND_TIME,
  MAX_PAYLOAD_BYTES,
  NO_CONTROL,
  RESULT_CONTROL_AT,
  RESULT_STOPPED_AT,
  SCAN_ACTED_ON,
  SCAN_VERIFY,
  SCAN_WHOLE_BATCHES,
  SEGMENT_HEADER_BYTES,
  STAMP_ONE_BATCH,
  WALK_BAD_CONTROL,
  WALK_BAD_LEADER,
  WALK_BAD_TERM,
  WALK_COMPLETE,
  WALK_NEWER_KIND,
  WALK_TOO_LARGE,
} from '../../assembly/layout.ts';
import { assert } from '../core/assert.ts';
import { viewOf } from '../core/bytes.ts';
import { segmentCapacityBytes } from '../core/capacities.ts';
import { MAX_LOG_OFFSET, TIME_ENTRY_BYTES } from '../core/limits.ts';
import { OPTIONS } from '../core/options.ts';
import { positionOf } from '../core/position.ts';
import type { Generation } from '../format/controlEntries.ts';
import { SEQUENCE_ENTRY_BYTES, SEQUENCE_PAYLOAD_BYTES } from '../format/sessions.ts';
import { nextPointAt, pointAfterHead, pointHead } from './indexPoints.ts';
import { LogFold } from './logFold.ts';
import type { SessionAppend } from './logSessions.ts';
import { SIGNAL, SLOT, SLOT_IN_USE, WORD } from './map.ts';
import { noWalk, type WalkResult } from './memoryWords.ts';
import { noteOrdered, type Upload } from './orderedUploads.ts';
import { SlotRing } from './slotRing.ts';
import type { TailMemory } from './tailMemory.ts';

/**
 * What became of a batch: `ordered`, and {@link Tail.first} to {@link Tail.end} is its place; `full`: no slot is free until the disk
 * has caught up; `refused`: {@link Tail.badStatus} and {@link Tail.badAt} say why and where.
 */
export type AppendStatus = 'ordered' | 'full' | 'refused';

/** The same for a leader's batch; `misplaced`: it belongs to another segment than the one that is open, or that could be opened, here. */
export type ReplicatedStatus = AppendStatus | 'misplaced';

const NO_HEAD = KIND_DATA;
export class Tail {
  readonly #memory: TailMemory;
  readonly #view: DataView;
  readonly #ring: SlotRing;
  readonly #capacityBytes: number;
  readonly #timeEntryMs: number;
  readonly #walk: WalkResult = noWalk();
  /** The state of the log at its end. */
  readonly fold: LogFold;
  /** The entry of the log's own that goes before what is put at the end, in the same move of the tail: its kind, 0 for none, and its bytes. */
  #headKind = NO_HEAD;
  #headBytes = 0;
  /** The session's entry after that, with which the batch begins; 0: it is of no session. */
  #leadBytes = 0;
  /** Where the last move of the tail began: at {@link first}, or at an entry of the log's own before it. */
  from = 0;
  /** The last ordered batch: the offset of the first of its entries that came in, its end, and how many those are. */
  first = 0;
  end = 0;
  count = 0;
  /** The last refused batch: a WALK_* status (WALK_COMPLETE: only its count was wrong), and the byte at which the bad entry begins. */
  badStatus = 0;
  badAt = 0;
  /** WALK_NEWER_KIND, WALK_BAD_CONTROL: the bad entry's word of kind and size. */
  badKindSize = 0;

  /**
   * `openSegment` is told each slot that becomes the open one, so that it starts the slot's writer; `timeEntryMs` is how far time entries are apart,
   * at least.
   */
  constructor(memory: TailMemory, openSegment: (slot: number) => void, timeEntryMs: number = OPTIONS.timeEntryMs.default) {
    this.#timeEntryMs = timeEntryMs;
    this.#memory = memory;
    this.#view = viewOf(memory.bytes);
    this.fold = new LogFold(memory);
    this.#ring = new SlotRing(memory, openSegment);
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
   * from their client; `session`: the batch is one, and an append of that session, whose next one it is. `term` is the current one; times are Unix milliseconds.
   * The caller wakes the writer ({@link wake}) when it has ordered all that it has.
   */
  append(
    entries: Uint8Array,
    entryCount: number,
    term: number,
    maxPayloadBytes: number,
    nowMs: number,
    isOneBatch = false,
    upload?: Upload,
    session?: SessionAppend,
  ): AppendStatus {
    const tail = this.#memory.tail;
    assert(tail + entries.length <= MAX_LOG_OFFSET, 'the log ends at offset 2^53 - 1');
    const { timeMs } = this.fold;
    const leadBytes = session === undefined ? 0 : SEQUENCE_ENTRY_BYTES;
    const slot = this.#makeRoom(tail, leadBytes + entries.length, this.fold.isTimeDue(nowMs, this.#timeEntryMs));
    if (slot < 0) return 'full';
    this.#leadBytes = leadBytes;
    const { map, wasm } = this.#memory;
    const beforeBytes = this.#headBytes + leadBytes;
    const position = positionOf(tail, this.#memory.slotWord(slot, SLOT.BASE)) + beforeBytes;
    const at = map.slotAt(slot) + position;
    this.#memory.copyIn(entries, at);
    let headPoints = pointHead(this.#memory, slot, position - beforeBytes, this.#headBytes);
    if (session !== undefined) headPoints = pointAfterHead(this.#memory, slot, position - leadBytes, this.#headBytes, headPoints);
    const pointsAt = map.pointsAt(slot) + (this.#memory.pointCount(slot) + headPoints) * 4;
    const flags = isOneBatch || session !== undefined ? STAMP_ONE_BATCH : 0;
    const first = tail + beforeBytes;
    const status = wasm.stamp(at, entries.length, term, first, maxPayloadBytes, flags, position, pointsAt, map.tailResultAt);
    const { count, points, bytes, dataEnd } = this.#memory.readResult(map.tailResultAt, this.#walk);
    if (status !== WALK_COMPLETE || count !== entryCount) {
      return this.#refuse(status, bytes);
    }
    if (upload !== undefined) noteOrdered(this.#memory, first - leadBytes, first + entries.length, term, upload, leadBytes);
    this.#putHead(at - beforeBytes, term, tail, nowMs);
    if (session !== undefined) this.#putSession(at - leadBytes, term, first - leadBytes, session, entries.length);
    this.#publish(slot, tail, beforeBytes + entries.length, count, headPoints + points, beforeBytes + dataEnd, this.#timeOf(nowMs, timeMs));
    return 'ordered';
  }

  /** Writes the entry of `session` at address `at`, log offset `offset`: after the head, so that it is of the log's time there. The batch after it is right. */
  #putSession(at: number, term: number, offset: number, session: SessionAppend, bytes: number): void {
    this.fold.producers.putSequence(at + ENTRY_HEADER_BYTES, session, bytes, offset, this.fold.timeMs);
    this.#memory.wasm.stampOwn(at, term, KIND_SESSION | KIND_CONTINUED, SEQUENCE_PAYLOAD_BYTES, offset);
  }

  /**
   * Orders log bytes as a leader stamped them, all of them or none: `byteCount` bytes, in `chunks`, whole batches of entries that all have
   * `term`. `base` is where the segment that they belong to begins on the leader: segments are the same on all nodes. A `misplaced` batch
   * goes in once the segment before the tail is open again ({@link truncateLog} at the tail does it). A refused one leaves no trace. With
   * `begins` they begin a term: it says whether the entries that stand in memory between two addresses begin with the no-op of the term's leader.
   */
  appendReplicated(
    chunks: readonly Uint8Array[],
    byteCount: number,
    term: number,
    base: number,
    nowMs: number,
    begins?: (view: DataView, at: number, end: number) => boolean,
  ): ReplicatedStatus {
    return this.#place(chunks, byteCount, base, nowMs, (slot, at, tail) => {
      if (!this.#verify(slot, at, byteCount, term, tail, positionOf(tail, base))) return false;
      if (begins?.(this.#view, at, at + byteCount) === false) {
        this.#refuse(WALK_BAD_LEADER, 0);
        return false;
      }
      return this.#absorb(at, byteCount, tail, base);
    });
  }

  /** Folds the control entries of what stands at `at`, at the log's end; false, and nothing is folded, when a leader does not write such ones. */
  #absorb(at: number, byteCount: number, tail: number, base: number): boolean {
    const before = this.#memory.u32(this.#memory.map.tailResultAt + RESULT_CONTROL_AT);
    const isHead = tail === base;
    if (before === NO_CONTROL && !(isHead && this.fold.level > 0)) return true;
    const from = isHead ? 0 : before;
    const wrong = this.fold.firstWrong(at + from, byteCount - from, isHead);
    if (wrong >= 0) {
      // A payload that this build does not know is a newer one's; a state where none belongs, or none where one does, is nobody's.
      this.#refuse(this.fold.isKnown(at + from + wrong) ? WALK_BAD_CONTROL : WALK_NEWER_KIND, from + wrong);
      this.badKindSize = this.#memory.u32(at + this.badAt + ENTRY_KIND_SIZE_AT);
      return false;
    }
    const isKnown = this.fold.level > 0;
    this.fold.absorb(at + from, byteCount - from, tail + from);
    // A log that begins here knows no data before.
    if (!isKnown && this.fold.level > 0) this.#memory.setWord(WORD.DATA_END, this.fold.toldDataEnd);
    return true;
  }

  /**
   * Orders an upload: whole batches of entries as a client framed them, which are stamped here as the leader stamped its copy; `head`, which may have no bytes, is log
   * bytes before them, as the leader sent them. `isSame` then says whether all these bytes, of which there are `byteCount`, are the leader's; where not, they leave no
   * trace. See {@link appendReplicated}.
   */
  appendUpload(
    head: Uint8Array,
    chunks: readonly Uint8Array[],
    byteCount: number,
    term: number,
    base: number,
    nowMs: number,
    isSame: (stamped: Uint8Array) => boolean,
  ): ReplicatedStatus {
    const { map, wasm, bytes } = this.#memory;
    const headBytes = head.length;
    return this.#place(headBytes > 0 ? [head, ...chunks] : chunks, byteCount, base, nowMs, (slot, at, tail) => {
      const position = positionOf(tail, base);
      // A segment begins with what its leader says about the log.
      if (position === SEGMENT_HEADER_BYTES && this.fold.level > 0) {
        this.#refuse(WALK_BAD_CONTROL, 0);
        return false;
      }
      const pointsAt = nextPointAt(this.#memory, slot, position);
      const [from, first, flags] = [at + headBytes, tail + headBytes, headBytes > 0 ? STAMP_ONE_BATCH : 0];
      const status = wasm.stamp(
        from,
        byteCount - headBytes,
        term,
        first,
        MAX_PAYLOAD_BYTES,
        flags,
        position + headBytes,
        pointsAt,
        map.tailResultAt,
      );
      this.#memory.readResult(map.tailResultAt, this.#walk);
      if (status === WALK_COMPLETE && isSame(bytes.subarray(at, at + byteCount))) {
        // A head is folded, and all of it has its index points, as of what comes as bytes.
        return headBytes === 0 || (this.#verify(slot, at, byteCount, term, tail, position) && this.#absorb(at, byteCount, tail, base));
      }
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
    const { tail, openSlot: open } = memory;
    if (byteCount > this.#capacityBytes - (tail - base) || tail + byteCount > MAX_LOG_OFFSET) return this.#refuse(WALK_TOO_LARGE, 0);
    const rolls = open < 0 || memory.slotWord(open, SLOT.BASE) !== base;
    if (rolls && base !== tail) return 'misplaced';
    const slot = rolls ? this.#ring.takeNext(tail) : open;
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
    if (rolls) this.#ring.roll(slot, tail);
    const { count, points, dataEnd } = this.#walk;
    this.#headBytes = 0;
    this.#leadBytes = 0;
    this.#publish(slot, tail, byteCount, count, points, dataEnd, this.#timeOf(nowMs));
    return 'ordered';
  }

  /** Orders one entry of the log's own, such as the no-op that begins a term. */
  appendOwn(kind: number, payload: Uint8Array, term: number, nowMs: number): AppendStatus {
    const tail = this.#memory.tail;
    assert(kind !== KIND_DATA && kind !== KIND_STATE && kind !== KIND_TIME, 'data is what clients append, and heads are written here');
    const bytes = ENTRY_OVERHEAD_BYTES + payload.length;
    assert(tail + bytes <= MAX_LOG_OFFSET, 'the log ends at offset 2^53 - 1, and no term can begin there');
    const slot = this.#makeRoom(tail, bytes, false);
    if (slot < 0) return 'full';
    const { map, wasm } = this.#memory;
    const headBytes = this.#headBytes;
    const position = positionOf(tail, this.#memory.slotWord(slot, SLOT.BASE)) + headBytes;
    const at = map.slotAt(slot) + position;
    this.#memory.copyIn(payload, at + ENTRY_HEADER_BYTES);
    wasm.stampOwn(at, term, kind, payload.length, tail + headBytes);
    const headPoints = pointHead(this.#memory, slot, position - headBytes, headBytes);
    const points = pointAfterHead(this.#memory, slot, position, headBytes, headPoints);
    this.#putHead(at - headBytes, term, tail, nowMs);
    if (kind !== KIND_NOOP) this.fold.apply(at, tail + headBytes + bytes);
    this.#publish(slot, tail, headBytes + bytes, 1, points, 0, this.#timeOf(nowMs));
    return 'ordered';
  }

  /**
   * Raises the level of the log to what all nodes know, {@link LogFold.nextLevel}, which is committed: begins a segment with a state of that level, an entry
   * without another one after it. `generation` is that of a log of level 0 from then on.
   */
  beginLevel(generation: Generation, term: number, nowMs: number): AppendStatus {
    const memory = this.#memory;
    const { tail, openSlot: open } = memory;
    // A batch that was refused has begun it already.
    const isBegun = open >= 0 && memory.slotWord(open, SLOT.BASE) === tail;
    const slot = isBegun ? open : this.#ring.takeNext(tail);
    if (slot < 0) return 'full';
    this.fold.raise(generation);
    this.#chooseState();
    this.#leadBytes = 0;
    if (!isBegun) this.#ring.roll(slot, tail);
    const points = pointHead(memory, slot, SEGMENT_HEADER_BYTES, this.#headBytes);
    this.#putHead(memory.map.slotAt(slot) + SEGMENT_HEADER_BYTES, term, tail, nowMs);
    this.#publish(slot, tail, this.#headBytes, 0, points, 0, this.#timeOf(nowMs));
    return 'ordered';
  }

  /** The log's time, which was `before` without the head; of a log that has none, the clock's. */
  #timeOf(nowMs: number, before?: number): number {
    const timeMs = before === undefined || this.#headBytes > 0 ? this.fold.timeMs : before;
    return timeMs > 0 ? timeMs : nowMs;
  }

  /** Writes the head at address `at`, where log offset `tail` stands. What comes after it is right: it will be published. */
  #putHead(at: number, term: number, tail: number, nowMs: number): void {
    const kind = this.#headKind;
    if (kind === NO_HEAD) return;
    const payloadAt = at + ENTRY_HEADER_BYTES;
    const payloadBytes = kind === KIND_STATE ? this.fold.putState(payloadAt, nowMs) : this.fold.putTime(payloadAt, nowMs);
    assert(payloadBytes + ENTRY_OVERHEAD_BYTES === this.#headBytes, 'a head takes the room that was left for it');
    this.#memory.wasm.stampOwn(at, term, kind, payloadBytes, tail);
  }

  /** Lets the writers see what was ordered. */
  wake(): void {
    this.#memory.raise(SIGNAL.TAIL);
  }

  /** Walks what stands at `at`: whole batches of valid entries of `term` and no other, to the last byte. */
  #verify(slot: number, at: number, byteCount: number, term: number, tail: number, position: number): boolean {
    const { map, wasm } = this.#memory;
    const pointsAt = nextPointAt(this.#memory, slot, position);
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

  #refuse(status: number, at: number): 'refused' {
    this.badStatus = status;
    this.badAt = at;
    return 'refused';
  }

  /**
   * Makes `bytes` at the tail part of the log, its head and its session's entry among them; the last thing is that the tail moves. `count` entries are neither.
   * `dataEnd` counts from the tail; up to the end of these two there is no data.
   */
  #publish(slot: number, tail: number, bytes: number, count: number, points: number, dataEnd: number, timeMs: number): void {
    const memory = this.#memory;
    const beforeBytes = this.#headBytes + this.#leadBytes;
    const heads = (this.#headBytes > 0 ? 1 : 0) + (this.#leadBytes > 0 ? 1 : 0);
    memory.setPointCount(slot, memory.pointCount(slot) + points);
    memory.setSlotWord(slot, SLOT.ENTRIES, memory.slotWord(slot, SLOT.ENTRIES) + heads + count);
    if (memory.slotWord(slot, SLOT.FIRST_MS) === 0) memory.setSlotWord(slot, SLOT.FIRST_MS, timeMs);
    memory.setSlotWord(slot, SLOT.LAST_MS, timeMs);
    this.from = tail;
    this.first = tail + beforeBytes;
    this.end = tail + bytes;
    this.count = count;
    if (dataEnd > beforeBytes) memory.setWord(WORD.DATA_END, tail + dataEnd);
    memory.setWord(WORD.TAIL, this.end);
  }

  /**
   * The slot that `bytes` and the head before them fit into: the open one, or else the next one, which it rolls to. -1 when that one is not free.
   * A segment's head is the log's state; another one is the time, if `isTimeDue`. Logs of level 0 have none.
   */
  #makeRoom(tail: number, bytes: number, isTimeDue: boolean): number {
    const memory = this.#memory;
    this.#leadBytes = 0;
    const open = memory.openSlot;
    const base = open < 0 ? -1 : memory.slotWord(open, SLOT.BASE);
    if (tail === base) this.#chooseState();
    else this.#chooseHead(isTimeDue ? KIND_TIME : NO_HEAD, isTimeDue ? TIME_ENTRY_BYTES : 0);
    if (open >= 0 && tail - base + this.#headBytes + bytes <= this.#capacityBytes) return open;
    this.#chooseState();
    assert(this.#headBytes + bytes <= this.#capacityBytes, 'a batch fits into a segment');
    assert(tail + this.#headBytes + bytes <= MAX_LOG_OFFSET, 'the log ends at offset 2^53 - 1');
    const next = this.#ring.takeNext(tail);
    if (next >= 0) this.#ring.roll(next, tail);
    return next;
  }

  #chooseState(): void {
    if (this.fold.level > 0) this.#chooseHead(KIND_STATE, this.fold.stateEntryBytes);
    else this.#chooseHead(NO_HEAD, 0);
  }

  #chooseHead(kind: number, bytes: number): void {
    this.#headKind = kind;
    this.#headBytes = bytes;
  }
}
