// Brings a segment back into tail memory: reads its file into a slot, and verifies every entry.

import {
  ENTRY_KIND_SIZE_AT,
  RESULT_STATUS_AT,
  RESULT_STOPPED_AT,
  SCAN_ACTED_ON,
  SCAN_VERIFY,
  SCAN_WHOLE_BATCHES,
  SEGMENT_HEADER_BYTES,
  WALK_NEWER_KIND,
} from '../../assembly/layout.ts';
import { LogError } from '../core/errors.ts';
import type { EntryTerm } from '../core/ids.ts';
import { positionOf } from '../core/position.ts';
import { putBound, readBound } from '../format/commitBound.ts';
import { decodeSegmentHeader, encodeSegmentHeader, type SegmentHeader } from '../format/segmentHeader.ts';
import { newerKind } from '../format/version.ts';
import { LogFold } from '../memory/logFold.ts';
import { SLOT } from '../memory/map.ts';
import { noWalk } from '../memory/memoryWords.ts';
import type { StorageContext } from './context.ts';
import { DIRECT_BYTES, type Disk, type FileHandle, isUnreadable } from './disk.ts';
import { segmentName } from './names.ts';
import { isZero, ZERO_PIECE_BYTES } from './zeros.ts';

/** The error for bytes that are wrong or missing in a file. */
export function damage(path: string, position: number, sentence: string): LogError {
  return new LogError('DAMAGE', `${path} at byte ${position}: ${sentence}`, { file: path, position });
}

/** Zeros that are written at once. */
const ZEROS_BYTES = 1024 * 1024;

/** A segment that was read into a slot. Whoever loaded it closes `file`. */
export interface LoadedSegment {
  readonly path: string;
  readonly file: FileHandle;
  /** Log offset of the end of its whole batches of valid entries. */
  readonly end: number;
  /** Log offset of the first entry that is not valid; after `end` when that is inside a batch. */
  readonly invalidAt: number;
  readonly lastTerm: number;
  /** Log offset of the end of the last data entry, as far as the segment tells: it has some, or its state entry says what was before. */
  readonly dataEnd: number | undefined;
  readonly fileBytes: number;
  /** What of the file is not in the slot; undefined: all of it is. */
  readonly lost?: Lost | undefined;
}

/** What could not be read of a segment's file, or is no header. In the slot there are zeros, and the header that it should have. */
export interface Lost {
  /** Why, with file and position of the first of it. */
  readonly error: LogError;
  /** The file's header, if that is wrong: as it is. */
  readonly header: Uint8Array | undefined;
  /** File position after the last page that could not be read; 0: all could. */
  readonly end: number;
}

/** Bytes of a segment's file that are read at once. */
const READ_BYTES = 1024 * 1024;
/** A file of which more pages cannot be read is on a disk that fails: nothing is made of that. */
const MOST_LOST_PAGES = 256;

/** Pages of a file that cannot be read. */
class LostPages {
  count = 0;
  /** File position after the last one. */
  end = 0;
  error: LogError | undefined;

  /** Reads into `into`, a page at a time, with zeros for what cannot be read; returns how many bytes the file has there. */
  read(disk: Disk, file: FileHandle, into: Uint8Array, position: number): number {
    const bytes = Math.max(0, Math.min(into.length, disk.size(file) - position));
    for (let at = 0; at < bytes; at += DIRECT_BYTES) {
      const page = into.subarray(at, Math.min(bytes, at + DIRECT_BYTES));
      try {
        disk.read(file, page, position + at);
      } catch (thrown) {
        if (!isUnreadable(thrown) || this.count === MOST_LOST_PAGES) throw thrown;
        page.fill(0);
        this.count += 1;
        this.end = position + at + DIRECT_BYTES;
        this.error ??= thrown;
      }
    }
    return bytes;
  }
}

/**
 * Reads a file into the image of a slot, with zeros after its end, and returns how many bytes it has. Most of an open segment is zeros yet:
 * where the image has them already it is not touched, because memory that nobody writes to costs nothing. What cannot be read is zeros where `lost` is to
 * hear of it, and thrown otherwise.
 */
function readImage(disk: Disk, file: FileHandle, image: Uint8Array, lost: LostPages | undefined): number {
  const buffer = new Uint8Array(Math.min(READ_BYTES, image.length));
  let fileBytes = 0;
  for (let at = 0; at < image.length; at += buffer.length) {
    const into = image.subarray(at, at + buffer.length);
    const read = fileBytes === at ? readPiece(disk, file, buffer.subarray(0, into.length), at, lost) : 0;
    fileBytes += read;
    buffer.fill(0, read);
    for (let from = 0; from < into.length; from += ZERO_PIECE_BYTES) {
      const piece = buffer.subarray(from, Math.min(from + ZERO_PIECE_BYTES, into.length));
      if (!isZero(piece) || !isZero(into.subarray(from, from + piece.length))) into.set(piece, from);
    }
  }
  return fileBytes;
}

function readPiece(disk: Disk, file: FileHandle, into: Uint8Array, position: number, lost: LostPages | undefined): number {
  try {
    return disk.read(file, into, position);
  } catch (thrown) {
    if (lost === undefined || !isUnreadable(thrown)) throw thrown;
    return lost.read(disk, file, into, position);
  }
}

/**
 * Reads the segment at `base` into a slot, walks and verifies it, fills the slot's descriptor, and makes the state of the log that of its end: one
 * without entries leaves it as it is.
 * Terms must be at least that of `before`, the entry before it.
 * Throws a LogError `DAMAGE` when its header is not what it should be, `NEWER_FORMAT` at an entry on which this build does not act. `isLossy`: pages that
 * cannot be read, and a header that does not match its check, are {@link LoadedSegment.lost} instead.
 */
export function loadSegment(context: StorageContext, slot: number, base: number, before: EntryTerm, isLossy = false): LoadedSegment {
  const { disk, directory, memory } = context;
  const path = `${directory}/${segmentName(base)}`;
  const file = disk.openWrite(path);
  const { segmentBytes } = memory.map.shape;
  const image = memory.slotBytes(slot, 0, segmentBytes);
  if (disk.size(file) > segmentBytes) {
    // Seeing only a part of it, recovery would take the rest for lost.
    throw new LogError(
      'USAGE',
      `${path} has ${disk.size(file)} bytes, more than the ${segmentBytes} of a segment: start with larger segments`,
      {
        file: path,
      },
    );
  }
  const pages = isLossy ? new LostPages() : undefined;
  const fileBytes = readImage(disk, file, image, pages);
  const { createdMs, wrong } = headerOf(context, base, image, path, isLossy);
  const error = pages?.error ?? wrong;
  const lost = error && { error, header: wrong && image.slice(0, HEADER_BYTES), end: pages?.end ?? 0 };
  if (wrong !== undefined) image.set(newHeader(context, base, createdMs), 0);
  memory.prepareSlot(slot, base, before);
  memory.setSlotWord(slot, SLOT.FIRST_MS, createdMs);
  memory.setSlotWord(slot, SLOT.LAST_MS, createdMs);
  const walked = walkSegment(context, slot, path, fileBytes);
  return { path, file, fileBytes, ...walked, dataEnd: foldSegment(context, slot, path, walked.end), lost };
}

/** Of a header page, what its check covers, and the check. */
const HEADER_BYTES = 48;

/** When the segment at `base` was made, as its header says; or, with `isLossy`, why that says nothing. */
function headerOf(
  { identity, nowMs }: StorageContext,
  base: number,
  image: Uint8Array,
  path: string,
  isLossy: boolean,
): { readonly createdMs: number; readonly wrong: LogError | undefined } {
  let header: SegmentHeader;
  try {
    header = decodeSegmentHeader(image.slice(0, SEGMENT_HEADER_BYTES), path);
  } catch (thrown) {
    if (!isLossy || !(thrown instanceof LogError) || thrown.code !== 'DAMAGE') throw thrown;
    return { createdMs: Math.floor(nowMs()), wrong: thrown };
  }
  if (header.base !== base) throw damage(path, 0, `its header says base ${header.base}, its name ${base}`);
  if (header.clusterId !== identity.clusterId) throw damage(path, 0, `it belongs to another log (cluster ${header.clusterId})`);
  return { createdMs: header.createdMs, wrong: undefined };
}

function newHeader({ identity: { clusterId } }: StorageContext, base: number, createdMs: number): Uint8Array {
  return encodeSegmentHeader({ clusterId, base, createdMs }).subarray(0, HEADER_BYTES);
}

/** Walks and verifies the image in a slot of the segment that is to be at `path`, up to file position `fileBytes`, and fills the slot's descriptor. */
export function walkSegment(
  context: StorageContext,
  slot: number,
  path: string,
  fileBytes: number,
): Pick<LoadedSegment, 'end' | 'invalidAt' | 'lastTerm'> {
  const { memory } = context;
  const base = memory.slotWord(slot, SLOT.BASE);
  const before = memory.beforeSlot(slot);
  const result = memory.map.slotResultAt(slot);
  memory.wasm.index(
    memory.map.slotAt(slot) + SEGMENT_HEADER_BYTES,
    Math.max(0, fileBytes - SEGMENT_HEADER_BYTES),
    base,
    before.term,
    SCAN_VERIFY | SCAN_WHOLE_BATCHES | SCAN_ACTED_ON,
    SEGMENT_HEADER_BYTES,
    memory.map.pointsAt(slot),
    result,
  );
  const walk = memory.readResult(result, noWalk());
  const invalidAt = base + memory.u32(result + RESULT_STOPPED_AT);
  if (memory.u32(result + RESULT_STATUS_AT) === WALK_NEWER_KIND) {
    // A valid check is never a torn tail.
    throw newerEntry(context, slot, path, invalidAt);
  }
  memory.setPointCount(slot, walk.points);
  memory.setSlotWord(slot, SLOT.ENTRIES, walk.count);
  return { end: base + walk.bytes, invalidAt, lastTerm: walk.lastTerm };
}

/**
 * Makes the state of the log that after the entries of the segment in `slot` before log offset `end`; leaves it as it is where there are none. Returns where data ends, see
 * `LogFold.remake`.
 */
export function foldSegment(context: StorageContext, slot: number, path: string, end: number): number | undefined {
  const { memory } = context;
  const base = memory.slotWord(slot, SLOT.BASE);
  const bytes = end - base;
  if (bytes === 0) return undefined;
  const fold = new LogFold(memory);
  fold.reset();
  const wrong = fold.firstWrong(memory.map.slotAt(slot) + SEGMENT_HEADER_BYTES, bytes, true);
  if (wrong >= 0) throw newerEntry(context, slot, path, base + wrong);
  return fold.remake(slot, base + bytes);
}

/** The error for the valid control entry at log offset `offset`, in a segment that was loaded into `slot` from `path`: no build up to this one writes it. */
function newerEntry({ memory }: StorageContext, slot: number, path: string, offset: number): LogError {
  const position = positionOf(offset, memory.slotWord(slot, SLOT.BASE));
  const kindSize = memory.u32(memory.map.slotAt(slot) + position + ENTRY_KIND_SIZE_AT);
  return newerKind(`${path} at byte ${position}`, offset, kindSize, { file: path, position });
}

/**
 * Writes a segment's header page to its file, with a commit bound unless one as large is in it: also where it changes nothing, see
 * {@link rewrite}. It is durable after the next sync.
 */
export function saveBound({ disk, identity }: StorageContext, file: FileHandle, page: Uint8Array, bound: number): void {
  if (readBound(page, identity.markSeed) < bound) putBound(page, bound, identity.markSeed);
  disk.write(file, [page], 0);
}

/**
 * Writes file positions [from, to) of the slot's segment again, in whole pages. After a sync that failed, the system may show bytes that are
 * not on the disk, and take them for written: the next sync, also that of another process, then has nothing to do (Rebello et al., ATC 2020).
 */
export function rewrite({ disk, memory }: StorageContext, file: FileHandle, slot: number, from: number, to: number): void {
  const firstPage = from - (from % DIRECT_BYTES);
  if (from < to) disk.write(file, [memory.slotBytes(slot, firstPage, to)], firstPage);
}

/** As {@link rewrite}, of all pages that [from, to) touches: a page that cannot be read cannot be written in part either. */
export function rewritePages(context: StorageContext, file: FileHandle, slot: number, from: number, to: number): void {
  const { segmentBytes } = context.memory.map.shape;
  rewrite(context, file, slot, from, Math.min(segmentBytes, to + DIRECT_BYTES - 1 - ((to + DIRECT_BYTES - 1) % DIRECT_BYTES)));
}

/** Writes zeros to file positions [from, to). */
export function writeZeros({ disk }: StorageContext, file: FileHandle, from: number, to: number): void {
  const zeros = new Uint8Array(Math.min(ZEROS_BYTES, Math.max(0, to - from)));
  for (let at = from; at < to; at += zeros.length) disk.write(file, [zeros.subarray(0, to - at)], at);
}

/** The header page of the segment at `base`, as its file has it. */
export function readHeaderPage({ disk, directory }: StorageContext, base: number): Uint8Array {
  const page = new Uint8Array(SEGMENT_HEADER_BYTES);
  const file = disk.openRead(`${directory}/${segmentName(base)}`);
  disk.read(file, page, 0);
  disk.close(file);
  return page;
}
