import { describe, expect, it } from 'vitest';
import { viewOf } from '../../src/core/bytes.ts';
import { NO_TERM } from '../../src/core/ids.ts';
import { MAX_CONSUMER_NAME_BYTES, MAX_CONSUMERS_BYTES, MAX_LOG_OFFSET, MAX_POSITION_PAYLOAD_BYTES } from '../../src/core/limits.ts';
import { NO_ACCESS } from '../../src/format/access.ts';
import { NO_MEMBERS } from '../../src/format/configuration.ts';
import {
  type ConsumerChange,
  consumerIn,
  consumerNameBytes,
  consumersIn,
  consumersPayload,
  fencesIn,
  foldConsumers,
  growthAt,
  isConsumersTable,
  NO_CONSUMERS,
  placeOfConsumer,
  placeOfFence,
  readConsumerChanges,
} from '../../src/format/consumers.ts';
import { NO_POLICY, NO_SEAL, NO_TRIM } from '../../src/format/controlEntries.ts';
import { NO_SESSIONS } from '../../src/format/sessions.ts';
import { type LogState, readState, stateBytes, writeState } from '../../src/format/stateEntry.ts';
import { Random } from '../assembly/random.ts';
import { bytesOf, hexOf } from './hex.ts';

const claim = (name: string): ConsumerChange => ({ what: 'claim', name });
const commit = (fence: number, position: number): ConsumerChange => ({ what: 'commit', fence, position });
const reset = (name: string, position?: number): ConsumerChange => ({ what: 'reset', name, position });
const remove = (name: string): ConsumerChange => ({ what: 'remove', name });

const CHANGES = [claim('ü1'), commit(0x1_0000_0002, 0x1_2345_6789), reset('b', 7), reset('b'), remove('ü1')];
const CHANGES_BYTES = bytesOf(`
  01030000 c3bc31
  02000000 0200000001000000 8967452301000000
  03010000 0700000000000000 62
  03010000 ffffffffffffffff 62
  04030000 c3bc31
`);

const decoded = (bytes: Uint8Array) => readConsumerChanges(viewOf(bytes), 0, bytes.length);
const isTable = (bytes: Uint8Array): boolean => isConsumersTable(viewOf(bytes), 0, bytes.length);
const tableOf = (...changes: readonly ConsumerChange[]): Uint8Array =>
  changes.reduce<Uint8Array>((table, change, i) => foldConsumers(table, change, 0x19a_0000_0000 + i), NO_CONSUMERS);

/** `b` with fence 2 at 0x123456789, and `ü1` with fence 3 and no position. */
const TABLE = tableOf(claim('ü1'), claim('b'), commit(2, 0x1_2345_6789), claim('ü1'));
const TABLE_BYTES = bytesOf(`
  0300000000000000
  0200000000000000 8967452301000000 020000009a010000 01000000 62
  0300000000000000 ffffffffffffffff 030000009a010000 03000000 c3bc31
`);

describe('position entry', () => {
  it('golden bytes', () => {
    expect(hexOf(consumersPayload(CHANGES))).toBe(hexOf(CHANGES_BYTES));
    expect(decoded(CHANGES_BYTES)).toEqual(CHANGES);
  });

  it.each([
    ['an unknown change', 0, 5],
    ['none', 0, 0],
    ['a name of another length', 1, 2],
    ['no name', 1, 0],
    ['reserved bytes that are not zero', 2, 1],
    ['a name that is not UTF-8', 5, 0x41],
    ['a commit with a name', 8, 1],
    ['a fence above 2^53 - 1', 18, 0x80],
    ['a commit above 2^53 - 1', 26, 0x80],
    ['a commit without a position', 20, 0xff],
    ['a reset above 2^53 - 1', 38, 0x80],
    ['a reset without a name', 28, 0],
  ])('with %s it is none', (_what, at, byte) => {
    const bytes = CHANGES_BYTES.slice();
    bytes[at] = byte;
    if (at === 20) bytes.fill(0xff, 19, 27);
    expect(decoded(bytes)).toBeUndefined();
  });

  it('of a fence 0 it is none', () => {
    expect(decoded(bytesOf('02000000 0000000000000000 0000000000000000'))).toBeUndefined();
  });

  it('cut inside a change it is none, nor is it without one, or too large', () => {
    const ends = new Set([7, 27, 40, 53]);
    for (let length = 0; length < CHANGES_BYTES.length; length += 1)
      expect(decoded(CHANGES_BYTES.slice(0, length)) !== undefined, `${length}`).toBe(ends.has(length));
    expect(decoded(Uint8Array.from([...CHANGES_BYTES, 0]))).toBeUndefined();
    const most = Math.floor(MAX_POSITION_PAYLOAD_BYTES / 20);
    const commits = (count: number): Uint8Array => consumersPayload(Array.from({ length: count }, (_, i) => commit(i + 1, i)));
    expect(decoded(commits(most))).toHaveLength(most);
    expect(decoded(commits(most + 1))).toBeUndefined();
  });
});

it('a name has 1 to 64 bytes of UTF-8', () => {
  expect([consumerNameBytes('a'), consumerNameBytes('ü'.repeat(32)), MAX_CONSUMER_NAME_BYTES]).toEqual([1, 64, 64]);
  expect([consumerNameBytes(''), consumerNameBytes('a'.repeat(65)), consumerNameBytes('\ud800')]).toEqual([0, 0, 0]);
});

describe('table of consumers', () => {
  it('golden bytes', () => {
    expect(hexOf(TABLE)).toBe(hexOf(TABLE_BYTES));
    expect(isTable(TABLE)).toBe(true);
    expect(consumersIn(TABLE)).toEqual([
      { name: 'b', fence: 2, position: 0x1_2345_6789, timeMs: 0x19a_0000_0002 },
      { name: 'ü1', fence: 3, position: undefined, timeMs: 0x19a_0000_0003 },
    ]);
  });

  it.each([
    ['fewer fences than one of its consumers has', 0, 2],
    ['fences above 2^53 - 1', 7, 0x80],
    ['a consumer without a fence', 8, 0],
    ['two with the same', 8, 3],
    ['a fence above 2^53 - 1', 14, 0x80],
    ['a position above 2^53 - 1', 22, 0x80],
    ['a time above 2^53 - 1', 30, 0x80],
    ['a name of another length', 32, 2],
    ['no name', 32, 0],
    ['a name that is longer than the table', 35, 0x80],
    ['a name that is not UTF-8', 36, 0x80],
  ])('with %s it is none', (_what, at, byte) => {
    const bytes = TABLE_BYTES.slice();
    bytes[at] = byte;
    expect(isTable(bytes)).toBe(false);
  });

  it('cut anywhere but between its consumers it is none; without any it still knows how many fences there were', () => {
    for (let length = 0; length < TABLE_BYTES.length; length += 1)
      expect(isTable(TABLE_BYTES.slice(0, length)), `${length}`).toBe(length === 8 || length === 37);
    expect(hexOf(tableOf(claim('a'), remove('a')))).toBe('0100000000000000');
    expect(isTable(bytesOf('0000000000000000'))).toBe(false);
  });

  it('gives each claim and each reset a fence of its own, also where the name was removed meanwhile', () => {
    const table = tableOf(claim('a'), commit(1, 10), remove('a'), claim('a'), reset('a', 5), claim('a'));
    expect([fencesIn(table), consumerIn(table, 'a')]).toEqual([4, { name: 'a', fence: 4, position: 5, timeMs: 0x19a_0000_0005 }]);
    for (const fenced of [1, 2, 3, 5]) {
      expect(placeOfFence(table, fenced)).toBeUndefined();
      expect(foldConsumers(table, commit(fenced, 99), 1)).toBe(table);
    }
    expect(consumerIn(foldConsumers(table, commit(4, 99), 1), 'a')?.position).toBe(99);
  });

  it('keeps a position that was committed when the name changes hands, and never lets it fall but by a reset', () => {
    const table = tableOf(claim('a'), commit(1, 10), claim('a'));
    expect(consumerIn(table, 'a')).toMatchObject({ fence: 2, position: 10 });
    for (const position of [0, 9, 10]) expect(foldConsumers(table, commit(2, position), 1)).toBe(table);
    expect(consumerIn(foldConsumers(table, commit(2, 11), 1), 'a')?.position).toBe(11);
    expect(consumerIn(foldConsumers(table, reset('a', 3), 1), 'a')).toMatchObject({ fence: 3, position: 3 });
    expect(consumerIn(foldConsumers(table, reset('a'), 1), 'a')).toMatchObject({ fence: 3, position: undefined });
    expect(consumerIn(tableOf(claim('a'), commit(1, 0)), 'a')?.position).toBe(0);
  });

  it('removes nothing that is not there, and makes whoever is reset', () => {
    expect(foldConsumers(TABLE, remove('a'), 1)).toBe(TABLE);
    expect(consumerIn(foldConsumers(TABLE, reset('a', 4), 1), 'a')).toEqual({ name: 'a', fence: 4, position: 4, timeMs: 1 });
  });

  it('is canonical: what it is does not tell how it came about', () => {
    const random = new Random(5);
    for (let round = 0; round < 50; round += 1) {
      let table: Uint8Array = NO_CONSUMERS;
      const names = new Map<string, { fence: number; position: number | undefined }>();
      let fences = 0;
      for (let step = 0; step < 60; step += 1) {
        const name = `${'n'.repeat(random.below(3))}${random.below(6)}`;
        const there = names.get(name);
        const what = random.below(5);
        const grows = table.length;
        let change: ConsumerChange;
        if (what === 0) change = claim(name);
        else if (what === 1) change = reset(name, random.below(2) === 0 ? undefined : random.below(1000));
        else if (what === 2) change = remove(name);
        else change = commit(random.below(4) === 0 ? 1 + random.below(fences + 1) : (there?.fence ?? 1), random.below(1000));
        const growth = change.what === 'commit' ? 0 : growthAt(table, placeOfConsumer(table, name), change);
        table = foldConsumers(table, change, 1);
        expect(table.length - grows).toBe(growth);
        if (change.what === 'claim') names.set(name, { fence: ++fences, position: there?.position });
        if (change.what === 'reset') names.set(name, { fence: ++fences, position: change.position });
        if (change.what === 'remove') names.delete(name);
        if (change.what === 'commit') {
          const { fence, position } = change;
          for (const one of names.values()) if (one.fence === fence) one.position = Math.max(one.position ?? 0, position);
        }
      }
      expect(table.length === 0 || isTable(table)).toBe(true);
      const sorted = [...names].map(([name, one]) => ({ name, ...one })).sort((a, b) => (a.name < b.name ? -1 : 1));
      expect(consumersIn(table)).toEqual(sorted.map((one) => ({ ...one, timeMs: 1 })));
    }
  });

  it('is full at its bound, on every node alike: a new name changes nothing then, one that is there does', () => {
    const records: string[] = [];
    let table: Uint8Array = NO_CONSUMERS;
    const most = Math.floor((MAX_CONSUMERS_BYTES - 8) / (28 + 64));
    expect(most).toBeGreaterThanOrEqual(4096);
    // Made by hand: to fold so many takes long.
    const bytes = new Uint8Array(8 + most * 92);
    const view = viewOf(bytes);
    view.setUint32(0, most, true);
    for (let i = 0; i < most; i += 1) {
      const name = String(i).padStart(64, '0');
      records.push(name);
      const at = 8 + i * 92;
      view.setUint32(at, i + 1, true);
      bytes.fill(0xff, at + 8, at + 16);
      view.setUint32(at + 24, 64, true);
      bytes.set(new TextEncoder().encode(name), at + 28);
    }
    table = bytes;
    expect(isTable(table)).toBe(true);
    expect(foldConsumers(table, claim('x'.repeat(64)), 1)).toBe(table);
    expect(fencesIn(foldConsumers(table, claim(records[5] ?? ''), 1))).toBe(most + 1);
    expect(foldConsumers(table, remove(records[5] ?? ''), 1)).toHaveLength(table.length - 92);
  });
});

it('a state entry has the table before that of tokens, in logs that may have it, and none while nobody took a name', () => {
  const state: LogState = {
    dataEnd: 0,
    before: NO_TERM,
    trim: NO_TRIM,
    timeMs: 7,
    seal: NO_SEAL,
    level: 2,
    generation: { number: 1, id: '0123456789abcdef' },
    policy: NO_POLICY,
    access: NO_ACCESS,
    consumers: TABLE_BYTES,
    nodes: NO_MEMBERS,
    sessions: NO_SESSIONS,
  };
  const encode = (which: LogState): Uint8Array => {
    const bytes = new Uint8Array(stateBytes(which));
    writeState(viewOf(bytes), 0, which);
    return bytes;
  };
  const bytes = encode(state);
  const without = encode({ ...state, consumers: NO_CONSUMERS });
  expect(hexOf(bytes)).toBe(`${hexOf(without)}0b00000044000000${hexOf(TABLE_BYTES)}`);
  expect(readState(viewOf(bytes), 0, bytes.length)).toEqual(state);
  expect(readState(viewOf(without), 0, without.length)?.consumers).toHaveLength(0);
  for (const [at, byte] of [
    [without.length + 4, 0x43],
    [without.length + 4, 0x45],
    [without.length + 7, 0x80],
    [without.length + 8, 2],
  ] as const) {
    const wrong = bytes.slice();
    wrong[at] = byte;
    expect(readState(viewOf(wrong), 0, wrong.length), `byte ${at}`).toBeUndefined();
  }
  const below = encode({ ...state, level: 1 });
  expect(readState(viewOf(below), 0, below.length)).toBeUndefined();
  expect(MAX_LOG_OFFSET).toBe(2 ** 53 - 1);
});
