// The writer of one open segment, from its file's first byte to its seal. The slot in tail memory is the file's image, and every write
// takes all that was ordered since the last one, so that group commit comes by itself. Writes go past the page cache, straight from the
// slot: only the page that a write ends in is copied.
//
//   slot:   │ header │ entries … │ durable      ordered │ free            │
//   write:                       └─ entries ───────────┘└ mark ┘  one writev, one fdatasync, then DURABLE moves

import { SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { assert } from '../core/assert.ts';
import { MARK_BYTES } from '../core/config.ts';
import { positionOf } from '../core/position.ts';
import { encodeMark } from '../format/durableMark.ts';
import { encodeSegmentHeader } from '../format/segmentHeader.ts';
import { SLOT } from '../memory/map.ts';
import type { SealedSegment, StorageContext } from './context.ts';
import { DIRECT_BYTES, type FileHandle } from './disk.ts';
import { segmentName } from './names.ts';
import { sealSegment } from './sealer.ts';

/** `bytes`, rounded up to whole pages. */
function pagesBytes(bytes: number): number {
  return Math.ceil(bytes / DIRECT_BYTES) * DIRECT_BYTES;
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

  private constructor(context: StorageContext, slot: number, file: FileHandle, durable: number, marked: number) {
    this.#context = context;
    this.#slot = slot;
    this.#base = context.memory.slotWord(slot, SLOT.BASE);
    this.#file = file;
    this.#durable = durable;
    this.#marked = marked;
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
    if (!disk.list(directory).includes(spare)) disk.close(disk.create(path));
    const file = disk.openDirect(path);
    const header = memory.slotBytes(slot, 0, SEGMENT_HEADER_BYTES);
    header.set(encodeSegmentHeader({ clusterId: identity.clusterId, base, createdMs: Math.floor(nowMs()) }));
    disk.write(file, [header], 0);
    disk.dataSync(file);
    disk.rename(path, `${directory}/${segmentName(base)}`);
    disk.syncDirectory(directory);
    return new SegmentWriter(context, slot, file, base, base);
  }

  /** Goes on with the segment that recovery loaded into `slot`. */
  static resume(context: StorageContext, slot: number): SegmentWriter {
    const { disk, directory, memory } = context;
    const base = memory.slotWord(slot, SLOT.BASE);
    const file = disk.openDirect(`${directory}/${segmentName(base)}`);
    return new SegmentWriter(context, slot, file, memory.durable, memory.durable);
  }

  /** Whether the last mark on disk is behind what is durable. */
  get markIsBehind(): boolean {
    return this.#marked < this.#durable;
  }

  /** Whether the segment is closed and all of it is durable, so that it can be sealed. */
  get isComplete(): boolean {
    const closedEnd = this.#context.memory.slotWord(this.#slot, SLOT.CLOSED_END);
    return closedEnd !== 0 && closedEnd === this.#durable;
  }

  /** Writes and syncs all that was ordered and is not durable yet, then publishes it. Returns whether there was anything. */
  step(): boolean {
    const { disk, memory, nowMs } = this.#context;
    // The tail is read before the close: it moves past this segment only after the close is visible.
    const tail = memory.tail;
    const end = memory.slotWord(this.#slot, SLOT.CLOSED_END) || tail;
    if (end === this.#durable) return false;
    assert(end > this.#durable, 'the log does not shrink under its writer');
    const from = this.#filePosition(this.#durable);
    const to = this.#filePosition(end);
    const startedMs = nowMs();
    this.#write(from, to, end);
    disk.dataSync(this.#file, from);
    memory.recordSync(Math.max(0, Math.round((nowMs() - startedMs) * 1000)), to - from);
    assert(memory.durable === this.#durable, 'only this writer moves the durable end');
    this.#marked = this.#durable;
    this.#durable = end;
    memory.publishDurable(end);
    return true;
  }

  /** Records on disk that everything up to now is durable. For quiet moments: under load the next write carries the mark. */
  writeMark(): void {
    const position = this.#filePosition(this.#durable);
    this.#write(position, position, this.#durable);
    this.#context.disk.dataSync(this.#file);
    this.#marked = this.#durable;
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

  #filePosition(offset: number): number {
    return positionOf(offset, this.#base);
  }

  /**
   * Writes file positions [from, to) and a mark that stands at log offset `end` behind them. Direct writes are whole pages: the first
   * one repeats what is already durable before `from`, byte for byte; the last one is composed apart, because in the slot the main
   * thread may be ordering further entries behind `to`.
   */
  #write(from: number, to: number, end: number): void {
    const { disk, identity, memory } = this.#context;
    const firstPage = from - (from % DIRECT_BYTES);
    const lastPage = to - (to % DIRECT_BYTES);
    const at = memory.map.lastPagesAt(this.#slot);
    const lastPages = memory.bytes.subarray(at, at + pagesBytes(to - lastPage + MARK_BYTES));
    lastPages.fill(0);
    lastPages.set(memory.slotBytes(this.#slot, lastPage, to));
    const lastMs = memory.slotWord(this.#slot, SLOT.LAST_MS);
    encodeMark(this.#mark, { durable: this.#durable, at: end, lastMs }, identity.markSeed);
    lastPages.set(this.#mark, to - lastPage);
    const whole = memory.slotBytes(this.#slot, firstPage, lastPage);
    disk.write(this.#file, whole.length === 0 ? [lastPages] : [whole, lastPages], firstPage);
  }
}
