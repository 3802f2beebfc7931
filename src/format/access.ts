// What the log says of tokens: the payload of access entries, and the table that they make, which a state entry carries as its section. Nodes
// keep the table as these bytes; a table without tokens and requests is no bytes, and no section.
//
//   access   0 u32 what: 1 put, 2 remove, 3 put as the request in a node's directory asks │ put: 4 a record │ remove: 4 8 bytes id
//   table    0 u32 requests │ 4 u32 zero │ 8 ids of the last requests that were put, 8 bytes each, the oldest first │ … records, ids ascend
//   record   0 u32 scopes │ 4 u32 bytes of the name │ 8 8 bytes id │ 16 SHA-256 │ 48 u64 made, Unix ms │ 56 u64 expires, 0: never
//            64 u32 connections │ 68 u32 requests a second │ 72 u64 bytes in a second │ 80 u64 bytes out │ 88 u32 subscriptions
//            92 u32 staged uploads │ 96 u32 waits │ 100 u32 zero │ 104 name

import {
  faultOfToken,
  maxQuota,
  QUOTA_NAMES,
  type Quotas,
  readTokenId,
  SCOPES,
  TOKEN_HASH_BYTES,
  type TokenRecord,
  writeTokenId,
} from '../core/access.ts';
import { MAX_TOKEN_NAME_BYTES, REMEMBERED_REQUESTS } from '../core/accessLimits.ts';
import { fromHex, getOffset, setOffset, toHex, viewOf } from '../core/bytes.ts';
import { MAX_ACCESS_BYTES, MAX_LOG_OFFSET } from '../core/limits.ts';

/** What an access entry says. */
export type AccessChange =
  /** There is such a token. `isRequest`: a node's directory asked for it, which may ask again after the token was revoked. */
  { readonly what: 'put'; readonly record: TokenRecord; readonly isRequest: boolean } | { readonly what: 'remove'; readonly id: string };

const PUT = 1;
const REMOVE = 2;
const PUT_REQUEST = 3;
const WHAT_BYTES = 4;
const ID_BYTES = 8;
const REMOVE_BYTES = WHAT_BYTES + ID_BYTES;
const TABLE_HEADER_BYTES = 8;
const RECORD_HEADER_BYTES = 104;
const NAME_BYTES_AT = 4;
const RECORD_ID_AT = 8;
const EXPIRES_AT = 56;
const QUOTAS_AT = 64;
const RECORD_ZERO_AT = 100;
/** What a masked record says: one scope, as each record has, and a name of dots. */
const MASKED_SCOPES = SCOPES.read;
const MASKED_NAME = '.'.charCodeAt(0);

/** A table without anything. */
export const NO_ACCESS = new Uint8Array(0);

/** Where each quota stands in a record. */
const QUOTA_AT: Readonly<Record<keyof Quotas, number>> = {
  connections: QUOTAS_AT,
  requestsPerSecond: 68,
  bytesInPerSecond: 72,
  bytesOutPerSecond: 80,
  subscriptions: 88,
  stagedUploads: 92,
  waits: 96,
};

const isWide = (name: keyof Quotas): boolean => maxQuota(name) === MAX_LOG_OFFSET;

const nameOf = (record: TokenRecord): Uint8Array => new TextEncoder().encode(record.name);

function encodeRecord(record: TokenRecord): Uint8Array {
  const name = nameOf(record);
  const bytes = new Uint8Array(RECORD_HEADER_BYTES + name.length);
  const view = viewOf(bytes);
  view.setUint32(0, record.scopes, true);
  view.setUint32(NAME_BYTES_AT, name.length, true);
  writeTokenId(view, RECORD_ID_AT, record.id);
  bytes.set(fromHex(record.hash), 16);
  setOffset(view, 48, record.createdMs);
  setOffset(view, EXPIRES_AT, record.expiresMs);
  for (const quota of QUOTA_NAMES) {
    if (isWide(quota)) setOffset(view, QUOTA_AT[quota], record.quotas[quota]);
    else view.setUint32(QUOTA_AT[quota], record.quotas[quota], true);
  }
  bytes.set(name, RECORD_HEADER_BYTES);
  return bytes;
}

/** Bytes of the record at `at`, of which at most `most` are there; undefined when that is none. */
function recordBytesAt(view: DataView, at: number, most: number): number | undefined {
  if (most < RECORD_HEADER_BYTES) return undefined;
  const nameBytes = view.getUint32(at + NAME_BYTES_AT, true);
  return nameBytes >= 1 && nameBytes <= MAX_TOKEN_NAME_BYTES && nameBytes <= most - RECORD_HEADER_BYTES
    ? RECORD_HEADER_BYTES + nameBytes
    : undefined;
}

/** The bytes [at, at + bytes) of what `view` shows, where nobody else changes them. */
function copyOf(view: DataView, at: number, bytes: number): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + at, bytes).slice();
}

/** The record of `bytes` at `at`, as {@link recordBytesAt} says; undefined when none is of that form. */
function readRecord(view: DataView, at: number, bytes: number): TokenRecord | undefined {
  const quotas: Partial<Record<keyof Quotas, number>> = {};
  for (const quota of QUOTA_NAMES)
    quotas[quota] = isWide(quota) ? getOffset(view, at + QUOTA_AT[quota]) : view.getUint32(at + QUOTA_AT[quota], true);
  let name: string;
  try {
    name = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
      copyOf(view, at + RECORD_HEADER_BYTES, bytes - RECORD_HEADER_BYTES),
    );
  } catch {
    return undefined;
  }
  const record: TokenRecord = {
    id: readTokenId(view, at + RECORD_ID_AT),
    hash: toHex(copyOf(view, at + 16, TOKEN_HASH_BYTES)),
    name,
    scopes: view.getUint32(at, true),
    createdMs: getOffset(view, at + 48),
    expiresMs: getOffset(view, at + EXPIRES_AT),
    // Each was set just now.
    quotas: quotas as Quotas,
  };
  return view.getUint32(at + RECORD_ZERO_AT, true) === 0 && faultOfToken(record) === undefined ? record : undefined;
}

/** The payload of an access entry. */
export function accessPayload(change: AccessChange): Uint8Array {
  const record = change.what === 'put' ? encodeRecord(change.record) : NO_ACCESS;
  const bytes = new Uint8Array(change.what === 'put' ? WHAT_BYTES + record.length : REMOVE_BYTES);
  const view = viewOf(bytes);
  if (change.what === 'put') {
    view.setUint32(0, change.isRequest ? PUT_REQUEST : PUT, true);
    bytes.set(record, WHAT_BYTES);
  } else {
    view.setUint32(0, REMOVE, true);
    writeTokenId(view, WHAT_BYTES, change.id);
  }
  return bytes;
}

/** What the payload of an access entry at `at` says; undefined when none is of that form. */
export function readAccess(view: DataView, at: number, bytes: number): AccessChange | undefined {
  if (bytes < REMOVE_BYTES) return undefined;
  const what = view.getUint32(at, true);
  if (what === REMOVE) return bytes === REMOVE_BYTES ? { what: 'remove', id: readTokenId(view, at + WHAT_BYTES) } : undefined;
  const most = bytes - WHAT_BYTES;
  if ((what !== PUT && what !== PUT_REQUEST) || recordBytesAt(view, at + WHAT_BYTES, most) !== most) return undefined;
  const record = readRecord(view, at + WHAT_BYTES, most);
  return record && { what: 'put', record, isRequest: what === PUT_REQUEST };
}

/** Where the records of a table begin. */
function recordsAt(view: DataView): number {
  return view.byteLength === 0 ? 0 : TABLE_HEADER_BYTES + view.getUint32(0, true) * ID_BYTES;
}

/** Calls `visit` with the place and the bytes of each record of a table, ids ascending, until it returns true. */
function visitRecords(table: Uint8Array, visit: (view: DataView, at: number, bytes: number) => boolean): void {
  const view = viewOf(table);
  for (let at = recordsAt(view); at < table.length; ) {
    const bytes = recordBytesAt(view, at, table.length - at);
    if (bytes === undefined || visit(view, at, bytes)) return;
    at += bytes;
  }
}

/** Whether the `bytes` at `at` are a table as {@link foldAccess} makes it: the same tokens and requests are the same bytes. */
export function isAccessTable(view: DataView, at: number, bytes: number): boolean {
  if (bytes < TABLE_HEADER_BYTES || bytes > MAX_ACCESS_BYTES || view.getUint32(at + 4, true) !== 0) return false;
  const requests = view.getUint32(at, true);
  const end = at + bytes;
  let next = at + TABLE_HEADER_BYTES + requests * ID_BYTES;
  if (requests > REMEMBERED_REQUESTS || next > end || (requests === 0 && next === end)) return false;
  let last: bigint | undefined;
  while (next < end) {
    const size = recordBytesAt(view, next, end - next);
    const id = size === undefined ? undefined : view.getBigUint64(next + RECORD_ID_AT);
    if (size === undefined || id === undefined || (last !== undefined && id <= last)) return false;
    if (readRecord(view, next, size) === undefined) return false;
    last = id;
    next += size;
  }
  return true;
}

/** Writes over all that the record of `bytes` at `at` says but its id: what is left is of the same length, and a token that nobody has and that has expired. */
function maskRecord(view: DataView, at: number, bytes: number): void {
  const all = new Uint8Array(view.buffer, view.byteOffset + at, bytes);
  all.fill(0, RECORD_ID_AT + ID_BYTES, RECORD_HEADER_BYTES);
  all.fill(MASKED_NAME, RECORD_HEADER_BYTES);
  view.setUint32(at, MASKED_SCOPES, true);
  setOffset(view, at + EXPIRES_AT, 1);
}

/** Masks the record in the payload of an access entry at `at`, if it has one. Returns whether it has. */
export function maskAccess(view: DataView, at: number, bytes: number): boolean {
  const change = readAccess(view, at, bytes);
  if (change?.what !== 'put') return false;
  maskRecord(view, at + WHAT_BYTES, bytes - WHAT_BYTES);
  return true;
}

/** Masks all records of a table, in place. Returns whether it has any. Folding masked entries gives masked tables: ids and lengths decide, and they stay. */
export function maskTable(table: Uint8Array): boolean {
  let isAny = false;
  visitRecords(table, (view, at, bytes) => {
    maskRecord(view, at, bytes);
    isAny = true;
    return false;
  });
  return isAny;
}

/** All tokens of a table, by id, ascending. */
export function tokensIn(table: Uint8Array): Map<string, TokenRecord> {
  const tokens = new Map<string, TokenRecord>();
  visitRecords(table, (view, at, bytes) => {
    const record = readRecord(view, at, bytes);
    if (record !== undefined) tokens.set(record.id, record);
    return false;
  });
  return tokens;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let next = 0;
  for (const part of parts) {
    bytes.set(part, next);
    next += part.length;
  }
  return bytes;
}

/** The records of tokens, one after another. */
export function encodeRecords(records: readonly TokenRecord[]): Uint8Array {
  return joined(records.map(encodeRecord));
}

/** The records in exactly the `bytes` at `at`; undefined when something else is there. */
export function readRecords(view: DataView, at: number, bytes: number): TokenRecord[] | undefined {
  const records: TokenRecord[] = [];
  const end = at + bytes;
  for (let next = at; next < end; ) {
    const size = recordBytesAt(view, next, end - next);
    const record = size === undefined ? undefined : readRecord(view, next, size);
    if (size === undefined || record === undefined) return undefined;
    records.push(record);
    next += size;
  }
  return records;
}

/** The token `id` of a table; undefined: it has none. */
export function tokenIn(table: Uint8Array, id: string): TokenRecord | undefined {
  let found: TokenRecord | undefined;
  visitRecords(table, (view, at, bytes) => {
    const isIt = readTokenId(view, at + RECORD_ID_AT) === id;
    if (isIt) found = readRecord(view, at, bytes);
    return isIt;
  });
  return found;
}

/** Whether the request for the token `id` was put into the log: among the last REMEMBERED_REQUESTS of them. The token may be revoked since. */
export function wasRequested(table: Uint8Array, id: string): boolean {
  const view = viewOf(table);
  for (let at = TABLE_HEADER_BYTES; at < recordsAt(view); at += ID_BYTES) if (readTokenId(view, at) === id) return true;
  return false;
}

/** Bytes of a table after `change`, which it takes if they are at most MAX_ACCESS_BYTES. */
export function accessBytesAfter(table: Uint8Array, change: AccessChange): number {
  return changedTable(table, change).length;
}

/** Where a token stands in a table, or is to stand, and how many bytes it has there. */
function placeOf(table: Uint8Array, id: string): { readonly at: number; readonly bytes: number } {
  const key = viewOf(new Uint8Array(ID_BYTES));
  writeTokenId(key, 0, id);
  const wanted = key.getBigUint64(0);
  let place = { at: table.length, bytes: 0 };
  visitRecords(table, (view, at, bytes) => {
    const found = view.getBigUint64(at + RECORD_ID_AT);
    if (found >= wanted) place = { at, bytes: found === wanted ? bytes : 0 };
    return found >= wanted;
  });
  return place;
}

/** The ids of requests of a table, with that of one more; the oldest go. */
function requestsAfter(table: Uint8Array, added: string | undefined): Uint8Array {
  const before = table.subarray(Math.min(TABLE_HEADER_BYTES, table.length), recordsAt(viewOf(table)));
  if (added === undefined) return before;
  const kept = before.subarray(Math.max(0, before.length - (REMEMBERED_REQUESTS - 1) * ID_BYTES));
  const bytes = new Uint8Array(kept.length + ID_BYTES);
  bytes.set(kept);
  writeTokenId(viewOf(bytes), kept.length, added);
  return bytes;
}

function changedTable(table: Uint8Array, change: AccessChange): Uint8Array {
  const isPut = change.what === 'put';
  const id = isPut ? change.record.id : change.id;
  const { at, bytes } = placeOf(table, id);
  // A token never changes; and a request is carried out once, however often a node asks.
  if (isPut ? bytes > 0 || wasRequested(table, id) : bytes === 0) return table;
  const requests = requestsAfter(table, isPut && change.isRequest ? id : undefined);
  const before = table.subarray(recordsAt(viewOf(table)), at);
  const record = isPut ? encodeRecord(change.record) : NO_ACCESS;
  const after = table.subarray(at + bytes);
  if (requests.length + before.length + record.length + after.length === 0) return NO_ACCESS;
  const header = new Uint8Array(TABLE_HEADER_BYTES);
  viewOf(header).setUint32(0, requests.length / ID_BYTES, true);
  return joined([header, requests, before, record, after]);
}

/** The table after `change`, where it was `table` before: that one itself where nothing changes, also because there is no room. */
export function foldAccess(table: Uint8Array, change: AccessChange): Uint8Array {
  const changed = changedTable(table, change);
  return changed.length > MAX_ACCESS_BYTES && change.what === 'put' ? table : changed;
}
