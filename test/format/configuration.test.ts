import { describe, expect, it } from 'vitest';
import { viewOf } from '../../src/core/bytes.ts';
import type { Configuration, Member } from '../../src/core/members.ts';
import { configurationPayload, foldConfiguration, readConfiguration, readRemoved, removedBytes } from '../../src/format/configuration.ts';
import { bytesOf, hexOf } from './hex.ts';

const TWO: Configuration = [
  { id: 1, instance: '0123456789abcdef', role: 'voter', host: '10.0.0.1', port: 7070, peerPort: 7170 },
  { id: 32, instance: 'fedcba9876543210', role: 'learner', host: '', port: 0, peerPort: 0 },
];

const GOLDEN = bytesOf(`
  02000000 00000000
  01 01 9e1b 021c 0800 0123456789abcdef 31302e302e302e31
  20 02 0000 0000 0000 fedcba9876543210
`);

const decoded = (bytes: Uint8Array): Configuration | undefined => readConfiguration(viewOf(bytes), 0, bytes.length);

describe('configuration entry', () => {
  it('golden bytes', () => {
    expect(hexOf(configurationPayload(TWO))).toBe(hexOf(GOLDEN));
    expect(decoded(GOLDEN)).toEqual(TWO);
  });

  it.each([
    ['fewer members than it says', 0, 3],
    ['more members than it says', 0, 1],
    ['a reserved field that is not zero', 4, 1],
    ['an id of 0', 8, 0],
    ['ids that do not ascend', 8, 32],
    ['an id above 32', 32, 33],
    ['no voter', 9, 2],
    ['a role that is none', 33, 4],
    ['a host that goes past its end', 38, 1],
    ['a host with a byte that none has', 24, 0x20],
    ['a host with a byte that is no ASCII', 24, 0xe4],
  ])('with %s it is none', (_name, at, byte) => {
    const bytes = GOLDEN.slice();
    bytes[at] = byte;
    expect(decoded(bytes)).toBeUndefined();
  });

  it('has a reader as a role of its own', () => {
    const [first, second] = TWO;
    if (first === undefined || second === undefined) throw new Error('there are two');
    const bytes = GOLDEN.slice();
    bytes[33] = 3;
    expect(decoded(bytes)).toEqual([first, { ...second, role: 'reader' }]);
    expect(hexOf(configurationPayload([first, { ...second, role: 'reader' }]))).toBe(hexOf(bytes));
  });

  it('without an instance it is none, and cut anywhere neither', () => {
    const bytes = GOLDEN.slice();
    bytes.fill(0, 16, 24);
    expect(decoded(bytes)).toBeUndefined();
    for (let length = 0; length < GOLDEN.length; length += 1) expect(decoded(GOLDEN.slice(0, length)), `${length} bytes`).toBeUndefined();
    expect(decoded(Uint8Array.from([...GOLDEN, 0]))).toBeUndefined();
  });

  it('of more bytes than its bound it is none', () => {
    const host = 'a'.repeat(250);
    const members = Array.from(
      { length: 8 },
      (_, i): Member => ({
        ...TWO[0],
        id: i + 1,
        instance: `${i + 1}`.padStart(16, '0'),
        role: i < 7 ? 'voter' : 'learner',
        host,
        port: 1,
        peerPort: 2,
      }),
    );
    expect(decoded(configurationPayload(members.slice(0, 7)))).toHaveLength(7);
    expect(decoded(configurationPayload(members))).toBeUndefined();
  });
});

describe('removed directories', () => {
  const golden = bytesOf('0300000000000000 0123456789abcdef 0400000000000000 fedcba9876543210');
  const list = [
    { id: 3, instance: '0123456789abcdef' },
    { id: 4, instance: 'fedcba9876543210' },
  ];

  it('golden bytes', () => {
    expect(hexOf(removedBytes(list))).toBe(hexOf(golden));
    expect(readRemoved(viewOf(golden), 0, golden.length)).toEqual(list);
    expect(readRemoved(viewOf(golden), 0, 0)).toEqual([]);
  });

  it.each([
    [0, 0],
    [0, 33],
    [1, 1],
    [7, 1],
  ])('with byte %i %i there are none', (at, byte) => {
    const bytes = golden.slice();
    bytes[at] = byte;
    expect(readRemoved(viewOf(bytes), 0, bytes.length)).toBeUndefined();
  });

  it('without an instance, with a part of one, or more than 64, there are none', () => {
    const bytes = golden.slice();
    bytes.fill(0, 8, 16);
    expect(readRemoved(viewOf(bytes), 0, bytes.length)).toBeUndefined();
    expect(readRemoved(viewOf(golden), 0, 24)).toBeUndefined();
    const many = removedBytes(Array.from({ length: 65 }, () => ({ id: 3, instance: '0123456789abcdef' })));
    expect(readRemoved(viewOf(many), 0, many.length)).toBeUndefined();
    expect(readRemoved(viewOf(many), 0, many.length - 16)).toHaveLength(64);
  });
});

it('a set that may not follow is passed over, and who goes is remembered', () => {
  const first = foldConfiguration({ members: [], removed: [] }, TWO);
  expect(first).toEqual({ members: TWO, removed: [] });
  const next = foldConfiguration(first, TWO.slice(0, 1));
  expect(next).toEqual({ members: TWO.slice(0, 1), removed: [{ id: 32, instance: 'fedcba9876543210' }] });
  // Who was removed does not come back.
  expect(foldConfiguration(next, TWO)).toBe(next);
});
