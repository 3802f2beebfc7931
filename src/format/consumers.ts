// What the log says of named consumers: the payload of position entries, and the table that they make, which a state entry carries as its section. Nodes
// keep the table as these bytes; a log in which nobody ever took a name has no bytes of it, and no section.
//
//   position entry   changes, one after another: many commits are one entry
//   change           0 u8 what │ 1 u8 bytes of the name │ 2 u16 zero
//      claim    1    4 name                                      whoever had the name is fenced
//      commit   2    4 u64 fence │ 12 u64 position               by who was given the fence; without a name
//      reset    3    4 u64 position, NO_POSITION: none │ 12 name  whoever had the name is fenced
//      remove   4    4 name                                      so it is here
//   table            0 u64 fences: how many were given │ 8 … records, names ascend by their bytes
//   record           0 u64 fence │ 8 u64 position, NO_POSITION: none │ 16 u64 time of the last change, Unix ms │ 24 u32 bytes of the name │ 28 name

import { getOffset, setOffset, viewOf } from '../core/bytes.ts';
import { MAX_CONSUMER_NAME_BYTES, MAX_CONSUMERS_BYTES, MAX_LOG_OFFSET, MAX_POSITION_PAYLOAD_BYTES } from '../core/limits.ts';

/** A change of the table. A fence is a number that no other claim of this log's generation gets. */
export type ConsumerChange =
  | { readonly what: 'claim'; readonly name: string }
  | { readonly what: 'commit'; readonly fence: number; readonly position: number }
  | { readonly what: 'reset'; readonly name: string; readonly position: number | undefined }
  | { readonly what: 'remove'; readonly name: string };

/** A consumer, as the table has it. */
export interface ConsumerRecord {
  readonly name: string;
  /** Of whoever has the name, or had it last; who has another one is fenced. */
  readonly fence: number;
  /** Everything before this log offset is committed; undefined: nothing is yet. */
  readonly position: number | undefined;
  /** The log's time at the last change, Unix ms. */
  readonly timeMs: number;
}

/** Where a record stands in a table. */
export interface RecordPlace {
  readonly at: number;
  readonly bytes: number;
}

const CLAIM = 1;
const COMMIT = 2;
const RESET = 3;
const REMOVE = 4;
const CHANGE_HEADER_BYTES = 4;
const COMMIT_BYTES = CHANGE_HEADER_BYTES + 16;
const RESET_HEADER_BYTES = CHANGE_HEADER_BYTES + 8;
/** Bytes of a table before its records. */
export const CONSUMERS_HEADER_BYTES = 8;
/** Bytes of a record before its name. */
export const CONSUMER_RECORD_BYTES = 28;
const POSITION_AT = 8;
const TIME_AT = 16;
const NAME_BYTES_AT = 24;
/** All bits of the u64. */
const NO_POSITION_HALF = 0xffff_ffff;

/** A table of a log in which nobody ever took a name. */
export const NO_CONSUMERS = new Uint8Array(0);

const text = { encoder: new TextEncoder(), decoder: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }) };

/** Bytes of a name; 0: it is no name of a consumer, which has 1 to MAX_CONSUMER_NAME_BYTES bytes of UTF-8. */
export function consumerNameBytes(name: string): number {
  const bytes = text.encoder.encode(name);
  return bytes.length <= MAX_CONSUMER_NAME_BYTES && readName(bytes) === name ? bytes.length : 0;
}

/** The name that `bytes` are; undefined: none. */
function readName(bytes: Uint8Array): string | undefined {
  if (bytes.length === 0 || bytes.length > MAX_CONSUMER_NAME_BYTES) return undefined;
  try {
    // Of its own: a decoder takes nothing that threads share.
    return text.decoder.decode(bytes.slice());
  } catch {
    return undefined;
  }
}

function bytesAt(view: DataView, at: number, length: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + at, length);
}

function writePosition(view: DataView, at: number, position: number | undefined): void {
  if (position !== undefined) {
    setOffset(view, at, position);
    return;
  }
  view.setUint32(at, NO_POSITION_HALF, true);
  view.setUint32(at + 4, NO_POSITION_HALF, true);
}

/** The position at `at`, undefined: none is; `wrong`: no log has such an offset. */
function readPosition(view: DataView, at: number): number | undefined | 'wrong' {
  if (view.getUint32(at, true) === NO_POSITION_HALF && view.getUint32(at + 4, true) === NO_POSITION_HALF) return undefined;
  const position = getOffset(view, at);
  return position <= MAX_LOG_OFFSET ? position : 'wrong';
}

/** Bytes of a change in an entry's payload. */
export function consumerChangeBytes(change: ConsumerChange): number {
  if (change.what === 'commit') return COMMIT_BYTES;
  const nameBytes = text.encoder.encode(change.name).length;
  return (change.what === 'reset' ? RESET_HEADER_BYTES : CHANGE_HEADER_BYTES) + nameBytes;
}

/** The payload of a position entry: at most MAX_POSITION_PAYLOAD_BYTES. */
export function consumersPayload(changes: readonly ConsumerChange[]): Uint8Array {
  const payload = new Uint8Array(changes.reduce((sum, change) => sum + consumerChangeBytes(change), 0));
  let next = 0;
  for (const change of changes) next += writeChange(payload, next, change);
  return payload;
}

const WHATS = { claim: CLAIM, commit: COMMIT, reset: RESET, remove: REMOVE } as const;

/** Returns how many bytes it has. */
function writeChange(payload: Uint8Array, at: number, change: ConsumerChange): number {
  const view = viewOf(payload);
  view.setUint8(at, WHATS[change.what]);
  if (change.what === 'commit') {
    setOffset(view, at + CHANGE_HEADER_BYTES, change.fence);
    setOffset(view, at + CHANGE_HEADER_BYTES + 8, change.position);
    return COMMIT_BYTES;
  }
  const name = text.encoder.encode(change.name);
  const headerBytes = change.what === 'reset' ? RESET_HEADER_BYTES : CHANGE_HEADER_BYTES;
  view.setUint8(at + 1, name.length);
  if (change.what === 'reset') writePosition(view, at + CHANGE_HEADER_BYTES, change.position);
  payload.set(name, at + headerBytes);
  return headerBytes + name.length;
}

/** The changes in the payload of a position entry at `at`; undefined when none is of that form. */
export function readConsumerChanges(view: DataView, at: number, bytes: number): ConsumerChange[] | undefined {
  if (bytes === 0 || bytes > MAX_POSITION_PAYLOAD_BYTES) return undefined;
  const changes: ConsumerChange[] = [];
  const end = at + bytes;
  for (let next = at; next < end; ) {
    const change = readChange(view, next, end - next);
    if (change === undefined) return undefined;
    changes.push(change);
    next += consumerChangeBytes(change);
  }
  return changes;
}

/** The change at `at`, of which at most `most` bytes are there; undefined: none is. */
function readChange(view: DataView, at: number, most: number): ConsumerChange | undefined {
  if (most < CHANGE_HEADER_BYTES || view.getUint16(at + 2, true) !== 0) return undefined;
  const what = view.getUint8(at);
  const nameBytes = view.getUint8(at + 1);
  if (what === COMMIT) {
    if (most < COMMIT_BYTES || nameBytes !== 0) return undefined;
    const [fence, position] = [getOffset(view, at + CHANGE_HEADER_BYTES), getOffset(view, at + CHANGE_HEADER_BYTES + 8)];
    return fence >= 1 && fence <= MAX_LOG_OFFSET && position <= MAX_LOG_OFFSET ? { what: 'commit', fence, position } : undefined;
  }
  const headerBytes = what === RESET ? RESET_HEADER_BYTES : CHANGE_HEADER_BYTES;
  if (most < headerBytes + nameBytes) return undefined;
  const name = readName(bytesAt(view, at + headerBytes, nameBytes));
  if (name === undefined) return undefined;
  if (what === CLAIM) return { what: 'claim', name };
  if (what === REMOVE) return { what: 'remove', name };
  const position = what === RESET ? readPosition(view, at + CHANGE_HEADER_BYTES) : 'wrong';
  return position === 'wrong' ? undefined : { what: 'reset', name, position };
}

/** Below 0 where the name in the record at `at` comes before `wanted`, 0 where it is that: without a view for each, because a table is gone through. */
function compareName(view: DataView, at: number, wanted: Uint8Array): number {
  const bytes = view.getUint32(at + NAME_BYTES_AT, true);
  const both = Math.min(bytes, wanted.length);
  for (let i = 0; i < both; i += 1) {
    const difference = view.getUint8(at + CONSUMER_RECORD_BYTES + i) - (wanted[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return bytes - wanted.length;
}

/** Below 0 where the bytes `left` come before `right`, 0 where they are the same. */
function compareBytes(left: Uint8Array, right: Uint8Array): number {
  const both = Math.min(left.length, right.length);
  for (let i = 0; i < both; i += 1) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

/** The bytes of the name in the record at `at`. */
function nameAt(view: DataView, at: number): Uint8Array {
  return bytesAt(view, at + CONSUMER_RECORD_BYTES, view.getUint32(at + NAME_BYTES_AT, true));
}

/** The record at `at` of a table. */
export function consumerAt(table: Uint8Array, at: number): ConsumerRecord {
  const view = viewOf(table);
  const position = readPosition(view, at + POSITION_AT);
  return {
    name: readName(nameAt(view, at)) ?? '',
    fence: getOffset(view, at),
    position: position === 'wrong' ? undefined : position,
    timeMs: getOffset(view, at + TIME_AT),
  };
}

/** Calls `visit` with the place of each record of a table, in their order, until it returns true. */
export function visitConsumers(table: Uint8Array, visit: (view: DataView, at: number, bytes: number) => boolean): void {
  const view = viewOf(table);
  for (let at = CONSUMERS_HEADER_BYTES; at < table.length; ) {
    const bytes = CONSUMER_RECORD_BYTES + view.getUint32(at + NAME_BYTES_AT, true);
    if (visit(view, at, bytes)) return;
    at += bytes;
  }
}

/** All consumers of a table, in the order of their names' bytes. */
export function consumersIn(table: Uint8Array): ConsumerRecord[] {
  const found: ConsumerRecord[] = [];
  visitConsumers(table, (_, at) => {
    found.push(consumerAt(table, at));
    return false;
  });
  return found;
}

/** The least position of a table's consumers: all before it is handled by each that has one; undefined: none has. */
export function leastPosition(table: Uint8Array): number | undefined {
  let least: number | undefined;
  visitConsumers(table, (view, at) => {
    const position = readPosition(view, at + POSITION_AT);
    if (typeof position === 'number' && (least === undefined || position < least)) least = position;
    return false;
  });
  return least;
}

/** How many fences were given. */
export function fencesIn(table: Uint8Array): number {
  return table.length === 0 ? 0 : getOffset(viewOf(table), 0);
}

/** Where the consumer `name` stands in a table, or is to stand: then its bytes are 0. */
export function placeOfConsumer(table: Uint8Array, name: string): RecordPlace {
  const wanted = text.encoder.encode(name);
  let place: RecordPlace = { at: Math.max(table.length, CONSUMERS_HEADER_BYTES), bytes: 0 };
  visitConsumers(table, (view, at, bytes) => {
    const order = compareName(view, at, wanted);
    if (order >= 0) place = { at, bytes: order === 0 ? bytes : 0 };
    return order >= 0;
  });
  return place;
}

/** The consumer `name` of a table; undefined: it has none. */
export function consumerIn(table: Uint8Array, name: string): ConsumerRecord | undefined {
  const { at, bytes } = placeOfConsumer(table, name);
  return bytes === 0 ? undefined : consumerAt(table, at);
}

/** Where the record stands that has the fence `fence`; undefined: none has it, so whoever was given it is fenced. */
export function placeOfFence(table: Uint8Array, fence: number): number | undefined {
  let place: number | undefined;
  visitConsumers(table, (view, at) => {
    if (getOffset(view, at) === fence) place = at;
    return place !== undefined;
  });
  return place;
}

/** Where the record of each fence stands in a table. */
export function placesOfFences(table: Uint8Array): Map<number, number> {
  const places = new Map<number, number>();
  visitConsumers(table, (view, at) => {
    places.set(getOffset(view, at), at);
    return false;
  });
  return places;
}

/** The records of consumers, one after another. */
export function encodeConsumers(consumers: readonly ConsumerRecord[]): Uint8Array {
  const records = consumers.map(recordOf);
  const bytes = new Uint8Array(records.reduce((sum, record) => sum + record.length, 0));
  let next = 0;
  for (const record of records) {
    bytes.set(record, next);
    next += record.length;
  }
  return bytes;
}

/** The records in exactly the `bytes` at `at`; undefined when something else is there. */
export function readConsumers(view: DataView, at: number, bytes: number): ConsumerRecord[] | undefined {
  const all = bytesAt(view, 0, at + bytes);
  const consumers: ConsumerRecord[] = [];
  for (let next = at; next < at + bytes; ) {
    const size = recordBytesAt(view, next, at + bytes - next, MAX_LOG_OFFSET);
    if (size === 0) return undefined;
    consumers.push(consumerAt(all, next));
    next += size;
  }
  return consumers;
}

/** Whether the `bytes` at `at` are a table as {@link foldConsumers} makes it: the same consumers and fences are the same bytes. */
export function isConsumersTable(view: DataView, at: number, bytes: number): boolean {
  if (bytes < CONSUMERS_HEADER_BYTES || bytes > MAX_CONSUMERS_BYTES) return false;
  const fences = getOffset(view, at);
  if (fences < 1 || fences > MAX_LOG_OFFSET) return false;
  const given = new Set<number>();
  let last: Uint8Array | undefined;
  for (let next = at + CONSUMERS_HEADER_BYTES; next < at + bytes; ) {
    const size = recordBytesAt(view, next, at + bytes - next, fences);
    const fence = size === 0 ? 0 : getOffset(view, next);
    if (size === 0 || given.has(fence)) return false;
    const name = nameAt(view, next);
    if (last !== undefined && compareBytes(last, name) >= 0) return false;
    given.add(fence);
    last = name;
    next += size;
  }
  return true;
}

/** Bytes of the record at `at`, of which at most `most` are there; 0: none is. */
function recordBytesAt(view: DataView, at: number, most: number, fences: number): number {
  if (most < CONSUMER_RECORD_BYTES) return 0;
  const nameBytes = view.getUint32(at + NAME_BYTES_AT, true);
  if (nameBytes > most - CONSUMER_RECORD_BYTES || readName(nameAt(view, at)) === undefined) return 0;
  const fence = getOffset(view, at);
  const isRight = fence >= 1 && fence <= fences && readPosition(view, at + POSITION_AT) !== 'wrong';
  return isRight && getOffset(view, at + TIME_AT) <= MAX_LOG_OFFSET ? CONSUMER_RECORD_BYTES + nameBytes : 0;
}

/** By how many bytes a table grows with a change of the consumer at that place; it takes it if it has at most MAX_CONSUMERS_BYTES then. Less than 0: it shrinks. */
export function growthAt(table: Uint8Array, { bytes }: RecordPlace, change: Exclude<ConsumerChange, { what: 'commit' }>): number {
  if (change.what === 'remove') return 0 - bytes;
  const header = table.length === 0 ? CONSUMERS_HEADER_BYTES : 0;
  return header + (bytes > 0 ? 0 : CONSUMER_RECORD_BYTES + text.encoder.encode(change.name).length);
}

/**
 * Makes the commit of `position` in the record at `at` of a table, in place. Returns false, and does nothing, where that would move the consumer back, or
 * leave it where it is: a position never falls.
 */
export function putCommit(table: Uint8Array, at: number, position: number, timeMs: number): boolean {
  const view = viewOf(table);
  const before = readPosition(view, at + POSITION_AT);
  if (typeof before === 'number' && before >= position) return false;
  setOffset(view, at + POSITION_AT, position);
  setOffset(view, at + TIME_AT, timeMs);
  return true;
}

/**
 * The table after `change` at the log's time `timeMs`, where it was `table` before: that one itself where nothing changes: a commit that is fenced or moves
 * nothing, a name that is not there to be removed, or no room.
 */
export function foldConsumers(table: Uint8Array, change: ConsumerChange, timeMs: number): Uint8Array {
  if (change.what === 'commit') {
    const at = placeOfFence(table, change.fence);
    if (at === undefined) return table;
    const changed = table.slice();
    return putCommit(changed, at, change.position, timeMs) ? changed : table;
  }
  const place = placeOfConsumer(table, change.name);
  if (table.length + growthAt(table, place, change) > MAX_CONSUMERS_BYTES) return table;
  const { at, bytes } = place;
  const before = table.subarray(Math.min(CONSUMERS_HEADER_BYTES, table.length), at);
  const after = table.subarray(at + bytes);
  if (change.what === 'remove') return bytes === 0 ? table : tableOf(fencesIn(table), before, NO_CONSUMERS, after);
  const fence = fencesIn(table) + 1;
  const there = bytes === 0 ? undefined : consumerAt(table, at);
  const position = change.what === 'reset' ? change.position : there?.position;
  return tableOf(fence, before, recordOf({ name: change.name, fence, position, timeMs }), after);
}

function recordOf({ name, fence, position, timeMs }: ConsumerRecord): Uint8Array {
  const nameBytes = text.encoder.encode(name);
  const record = new Uint8Array(CONSUMER_RECORD_BYTES + nameBytes.length);
  const view = viewOf(record);
  setOffset(view, 0, fence);
  writePosition(view, POSITION_AT, position);
  setOffset(view, TIME_AT, timeMs);
  view.setUint32(NAME_BYTES_AT, nameBytes.length, true);
  record.set(nameBytes, CONSUMER_RECORD_BYTES);
  return record;
}

function tableOf(fences: number, before: Uint8Array, record: Uint8Array, after: Uint8Array): Uint8Array {
  const table = new Uint8Array(CONSUMERS_HEADER_BYTES + before.length + record.length + after.length);
  setOffset(viewOf(table), 0, fences);
  table.set(before, CONSUMERS_HEADER_BYTES);
  table.set(record, CONSUMERS_HEADER_BYTES + before.length);
  table.set(after, CONSUMERS_HEADER_BYTES + before.length + record.length);
  return table;
}
