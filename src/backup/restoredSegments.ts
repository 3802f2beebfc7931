// Segments of a data directory as a restore makes them: written, synced, read again, and sealed with an index. They are cut where those of the log
// that was backed up were: a state entry heads each segment. A log without such entries is cut as its backup's files are.

import { createHash, type Hash } from 'node:crypto';
import { KIND_NOOP, KIND_STATE, SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { viewOf } from '../core/bytes.ts';
import { type EntryTerm, NO_INSTANCE } from '../core/ids.ts';
import { offsetOf } from '../core/position.ts';
import { putBound } from '../format/commitBound.ts';
import { entryBytesAt, entryBytesOf, isData, kindOf, kindSizeAt } from '../format/entry.ts';
import { noOpPayload } from '../format/noOp.ts';
import { encodeOwnEntry } from '../format/ownEntry.ts';
import { encodeSegmentHeader } from '../format/segmentHeader.ts';
import { encodeSegmentIndex } from '../format/segmentIndex.ts';
import type { LogState } from '../format/stateEntry.ts';
import { type Disk, type FileHandle, writeFileAtomically } from '../storage/disk.ts';
import { indexName, segmentName } from '../storage/names.ts';
import { SegmentImage } from '../storage/segmentImage.ts';
import { damage } from '../storage/segmentLoader.ts';
import { StateFold } from './stateFold.ts';
import { TokenlessLog } from './tokenMask.ts';

export interface RestoredLog {
  readonly clusterId: string;
  readonly markSeed: bigint;
  /** Whose the entry before the first is. */
  readonly before: EntryTerm;
  /** Unix milliseconds. */
  readonly createdMs: number;
  /** Log offset at which the backup ends: all before is committed. */
  readonly end: number;
  /** The state of the log there, if entries go on after it; otherwise it is learned from the entries that come. */
  readonly state?: LogState | undefined;
  /** Whether the tokens of the log stay in force. If not, the log has nothing of them but ids. */
  readonly keepsTokens: boolean;
}

/** Who begins a generation of a log, with the first entries of a term. */
export interface Beginner {
  readonly nodeId: number;
  readonly term: number;
  /** Of its data directory. */
  readonly instance: string;
  /** 16 hexadecimal digits, drawn at random. */
  readonly generationId: string;
}

interface OpenSegment {
  readonly base: number;
  readonly path: string;
  readonly file: FileHandle;
  position: number;
  /** Of the entries; undefined where they stay as they were. */
  readonly hash: Hash | undefined;
  /** The log's time where it begins; undefined while no state entry said it. */
  firstMs: number | undefined;
}

export class RestoredSegments {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #log: RestoredLog;
  readonly #image: SegmentImage;
  #before: EntryTerm;
  #open: OpenSegment | undefined;
  #hasStates = false;
  #end: number;
  readonly #fold: StateFold;
  /** Undefined where all entries stay as they were. */
  readonly #tokenless: TokenlessLog | undefined;
  count = 0;

  constructor(disk: Disk, directory: string, log: RestoredLog) {
    this.#disk = disk;
    this.#directory = directory;
    this.#log = log;
    this.#image = new SegmentImage(disk);
    this.#before = log.before;
    this.#fold = new StateFold(log.state);
    this.#end = log.end;
    this.#tokenless = log.keepsTokens ? undefined : new TokenlessLog();
  }

  /** Tokens that the log had before another generation began. */
  get tokensBefore(): number {
    return this.#fold.tokens;
  }

  /** Log offset at which the log ends: that of the backup, or after the beginning of another generation. */
  get end(): number {
    return this.#end;
  }

  /** A file of the backup begins, at log offset `base`. */
  beginFile(base: number): void {
    if (!this.#hasStates) this.#begin(base);
  }

  /** Adds whole, verified entries. */
  append(given: Uint8Array): void {
    const entries = this.#tokenless === undefined ? given : given.slice();
    const view = viewOf(entries);
    const first = this.#nextOffset;
    let from = 0;
    for (let at = 0; at < entries.length; at += entryBytesAt(view, at)) {
      const kindSize = kindSizeAt(view, at);
      const isState = kindOf(kindSize) === KIND_STATE;
      if (isState) {
        this.#hasStates = true;
        this.#write(entries.subarray(from, at));
        from = at;
        if ((this.#open?.position ?? 0) > SEGMENT_HEADER_BYTES) this.#begin(this.#nextOffset);
      }
      if (!isData(kindSize)) this.#tokenless?.change(entries.subarray(at, at + entryBytesOf(kindSize)), first + at);
      this.#fold.absorb(view, at, kindSize, first + at);
      if (isState && this.#open !== undefined) this.#open.firstMs = this.#fold.timeMs;
    }
    this.#write(entries.subarray(from));
  }

  /** Where the next entry goes. */
  get #nextOffset(): number {
    return this.#open === undefined ? this.#end : offsetOf(this.#open.position, this.#open.base);
  }

  /**
   * Seals what there is, and begins another generation of the log in a segment of its own: a state entry, and the no-op of the term. Not of a log without
   * state entries, which has no generations: returns whether it did.
   */
  beginGeneration({ nodeId, term, instance, generationId }: Beginner): boolean {
    this.finish();
    const base = this.#end;
    const payload = this.#fold.nextGeneration(this.#before, generationId, this.#log.keepsTokens, { id: nodeId, instance });
    if (payload === undefined) return false;
    const state = encodeOwnEntry(KIND_STATE, payload, term, base);
    const noOp = encodeOwnEntry(KIND_NOOP, noOpPayload(instance), term, base + state.length);
    this.#end = base + state.length + noOp.length;
    this.#begin(base);
    this.#write(state);
    this.#write(noOp);
    this.finish();
    return true;
  }

  /** Seals the last segment. */
  finish(): void {
    const open = this.#open;
    this.#open = undefined;
    if (open !== undefined) this.#seal(open);
  }

  /** Leaves the segment that is open, if there is one. */
  drop(): void {
    if (this.#open !== undefined) this.#disk.close(this.#open.file);
    this.#open = undefined;
  }

  #begin(base: number): void {
    this.finish();
    const { clusterId, createdMs, markSeed } = this.#log;
    const path = `${this.#directory}/${segmentName(base)}`;
    const header = encodeSegmentHeader({ clusterId, base, createdMs });
    putBound(header, this.#end, markSeed);
    const file = this.#disk.create(path);
    this.#disk.write(file, [header], 0);
    const hash = this.#tokenless === undefined ? undefined : createHash('sha256');
    this.#open = { base, path, file, position: SEGMENT_HEADER_BYTES, hash, firstMs: this.#fold.timeMs };
  }

  #write(entries: Uint8Array): void {
    const open = this.#open;
    if (entries.length === 0 || open === undefined) return;
    this.#disk.write(open.file, [entries], open.position);
    open.hash?.update(entries);
    open.position += entries.length;
  }

  /** Makes a segment durable, and its index of what is read from it. */
  #seal({ base, path, file, position, hash, firstMs }: OpenSegment): void {
    this.#disk.dataSync(file);
    this.#disk.close(file);
    const scan = this.#image.scan(path, base, this.#before.term, () => undefined);
    if (scan.damage !== undefined || scan.position !== position) {
      throw damage(path, scan.stoppedAt, 'what was written here is not what is read: do not trust this disk');
    }
    const terms = this.#image.terms(position, this.#before, path);
    const nameless = terms.find(({ leader }) => leader === NO_INSTANCE);
    if (nameless !== undefined) {
      throw damage(
        path,
        nameless.position,
        `term ${nameless.term} begins with an entry that is not a no-op, so nothing says who led in it`,
      );
    }
    const { clusterId, createdMs } = this.#log;
    const index = encodeSegmentIndex({
      clusterId,
      base,
      end: offsetOf(position, base),
      entries: scan.entries,
      firstMs: firstMs ?? createdMs,
      lastMs: this.#fold.timeMs ?? createdMs,
      digest: this.#image.digest(position),
      points: this.#image.points(scan.pointCount).slice(),
      terms,
    });
    writeFileAtomically(this.#disk, this.#directory, indexName(base), index);
    if (hash !== undefined) this.#tokenless?.segment(base, offsetOf(position, base), hash.digest('hex'));
    this.#before = terms.at(-1) ?? this.#before;
    this.count += 1;
  }
}
