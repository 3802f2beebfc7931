// The codec of one entry, and the twin of assembly/entry.ts: the same walks over entries, in plain TypeScript, for few bytes at a
// time and as what the WebAssembly is tested against. Whoever has bulk bytes calls the WebAssembly.
//
//   0 u32 term │ 4 u32 continued << 31 | kind << 24 | payload bytes │ 8 payload │ … u32 check          (docs/FORMAT.md, "Entry")

import {
  ENTRY_HEADER_BYTES,
  ENTRY_KIND_SIZE_AT,
  ENTRY_OVERHEAD_BYTES,
  ENTRY_TERM_AT,
  INDEX_INTERVAL_BYTES,
  KIND_ACCESS,
  KIND_CONFIGURATION,
  KIND_CONTINUED,
  KIND_DATA,
  KIND_LEVEL,
  KIND_MASK,
  KIND_NOOP,
  KIND_POLICY,
  KIND_POSITION,
  KIND_SEAL,
  KIND_SESSION,
  KIND_STATE,
  KIND_TIME,
  KIND_TRIM,
  MAX_CONTROL_KIND,
  MAX_PAYLOAD_BYTES,
  NO_CONTROL,
  SCAN_ACTED_ON,
  SCAN_FIRST_ALWAYS,
  SCAN_VERIFY,
  SCAN_WHOLE_BATCHES,
  STAMP_ONE_BATCH,
  WALK_BAD_CHECK,
  WALK_BAD_KIND,
  WALK_BAD_TERM,
  WALK_COMPLETE,
  WALK_INSIDE_BATCH,
  WALK_NEWER_KIND,
  WALK_SECOND_BATCH,
  WALK_TOO_LARGE,
  WALK_TRUNCATED,
} from '../../assembly/layout.ts';
import { viewOf } from '../../src/core/bytes.ts';
import { PRIME_1, PRIME_2, xxh64 } from '../../src/format/xxh64.ts';

/** One entry, decoded; `payload` is a view of the bytes it was decoded from. */
export interface Entry {
  readonly term: number;
  /** The whole byte: KIND_CONTINUED is part of it. */
  readonly kind: number;
  readonly payload: Uint8Array;
}

/** The control entries on which a node acts. */
export const ACTED_ON: readonly number[] = [
  KIND_NOOP,
  KIND_SESSION,
  KIND_CONFIGURATION,
  KIND_TRIM,
  KIND_TIME,
  KIND_SEAL,
  KIND_STATE,
  KIND_LEVEL,
  KIND_POSITION,
  KIND_ACCESS,
  KIND_POLICY,
];

/** What a walk over entries found: the fields at RESULT_* of the WebAssembly's result, and the index points. */
export interface Walk {
  /** Why the walk ended: WALK_*. */
  readonly status: number;
  /** Whole, valid entries walked. */
  readonly count: number;
  /** Their bytes. */
  readonly bytes: number;
  /** Where the walk stopped: behind `bytes` when that was inside a batch. */
  readonly stopped: number;
  /** Term of the last entry walked, or the term given. */
  readonly lastTerm: number;
  /** Bytes up to the end of the last data entry among `bytes`; 0: there is none. */
  readonly dataEnd: number;
  /** Bytes before the first control entry that is no no-op; NO_CONTROL: there is none. */
  readonly control: number;
  /** File positions of the index points, rising. */
  readonly points: readonly number[];
}

/** What {@link stamp} is told; units and ranges as in assembly/entry.ts. */
export interface StampOptions {
  readonly term: number;
  /** Log offset of the first entry, 0 to 2^53 - 1. */
  readonly offset: number;
  readonly maxPayloadBytes?: number;
  /** STAMP_ONE_BATCH. */
  readonly flags?: number;
  /** File position of the first entry. */
  readonly filePosition?: number;
  /** The index point before these entries; 0: none yet. */
  readonly lastPoint?: number;
}

/** What {@link scan} is told; units and ranges as in assembly/entry.ts. */
export interface ScanOptions {
  /** Log offset of the first byte, 0 to 2^53 - 1. */
  readonly offset: number;
  readonly minTerm?: number;
  /** Entries are taken while their sum is at most this. */
  readonly limitBytes?: number;
  /** SCAN_VERIFY, SCAN_FIRST_ALWAYS, SCAN_WHOLE_BATCHES. */
  readonly flags?: number;
  readonly filePosition?: number;
  readonly lastPoint?: number;
  /** Whether to emit index points. */
  readonly emitPoints?: boolean;
}

const MAX_U32 = 0xffff_ffff;

/**
 * What binds an entry's check to its place, 0 to 2^32 - 1: XOR-ed onto the producer's check, so that the producer need not know
 * where its entry will stand. Source: docs/FORMAT.md, "The check".
 */
export function place(term: number, offset: number | bigint): number {
  const mixed = BigInt(offset) ^ BigInt.asUintN(64, BigInt(term) * PRIME_1);
  return Number(BigInt.asUintN(64, mixed * PRIME_2) >> 32n);
}

/** The producer's check of the entry at the start of `entry`: low 32 bits of XXH64 from the kind-and-size word to the end of the payload. */
export function producerCheck(entry: Uint8Array, payloadBytes: number): number {
  return Number(BigInt.asUintN(32, xxh64(entry.subarray(ENTRY_KIND_SIZE_AT, ENTRY_HEADER_BYTES + payloadBytes))));
}

/**
 * One entry in bytes of its own. Without a place, as a producer sends it: term 0 and the producer's check. With a place, as it
 * stands in the log at `place.offset`. Throws a TypeError when the payload is larger than an entry can hold.
 */
export function encodeEntry(payload: Uint8Array, kind = KIND_DATA, at?: { readonly term: number; readonly offset: number }): Uint8Array {
  if (payload.length > MAX_PAYLOAD_BYTES) {
    throw new TypeError(`a payload has at most ${MAX_PAYLOAD_BYTES} bytes, not ${payload.length}`);
  }
  const bytes = new Uint8Array(ENTRY_OVERHEAD_BYTES + payload.length);
  bytes.set(payload, ENTRY_HEADER_BYTES);
  viewOf(bytes).setUint32(ENTRY_KIND_SIZE_AT, ((kind << 24) | payload.length) >>> 0, true);
  if (at === undefined) frame(bytes);
  else stampOwn(bytes, at.term, kind, payload.length, at.offset);
  return bytes;
}

/** The log entry at the start of `bytes`, which stands at log offset `offset`; undefined when no whole, valid entry stands there. */
export function decodeEntry(bytes: Uint8Array, offset: number): Entry | undefined {
  if (scan(bytes, { offset, limitBytes: 0, flags: SCAN_VERIFY | SCAN_FIRST_ALWAYS }).count === 0) return undefined;
  const view = viewOf(bytes);
  const kindSize = view.getUint32(ENTRY_KIND_SIZE_AT, true);
  return {
    term: view.getUint32(ENTRY_TERM_AT, true),
    kind: kindSize >>> 24,
    payload: bytes.subarray(ENTRY_HEADER_BYTES, ENTRY_HEADER_BYTES + (kindSize & MAX_PAYLOAD_BYTES)),
  };
}

/** Collects index points: the first entry boundary at or after each multiple of INDEX_INTERVAL_BYTES. */
class IndexPoints {
  readonly positions: number[] = [];
  #next: number;

  constructor(lastPoint: number) {
    this.#next = IndexPoints.#after(lastPoint);
  }

  static #after(point: number): number {
    return point === 0 ? 0 : point - (point % INDEX_INTERVAL_BYTES) + INDEX_INTERVAL_BYTES;
  }

  boundary(filePosition: number): void {
    if (filePosition < this.#next) return;
    this.positions.push(filePosition);
    this.#next = IndexPoints.#after(filePosition);
  }
}

/** Producer: writes term 0 and the check of every entry whose kind-and-size word and payload stand in `bytes`. */
export function frame(bytes: Uint8Array): Walk {
  const view = viewOf(bytes);
  let position = 0;
  let count = 0;
  const ended = (status: number): Walk => ({
    status,
    count,
    bytes: position,
    stopped: position,
    lastTerm: 0,
    dataEnd: position,
    control: NO_CONTROL,
    points: [],
  });
  while (position < bytes.length) {
    const left = bytes.length - position;
    if (left < ENTRY_OVERHEAD_BYTES) return ended(WALK_TRUNCATED);
    const payloadBytes = view.getUint32(position + ENTRY_KIND_SIZE_AT, true) & MAX_PAYLOAD_BYTES;
    if (left - ENTRY_OVERHEAD_BYTES < payloadBytes) return ended(WALK_TRUNCATED);
    view.setUint32(position + ENTRY_TERM_AT, 0, true);
    view.setUint32(position + ENTRY_HEADER_BYTES + payloadBytes, producerCheck(bytes.subarray(position), payloadBytes), true);
    position += ENTRY_OVERHEAD_BYTES + payloadBytes;
    count += 1;
  }
  return ended(WALK_COMPLETE);
}

/**
 * Leader: verifies every producer's check in `bytes`, and writes term and final check. Stops at the first bad entry, at
 * `bytes` of the result: what it stamped before that must not be used, and its points are not reported. A last entry that says that
 * its batch goes on is a bad one; with STAMP_ONE_BATCH, so is the first one of a second batch.
 */
export function stamp(bytes: Uint8Array, options: StampOptions): Walk {
  const { term, offset, maxPayloadBytes = MAX_PAYLOAD_BYTES, flags = 0, filePosition = 0, lastPoint = 0 } = options;
  const view = viewOf(bytes);
  const base = BigInt(offset);
  const points = new IndexPoints(lastPoint);
  let position = 0;
  let count = 0;
  let last = 0;
  let isContinued = false;
  const failed = (status: number): Walk => ({
    status,
    count,
    bytes: position,
    stopped: position,
    lastTerm: term,
    dataEnd: position,
    control: NO_CONTROL,
    points: [],
  });
  while (position < bytes.length) {
    const left = bytes.length - position;
    if (left < ENTRY_OVERHEAD_BYTES) return failed(WALK_TRUNCATED);
    if ((flags & STAMP_ONE_BATCH) !== 0 && count > 0 && !isContinued) return failed(WALK_SECOND_BATCH);
    const kindSize = view.getUint32(position + ENTRY_KIND_SIZE_AT, true);
    const payloadBytes = kindSize & MAX_PAYLOAD_BYTES;
    if (view.getUint32(position + ENTRY_TERM_AT, true) !== 0) return failed(WALK_BAD_TERM);
    const kind = kindSize >>> 24;
    if (kind !== KIND_DATA && kind !== KIND_CONTINUED) return failed(WALK_BAD_KIND);
    if (payloadBytes > maxPayloadBytes) return failed(WALK_TOO_LARGE);
    if (left - ENTRY_OVERHEAD_BYTES < payloadBytes) return failed(WALK_TRUNCATED);
    const checkAt = position + ENTRY_HEADER_BYTES + payloadBytes;
    const check = producerCheck(bytes.subarray(position), payloadBytes);
    if (view.getUint32(checkAt, true) !== check) return failed(WALK_BAD_CHECK);
    view.setUint32(position + ENTRY_TERM_AT, term, true);
    view.setUint32(checkAt, (check ^ place(term, base + BigInt(position))) >>> 0, true);
    points.boundary(filePosition + position);
    isContinued = kind === KIND_CONTINUED;
    last = position;
    position += ENTRY_OVERHEAD_BYTES + payloadBytes;
    count += 1;
  }
  if (isContinued) {
    position = last;
    count -= 1;
    return failed(WALK_INSIDE_BATCH);
  }
  return { ...failed(WALK_COMPLETE), points: points.positions };
}

/**
 * Anyone: walks log bytes that begin at log offset `options.offset`, taking whole entries while their sum is at most
 * `options.limitBytes`; with SCAN_WHOLE_BATCHES, whole batches. Terms must be at least `options.minTerm` and never fall.
 */
export function scan(bytes: Uint8Array, options: ScanOptions): Walk {
  const { offset, minTerm = 0, limitBytes = MAX_U32, flags = 0, filePosition = 0, lastPoint = 0, emitPoints = false } = options;
  const view = viewOf(bytes);
  const base = BigInt(offset);
  const points = new IndexPoints(lastPoint);
  let position = 0;
  let count = 0;
  let lastTerm = minTerm;
  let dataEnd = 0;
  let control = NO_CONTROL;
  let whole: Walk = { status: WALK_COMPLETE, count: 0, bytes: 0, stopped: 0, lastTerm, dataEnd: 0, control, points: [] };
  const ended = (status: number): Walk => ({ ...whole, status, stopped: position, control });
  const isInside = (): boolean => position !== whole.bytes;
  const isLimited = (): boolean => whole.count > 0 || (flags & SCAN_FIRST_ALWAYS) === 0;
  while (position < bytes.length) {
    const left = bytes.length - position;
    if (left < ENTRY_HEADER_BYTES) return ended(WALK_TRUNCATED);
    const term = view.getUint32(position + ENTRY_TERM_AT, true);
    const kindSize = view.getUint32(position + ENTRY_KIND_SIZE_AT, true);
    const isContinued = (kindSize & (KIND_CONTINUED << 24)) !== 0;
    const kind = (kindSize >>> 24) & KIND_MASK;
    const payloadBytes = kindSize & MAX_PAYLOAD_BYTES;
    const entryBytes = ENTRY_OVERHEAD_BYTES + payloadBytes;
    if (term === 0 || term < lastTerm || (term > lastTerm && isInside())) return ended(WALK_BAD_TERM);
    const isOwn = isContinued ? kind === KIND_SESSION : ACTED_ON.includes(kind);
    const isActedOn = kind === KIND_DATA || (isOwn && !isInside());
    const isForeign = (flags & SCAN_ACTED_ON) !== 0 && !isActedOn;
    if (kind > MAX_CONTROL_KIND && !isForeign) return ended(WALK_BAD_KIND);
    if (position + entryBytes > limitBytes && isLimited()) break;
    if (entryBytes > left) return ended(WALK_TRUNCATED);
    if ((flags & SCAN_VERIFY) !== 0) {
      const check = producerCheck(bytes.subarray(position), payloadBytes) ^ place(term, base + BigInt(position));
      if (view.getUint32(position + ENTRY_HEADER_BYTES + payloadBytes, true) !== check >>> 0) return ended(WALK_BAD_CHECK);
    }
    if (isForeign) return ended(WALK_NEWER_KIND);
    if (emitPoints) points.boundary(filePosition + position);
    if (kind > KIND_NOOP) control = Math.min(control, position);
    lastTerm = term;
    position += entryBytes;
    count += 1;
    if (kind === KIND_DATA) dataEnd = position;
    if (!isContinued || (flags & SCAN_WHOLE_BATCHES) === 0) {
      whole = {
        status: WALK_COMPLETE,
        count,
        bytes: position,
        stopped: position,
        lastTerm,
        dataEnd,
        control,
        points: [...points.positions],
      };
    }
    if (position >= limitBytes && isLimited()) break;
  }
  return ended(position === bytes.length && isInside() ? WALK_INSIDE_BATCH : WALK_COMPLETE);
}

/** Writes one entry of the leader's own (a no-op) at the start of `bytes`; its payload already stands at 8. Returns its bytes. */
export function stampOwn(bytes: Uint8Array, term: number, kind: number, payloadBytes: number, offset: number): number {
  const view = viewOf(bytes);
  view.setUint32(ENTRY_TERM_AT, term, true);
  view.setUint32(ENTRY_KIND_SIZE_AT, ((kind << 24) | payloadBytes) >>> 0, true);
  const check = (producerCheck(bytes, payloadBytes) ^ place(term, offset)) >>> 0;
  view.setUint32(ENTRY_HEADER_BYTES + payloadBytes, check, true);
  return ENTRY_OVERHEAD_BYTES + payloadBytes;
}

/** Bytes of the run of entries at the start of `bytes` that share the first one's term; `bytes` must be whole entries, at least one. */
export function sameTermBytes(bytes: Uint8Array): number {
  const view = viewOf(bytes);
  const term = view.getUint32(ENTRY_TERM_AT, true);
  let position = 0;
  while (position < bytes.length && view.getUint32(position + ENTRY_TERM_AT, true) === term) {
    position += (view.getUint32(position + ENTRY_KIND_SIZE_AT, true) & MAX_PAYLOAD_BYTES) + ENTRY_OVERHEAD_BYTES;
  }
  return position;
}
