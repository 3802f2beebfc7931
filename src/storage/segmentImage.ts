// One segment file in memory, walked and verified by the WebAssembly of the node: what the offline tools look through.

import {
  INDEX_INTERVAL_BYTES,
  RESULT_BYTES_AT,
  RESULT_COUNT_AT,
  RESULT_LAST_TERM_AT,
  RESULT_POINTS_AT,
  RESULT_STOPPED_AT,
  SCAN_VERIFY,
  SCAN_WHOLE_BATCHES,
  SEGMENT_HEADER_BYTES,
  WALK_BAD_KIND,
  WALK_BAD_TERM,
  WALK_COMPLETE,
  WALK_INSIDE_BATCH,
  WALK_TRUNCATED,
} from '../../assembly/layout.ts';
import { LogError } from '../core/errors.ts';
import type { EntryTerm } from '../core/ids.ts';
import { OPTIONS } from '../core/options.ts';
import { offsetOf } from '../core/position.ts';
import { decodeSegmentHeader, type SegmentHeader } from '../format/segmentHeader.ts';
import type { TermStart } from '../format/segmentIndex.ts';
import { compileServerWasm, instantiateServerWasm, type ServerWasm } from '../memory/wasm.ts';
import type { Disk } from './disk.ts';
import { termsIn } from './terms.ts';

/** Something that no crash can explain. */
export interface Damage {
  readonly file: string;
  /** Byte in the file. */
  readonly position: number;
  /** Starts with the file and the byte. */
  readonly sentence: string;
}

const READ_BYTES = 1024 * 1024;
const PAGE_BYTES = 65536;
const RESULT_AT = 1024;
const POINTS_AT = 4096;

export function damageAt(file: string, position: number, sentence: string): Damage {
  return { file, position, sentence: `${file} at byte ${position}: ${sentence}` };
}

/** The error as damage of `file`, if it is one that other files need not share; throws any other. */
export function damageOf(thrown: unknown, file: string): Damage {
  if (!(thrown instanceof LogError)) throw thrown;
  const isDamage = ['DAMAGE', 'NEWER_FORMAT', 'OLDER_FORMAT'].includes(thrown.code) || thrown.details.errno === 'EIO';
  if (!isDamage) throw thrown;
  const { position } = thrown.details;
  const at = typeof position === 'number' ? position : 0;
  return thrown.message.startsWith(`${file} at byte `)
    ? { file, position: at, sentence: thrown.message }
    : damageAt(file, at, thrown.message.replace(`${file}: `, ''));
}

/** What a walk over a whole segment file found. */
export interface Scan {
  readonly fileBytes: number;
  readonly header: SegmentHeader | undefined;
  readonly base: number;
  readonly damage: Damage | undefined;
  /** The end of the last whole batch of valid entries, as a file position. */
  readonly position: number;
  /** Why the walk ended (WALK_*), and the file position where: after `position` when that was inside a batch. */
  readonly status: number;
  readonly stoppedAt: number;
  readonly entries: number;
  readonly lastTerm: number;
  readonly pointCount: number;
}

/** The part of a {@link Scan} that a walk moves on. */
type Walked = { -readonly [Field in 'status' | 'position' | 'stoppedAt' | 'entries' | 'lastTerm' | 'pointCount']: Scan[Field] };

/** Memory for the image of one segment file at a time, and the WebAssembly on it. */
export class SegmentImage {
  readonly #disk: Disk;
  readonly #module = compileServerWasm();
  #capacityBytes = 0;
  #imageAt = 0;
  #wasm: ServerWasm | undefined;
  #view = new DataView(new ArrayBuffer(0));

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** Reads and verifies all of a segment. `base` is what its name says; `minTerm` the last term before it. */
  scan(path: string, base: number | undefined, minTerm: number, onRead: (bytes: number) => void): Scan {
    const file = this.#disk.openRead(path);
    try {
      const fileBytes = this.#disk.size(file);
      if (fileBytes > OPTIONS.segmentBytes.max) {
        throw new LogError('DAMAGE', `${path} at byte 0: a segment has at most ${OPTIONS.segmentBytes.max} bytes, not ${fileBytes}`, {
          file: path,
          position: 0,
        });
      }
      this.#reserve(fileBytes);
      return this.#read(path, fileBytes, base, minTerm, (into, position) => {
        const count = this.#disk.read(file, into, position);
        onRead(count);
        return count;
      });
    } finally {
      this.#disk.close(file);
    }
  }

  /** XXH64 of the entries up to file position `end` of the last scan. */
  digest(end: number): bigint {
    const hash = this.#wasm?.xxh64(this.#imageAt + SEGMENT_HEADER_BYTES, end - SEGMENT_HEADER_BYTES, 0n) ?? 0n;
    return BigInt.asUintN(64, hash);
  }

  /** Index points of the last scan; a view. */
  points(count: number): Uint32Array {
    return new Uint32Array(this.#view.buffer, POINTS_AT, count);
  }

  /** The terms of the last scan up to `end`; the first one may go on from the segment before, of an entry of `before`. */
  terms(end: number, before: EntryTerm, path: string): TermStart[] {
    const sameTermBytes = (position: number): number => this.#wasm?.sameTermBytes(this.#imageAt + position, end - position) ?? end;
    return termsIn(this.#view, this.#imageAt, end, sameTermBytes, before, path);
  }

  u32(position: number): number {
    return this.#view.getUint32(this.#imageAt + position, true);
  }

  /** A view of the image's bytes [from, to). */
  bytes(from: number, to: number): Uint8Array {
    return new Uint8Array(this.#view.buffer, this.#imageAt + from, Math.max(0, to - from));
  }

  #reserve(fileBytes: number): void {
    if (this.#wasm !== undefined && fileBytes <= this.#capacityBytes) return;
    this.#capacityBytes = Math.max(fileBytes, PAGE_BYTES);
    const pointsBytes = (Math.floor(this.#capacityBytes / INDEX_INTERVAL_BYTES) + 2) * 4;
    this.#imageAt = Math.ceil((POINTS_AT + pointsBytes) / PAGE_BYTES) * PAGE_BYTES;
    const pages = Math.ceil((this.#imageAt + this.#capacityBytes) / PAGE_BYTES);
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    this.#wasm = instantiateServerWasm(this.#module, memory);
    this.#view = new DataView(memory.buffer);
  }

  /** Reads in pieces and walks each while it is in the processor's cache. */
  #read(
    path: string,
    fileBytes: number,
    nameBase: number | undefined,
    minTerm: number,
    read: (into: Uint8Array, position: number) => number,
  ): Scan {
    const position = SEGMENT_HEADER_BYTES;
    const result: Walked = { status: WALK_COMPLETE, position, stoppedAt: position, entries: 0, lastTerm: minTerm, pointCount: 0 };
    let header: SegmentHeader | undefined;
    let damage: Damage | undefined;
    let filled = 0;
    while (filled < fileBytes) {
      const wanted = this.bytes(filled, Math.min(filled + READ_BYTES, fileBytes));
      const count = read(wanted, filled);
      const isFirst = filled === 0;
      filled += count;
      if (isFirst) {
        try {
          header = decodeSegmentHeader(this.bytes(0, Math.min(filled, SEGMENT_HEADER_BYTES)).slice(), path);
        } catch (thrown) {
          damage = damageOf(thrown, path);
        }
      }
      if (filled > SEGMENT_HEADER_BYTES) this.#walk(result, filled, nameBase ?? header?.base ?? 0);
      // Shorter than a moment ago: it was sealed meanwhile.
      if (count < wanted.length) break;
    }
    this.#endAtBatch(result, minTerm);
    return { ...result, fileBytes: filled, header, base: nameBase ?? header?.base ?? 0, damage };
  }

  /** Goes on with a walk that reached `scan.position`, up to `end` of the image. */
  #walk(scan: Walked, end: number, base: number): void {
    if (this.#wasm === undefined || (scan.status !== WALK_COMPLETE && scan.status !== WALK_TRUNCATED)) return;
    scan.status = this.#wasm.index(
      this.#imageAt + scan.position,
      end - scan.position,
      offsetOf(scan.position, base),
      scan.lastTerm,
      SCAN_VERIFY,
      scan.position,
      POINTS_AT + scan.pointCount * 4,
      RESULT_AT,
    );
    scan.position += this.#result(RESULT_BYTES_AT);
    scan.stoppedAt = scan.position;
    scan.entries += this.#result(RESULT_COUNT_AT);
    scan.lastTerm = this.#result(RESULT_LAST_TERM_AT);
    scan.pointCount += this.#result(RESULT_POINTS_AT);
  }

  #result(field: number): number {
    return this.#view.getUint32(RESULT_AT + field, true);
  }

  /** Takes an incomplete batch at the end out of a walk over entries. Batches may be larger than the pieces that are walked. */
  #endAtBatch(scan: Walked, minTerm: number): void {
    const bytes = scan.position - SEGMENT_HEADER_BYTES;
    if (this.#wasm === undefined || bytes === 0) return;
    const at = this.#imageAt + SEGMENT_HEADER_BYTES;
    const flags = SCAN_WHOLE_BATCHES;
    const status = this.#wasm.index(at, bytes, 0, minTerm, flags, SEGMENT_HEADER_BYTES, POINTS_AT, RESULT_AT);
    scan.position = SEGMENT_HEADER_BYTES + this.#result(RESULT_BYTES_AT);
    scan.entries = this.#result(RESULT_COUNT_AT);
    scan.lastTerm = this.#result(RESULT_LAST_TERM_AT);
    scan.pointCount = this.#result(RESULT_POINTS_AT);
    const isInside = status === WALK_INSIDE_BATCH && scan.status === WALK_COMPLETE;
    if (status !== WALK_BAD_KIND && status !== WALK_BAD_TERM && !isInside) return;
    scan.status = status;
    scan.stoppedAt = SEGMENT_HEADER_BYTES + this.#result(RESULT_STOPPED_AT);
  }
}
