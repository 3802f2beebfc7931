// The control block's 64-bit words, which cross into JavaScript as f64.

import { describe, expect, test } from 'vitest';
import { instantiateServer, sharedMemory } from './modules.ts';

const MAX = Number.MAX_SAFE_INTEGER;
const VALUES = [0, 1, 255, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 40 + 12_345, 2 ** 52 + 1, MAX - 1, MAX];
const WORD_AT = 64;

const memory = sharedMemory(1);
const server = instantiateServer(memory);
const words = new BigUint64Array(memory.buffer);

describe('control words', () => {
  test.each(VALUES)('storeWord and loadWord keep %d exactly, as a little-endian u64', (value) => {
    server.storeWord(WORD_AT, value);
    expect(server.loadWord(WORD_AT)).toBe(value);
    expect(words[WORD_AT / 8]).toBe(BigInt(value));
  });

  test.each(VALUES)('loadWord reads %d as JavaScript stored it', (value) => {
    Atomics.store(words, WORD_AT / 8, BigInt(value));
    expect(server.loadWord(WORD_AT)).toBe(value);
  });

  test.each(VALUES)('addWord reaches %d and returns the value before', (value) => {
    const half = Math.floor(value / 2);
    server.storeWord(WORD_AT, half);
    expect(server.addWord(WORD_AT, value - half)).toBe(half);
    expect(server.loadWord(WORD_AT)).toBe(value);
  });

  test.each(VALUES)('exchangeWord replaces %d only when it is expected', (value) => {
    const other = value === 0 ? MAX : value - 1;
    server.storeWord(WORD_AT, value);
    expect(server.exchangeWord(WORD_AT, other, 7)).toBe(value);
    expect(server.loadWord(WORD_AT)).toBe(value);
    expect(server.exchangeWord(WORD_AT, value, other)).toBe(value);
    expect(server.loadWord(WORD_AT)).toBe(other);
  });

  test('addWord carries from the low half into the high half', () => {
    server.storeWord(WORD_AT, 2 ** 32 - 1);
    server.addWord(WORD_AT, 1);
    expect([...new Uint32Array(memory.buffer, WORD_AT, 2)]).toEqual([0, 1]);
  });

  test('a word does not touch its neighbours', () => {
    words.fill(0x5555_5555_5555_5555n);
    server.storeWord(WORD_AT, MAX);
    server.addWord(WORD_AT, 0);
    server.exchangeWord(WORD_AT, MAX, 0);
    expect(words[WORD_AT / 8 - 1]).toBe(0x5555_5555_5555_5555n);
    expect(words[WORD_AT / 8]).toBe(0n);
    expect(words[WORD_AT / 8 + 1]).toBe(0x5555_5555_5555_5555n);
  });

  test('a word that is not 8-byte aligned traps', () => {
    expect(() => server.loadWord(WORD_AT + 4)).toThrow(WebAssembly.RuntimeError);
    expect(() => server.storeWord(WORD_AT + 1, 0)).toThrow(WebAssembly.RuntimeError);
  });

  test('two instances on one memory see the same word', () => {
    const other = instantiateServer(memory);
    server.storeWord(WORD_AT, MAX);
    expect(other.loadWord(WORD_AT)).toBe(MAX);
    expect(other.exchangeWord(WORD_AT, MAX, 2 ** 32)).toBe(MAX);
    expect(server.loadWord(WORD_AT)).toBe(2 ** 32);
  });
});
