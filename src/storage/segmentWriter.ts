// The writer of one open segment, from its file's first byte to its seal. The slot in tail memory is the file's image, and every write
// takes all that was ordered since the last one, which is group commit. Writes go past the page cache, straight from the
// slot: only the page that a write ends in is copied.
//
//   slot:   │ header │ entries … │ durable      ordered │ free            │
//   write:                       └─ entries ───────────┘└ mark ┘  one writev, one fdatasync, then DURABLE moves
//
// Now and then the commit bound goes into the header page with the same fdatasync: the marks have it too, but a torn write takes the mark
// before it with it.

import { SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { assert } from '../core/assert.ts';
import { MARK_BYTES } from '../core/capacities.ts';
import { LogError } from '../core/errors.ts';
import { BOUND_MS, MARK_IDLE_MS } from '../core/limits.ts';
import { positionOf } from '../core/position.ts';
import { putBound, readBound } from '../format/commitBound.ts';
import { encodeMark } from '../format/durableMark.ts';
import { encodeSegmentHeader } from '../format/segmentHeader.ts';
import { SLOT, STATE, TURN_BROKEN, TURN_KEPT, TURN_LENT, TURN_LENT_ASLEEP, TURN_TAKEN } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import { setTurn, takeTurn } from '../memory/turn.ts';
import type { SealedSegment, StorageContext } from './context.ts';
import { DIRECT_BYTES, type FileHandle } from './disk.ts';
import { segmentName } from './names.ts';
import { sealSegment } from './sealer.ts';

/** `bytes`, rounded up to whole pages. */
function pagesBytes(bytes: number): number {
  return Math.ceil(bytes / DIRECT_BYTES) * DIRECT_BYTES;
}

/**
 * End of what is durable in the segment of `slot`. A segment that is resumed may have been closed meanwhile, with nothing ordered in it: then
 * the next one needs no wait for this writer, and its own may have moved the durable end on.
 */
function durableIn(memory: TailMemory, slot: number): number {
  // The end is read before the close: it moves past this segment only after the close is visible.
  const { durable } = memory;
  const closedEnd = memory.slotWord(slot, SLOT.CLOSED_END);
  return closedEnd === 0 ? durable : Math.min(durable, closedEnd);
}

export class SegmentWriter {
  readonly #context: StorageContext;
  readonly #slot: number;
  readonly #base: number;
  readonly #file: FileHandle;
  readonly #mark = new Uint8Array(MARK_BYTES);
  /** End of what is durable in this segment. */
  #durable: number;
  /** Durable offset in the last mark that is on disk; below `#durable` while that mark is behind. */
  #marked: number;
  /** The commit bound that is durable in the header page, and when it was put there. */
  #bound: number;
  #boundMs = 0;
  /** What is written, and durable with the next sync: the end of the entries, and the commit bound; and when that began. */
  #written: number;
  #writtenBound: number;
  #startedMs = 0;
  /** Another thread may write in its place: {@link lend}. */
  #isLent = false;

  private constructor(context: StorageContext, slot: number, file: FileHandle) {
    const { memory, identity } = context;
    this.#context = context;
    this.#slot = slot;
    this.#base = memory.slotWord(slot, SLOT.BASE);
    this.#file = file;
    this.#durable = durableIn(memory, slot);
    this.#marked = this.#durable;
    this.#written = this.#durable;
    this.#bound = readBound(memory.slotBytes(slot, 0, SEGMENT_HEADER_BYTES), identity.markSeed);
    this.#writtenBound = this.#bound;
  }

  /**
   * Makes the segment of `slot` out of the file `spare` (a name in the data directory, zero-written or empty). Everything before the
   * segment must be durable: that a segment's name exists proves its predecessor whole (recovery relies on it), and a named segment
   * always has a durable header.
   */
  static create(context: StorageContext, slot: number, spare: string): SegmentWriter {
    const { disk, directory, identity, memory, nowMs } = context;
    const base = memory.slotWord(slot, SLOT.BASE);
    assert(memory.durable === base, 'a segment is made only when all before it is durable');
    const path = `${directory}/${spare}`;
    if (!disk.has(path)) disk.close(disk.create(path));
    const file = disk.openDirect(path);
    const header = memory.slotBytes(slot, 0, SEGMENT_HEADER_BYTES);
    header.set(encodeSegmentHeader({ clusterId: identity.clusterId, base, createdMs: Math.floor(nowMs()) }));
    // Once this segment is the last one, the bound is looked for here.
    putBound(header, memory.commitBound, identity.markSeed);
    disk.write(file, [header], 0);
    disk.dataSync(file);
    disk.rename(path, `${directory}/${segmentName(base)}`);
    disk.syncDirectory(directory);
    return new SegmentWriter(context, slot, file);
  }

  /** Goes on with the segment that recovery loaded into `slot`. */
  static resume(context: StorageContext, slot: number): SegmentWriter {
    const { disk, directory, memory } = context;
    const base = memory.slotWord(slot, SLOT.BASE);
    const file = disk.openDirect(`${directory}/${segmentName(base)}`);
    return new SegmentWriter(context, slot, file);
  }

  /** Goes on in another thread with the segment of `slot`, whose turn that has taken. */
  static second(context: StorageContext, slot: number): SegmentWriter {
    const { disk, directory, memory } = context;
    const file = memory.word32(memory.map.descriptorAt(slot) + SLOT.FILE);
    disk.adopt?.(file, `${directory}/${segmentName(memory.slotWord(slot, SLOT.BASE))}`);
    return new SegmentWriter(context, slot, file);
  }

  /** Whether it writes the segment that `slot` has now, to the file that is open for it now. */
  isOf(slot: number): boolean {
    const { memory } = this.#context;
    if (slot !== this.#slot || memory.slotWord(slot, SLOT.BASE) !== this.#base) return false;
    return memory.word32(memory.map.descriptorAt(slot) + SLOT.FILE) === this.#file;
  }

  /** The commit bound that is on disk, whatever becomes of writes to come. */
  get bound(): number {
    return this.#bound;
  }

  /** Whether the mark on disk is behind what is durable, or behind what is known to be committed of it. */
  get markIsBehind(): boolean {
    return this.#marked < this.#durable || this.#bound < this.#context.memory.commitBound;
  }

  /**
   * How long to wait for more, in milliseconds, before {@link putMark}; undefined: for ever. When the commit has not reached what is durable
   * yet, {@link TailMemory.committed} bumps SIGNAL.TAIL when it has.
   */
  rest(): number | undefined {
    if (this.markIsBehind) return MARK_IDLE_MS;
    if (this.#bound === this.#durable) return undefined;
    this.#context.memory.setWord32(STATE.BOUND_AWAITED, 1);
    return this.markIsBehind ? MARK_IDLE_MS : undefined;
  }

  /** Whether the segment is closed and all of it is durable, so that it can be sealed. */
  get isComplete(): boolean {
    const closedEnd = this.#context.memory.slotWord(this.#slot, SLOT.CLOSED_END);
    return closedEnd !== 0 && closedEnd === this.#durable;
  }

  /** Writes all that was ordered and is not durable yet. Returns whether there was anything: {@link sync} then makes it durable, and comes next. */
  write(): boolean {
    const { memory, nowMs } = this.#context;
    assert(this.#written === this.#durable, 'each write is synced before the next');
    // The tail is read before the close: it moves past this segment only after the close is visible.
    const tail = memory.tail;
    const end = memory.slotWord(this.#slot, SLOT.CLOSED_END) || tail;
    if (end === this.#durable) return false;
    assert(end > this.#durable, 'the log does not shrink under its writer');
    this.#startedMs = nowMs();
    const bound = memory.commitBound;
    const isBoundDue = bound > this.#bound && this.#startedMs - this.#boundMs >= BOUND_MS;
    if (isBoundDue) this.#writeBound(bound);
    this.#writtenBound = isBoundDue ? bound : this.#bound;
    this.#write(this.#filePosition(this.#durable), this.#filePosition(end), end);
    this.#written = end;
    return true;
  }

  /** Syncs what {@link write} wrote, then publishes it. */
  sync(): void {
    const { disk, memory, nowMs } = this.#context;
    const end = this.#written;
    const from = this.#filePosition(this.#durable);
    disk.dataSync(this.#file, from);
    if (this.#writtenBound > this.#bound) this.#boundMs = this.#startedMs;
    this.#bound = this.#writtenBound;
    memory.recordSync(Math.max(0, Math.round((nowMs() - this.#startedMs) * 1000)), this.#filePosition(end) - from);
    assert(memory.durable === this.#durable, 'only this writer moves the durable end');
    this.#marked = this.#durable;
    this.#durable = end;
    memory.publishDurable(end);
  }

  /**
   * Writes that everything up to now is durable, and how much of it is committed; {@link syncMark} makes it durable, and comes next. For quiet
   * moments: under load the next write carries the mark.
   */
  putMark(): void {
    const bound = this.#context.memory.commitBound;
    if (this.#bound < bound) this.#writeBound(bound);
    const position = this.#filePosition(this.#durable);
    if (this.#marked < this.#durable) this.#write(position, position, this.#durable);
    this.#writtenBound = Math.max(this.#bound, bound);
  }

  syncMark(): void {
    this.#context.disk.dataSync(this.#file);
    this.#bound = this.#writtenBound;
    this.#marked = this.#durable;
  }

  /** {@link putMark} and {@link syncMark}. */
  writeMark(): void {
    this.putMark();
    this.syncMark();
  }

  /** Seals the complete segment. The writer is done after it. */
  seal(): SealedSegment {
    assert(this.isComplete, 'only a complete segment is sealed');
    return sealSegment(this.#context, this.#slot, this.#durable, this.#file);
  }

  /** Ends the writer of a segment that stays open, with a mark that covers all of it. */
  close(): void {
    if (this.markIsBehind) this.writeMark();
    this.#context.disk.close(this.#file);
  }

  /** There is nothing to do now: another thread may write in this writer's place until it goes on ({@link goOn}), which it does after a time if `hasAlarm`. */
  lend(hasAlarm: boolean): void {
    this.saveTurn();
    this.#isLent = true;
    setTurn(this.#context.memory, this.#slot, hasAlarm ? TURN_LENT : TURN_LENT_ASLEEP);
  }

  /** Goes on after {@link lend}. False: another thread is writing, until {@link turnSignal} moves. Throws a LogError when its write has failed. */
  goOn(): boolean {
    if (!this.#isLent) return true;
    const turn = takeTurn(this.#context.memory, this.#slot, TURN_KEPT);
    if (turn === TURN_BROKEN) {
      const path = `${this.#context.directory}/${segmentName(this.#base)}`;
      throw new LogError('IO', `${path}: a write by another thread has failed, and nothing is written after it`, { file: path });
    }
    if (turn === TURN_TAKEN) return false;
    this.#isLent = false;
    this.loadTurn();
    return true;
  }

  /** Address of the wake-up word that moves when another thread gives the turn back. */
  get turnSignal(): number {
    return this.#context.memory.map.descriptorAt(this.#slot) + SLOT.TURN;
  }

  /** Leaves what a writer knows to whoever has the turn next. */
  saveTurn(): void {
    const { memory } = this.#context;
    assert(this.#written === this.#durable, 'a turn ends when what it wrote is durable');
    memory.setWord32(memory.map.descriptorAt(this.#slot) + SLOT.FILE, this.#file);
    memory.setSlotWord(this.#slot, SLOT.MARKED, this.#marked);
    memory.setSlotWord(this.#slot, SLOT.BOUND, this.#bound);
    memory.setSlotWord(this.#slot, SLOT.BOUND_MS, this.#boundMs);
  }

  /** Takes over what whoever had the turn last has left. */
  loadTurn(): void {
    const { memory } = this.#context;
    this.#durable = durableIn(memory, this.#slot);
    this.#written = this.#durable;
    this.#marked = memory.slotWord(this.#slot, SLOT.MARKED);
    this.#bound = memory.slotWord(this.#slot, SLOT.BOUND);
    this.#writtenBound = this.#bound;
    // Threads' clocks may differ: a time to come would put off the next bound until then.
    this.#boundMs = Math.min(memory.slotWord(this.#slot, SLOT.BOUND_MS), this.#context.nowMs());
  }

  #filePosition(offset: number): number {
    return positionOf(offset, this.#base);
  }

  /** Writes the header page with `bound`; all else in it is what stands there. */
  #writeBound(bound: number): void {
    const { disk, identity, memory } = this.#context;
    const page = memory.slotBytes(this.#slot, 0, SEGMENT_HEADER_BYTES);
    putBound(page, bound, identity.markSeed);
    disk.write(this.#file, [page], 0);
  }

  /**
   * Writes file positions [from, to) and a mark that names log offset `end` after them. Direct writes are whole pages: the first
   * one repeats what is already durable before `from`, byte for byte; the last one is composed apart, because in the slot the main
   * thread may be ordering further entries after `to`.
   */
  #write(from: number, to: number, end: number): void {
    const { disk, identity, memory } = this.#context;
    const firstPage = from - (from % DIRECT_BYTES);
    const lastPage = to - (to % DIRECT_BYTES);
    const at = memory.map.lastPagesAt(this.#slot);
    const lastPages = memory.bytes.subarray(at, at + pagesBytes(to - lastPage + MARK_BYTES));
    lastPages.fill(0);
    lastPages.set(memory.slotBytes(this.#slot, lastPage, to));
    const commit = Math.min(memory.commit, this.#durable);
    encodeMark(this.#mark, { durable: this.#durable, at: end, commit }, identity.markSeed);
    lastPages.set(this.#mark, to - lastPage);
    const whole = memory.slotBytes(this.#slot, firstPage, lastPage);
    disk.write(this.#file, whole.length === 0 ? [lastPages] : [whole, lastPages], firstPage);
  }
}
