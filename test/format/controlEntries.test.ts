import { describe, expect, it } from 'vitest';
import {
  KIND_ACCESS,
  KIND_LEVEL,
  KIND_NOOP,
  KIND_POLICY,
  KIND_POSITION,
  KIND_SEAL,
  KIND_STATE,
  KIND_TIME,
  KIND_TRIM,
} from '../../assembly/layout.ts';
import { viewOf } from '../../src/core/bytes.ts';
import { NO_TERM } from '../../src/core/ids.ts';
import { NO_ACCESS } from '../../src/format/access.ts';
import { NO_MEMBERS } from '../../src/format/configuration.ts';
import { NO_CONSUMERS } from '../../src/format/consumers.ts';
import {
  levelPayload,
  maySeal,
  NO_DIGEST,
  NO_POLICY,
  NO_SEAL,
  NO_TRIM,
  policyPayload,
  readLevel,
  readPolicy,
  readSeal,
  readTime,
  readTrim,
  sealPayload,
  trimPayload,
  writeTime,
} from '../../src/format/controlEntries.ts';
import { NO_SESSIONS } from '../../src/format/sessions.ts';
import { type LogState, readState, stateBytes, writeState } from '../../src/format/stateEntry.ts';
import { isWellFormed } from '../../src/format/wellFormed.ts';
import { bytesOf, hexOf } from './hex.ts';

const DIGEST = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f';
const GENERATION = { number: 1, id: '0123456789abcdef' };

const FIRST: LogState = {
  dataEnd: 0,
  before: NO_TERM,
  trim: NO_TRIM,
  timeMs: 0x19a_0000_0000,
  seal: NO_SEAL,
  level: 1,
  generation: GENERATION,
  policy: NO_POLICY,
  access: NO_ACCESS,
  consumers: NO_CONSUMERS,
  nodes: NO_MEMBERS,
  sessions: NO_SESSIONS,
};

const FULL: LogState = {
  dataEnd: 0x1_2345_6789,
  before: { term: 7, leader: 'fedcba9876543210' },
  trim: { start: 0x1_0000_0000, dataEnd: 0xffff_fff0 },
  timeMs: 0x19a_0000_0001,
  seal: { base: 0xffff_0000, end: 0x1_1234_0000, digest: DIGEST },
  level: 1,
  generation: { number: 2, id: '00000000000000aa' },
  policy: { bytes: 0x2_0000_0000, ageMs: 604_800_000 },
  access: NO_ACCESS,
  consumers: NO_CONSUMERS,
  nodes: NO_MEMBERS,
  sessions: NO_SESSIONS,
};

const FIRST_BYTES = bytesOf(`
  0100 0000 18000000  0000000000000000 00000000 00000000 0000000000000000
  0300 0000 08000000  000000009a010000
  0500 0000 04000000  01000000
  0600 0000 10000000  01000000 00000000 0123456789abcdef
`);

const FULL_BYTES = bytesOf(`
  0100 0000 18000000  8967452301000000 07000000 00000000 fedcba9876543210
  0200 0000 10000000  0000000001000000 f0ffffff00000000
  0300 0000 08000000  010000009a010000
  0400 0000 30000000  0000ffff00000000 0000341201000000 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
  0500 0000 04000000  01000000
  0600 0000 10000000  02000000 00000000 00000000000000aa
  0900 0000 10000000  0000000002000000 00840c2400000000
`);

const NODES: LogState = {
  ...FIRST,
  level: 2,
  nodes: {
    members: [{ id: 2, instance: '0123456789abcdef', role: 'voter', host: 'a', port: 1, peerPort: 2 }],
    removed: [{ id: 3, instance: 'fedcba9876543210' }],
  },
};

const NODES_BYTES = bytesOf(`
  0100 0000 18000000  0000000000000000 00000000 00000000 0000000000000000
  0300 0000 08000000  000000009a010000
  0500 0000 04000000  02000000
  0600 0000 10000000  01000000 00000000 0123456789abcdef
  0700 0000 19000000  01000000 00000000 02 01 0100 0200 0100 0123456789abcdef 61
  0800 0000 10000000  03 00000000000000 fedcba9876543210
`);

function encoded(state: LogState): Uint8Array {
  const bytes = new Uint8Array(stateBytes(state));
  writeState(viewOf(bytes), 0, state);
  return bytes;
}
const decoded = (bytes: Uint8Array): LogState | undefined => readState(viewOf(bytes), 0, bytes.length);

describe('state entry', () => {
  it.each([
    ['the first of a log', FIRST, FIRST_BYTES],
    ['one with all sections of level 1', FULL, FULL_BYTES],
    ['one that says which nodes there are', NODES, NODES_BYTES],
  ])('golden bytes of %s', (_name, state, golden) => {
    expect(hexOf(encoded(state))).toBe(hexOf(golden));
    expect(decoded(golden)).toEqual(state);
  });

  it.each([
    ['a section that is unknown', 0, 4],
    ['a section that comes twice or in disorder', 32, 1],
    ['a reserved field of a section that is not zero', 2, 1],
    ['a section of another length', 4, 23],
    ['a data end above 2^53 - 1', 14, 0x80],
    ['a reserved field that is not zero', 20, 1],
    ['a start above 2^53 - 1', 46, 0x80],
    ['a data end after the start', 52, 2],
    ['a time above 2^53 - 1', 70, 0x80],
    ['a seal that ends before it begins', 92, 0],
    ['a seal that ends above 2^53 - 1', 94, 0x80],
    ['level 0', 136, 0],
    ['a level of a newer build', 136, 3],
    ['generation 0', 148, 0],
    ['a policy above 2^53 - 1', 178, 0x80],
  ])('with %s it is none', (_name, at, byte) => {
    const bytes = FULL_BYTES.slice();
    bytes[at] = byte;
    expect(decoded(bytes)).toBeUndefined();
  });

  it.each([
    ['of a level that has no nodes', 56, 1],
    ['a member without a role', 101, 4],
    ['no members', 92, 0],
    ['a removed directory of no node', 125, 0],
    ['a removed directory cut short', 121, 15],
  ])('that says which nodes there are, with %s, is none', (_name, at, byte) => {
    expect(decoded(NODES_BYTES)).toEqual(NODES);
    const bytes = NODES_BYTES.slice();
    expect(bytes[at]).not.toBe(byte);
    bytes[at] = byte;
    expect(decoded(bytes)).toBeUndefined();
  });

  it('that says removed directories, but no nodes, or an empty list of them, is none', () => {
    expect(decoded(Uint8Array.from([...NODES_BYTES.subarray(0, 84), ...NODES_BYTES.subarray(117)]))).toBeUndefined();
    expect(decoded(Uint8Array.from([...NODES_BYTES.subarray(0, 117), 8, 0, 0, 0, 0, 0, 0, 0]))).toBeUndefined();
  });

  it('cut anywhere it is none, and with more after it neither', () => {
    for (let length = 0; length < FULL_BYTES.length; length += 1) {
      const isWhole = length === FULL_BYTES.length - 24;
      expect(decoded(FULL_BYTES.slice(0, length)) === undefined, `${length} bytes`).toBe(!isWhole);
    }
    expect(decoded(Uint8Array.from([...FULL_BYTES, 0]))).toBeUndefined();
  });
});

it('trim entry: golden bytes, and what is none', () => {
  const golden = bytesOf('8967452301000000 8867452301000000');
  expect(hexOf(trimPayload({ start: 0x1_2345_6789, dataEnd: 0x1_2345_6788 }))).toBe(hexOf(golden));
  expect(readTrim(viewOf(golden), 0, 16)).toEqual({ start: 0x1_2345_6789, dataEnd: 0x1_2345_6788 });
  expect(readTrim(viewOf(golden), 0, 15)).toBeUndefined();
  for (const [at, byte] of [
    [6, 0x80],
    [8, 0x8a],
  ] as const) {
    const bytes = golden.slice();
    bytes[at] = byte;
    expect(readTrim(viewOf(bytes), 0, 16)).toBeUndefined();
  }
});

it('time entry: golden bytes, and what is none', () => {
  const bytes = new Uint8Array(8);
  writeTime(viewOf(bytes), 0, 0x19a_1234_5678);
  expect(hexOf(bytes)).toBe('785634129a010000');
  expect(readTime(viewOf(bytes), 0, 8)).toBe(0x19a_1234_5678);
  expect(readTime(viewOf(bytes), 0, 7)).toBeUndefined();
  bytes[6] = 0x80;
  expect(readTime(viewOf(bytes), 0, 8)).toBeUndefined();
});

it('seal entry: golden bytes, and what is none', () => {
  const seal = { base: 0x1_0000_0000, end: 0x1_2345_6789, digest: DIGEST, before: 'ff'.repeat(32) };
  const golden = bytesOf(`0000000001000000 8967452301000000 ${DIGEST} ${'ff'.repeat(32)}`);
  expect(hexOf(sealPayload(seal))).toBe(hexOf(golden));
  expect(readSeal(viewOf(golden), 0, 80)).toEqual(seal);
  expect(readSeal(viewOf(golden), 0, 79)).toBeUndefined();
  for (const [at, byte] of [
    [7, 0x80],
    [12, 0],
    [14, 0x80],
  ] as const) {
    const bytes = golden.slice();
    bytes[at] = byte;
    expect(readSeal(viewOf(bytes), 0, 80), `byte ${at}`).toBeUndefined();
  }
});

it('segments are sealed in their order, each once', () => {
  const seal = { base: 0, end: 100, digest: DIGEST, before: NO_DIGEST };
  expect(maySeal(NO_SEAL, seal)).toBe(true);
  expect(maySeal(NO_SEAL, { ...seal, before: DIGEST })).toBe(false);
  expect(maySeal(seal, { ...seal, before: DIGEST })).toBe(false);
  expect(maySeal(seal, { base: 100, end: 200, digest: DIGEST, before: DIGEST })).toBe(true);
  // What was trimmed before it was sealed is left out.
  expect(maySeal(seal, { base: 150, end: 200, digest: DIGEST, before: DIGEST })).toBe(true);
  expect(maySeal(seal, { base: 99, end: 200, digest: DIGEST, before: DIGEST })).toBe(false);
});

it('policy entry: golden bytes, and what is none', () => {
  const golden = bytesOf('0000000002000000 00840c2400000000');
  expect(hexOf(policyPayload({ bytes: 0x2_0000_0000, ageMs: 604_800_000 }))).toBe(hexOf(golden));
  expect(readPolicy(viewOf(golden), 0, 16)).toEqual({ bytes: 0x2_0000_0000, ageMs: 604_800_000 });
  expect(readPolicy(viewOf(golden), 0, 17)).toBeUndefined();
  for (const at of [6, 14]) {
    const bytes = golden.slice();
    bytes[at] = 0x80;
    expect(readPolicy(viewOf(bytes), 0, 16)).toBeUndefined();
  }
  const waiting = bytesOf('0000000002000000 00840c2400000000 0100000000000000');
  expect(hexOf(policyPayload({ bytes: 0x2_0000_0000, ageMs: 604_800_000, consumerBytes: 1 }))).toBe(hexOf(waiting));
  expect(readPolicy(viewOf(waiting), 0, 24)).toEqual({ bytes: 0x2_0000_0000, ageMs: 604_800_000, consumerBytes: 1 });
  for (const [at, byte] of [
    [16, 0],
    [22, 0x80],
  ] as const) {
    const bytes = waiting.slice();
    bytes[at] = byte;
    expect(readPolicy(viewOf(bytes), 0, 24)).toBeUndefined();
  }
  const state = { ...FIRST, policy: { bytes: 0, ageMs: 0, consumerBytes: 5 } };
  const bytesAt = (level: number): Uint8Array => {
    const bytes = new Uint8Array(stateBytes(state));
    writeState(viewOf(bytes), 0, { ...state, level });
    return bytes;
  };
  expect(readState(viewOf(bytesAt(2)), 0, bytesAt(2).length)).toEqual({ ...state, level: 2 });
  expect(readState(viewOf(bytesAt(1)), 0, bytesAt(1).length)).toBeUndefined();
});

it('level entry: golden bytes, and what is none', () => {
  expect(hexOf(levelPayload(1))).toBe('01000000');
  expect(readLevel(viewOf(bytesOf('01000000')), 0, 4)).toBe(1);
  expect(readLevel(viewOf(bytesOf('02000000')), 0, 4)).toBe(2);
  for (const wrong of ['00000000', '03000000', '01000001', '010000', '0100000000']) {
    expect(readLevel(viewOf(bytesOf(wrong)), 0, wrong.length / 2)).toBeUndefined();
  }
});

it('whether a payload is what its kind has', () => {
  const view = viewOf(FULL_BYTES);
  expect(isWellFormed(view, 0, KIND_STATE, FULL_BYTES.length)).toBe(true);
  for (const kind of [KIND_STATE, KIND_TRIM, KIND_TIME, KIND_SEAL, KIND_LEVEL, KIND_POLICY, KIND_POSITION, KIND_ACCESS])
    expect(isWellFormed(view, 0, kind, 3)).toBe(false);
  expect(isWellFormed(view, 0, KIND_NOOP, 3)).toBe(true);
});
