// Requests about named consumers, and their answer, byte for byte.

import { describe, expect, test } from 'vitest';
import { MAX_LOG_OFFSET } from '../../src/core/limits.ts';
import { decodeAnswer } from '../../src/protocol/answers.ts';
import { type ConsumerQuestion, consumersRequestIn, encodeConsumersAnswer, encodeConsumersRequest } from '../../src/protocol/consumers.ts';
import { Random } from '../assembly/random.ts';
import { bytesOf, hexOf } from '../format/hex.ts';

const GENERATION = '00000000000000aa';
const claim: ConsumerQuestion = { change: { what: 'claim', name: 'b' }, generation: GENERATION };
const commit: ConsumerQuestion = { change: { what: 'commit', fence: 2, position: 7 }, generation: GENERATION };

const HEADER = '0f000000 01000000 0000000000000000 00000000 00000000';
const CLAIM = `${HEADER} 00000000000000aa 01010000 62`;
const COMMIT = `${HEADER} 00000000000000aa 02000000 0200000000000000 0700000000000000`;
const ANSWER = `
  8c030000 01000000 00000000000000aa 0000000000000000
  0200000000000000 ffffffffffffffff 000000009a010000 01000000 62
`;
const LIST = `
  8c000000 05000000 6400000000000000 8967452301000000
  0200000000000000 0700000000000000 0000000000000000 01000000 62
  0100000000000000 ffffffffffffffff 000000009a010000 03000000 c3bc31
`;

describe('CONSUMERS', () => {
  test('golden bytes of the list, a claim and a commit', () => {
    expect(hexOf(encodeConsumersRequest(1, undefined))).toBe(hexOf(bytesOf(HEADER)));
    expect(hexOf(encodeConsumersRequest(1, claim))).toBe(hexOf(bytesOf(CLAIM)));
    expect(hexOf(encodeConsumersRequest(1, commit))).toBe(hexOf(bytesOf(COMMIT)));
    expect(consumersRequestIn(new Uint8Array(0))).toBeUndefined();
    expect(consumersRequestIn(bytesOf(CLAIM).subarray(24))).toEqual(claim);
    expect(consumersRequestIn(bytesOf(COMMIT).subarray(24))).toEqual(commit);
  });

  test('is one change, whole, and nothing else', () => {
    const body = bytesOf(CLAIM).subarray(24);
    for (let length = 1; length < body.length; length += 1) expect(consumersRequestIn(body.slice(0, length)), `${length}`).toBe('wrong');
    expect(consumersRequestIn(Uint8Array.from([...body, ...body.subarray(8)]))).toBe('wrong');
    expect(consumersRequestIn(Uint8Array.from([...body, 0]))).toBe('wrong');
  });

  test('that is anything is read or refused, and never throws', () => {
    const random = new Random(11);
    for (let round = 0; round < 20_000; round += 1) {
      const body = bytesOf(random.oneIn(2) ? CLAIM : COMMIT).slice(24);
      for (let changed = 1 + random.below(4); changed > 0; changed -= 1) body[8 + random.below(body.length - 8)] = random.below(256);
      const read = consumersRequestIn(body.slice(0, random.oneIn(3) ? random.below(body.length) : body.length));
      if (read === undefined || read === 'wrong') continue;
      expect(consumersRequestIn(encodeConsumersRequest(1, read).subarray(24))).toEqual(read);
    }
  });
});

describe('POSITIONS', () => {
  test('golden bytes', () => {
    const changed = {
      requestId: 1,
      hasChanged: true,
      generation: GENERATION,
      start: 0,
      dataEnd: 0,
      consumers: [{ name: 'b', fence: 2, position: undefined, timeMs: 0x19a_0000_0000 }],
    };
    expect(hexOf(encodeConsumersAnswer(changed))).toBe(hexOf(bytesOf(ANSWER)));
    expect(decodeAnswer(bytesOf(ANSWER))).toEqual({ kind: 'consumers', ...changed });
    const list = {
      requestId: 5,
      hasChanged: false,
      generation: undefined,
      start: 100,
      dataEnd: 0x1_2345_6789,
      consumers: [
        { name: 'b', fence: 2, position: 7, timeMs: 0 },
        { name: 'ü1', fence: 1, position: undefined, timeMs: 0x19a_0000_0000 },
      ],
    };
    expect(hexOf(encodeConsumersAnswer(list))).toBe(hexOf(bytesOf(LIST)));
    expect(decodeAnswer(bytesOf(LIST))).toEqual({ kind: 'consumers', ...list });
  });

  test.each([
    ['no fence', 24, 0],
    ['a fence above 2^53 - 1', 30, 0x80],
    ['a position above 2^53 - 1', 38, 0x80],
    ['a time above 2^53 - 1', 46, 0x80],
    ['a name of another length', 48, 2],
    ['no name', 48, 0],
    ['a name that is not UTF-8', 82, 0x41],
  ])('with %s is none', (_what, at, byte) => {
    const bytes = bytesOf(LIST);
    bytes[at] = byte;
    if (at === 24) bytes.fill(0, 24, 32);
    expect(decodeAnswer(bytes)).toEqual({ kind: 'malformed', reason: 'a POSITIONS with wrong records' });
  });

  test('cut inside a record is none', () => {
    const bytes = bytesOf(LIST);
    for (let length = 24; length < bytes.length; length += 1)
      expect(decodeAnswer(bytes.slice(0, length)).kind, `${length}`).toBe(length === 24 || length === 53 ? 'consumers' : 'malformed');
    expect(MAX_LOG_OFFSET).toBe(2 ** 53 - 1);
  });
});
