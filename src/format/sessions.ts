// What the log says of producers' sessions: the payload of session entries, and the table that they make, which a state entry carries as its section.
// docs/FORMAT.md, "Sessions". Nodes keep the table as these bytes, and change it in place: an entry of each append comes by.
//
//   open       0 u32 what: 1 │ 4 u32 bytes of the name │ 8 8 bytes instance │ 16 name
//   sequence   0 u32 what: 2 │ 4 u32 bytes of entries after it │ 8 u64 session │ 16 u64 sequence │ 24 u64 offset of the session's entry before
//   evict      0 u32 what: 3 │ 4 u32 zero │ 8 u64 session
//   table      rows of 128 bytes, sessions ascend: 0 u64 session │ 8 u64 sequence │ 16 u64 offset of its last entry │ 24 u64 Unix ms of that
//              32 8 bytes instance │ 40 u32 bytes of the name │ 44 u32 zero │ 48 u64 session before │ 56 u64 sequence of that │ 64 64 bytes: name, zeros

import { ENTRY_OVERHEAD_BYTES } from '../../assembly/layout.ts';
import { assert } from '../core/assert.ts';
import { getOffset, setOffset, viewOf } from '../core/bytes.ts';
import { readInstance, writeInstance } from '../core/instances.ts';
import { MAX_LOG_OFFSET, SESSION_ROW_BYTES } from '../core/limits.ts';
import { faultOfProducer, MAX_PRODUCER_NAME_BYTES } from '../core/producers.ts';

/** What a session entry says. */
export type SessionChange =
  /** A producer begins a session, whose number is the entry's offset: any before it of the same name is over. */
  | { readonly what: 'open'; readonly name: string; readonly instance: string }
  | ({ readonly what: 'sequence' } & SessionSequence)
  /** The session is forgotten. */
  | { readonly what: 'evict'; readonly session: number };

/** Heads the one batch of an append of a session. */
export interface SessionSequence {
  readonly session: number;
  /** 1 for the first append of the session, and one more for each. */
  readonly sequence: number;
  /** Of the entries that follow it in its batch. */
  readonly bytes: number;
  /** Log offset of the session's entry before this one. */
  readonly before: number;
}

/** A session, as the table has it. */
export interface Session {
  /** Log offset of the entry that opened it: no two sessions of a log have the same. */
  readonly session: number;
  /** Of its last append; 0: there is none. */
  readonly sequence: number;
  /** Log offset of its last entry. */
  readonly last: number;
  /** The log's time at that entry, Unix ms. */
  readonly timeMs: number;
  /** 16 hexadecimal digits, drawn by the producer's process. */
  readonly instance: string;
  readonly name: string;
  /** The producer's session that is over by this one; 0: there was none. So who did not hear that this one was opened can ask again. */
  readonly before: number;
  /** Of the last append of that; 0: there is none. */
  readonly beforeSequence: number;
}

const OPEN = 1;
const SEQUENCE = 2;
const EVICT = 3;
const OPEN_HEADER_BYTES = 16;
export const SEQUENCE_PAYLOAD_BYTES = 32;
/** Of the entry that heads an append of a session. */
export const SEQUENCE_ENTRY_BYTES = ENTRY_OVERHEAD_BYTES + SEQUENCE_PAYLOAD_BYTES;
const EVICT_PAYLOAD_BYTES = 16;
const ROW_SEQUENCE_AT = 8;
const ROW_LAST_AT = 16;
const ROW_TIME_AT = 24;
const ROW_INSTANCE_AT = 32;
const ROW_NAME_BYTES_AT = 40;
const ROW_BEFORE_AT = 48;
const ROW_BEFORE_SEQUENCE_AT = 56;
const ROW_NAME_AT = 64;

/** A table without sessions. */
export const NO_SESSIONS = new Uint8Array(0);

const text = { encoder: new TextEncoder(), decoder: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }) };

/** Where a table is, how long it is, and how long it may be. */
export interface SessionTable {
  readonly view: DataView;
  readonly at: number;
  bytes: number;
  readonly capacityBytes: number;
}

/** The name in the `bytes` at `at`; undefined when they are no producer's. */
function nameIn(view: DataView, at: number, bytes: number): string | undefined {
  if (bytes < 1 || bytes > MAX_PRODUCER_NAME_BYTES) return undefined;
  try {
    // A copy: nothing is decoded out of shared memory.
    const name = text.decoder.decode(new Uint8Array(view.buffer, view.byteOffset + at, bytes).slice());
    return faultOfProducer(name) === undefined ? name : undefined;
  } catch {
    return undefined;
  }
}

/** The payload of a session entry. */
export function sessionPayload(change: SessionChange): Uint8Array {
  if (change.what === 'sequence') {
    const bytes = new Uint8Array(SEQUENCE_PAYLOAD_BYTES);
    writeSequence(viewOf(bytes), 0, change);
    return bytes;
  }
  if (change.what === 'evict') {
    const bytes = new Uint8Array(EVICT_PAYLOAD_BYTES);
    const view = viewOf(bytes);
    view.setUint32(0, EVICT, true);
    setOffset(view, 8, change.session);
    return bytes;
  }
  const name = text.encoder.encode(change.name);
  assert(faultOfProducer(change.name) === undefined, 'who opens a session has a name');
  const bytes = new Uint8Array(OPEN_HEADER_BYTES + name.length);
  const view = viewOf(bytes);
  view.setUint32(0, OPEN, true);
  view.setUint32(4, name.length, true);
  writeInstance(view, 8, change.instance);
  bytes.set(name, OPEN_HEADER_BYTES);
  return bytes;
}

/** Writes the payload that heads an append's batch at `at`: SEQUENCE_PAYLOAD_BYTES. */
export function writeSequence(view: DataView, at: number, { session, sequence, bytes, before }: SessionSequence): void {
  view.setUint32(at, SEQUENCE, true);
  view.setUint32(at + 4, bytes, true);
  setOffset(view, at + 8, session);
  setOffset(view, at + 16, sequence);
  setOffset(view, at + 24, before);
}

/** What the payload that heads a batch says, of which are `bytes` at `at`; undefined when none is of that form. */
export function readSequence(view: DataView, at: number, bytes: number): SessionSequence | undefined {
  if (bytes !== SEQUENCE_PAYLOAD_BYTES || view.getUint32(at, true) !== SEQUENCE) return undefined;
  const session = getOffset(view, at + 8);
  const sequence = getOffset(view, at + 16);
  const before = getOffset(view, at + 24);
  const following = view.getUint32(at + 4, true);
  const isRight = following > 0 && sequence >= 1 && sequence <= MAX_LOG_OFFSET && session <= before && before <= MAX_LOG_OFFSET;
  return isRight ? { session, sequence, bytes: following, before } : undefined;
}

/**
 * What the payload of a session entry at `at` says; `isContinued`: its batch goes on after it. Undefined when none is of that form: only what heads an append
 * is in a batch, and that always.
 */
export function readSession(view: DataView, at: number, bytes: number, isContinued: boolean): SessionChange | undefined {
  if (isContinued) {
    const sequence = readSequence(view, at, bytes);
    return sequence && { what: 'sequence', ...sequence };
  }
  if (bytes < EVICT_PAYLOAD_BYTES) return undefined;
  const what = view.getUint32(at, true);
  const word = view.getUint32(at + 4, true);
  if (what === EVICT) {
    const session = getOffset(view, at + 8);
    return bytes === EVICT_PAYLOAD_BYTES && word === 0 && session <= MAX_LOG_OFFSET ? { what: 'evict', session } : undefined;
  }
  if (what !== OPEN || bytes !== OPEN_HEADER_BYTES + word) return undefined;
  const name = nameIn(view, at + OPEN_HEADER_BYTES, word);
  return name === undefined ? undefined : { what: 'open', name, instance: readInstance(view, at + 8) };
}

/** Where the row of `session` is in `table`; -1: it has none. */
export function rowOf({ view, at, bytes }: Readonly<SessionTable>, session: number): number {
  let low = 0;
  let high = bytes / SESSION_ROW_BYTES;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const found = getOffset(view, at + middle * SESSION_ROW_BYTES);
    if (found === session) return at + middle * SESSION_ROW_BYTES;
    if (found < session) low = middle + 1;
    else high = middle;
  }
  return -1;
}

/** The session whose row is at `row`. */
export function sessionAt(view: DataView, row: number): Session {
  const name = nameIn(view, row + ROW_NAME_AT, view.getUint32(row + ROW_NAME_BYTES_AT, true));
  assert(name !== undefined, 'a session in the table has a name');
  return {
    session: getOffset(view, row),
    sequence: getOffset(view, row + ROW_SEQUENCE_AT),
    last: getOffset(view, row + ROW_LAST_AT),
    timeMs: getOffset(view, row + ROW_TIME_AT),
    instance: readInstance(view, row + ROW_INSTANCE_AT),
    name,
    ...beforeAt(view, row),
  };
}

function beforeAt(view: DataView, row: number): Pick<Session, 'before' | 'beforeSequence'> {
  return { before: getOffset(view, row + ROW_BEFORE_AT), beforeSequence: getOffset(view, row + ROW_BEFORE_SEQUENCE_AT) };
}

/** Sequence and place of the last entry of the session whose row is at `row`: what is asked for each append. */
export function lastAt(view: DataView, row: number): { readonly sequence: number; readonly last: number } {
  return { sequence: getOffset(view, row + ROW_SEQUENCE_AT), last: getOffset(view, row + ROW_LAST_AT) };
}

/** All sessions of a table, oldest first. */
export function sessionsIn(table: Uint8Array): Session[] {
  const view = viewOf(table);
  return Array.from({ length: table.length / SESSION_ROW_BYTES }, (_, i) => sessionAt(view, i * SESSION_ROW_BYTES));
}

/** The session that was used before all others, by the log's time; undefined: there is none. */
export function oldestIn({ view, at, bytes }: Readonly<SessionTable>): Session | undefined {
  let oldest = -1;
  for (let row = at; row < at + bytes; row += SESSION_ROW_BYTES) {
    if (oldest < 0 || getOffset(view, row + ROW_TIME_AT) < getOffset(view, oldest + ROW_TIME_AT)) oldest = row;
  }
  return oldest < 0 ? undefined : sessionAt(view, oldest);
}

/** Where the row of the producer `name` is in `table`; -1: it has none. */
export function rowOfName({ view, at, bytes }: Readonly<SessionTable>, name: string): number {
  const nameBytes = text.encoder.encode(name);
  const padded = new Uint8Array(MAX_PRODUCER_NAME_BYTES);
  padded.set(nameBytes);
  // Word by word, as names stand in rows: all rows are gone through on each node whenever a session is opened.
  const wanted = viewOf(padded);
  for (let row = at; row < at + bytes; row += SESSION_ROW_BYTES) {
    if (view.getUint32(row + ROW_NAME_BYTES_AT, true) !== nameBytes.length) continue;
    let same = 0;
    while (same < padded.length && view.getUint32(row + ROW_NAME_AT + same) === wanted.getUint32(same)) same += 4;
    if (same === padded.length) return row;
  }
  return -1;
}

function removeRow(table: SessionTable, row: number): void {
  const { view, at, bytes } = table;
  const all = new Uint8Array(view.buffer, view.byteOffset + at, bytes);
  all.copyWithin(row - at, row - at + SESSION_ROW_BYTES);
  table.bytes = bytes - SESSION_ROW_BYTES;
}

function addRow(table: SessionTable, { session, sequence, last, timeMs, instance, name, before, beforeSequence }: Session): void {
  const { view, at, bytes } = table;
  const row = at + bytes;
  const nameBytes = text.encoder.encode(name);
  const all = new Uint8Array(view.buffer, view.byteOffset + row, SESSION_ROW_BYTES);
  all.fill(0);
  setOffset(view, row, session);
  setOffset(view, row + ROW_SEQUENCE_AT, sequence);
  setOffset(view, row + ROW_LAST_AT, last);
  setOffset(view, row + ROW_TIME_AT, timeMs);
  writeInstance(view, row + ROW_INSTANCE_AT, instance);
  view.setUint32(row + ROW_NAME_BYTES_AT, nameBytes.length, true);
  setOffset(view, row + ROW_BEFORE_AT, before);
  setOffset(view, row + ROW_BEFORE_SEQUENCE_AT, beforeSequence);
  all.set(nameBytes, ROW_NAME_AT);
  table.bytes = bytes + SESSION_ROW_BYTES;
}

/**
 * Folds a session entry at log offset `offset`, where the log's time is `timeMs`, into `table`. Returns whether it changed anything: a sequence that does not
 * follow its session's last one, an eviction of nothing, and a session for which there is no room change nothing, and no leader orders one.
 */
export function foldSession(table: SessionTable, change: SessionChange, offset: number, timeMs: number): boolean {
  if (change.what === 'open') {
    const older = rowOfName(table, change.name);
    if (older < 0 && table.bytes + SESSION_ROW_BYTES > table.capacityBytes) return false;
    const before = older < 0 ? 0 : getOffset(table.view, older);
    const beforeSequence = older < 0 ? 0 : lastAt(table.view, older).sequence;
    if (older >= 0) removeRow(table, older);
    const { name, instance } = change;
    addRow(table, { session: offset, sequence: 0, last: offset, timeMs, instance, name, before, beforeSequence });
    return true;
  }
  const { view } = table;
  const row = rowOf(table, change.session);
  if (row < 0) return false;
  if (change.what === 'evict') {
    removeRow(table, row);
    return true;
  }
  const { sequence, last } = lastAt(view, row);
  if (change.sequence !== sequence + 1 || change.before !== last) return false;
  setOffset(view, row + ROW_SEQUENCE_AT, change.sequence);
  setOffset(view, row + ROW_LAST_AT, offset);
  setOffset(view, row + ROW_TIME_AT, timeMs);
  return true;
}

/** Whether the `bytes` at `at` are a table as {@link foldSession} makes it: the same sessions are the same bytes. */
export function isSessionTable(view: DataView, at: number, bytes: number): boolean {
  if (bytes === 0 || bytes % SESSION_ROW_BYTES !== 0) return false;
  let before = -1;
  for (let row = at; row < at + bytes; row += SESSION_ROW_BYTES) {
    const session = getOffset(view, row);
    const { sequence, last } = lastAt(view, row);
    const nameBytes = view.getUint32(row + ROW_NAME_BYTES_AT, true);
    const isInOrder = session > before && last <= MAX_LOG_OFFSET && (sequence === 0 ? last === session : last > session);
    const over = beforeAt(view, row);
    if (over.before >= session || (over.before === 0 && over.beforeSequence !== 0) || over.beforeSequence > MAX_LOG_OFFSET) return false;
    if (!isInOrder || sequence > MAX_LOG_OFFSET || getOffset(view, row + ROW_TIME_AT) > MAX_LOG_OFFSET) return false;
    if (view.getUint32(row + ROW_NAME_BYTES_AT + 4, true) !== 0 || nameIn(view, row + ROW_NAME_AT, nameBytes) === undefined) return false;
    for (let i = nameBytes; i < MAX_PRODUCER_NAME_BYTES; i += 1) if (view.getUint8(row + ROW_NAME_AT + i) !== 0) return false;
    before = session;
  }
  return true;
}
