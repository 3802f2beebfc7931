// Looks through one sealed segment, piece by piece and past the page cache: whether its file can be read, and all of it is what was written. What
// this node's own memory remembers of the file says nothing about the disk, and a node that reads all its bytes must not push out what others read.
//
//   file:    header page │ entry │ entry │ entr…            a piece begins in the page of the first entry that was not walked yet
//   window:                      │ page… │ …y │ entry │ e…   and ends at the end of a page: so direct reads can fill it
//
// Nothing is kept between two pieces but where the next one begins, the last term and the state of the hash; the window is one of the shared
// memory's, and one examination at a time has it. So all of a thread's examinations run on one thread, and each piece is one task.

import { createHash, type Hash } from 'node:crypto';
import {
  ENTRY_HEADER_BYTES,
  ENTRY_KIND_SIZE_AT,
  KIND_STATE,
  SEGMENT_HEADER_BYTES,
  WALK_COMPLETE,
  WALK_TRUNCATED,
} from '../../assembly/layout.ts';
import { assert } from '../core/assert.ts';
import { viewOf } from '../core/bytes.ts';
import { LogError } from '../core/errors.ts';
import { offsetOf, positionOf } from '../core/position.ts';
import type { Seal } from '../format/controlEntries.ts';
import { entryBytesOf, kindOf, kindSizeAt, payloadBytesOf } from '../format/entry.ts';
import { decodeSegmentHeader } from '../format/segmentHeader.ts';
import type { SegmentIndex } from '../format/segmentIndex.ts';
import { readState } from '../format/stateEntry.ts';
import { noWalk } from '../memory/memoryWords.ts';
import type { StorageContext } from './context.ts';
import { DIRECT_BYTES, type FileHandle, isUnreadable } from './disk.ts';
import { indexName, segmentName } from './names.ts';
import { validIndex } from './recovery.ts';

/** Whose examination a piece is of: each purpose has one at a time. */
export type ExaminePurpose = 'scrub' | 'seal' | 'heal';

/** One piece of a sealed segment, [base, end) in log offsets. */
export interface ExamineRequest {
  readonly purpose: ExaminePurpose;
  readonly base: number;
  readonly end: number;
  /** `base` begins an examination; else the `next` of the piece before. */
  readonly from: number;
  /** Bytes of the file to read at most, unless one entry alone is larger. 0: nothing is read, but its thread stays. */
  readonly maxBytes: number;
}

/**
 * Why a segment is damaged: no such file; a read that fails; a file that is too short or too long; the header page; an entry; or only the index
 * file beside it, which can be made again.
 */
export type DamageReason = 'missing' | 'unreadable' | 'length' | 'header' | 'entry' | 'index';

export interface SegmentDamage {
  readonly outcome: 'damaged';
  readonly reason: DamageReason;
  /** Log offset of the first byte that is not right, in [base, end]. */
  readonly offset: number;
  /** The same as a position in the file. */
  readonly position: number;
  /** Begins with the file and the byte. */
  readonly sentence: string;
  readonly readBytes: number;
}

export type Examined =
  | { readonly outcome: 'goes on'; readonly next: number; readonly readBytes: number }
  /** All of it is right; `sha256` is that of its entries [base, end), 64 hexadecimal digits; `lastSeal` is the last one in the log before it, by the state that it begins with. */
  | { readonly outcome: 'whole'; readonly sha256: string; readonly lastSeal?: Seal | undefined; readonly readBytes: number }
  | SegmentDamage
  /** The thread that had begun it has ended meanwhile: it is to begin anew. */
  | { readonly outcome: 'lost'; readonly readBytes: 0 };

/** What is found of a segment that is right. */
export type WholeSegment = Extract<Examined, { readonly outcome: 'whole' }>;

interface Examination {
  readonly base: number;
  readonly end: number;
  readonly path: string;
  readonly file: FileHandle;
  readonly hash: Hash;
  next: number;
  lastTerm: number;
  lastSeal: Seal | undefined;
}

/** Whether `thrown` says that the segment which was to be read is damaged on this disk: others can be read. */
export function isDamage(thrown: unknown): thrown is LogError {
  return thrown instanceof LogError && (thrown.code === 'DAMAGE' || isMissing(thrown) || isUnreadable(thrown));
}

function isMissing(thrown: unknown): boolean {
  return thrown instanceof LogError && thrown.details.errno === 'ENOENT';
}

function pagesOf(bytes: number): number {
  return Math.ceil(bytes / DIRECT_BYTES) * DIRECT_BYTES;
}

/** What ends an examination. */
class Found extends Error {
  readonly reason: DamageReason;
  readonly position: number;

  constructor(reason: DamageReason, position: number, sentence: string) {
    super(sentence);
    this.reason = reason;
    this.position = position;
  }
}

export class Examiner {
  readonly #context: StorageContext;
  readonly #running = new Map<ExaminePurpose, Examination>();
  /** Bytes that the piece has read so far. */
  #readBytes = 0;

  constructor(context: StorageContext) {
    this.#context = context;
  }

  /** Examines one piece. Throws a LogError `IO` for what says nothing about the segment, such as no descriptor: it may be asked again. */
  examine(request: ExamineRequest): Examined {
    const { purpose, base, end, from, maxBytes } = request;
    const path = `${this.#context.directory}/${segmentName(base)}`;
    this.#readBytes = 0;
    try {
      const examination = from === base ? this.#begin(purpose, path, base, end) : this.#running.get(purpose);
      if (examination === undefined || examination.base !== base || examination.end !== end || examination.next !== from) {
        this.#end(purpose);
        return { outcome: 'lost', readBytes: 0 };
      }
      if (maxBytes > 0) this.#piece(examination, maxBytes);
      if (examination.next < end) return { outcome: 'goes on', next: examination.next, readBytes: this.#readBytes };
      this.#checkIndex(base, end);
      this.#end(purpose);
      const { hash, lastSeal } = examination;
      return { outcome: 'whole', sha256: hash.digest('hex'), lastSeal, readBytes: this.#readBytes };
    } catch (thrown) {
      this.#end(purpose);
      if (!(thrown instanceof Found)) throw thrown;
      const { reason, position } = thrown;
      const file = reason === 'index' ? `${this.#context.directory}/${indexName(base)}` : path;
      const offset = Math.max(base, Math.min(end, offsetOf(position, base)));
      const sentence = `${file} at byte ${reason === 'index' ? 0 : position}: ${thrown.message}`;
      return { outcome: 'damaged', reason, offset, position, sentence, readBytes: this.#readBytes };
    }
  }

  /** Lets go of all files. */
  close(): void {
    for (const purpose of [...this.#running.keys()]) this.#end(purpose);
  }

  #end(purpose: ExaminePurpose): void {
    const examination = this.#running.get(purpose);
    this.#running.delete(purpose);
    if (examination !== undefined) this.#context.disk.close(examination.file);
  }

  #begin(purpose: ExaminePurpose, path: string, base: number, end: number): Examination {
    assert(base < end, 'a sealed segment has an entry');
    this.#end(purpose);
    const file = this.#open(path);
    const examination: Examination = { base, end, path, file, hash: createHash('sha256'), next: base, lastTerm: 0, lastSeal: undefined };
    this.#running.set(purpose, examination);
    const expected = positionOf(end, base);
    const bytes = this.#context.disk.size(file);
    if (bytes !== expected) throw new Found('length', Math.min(bytes, expected), `a sealed segment of ${expected} bytes has ${bytes}`);
    this.#checkHeader(examination);
    return examination;
  }

  #open(path: string): FileHandle {
    try {
      return this.#context.disk.openDirectRead(path);
    } catch (thrown) {
      if (isMissing(thrown)) throw new Found('missing', 0, 'this segment is missing');
      if (isUnreadable(thrown)) throw new Found('unreadable', 0, thrown.message);
      throw thrown;
    }
  }

  #checkHeader({ file, path, base }: Examination): void {
    const { memory, identity } = this.#context;
    this.#fill(file, 0, SEGMENT_HEADER_BYTES);
    const at = memory.map.coldAt(memory.map.workBuffer);
    try {
      const header = decodeSegmentHeader(memory.bytes.slice(at, at + SEGMENT_HEADER_BYTES), path);
      if (header.base !== base) throw new Found('header', 24, `its header says base ${header.base}, its name ${base}`);
      if (header.clusterId !== identity.clusterId) throw new Found('header', 8, `it belongs to another log (cluster ${header.clusterId})`);
    } catch (thrown) {
      // A format of another version, too: it was one of ours when this node started.
      if (thrown instanceof LogError)
        throw new Found('header', 0, thrown.message.replace(`${path} at byte 0: `, '').replace(`${path}: `, ''));
      throw thrown;
    }
  }

  /** Walks at least one entry more. */
  #piece(examination: Examination, maxBytes: number): void {
    const { memory } = this.#context;
    const { file, base, end } = examination;
    const position = positionOf(examination.next, base);
    const left = positionOf(end, base) - position;
    const before = position % DIRECT_BYTES;
    const windowAt = memory.map.coldAt(memory.map.workBuffer);
    let want = Math.min(left, Math.max(maxBytes - before, ENTRY_HEADER_BYTES));
    for (;;) {
      const length = Math.min(left, pagesOf(before + want) - before, memory.map.coldBytes - before);
      this.#fill(file, position - before, before + length);
      const bytes = this.#walk(examination, windowAt + before, length);
      if (bytes > 0) {
        examination.hash.update(memory.bytes.subarray(windowAt + before, windowAt + before + bytes));
        if (examination.next === base) examination.lastSeal = this.#sealBefore(windowAt + before);
        examination.next += bytes;
        return;
      }
      // The first entry is larger than the piece.
      const whole = entryBytesOf(memory.u32(windowAt + before + ENTRY_KIND_SIZE_AT));
      if (whole <= length || whole > left)
        throw new Found('entry', position, `the entry at log offset ${examination.next} is cut off by the end of the file`);
      want = whole;
    }
  }

  /** The last seal that the state of the log has which stands in the window at `at`; undefined: that is another entry, or the log has sealed nothing. */
  #sealBefore(at: number): Seal | undefined {
    const view = viewOf(this.#context.memory.bytes);
    const kindSize = kindSizeAt(view, at);
    const state = kindOf(kindSize) === KIND_STATE ? readState(view, at + ENTRY_HEADER_BYTES, payloadBytesOf(kindSize)) : undefined;
    return state !== undefined && state.seal.end > 0 ? state.seal : undefined;
  }

  /** Verifies the entries in the window; returns the bytes of those that are whole. */
  #walk(examination: Examination, at: number, length: number): number {
    const { memory } = this.#context;
    const result = memory.map.coldResultAt(memory.map.workBuffer);
    const status = memory.wasm.verify(at, length, examination.next, examination.lastTerm, result);
    const { bytes, lastTerm } = memory.readResult(result, noWalk());
    if (status !== WALK_COMPLETE && status !== WALK_TRUNCATED) {
      const offset = examination.next + bytes;
      throw new Found('entry', positionOf(offset, examination.base), `the entry at log offset ${offset} is not valid`);
    }
    examination.lastTerm = lastTerm;
    return bytes;
  }

  /** Reads file positions [position, position + bytes) into the window; whole pages, as far as the file has them. */
  #fill(file: FileHandle, position: number, bytes: number): void {
    try {
      this.#readPages(file, position, bytes);
    } catch (thrown) {
      if (!isUnreadable(thrown)) throw thrown;
      // Which page it is, and whether a second try brings all of it.
      for (let at = 0; at < bytes; at += DIRECT_BYTES) this.#readPage(file, position + at, Math.min(DIRECT_BYTES, bytes - at), at);
    }
  }

  #readPages(file: FileHandle, position: number, bytes: number, into = 0): void {
    const { memory, disk } = this.#context;
    const at = memory.map.coldAt(memory.map.workBuffer) + into;
    const read = disk.read(file, memory.bytes.subarray(at, at + pagesOf(bytes)), position);
    this.#readBytes += read;
    if (read < bytes) throw new Found('length', position + read, 'the file ends here, before the end of its entries');
  }

  #readPage(file: FileHandle, position: number, bytes: number, into: number): void {
    try {
      this.#readPages(file, position, bytes, into);
    } catch (thrown) {
      if (isUnreadable(thrown)) throw new Found('unreadable', position, thrown.message);
      throw thrown;
    }
  }

  #checkIndex(base: number, end: number): void {
    const { identity } = this.#context;
    const index = readIndexOr(this.#context, base);
    if (index?.end !== end || index.clusterId !== identity.clusterId)
      throw new Found('index', positionOf(end, base), 'the index of this segment is missing or damaged');
  }
}

/** The index of the segment at `base`, if it has one that is right. Throws a LogError `IO` that says nothing about it. */
export function readIndexOr({ disk, directory }: Pick<StorageContext, 'disk' | 'directory'>, base: number): SegmentIndex | undefined {
  try {
    return validIndex(disk, directory, base);
  } catch (thrown) {
    // OLDER_FORMAT and NEWER_FORMAT: bits of the version that are wrong.
    const isOther = thrown instanceof LogError && thrown.code !== 'IO';
    if (isMissing(thrown) || isUnreadable(thrown) || isOther) return undefined;
    throw thrown;
  }
}
