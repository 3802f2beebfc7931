// XXH64 against the values that its authors publish, in WebAssembly and in its TypeScript twin alike.

import { describe, expect, test } from 'vitest';
import { xxh64 } from '../../src/format/xxh64.ts';
import { instantiateServer, sharedMemory } from './modules.ts';

const PRIME_32 = 2654435761n;
const PRIME_64 = 11400714785074694797n;
const SANITY_BUFFER_BYTES = 4161;

/** The buffer of the reference implementation's own check: cli/xsum_sanity_check.c of the xxHash repository. */
function sanityBuffer(): Uint8Array {
  let generator = PRIME_32;
  return Uint8Array.from({ length: SANITY_BUFFER_BYTES }, () => {
    const byte = Number(generator >> 56n);
    generator = BigInt.asUintN(64, generator * PRIME_64);
    return byte;
  });
}

// Length of the prefix of the sanity buffer, seed, XXH64. The first nine are the table XSUM_XXH64_testdata of
// cli/xsum_sanity_check.c; the others are from tests/sanity_test_vectors.h, one at least for each path through the algorithm.
const VECTORS: readonly (readonly [number, bigint, bigint])[] = [
  [0, 0n, 0xef46db3751d8e999n],
  [0, PRIME_32, 0xac75fda2929b17efn],
  [1, 0n, 0xe934a84adb052768n],
  [1, PRIME_32, 0x5014607643a9b4c3n],
  [4, 0n, 0x9136a0dca57457een],
  [14, 0n, 0x8282dcc4994e35c8n],
  [14, PRIME_32, 0xc3bd6bf63deb6df0n],
  [222, 0n, 0xb641ae8cb691c174n],
  [222, PRIME_32, 0x20cb8ab7ae10c14an],
  [4, PRIME_32, 0xcaab286bd8e9fdb5n],
  [8, 0n, 0xcdbcf538e71d1348n],
  [8, PRIME_32, 0xfe0c047a5353cdacn],
  [15, 0n, 0x180719316d622d84n],
  [16, 0n, 0x98c90b57fdfcb55cn],
  [16, PRIME_32, 0xc900ad2d536b607en],
  [17, 0n, 0x0d39a2d051a30c2cn],
  [17, PRIME_32, 0x495cd68a647c7a22n],
  [24, 0n, 0xf75a6dea42dc5bf4n],
  [24, PRIME_32, 0x8b7c67eb59778e22n],
  [27, 0n, 0x88945aa08051fc2dn],
  [31, 0n, 0x299b39a290e6d783n],
  [31, PRIME_32, 0xda673d5feb5c1d79n],
  [32, 0n, 0x18b216492bb44b70n],
  [32, PRIME_32, 0xb3f33bdf93ade409n],
  [33, 0n, 0x55c8dc3e578f5b59n],
  [33, PRIME_32, 0xe92c292f64bc3071n],
  [36, 0n, 0x0ae67584084dc6a4n],
  [64, 0n, 0xef558f8acac2b5cdn],
  [65, 0n, 0xde0f20dc2631af7an],
  [100, 0n, 0x4bfe019cd91d9ea4n],
  [100, PRIME_32, 0x4853706dc9625caen],
  [240, 0n, 0xb81838d483baee53n],
  [241, 0n, 0x95d76c8b4d8fc4d6n],
  [512, 0n, 0x4358d2fdd62b58a7n],
  [1000, 0n, 0x52bd1358f22e9ef7n],
  [2367, 0n, 0xa82418ddec0ea581n],
  [2367, PRIME_32, 0xa36a93c18052673an],
  [4160, 0n, 0xeee6a4e2ac952a5en],
  [4160, PRIME_32, 0xa4cb59e19d6a35f9n],
  [4161, 0n, 0xcd3d6df2db509a75n],
];

// Text, XXH64 with seed 0: as the tests of the ports of XXH64 to other languages have them.
const TEXTS: readonly (readonly [string, bigint])[] = [
  ['a', 0xd24ec4f1a98c6e5bn],
  ['as', 0x1c330fb2d66be179n],
  ['asd', 0x631c37ce72a97393n],
  ['asdf', 0x415872f599cea71en],
  ['abc', 0x44bc2cf5ad770999n],
  ['test', 0x4fdcca5ddb678139n],
  ['Call me Ishmael.', 0x6d04390fc9d61a90n],
  ['Some years ago--never mind how long precisely-', 0x8f26f2b986afdc52n],
  ['Call me Ishmael. Some years ago--never mind how long precisely-', 0x02a2e85470d6fd96n],
  ['Nobody inspects the spammish repetition', 0xfbcea83c8a378bf1n],
];

const memory = sharedMemory(1);
const server = instantiateServer(memory);
const END = memory.buffer.byteLength;

/** The bytes end where the memory does, so that reading one byte too many traps. */
function xxh64Wasm(bytes: Uint8Array, seed = 0n): bigint {
  new Uint8Array(memory.buffer).set(bytes, END - bytes.length);
  return BigInt.asUintN(64, server.xxh64(END - bytes.length, bytes.length, seed));
}

describe.each([
  ['the WebAssembly', xxh64Wasm],
  ['the TypeScript twin', xxh64],
])('XXH64, %s', (_name, hash) => {
  test.each(VECTORS)('matches the reference vector of %i bytes with seed %i', (length, seed, expected) => {
    expect(hash(sanityBuffer().subarray(0, length), seed).toString(16)).toBe(expected.toString(16));
  });

  test.each(TEXTS)('matches the published value of %j', (text, expected) => {
    expect(hash(new TextEncoder().encode(text)).toString(16)).toBe(expected.toString(16));
  });

  test('reads a view at any alignment as the same bytes', () => {
    const bytes = sanityBuffer();
    for (let shift = 0; shift < 9; shift += 1) {
      const shifted = new Uint8Array(300);
      shifted.set(bytes.subarray(0, 222), shift);
      expect(hash(shifted.subarray(shift, shift + 222))).toBe(0xb641ae8cb691c174n);
    }
  });
});

test('XXH64 in WebAssembly and its twin agree on every length to 300 bytes, with seeds of 64 bits', () => {
  const bytes = sanityBuffer();
  for (const seed of [0n, 1n, PRIME_32, PRIME_64, 2n ** 63n, 2n ** 64n - 1n]) {
    for (let length = 0; length <= 300; length += 1) {
      const prefix = bytes.subarray(0, length);
      expect(xxh64Wasm(prefix, seed)).toBe(xxh64(prefix, seed));
    }
  }
});
