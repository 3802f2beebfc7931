// Reads of sealed segments that are no longer in tail memory. What is read is verified here too, so that damage on this node's disk
// is named and never served.

import {
  ENTRY_KIND_SIZE_AT,
  ENTRY_OVERHEAD_BYTES,
  RESULT_STOPPED_AT,
  SCAN_FIRST_ALWAYS,
  SCAN_VERIFY,
  SCAN_WHOLE_BATCHES,
  SEGMENT_HEADER_BYTES,
  WALK_COMPLETE,
  WALK_INSIDE_BATCH,
  WALK_TRUNCATED,
} from '../../assembly/layout.ts';
import { viewOf } from '../core/bytes.ts';
import { isOutOfDescriptors } from '../core/descriptors.ts';
import { LogError } from '../core/errors.ts';
import { offsetOf, positionOf } from '../core/position.ts';
import type { TrimEntry } from '../format/controlEntries.ts';
import { entryBytesOf } from '../format/entry.ts';
import { decodeSegmentIndex } from '../format/segmentIndex.ts';
import { batchBefore } from '../memory/batchBefore.ts';
import { STATE } from '../memory/map.ts';
import { noWalk } from '../memory/memoryWords.ts';
import { lastAtOrBefore, type TailMemory } from '../memory/tailMemory.ts';
import { timeBefore } from '../memory/timeBefore.ts';
import { type Disk, type FileHandle, readFile } from './disk.ts';
import { indexName, segmentName } from './names.ts';

/** A read inside one sealed segment. Offsets are log bytes. */
export interface ColdRange {
  readonly base: number;
  /** Where to read from, in [base, limit). */
  readonly from: number;
  /** Whether `from` is known to be an entry boundary. */
  readonly isBoundary: boolean;
  /** Nothing at or past this offset may be read: the segment's end or the commit, whichever is less. */
  readonly limit: number;
  /** Most bytes to return, unless the first entry (or batch) alone is larger. */
  readonly maxBytes: number;
  /** Return whole batches, as other nodes need them; `from` and `limit` are then ends of batches. */
  readonly wholeBatches?: boolean;
}

interface OpenSegment {
  readonly path: string;
  readonly file: FileHandle;
  /** Loaded when a boundary must be checked. */
  points?: Uint32Array;
}

const OPEN_SEGMENTS = 8;

/** What a walk over bytes in a buffer found; `stopped`: where it met what ended it. */
interface Scan {
  readonly status: number;
  readonly bytes: number;
  readonly dataEnd: number;
  readonly stopped: number;
}

export class SegmentReader {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #memory: TailMemory;
  /** By base, least recently used first. */
  readonly #open = new Map<number, OpenSegment>();
  /** Truncations when the first of them was opened: after another one, a file may be gone, and its name stand for a new one. */
  #truncations = 0;

  constructor(disk: Disk, directory: string, memory: TailMemory) {
    this.#disk = disk;
    this.#directory = directory;
    this.#memory = memory;
  }

  /**
   * Reads whole, verified entries into cold buffer `buffer`, and returns how many bytes of them stand there. Throws a LogError
   * `OFFSET_NOT_BOUNDARY`, or `DAMAGE` with file and position.
   */
  read(range: ColdRange, buffer: number): number {
    const segment = this.#segment(range.base);
    if (!range.isBoundary) this.#checkBoundary(segment, range, buffer);
    return this.#readEntries(segment, range, buffer);
  }

  /** Where a trim to `offset`, which the segment at `base` holds or ends at, begins the log: see {@link batchBefore}. Throws a LogError `DAMAGE`. */
  batchBefore(base: number, offset: number, buffer: number): TrimEntry {
    const segment = this.#segment(base);
    const { map, bytes } = this.#memory;
    return batchBefore(this.#points(segment, base), base, offset, viewOf(bytes), (from, to, wholeBatches) => {
      const { bytes: whole, dataEnd } = this.#verified(segment, base, from, to, wholeBatches ? SCAN_WHOLE_BATCHES : 0, buffer);
      return { at: map.coldAt(buffer), bytes: whole, dataEnd };
    });
  }

  /** The log's time, Unix ms, before `offset`, which the segment at `base` holds or ends at; 0: it says none. Throws a LogError `DAMAGE`. */
  timeBefore(base: number, offset: number, buffer: number): number {
    const segment = this.#segment(base);
    const { map, bytes } = this.#memory;
    const points = this.#points(segment, base);
    return timeBefore(points, positionOf(offset, base), Number.POSITIVE_INFINITY, viewOf(bytes), (from, to) => ({
      at: map.coldAt(buffer),
      bytes: this.#verified(segment, base, from, to, 0, buffer).bytes,
    })).timeMs;
  }

  /** Reads the entries in file positions [from, to), where one begins at `from`, and verifies those that are whole. */
  #verified(segment: OpenSegment, base: number, from: number, to: number, flags: number, buffer: number): Scan {
    const length = this.#fill(segment, from, Math.min(to - from, this.#memory.map.coldBytes), buffer);
    const scan = this.#scan(offsetOf(from, base), length, length, SCAN_VERIFY | flags, buffer);
    if ([WALK_COMPLETE, WALK_TRUNCATED, WALK_INSIDE_BATCH].includes(scan.status)) return scan;
    throw this.#damage(segment, from + scan.stopped, offsetOf(from + scan.stopped, base));
  }

  /** Closes all files. */
  close(): void {
    for (const { file } of this.#open.values()) this.#disk.close(file);
    this.#open.clear();
  }

  #damage(segment: OpenSegment, position: number, offset: number): LogError {
    return new LogError('DAMAGE', `${segment.path} at byte ${position}: the entry at log offset ${offset} is not valid`, {
      file: segment.path,
      position,
      offset,
    });
  }

  #segment(base: number): OpenSegment {
    const truncations = this.#memory.word32(STATE.TRUNCATIONS);
    if (truncations !== this.#truncations) this.close();
    this.#truncations = truncations;
    let segment = this.#open.get(base);
    if (segment === undefined) {
      const path = `${this.#directory}/${segmentName(base)}`;
      segment = { path, file: this.#openFile(path) };
      for (const oldest of this.#open.keys()) {
        if (this.#open.size < OPEN_SEGMENTS) break;
        this.#closeOne(oldest);
      }
    }
    this.#open.delete(base);
    this.#open.set(base, segment);
    return segment;
  }

  /** Opens a file; where no descriptor is free, with one of those that this reader holds. */
  #openFile(path: string): FileHandle {
    for (;;) {
      try {
        return this.#disk.openRead(path);
      } catch (thrown) {
        const [oldest] = this.#open.keys();
        if (oldest === undefined || !(thrown instanceof LogError) || !isOutOfDescriptors(thrown.details.errno)) throw thrown;
        this.#closeOne(oldest);
      }
    }
  }

  #closeOne(base: number): void {
    const segment = this.#open.get(base);
    this.#open.delete(base);
    if (segment !== undefined) this.#disk.close(segment.file);
  }

  #scan(offset: number, length: number, limit: number, flags: number, buffer: number): Scan {
    const { map, wasm } = this.#memory;
    const result = map.coldResultAt(buffer);
    const status = wasm.clip(map.coldAt(buffer), length, offset, limit, flags, result);
    const { bytes, dataEnd } = this.#memory.readResult(result, noWalk());
    return { status, bytes, dataEnd, stopped: this.#memory.u32(result + RESULT_STOPPED_AT) };
  }

  #fill(segment: OpenSegment, position: number, length: number, buffer: number): number {
    const at = this.#memory.map.coldAt(buffer);
    return this.#disk.read(segment.file, this.#memory.bytes.subarray(at, at + length), position);
  }

  /** Reads whole, valid entries from the boundary `range.from`, at least one; or batches. */
  #readEntries(segment: OpenSegment, range: ColdRange, buffer: number): number {
    const most = range.limit - range.from;
    // At least a header's worth, to learn how large the first entry is.
    let want = Math.min(Math.max(range.maxBytes, ENTRY_OVERHEAD_BYTES), most);
    let bytes = this.#readVerified(segment, range, want, buffer);
    while (bytes === 0) {
      // The first entry, or batch, is larger than asked for.
      const more = range.wholeBatches === true ? Math.min(4 * want, most, this.#memory.map.coldBytes) : this.#firstBytes(buffer);
      if (more <= want || more > most) throw this.#damage(segment, filePosition(range, range.from), range.from);
      want = more;
      bytes = this.#readVerified(segment, range, want, buffer);
    }
    return bytes;
  }

  /** What the entry whose header is in the buffer says of its size. */
  #firstBytes(buffer: number): number {
    return entryBytesOf(this.#memory.u32(this.#memory.map.coldAt(buffer) + ENTRY_KIND_SIZE_AT));
  }

  /** Bytes of the whole, valid entries (or batches) among the next `want`; 0 when the first one does not end within them. */
  #readVerified(segment: OpenSegment, range: ColdRange, want: number, buffer: number): number {
    const position = filePosition(range, range.from);
    const length = this.#fill(segment, position, Math.min(want, this.#memory.map.coldBytes), buffer);
    const flags = SCAN_VERIFY | SCAN_FIRST_ALWAYS | (range.wholeBatches === true ? SCAN_WHOLE_BATCHES : 0);
    const { status, bytes, stopped } = this.#scan(range.from, length, Math.min(want, range.maxBytes), flags, buffer);
    if (bytes === 0 && status !== WALK_TRUNCATED && status !== WALK_INSIDE_BATCH) {
      throw this.#damage(segment, position + stopped, range.from + stopped);
    }
    return bytes;
  }

  /** Walks from the index point before `range.from` to it, in pieces that the buffer can hold. */
  #checkBoundary(segment: OpenSegment, range: ColdRange, buffer: number): void {
    const position = filePosition(range, range.from);
    let at = lastAtOrBefore(this.#points(segment, range.base), position);
    while (at < position) {
      const length = this.#fill(segment, at, Math.min(position - at, this.#memory.map.coldBytes), buffer);
      const offset = range.from - (position - at);
      const { bytes } = this.#scan(offset, length, length, 0, buffer);
      if (bytes === 0 || (at + bytes < position && length === position - at)) {
        this.#refuseBoundary(segment, range, offset, length, buffer);
      }
      at += bytes;
    }
  }

  /** Either `range.from` is inside the entry at which the walk ended, or that entry is damaged and its size was a lie. */
  #refuseBoundary(segment: OpenSegment, range: ColdRange, offset: number, length: number, buffer: number): never {
    const { bytes } = this.#scan(offset, length, length, SCAN_VERIFY, buffer);
    this.#readEntries(segment, { ...range, from: offset + bytes, maxBytes: 0 }, buffer);
    throw notBoundary(range.from, offset + bytes);
  }

  #points(segment: OpenSegment, base: number): Uint32Array {
    if (segment.points !== undefined) return segment.points;
    // A truncation that opens the segment again takes its index first; then the walk begins at the first entry.
    const path = `${this.#directory}/${indexName(base)}`;
    if (!this.#disk.has(path)) return Uint32Array.of(SEGMENT_HEADER_BYTES);
    segment.points = decodeSegmentIndex(readFile(this.#disk, path), path).points;
    return segment.points;
  }
}

/** Where the log offset stands in the segment's file. */
function filePosition(range: ColdRange, offset: number): number {
  return positionOf(offset, range.base);
}

/** The error for an offset inside the entry that begins at `beginning`. */
export function notBoundary(offset: number, beginning: number): LogError {
  const sentence = `offset ${offset} is inside the entry that begins at ${beginning}: read from an offset that LogLog returned, or from the start`;
  return new LogError('OFFSET_NOT_BOUNDARY', sentence, { offset, beginning });
}
