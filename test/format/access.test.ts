import { describe, expect, it } from 'vitest';
import type { TokenRecord } from '../../src/core/access.ts';
import { REMEMBERED_REQUESTS } from '../../src/core/accessLimits.ts';
import { viewOf } from '../../src/core/bytes.ts';
import { NO_TERM } from '../../src/core/ids.ts';
import { MAX_ACCESS_BYTES } from '../../src/core/limits.ts';
import {
  type AccessChange,
  accessBytesAfter,
  accessPayload,
  foldAccess,
  isAccessTable,
  NO_ACCESS,
  readAccess,
  tokenIn,
  tokensIn,
  wasRequested,
} from '../../src/format/access.ts';
import { NO_MEMBERS } from '../../src/format/configuration.ts';
import { NO_CONSUMERS } from '../../src/format/consumers.ts';
import { NO_POLICY, NO_SEAL, NO_TRIM } from '../../src/format/controlEntries.ts';
import { NO_SESSIONS } from '../../src/format/sessions.ts';
import { type LogState, readState, stateBytes, writeState } from '../../src/format/stateEntry.ts';
import { bytesOf, hexOf } from './hex.ts';

const HASH = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f';

const FULL: TokenRecord = {
  id: '0000000000z',
  hash: HASH,
  name: 'ü1',
  scopes: 5,
  createdMs: 0x19a_0000_0001,
  expiresMs: 0x19a_0000_0002,
  quotas: {
    connections: 1,
    requestsPerSecond: 2,
    bytesInPerSecond: 0x1_0000_0003,
    bytesOutPerSecond: 4,
    subscriptions: 5,
    stagedUploads: 6,
    waits: 7,
  },
};

const RECORD_BYTES = `
  05000000 03000000 000000000000003d ${HASH} 010000009a010000 020000009a010000
  01000000 02000000 0300000001000000 0400000000000000 05000000 06000000 07000000 00000000 c3bc31
`;
const PUT_BYTES = bytesOf(`01000000 ${RECORD_BYTES}`);
const TABLE_BYTES = bytesOf(`01000000 00000000 000000000000003d ${RECORD_BYTES}`);

const put = (change: Partial<TokenRecord> = {}, isRequest = false): AccessChange => ({
  what: 'put',
  record: { ...FULL, ...change },
  isRequest,
});
const remove = (id: string): AccessChange => ({ what: 'remove', id });
const idOf = (number: number): string => String(number).padStart(11, '0');
const tableOf = (...changes: readonly AccessChange[]): Uint8Array =>
  changes.reduce<Uint8Array>((table, change) => foldAccess(table, change), NO_ACCESS);
const decoded = (bytes: Uint8Array): AccessChange | undefined => readAccess(viewOf(bytes), 0, bytes.length);
const isTable = (bytes: Uint8Array): boolean => isAccessTable(viewOf(bytes), 0, bytes.length);

/** A place in a record, and a byte there that no record has. */
type Wrong = readonly [what: string, at: number, byte: number];
const WRONG: readonly Wrong[] = [
  ['no scope', 0, 0],
  ['an unknown scope', 0, 64],
  ['a name of another length', 4, 2],
  ['no name', 4, 0],
  ['a time above 2^53 - 1', 54, 0x80],
  ['an expiry above 2^53 - 1', 62, 0x80],
  ['a quota above 2^53 - 1', 78, 0x80],
  ['another one', 86, 0x80],
  ['reserved bytes that are not zero', 100, 1],
  ['a name that is not UTF-8', 105, 0x41],
  ['a control character in its name', 106, 0x07],
];

describe('access entry', () => {
  it.each([
    ['a token', put(), PUT_BYTES],
    ['a token that a directory asked for', put({}, true), bytesOf(`03000000 ${RECORD_BYTES}`)],
    ['a removal', remove('0000000000z'), bytesOf('02000000 000000000000003d')],
  ])('golden bytes of %s', (_name, change, golden) => {
    expect(hexOf(accessPayload(change))).toBe(hexOf(golden));
    expect(decoded(golden)).toEqual(change);
  });

  it.each<Wrong>([['what it says unknown', -4, 4], ...WRONG])('with %s it is none', (_name, at, byte) => {
    const bytes = PUT_BYTES.slice();
    bytes[4 + at] = byte;
    expect(decoded(bytes)).toBeUndefined();
  });

  it('cut anywhere it is none, and with more after it neither', () => {
    for (const golden of [PUT_BYTES, bytesOf('02000000 000000000000003d')]) {
      for (let length = 0; length < golden.length; length += 1) expect(decoded(golden.slice(0, length)), `${length}`).toBeUndefined();
      expect(decoded(Uint8Array.from([...golden, 0x31]))).toBeUndefined();
    }
  });
});

describe('table of tokens', () => {
  it('golden bytes', () => {
    const table = tableOf(put({}, true));
    expect(hexOf(table)).toBe(hexOf(TABLE_BYTES));
    expect(isTable(table)).toBe(true);
    expect([...tokensIn(table).values()]).toEqual([FULL]);
  });

  it.each(WRONG)('with a record with %s it is none', (_name, at, byte) => {
    const bytes = TABLE_BYTES.slice();
    bytes[16 + at] = byte;
    expect(isTable(bytes)).toBe(false);
  });

  it.each([
    ['more requests than are there', 0, 2],
    ['more than are remembered', 0, REMEMBERED_REQUESTS + 1],
    ['reserved bytes that are not zero', 4, 1],
  ])('with %s it is none', (_name, at, byte) => {
    const bytes = TABLE_BYTES.slice();
    bytes[at] = byte;
    expect(isTable(bytes)).toBe(false);
  });

  it('cut anywhere but between its parts it is none; without any it is not there', () => {
    for (let length = 0; length < TABLE_BYTES.length; length += 1)
      expect(isTable(TABLE_BYTES.slice(0, length)), `${length}`).toBe(length === 16);
    expect(isTable(bytesOf('00000000 00000000'))).toBe(false);
    expect(tableOf(put(), remove(FULL.id))).toHaveLength(0);
  });

  it('has its tokens by id, however they came, and each once', () => {
    const token = (number: number): AccessChange => put({ id: idOf(number), name: 'n'.repeat(number) });
    const [a, b, c] = [token(1), token(2), token(3)];
    const table = tableOf(a, b, c);
    expect(hexOf(tableOf(c, a, b, remove(idOf(2)), b))).toBe(hexOf(table));
    expect(isTable(table)).toBe(true);
    expect([...tokensIn(table).keys()]).toEqual([1, 2, 3].map(idOf));
    expect(tokenIn(table, idOf(2))).toMatchObject({ name: 'nn' });
    expect(tokenIn(table, idOf(4))).toBeUndefined();
    const records = table.subarray(8);
    const size = 104 + 1;
    expect(isTable(Uint8Array.from([...table.subarray(0, 8), ...records.subarray(size), ...records.subarray(0, size)])), 'disorder').toBe(
      false,
    );
    expect(isTable(Uint8Array.from([...table.subarray(0, 8 + size), ...records])), 'twice').toBe(false);
  });

  it('does not change a token, and removes nothing that is not there: it stays the same object', () => {
    const table = tableOf(put());
    expect(foldAccess(table, put({ scopes: 63 }))).toBe(table);
    expect(foldAccess(table, remove(idOf(1)))).toBe(table);
  });

  it('does not take a token that a directory asked for a second time, when it was revoked; it forgets that after many others', () => {
    let table = tableOf(put({}, true), remove(FULL.id));
    expect(wasRequested(table, FULL.id)).toBe(true);
    for (const isRequest of [true, false]) expect(foldAccess(table, put({}, isRequest))).toBe(table);
    for (let number = 1; number <= REMEMBERED_REQUESTS; number += 1) {
      expect(wasRequested(table, FULL.id)).toBe(true);
      table = foldAccess(foldAccess(table, put({ id: idOf(number) }, true)), remove(idOf(number)));
      expect(isTable(table)).toBe(true);
    }
    expect(wasRequested(table, FULL.id)).toBe(false);
    expect(table).toHaveLength(8 + REMEMBERED_REQUESTS * 8);
  });

  it('is full at its bound, on every node alike: what comes then changes nothing', () => {
    let table: Uint8Array = NO_ACCESS;
    const name = 'n'.repeat(64);
    let number = 0;
    for (; accessBytesAfter(table, put({ id: idOf(number), name })) <= MAX_ACCESS_BYTES; number += 1)
      table = foldAccess(table, put({ id: idOf(number), name }));
    expect(number).toBe(Math.floor((MAX_ACCESS_BYTES - 8) / 168));
    expect(foldAccess(table, put({ id: idOf(number), name }))).toBe(table);
    expect(tokensIn(foldAccess(table, remove(idOf(7)))).size).toBe(number - 1);
  });
});

it('a state entry has the table as its last section, and none without tokens', () => {
  const state: LogState = {
    dataEnd: 0,
    before: NO_TERM,
    trim: NO_TRIM,
    timeMs: 7,
    seal: NO_SEAL,
    level: 1,
    generation: { number: 1, id: '0123456789abcdef' },
    policy: NO_POLICY,
    access: TABLE_BYTES,
    consumers: NO_CONSUMERS,
    nodes: NO_MEMBERS,
    sessions: NO_SESSIONS,
  };
  const encode = (which: LogState): Uint8Array => {
    const bytes = new Uint8Array(stateBytes(which));
    writeState(viewOf(bytes), 0, which);
    return bytes;
  };
  const bytes = encode(state);
  const without = encode({ ...state, access: NO_ACCESS });
  expect(hexOf(bytes)).toBe(`${hexOf(without)}0c000000${'7b000000'}${hexOf(TABLE_BYTES)}`);
  expect(readState(viewOf(bytes), 0, bytes.length)).toEqual(state);
  expect(readState(viewOf(without), 0, without.length)?.access).toHaveLength(0);
  for (const [at, byte] of [
    [without.length, 13],
    [without.length + 4, 0x7a],
    [without.length + 4, 0x7c],
    [without.length + 7, 0x80],
    [without.length + 8, 9],
  ] as const) {
    const wrong = bytes.slice();
    wrong[at] = byte;
    expect(readState(viewOf(wrong), 0, wrong.length), `byte ${at}`).toBeUndefined();
  }
});
