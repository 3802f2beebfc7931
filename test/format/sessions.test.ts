import { describe, expect, it } from 'vitest';
import { KIND_CONTINUED, KIND_SESSION } from '../../assembly/layout.ts';
import { viewOf } from '../../src/core/bytes.ts';
import { SESSION_ROW_BYTES } from '../../src/core/limits.ts';
import { UNTOLD } from '../../src/format/controlFold.ts';
import {
  foldSession,
  isSessionTable,
  NO_SESSIONS,
  readSession,
  type SessionChange,
  type SessionTable,
  sessionPayload,
  sessionsIn,
} from '../../src/format/sessions.ts';
import { type LogState, readState, stateBytes, writeState } from '../../src/format/stateEntry.ts';
import { isWellFormed } from '../../src/format/wellFormed.ts';
import { bytesOf, hexOf } from './hex.ts';

const INSTANCE = '0123456789abcdef';
const OPEN = bytesOf('01000000 05000000 0123456789abcdef 6d6178c3bc');
const SEQUENCE = bytesOf('02000000 2c010000 0100000001000000 0700000000000000 0200000001000000');
const EVICT = bytesOf('03000000 00000000 0100000001000000');
const ROW = bytesOf(`
  0100000001000000 0700000000000000 0300000001000000 000000009a010000
  0123456789abcdef 05000000 00000000 0200000000000000 0100000000000000 6d6178c3bc 000000 ${'00'.repeat(56)}
`);
const ENTRIES: readonly (readonly [string, SessionChange, Uint8Array])[] = [
  ['opens a session', { what: 'open', name: 'maxü', instance: INSTANCE }, OPEN],
  ['heads an append', { what: 'sequence', session: 0x1_0000_0001, sequence: 7, bytes: 300, before: 0x1_0000_0002 }, SEQUENCE],
  ['evicts a session', { what: 'evict', session: 0x1_0000_0001 }, EVICT],
];

const decoded = (bytes: Uint8Array, isContinued = bytes[0] === 2): SessionChange | undefined =>
  readSession(viewOf(bytes), 0, bytes.length, isContinued);
const changed = (bytes: Uint8Array, at: number, byte: number): Uint8Array => bytes.with(at, byte);

describe('session entry', () => {
  it.each(ENTRIES)('golden bytes of one that %s', (_name, change, golden) => {
    expect(hexOf(sessionPayload(change))).toBe(hexOf(golden));
    expect(decoded(golden)).toEqual(change);
    const kind = change.what === 'sequence' ? KIND_SESSION | KIND_CONTINUED : KIND_SESSION;
    expect(isWellFormed(viewOf(golden), 0, kind, golden.length)).toBe(true);
    // In a batch is what heads an append, and nothing else.
    expect(isWellFormed(viewOf(golden), 0, kind ^ KIND_CONTINUED, golden.length)).toBe(false);
  });

  it.each([
    ['says something unknown', OPEN, 0, 4],
    ['has no name', OPEN, 4, 0],
    ['has a name of another length', OPEN, 4, 4],
    ['has a name that is not UTF-8', OPEN, 19, 0x41],
    ['has a control character in its name', OPEN, 16, 7],
    ['heads nothing', SEQUENCE, 4, 0],
    ['heads an append and says something else', SEQUENCE, 0, 1],
    ['has a session after its entry before', SEQUENCE, 8, 3],
    ['has a session above 2^53 - 1', SEQUENCE, 14, 0x80],
    ['has no sequence', SEQUENCE, 16, 0],
    ['has a sequence above 2^53 - 1', SEQUENCE, 22, 0x80],
    ['has an entry before it above 2^53 - 1', SEQUENCE, 30, 0x80],
    ['evicts, with a reserved field that is not zero', EVICT, 4, 1],
    ['evicts a session above 2^53 - 1', EVICT, 14, 0x80],
  ])('is none when it %s', (_what, golden, at, byte) => {
    const bytes = changed(at === 4 && golden === SEQUENCE ? changed(golden, 5, 0) : golden, at, byte);
    expect(decoded(bytes, golden === SEQUENCE)).toBeUndefined();
  });

  it('is none when it is longer or shorter', () => {
    for (const [, , golden] of ENTRIES) {
      expect(decoded(Uint8Array.of(...golden, 0))).toBeUndefined();
      expect(decoded(golden.subarray(0, -1))).toBeUndefined();
    }
    expect(decoded(bytesOf(`01000000 41000000 ${INSTANCE} ${'61'.repeat(65)}`))).toBeUndefined();
  });
});

function table(rows: number): SessionTable {
  const bytes = new Uint8Array(rows * SESSION_ROW_BYTES + 8);
  return { view: viewOf(bytes), at: 8, bytes: 0, capacityBytes: rows * SESSION_ROW_BYTES };
}
const bytesIn = ({ view, at, bytes }: SessionTable): Uint8Array => new Uint8Array(view.buffer, at, bytes);
const open = (name: string, instance = INSTANCE): SessionChange => ({ what: 'open', name, instance });
const next = (session: number, sequence: number, before: number): SessionChange => ({
  what: 'sequence',
  session,
  sequence,
  bytes: 1,
  before,
});

describe('the table of sessions', () => {
  it('golden bytes of a row', () => {
    const made = table(1);
    expect(foldSession(made, open('maxü'), 2, 5)).toBe(true);
    expect(foldSession(made, next(2, 1, 2), 3, 5)).toBe(true);
    expect(foldSession(made, open('maxü'), 0x1_0000_0001, 5)).toBe(true);
    for (let i = 1; i <= 6; i += 1)
      expect(foldSession(made, next(0x1_0000_0001, i, 0x1_0000_0001 + (i > 1 ? 1 : 0)), 0x1_0000_0002, 6)).toBe(true);
    expect(foldSession(made, next(0x1_0000_0001, 7, 0x1_0000_0002), 0x1_0000_0003, 0x19a_0000_0000)).toBe(true);
    expect(hexOf(bytesIn(made))).toBe(hexOf(ROW));
    expect(isSessionTable(viewOf(ROW), 0, ROW.length)).toBe(true);
    expect(sessionsIn(ROW)).toEqual([
      {
        session: 0x1_0000_0001,
        sequence: 7,
        last: 0x1_0000_0003,
        timeMs: 0x19a_0000_0000,
        instance: INSTANCE,
        name: 'maxü',
        before: 2,
        beforeSequence: 1,
      },
    ]);
  });

  it.each([
    ['a session above 2^53 - 1', 6, 0x80],
    ['a sequence above 2^53 - 1', 14, 0x80],
    ['a last entry that is not after the session', 20, 0],
    ['a last entry above 2^53 - 1', 22, 0x80],
    ['a session without appends whose last entry is another', 8, 0],
    ['a time above 2^53 - 1', 30, 0x80],
    ['no name', 40, 0],
    ['a name of another length', 40, 6],
    ['a reserved field that is not zero', 44, 1],
    ['a session before that is not before it', 52, 1],
    ['a sequence of no session before', 48, 0],
    ['a sequence of the session before above 2^53 - 1', 62, 0x80],
    ['a name that is none', 64, 1],
    ['a byte after its name', 127, 1],
  ])('is none when it has %s', (_what, at, byte) => {
    const bytes = changed(ROW, at, byte);
    expect(isSessionTable(viewOf(bytes), 0, bytes.length)).toBe(false);
  });

  it('is none when it is in disorder, empty, or has half a row', () => {
    const two = Uint8Array.of(...ROW, ...ROW);
    expect(isSessionTable(viewOf(two), 0, two.length)).toBe(false);
    expect(isSessionTable(viewOf(two), 0, 0)).toBe(false);
    expect(isSessionTable(viewOf(two), 0, SESSION_ROW_BYTES - 1)).toBe(false);
  });

  it('takes each sequence once, in order, after the entry before it', () => {
    const made = table(2);
    foldSession(made, open('a'), 10, 1);
    foldSession(made, open('b'), 20, 1);
    expect(foldSession(made, next(10, 2, 10), 30, 2)).toBe(false);
    expect(foldSession(made, next(10, 1, 11), 30, 2)).toBe(false);
    expect(foldSession(made, next(11, 1, 11), 30, 2)).toBe(false);
    expect(foldSession(made, next(10, 1, 10), 30, 2)).toBe(true);
    expect(foldSession(made, next(10, 1, 10), 40, 3)).toBe(false);
    expect(sessionsIn(bytesIn(made)).map(({ session, sequence, last, timeMs }) => [session, sequence, last, timeMs])).toEqual([
      [10, 1, 30, 2],
      [20, 0, 20, 1],
    ]);
  });

  it('has one session of a name, the newest; has no more than there is room for; and forgets what is evicted', () => {
    const made = table(2);
    foldSession(made, open('a'), 10, 1);
    foldSession(made, open('b'), 20, 1);
    expect(foldSession(made, open('c'), 30, 1)).toBe(false);
    expect(foldSession(made, open('a', 'ffffffffffffffff'), 30, 1)).toBe(true);
    expect(sessionsIn(bytesIn(made)).map(({ session, name }) => [session, name])).toEqual([
      [20, 'b'],
      [30, 'a'],
    ]);
    expect(foldSession(made, { what: 'evict', session: 10 }, 40, 1)).toBe(false);
    expect(foldSession(made, { what: 'evict', session: 20 }, 40, 1)).toBe(true);
    expect(foldSession(made, open('c'), 50, 1)).toBe(true);
    expect(sessionsIn(bytesIn(made)).map(({ name }) => name)).toEqual(['a', 'c']);
  });
});

describe('the section of a state entry', () => {
  const state: LogState = { ...UNTOLD, level: 2, generation: { number: 1, id: INSTANCE }, sessions: ROW };
  const encode = (given: LogState): Uint8Array => {
    const bytes = new Uint8Array(stateBytes(given));
    writeState(viewOf(bytes), 0, given);
    return bytes;
  };
  const read = (bytes: Uint8Array): LogState | undefined => readState(viewOf(bytes), 0, bytes.length);

  it('has the table, and is not there without sessions', () => {
    const bytes = encode(state);
    expect(hexOf(bytes).endsWith(hexOf(Uint8Array.of(...bytesOf('0a000000 80000000'), ...ROW)))).toBe(true);
    expect(read(bytes)).toEqual(state);
    expect(encode({ ...state, sessions: NO_SESSIONS })).toHaveLength(bytes.length - 8 - SESSION_ROW_BYTES);
  });

  it('is refused in a log of level 1, empty, or with a table that is none', () => {
    expect(read(encode({ ...state, level: 1 }))).toBeUndefined();
    expect(read(encode({ ...state, sessions: changed(ROW, 44, 1) }))).toBeUndefined();
    const empty = Uint8Array.of(...encode({ ...state, sessions: NO_SESSIONS }), ...bytesOf('0a000000 00000000'));
    expect(read(empty)).toBeUndefined();
  });
});
