// XXH64 in plain TypeScript: for small headers, and as the twin that the WebAssembly of assembly/xxh64.ts is tested against.
// About 50 MB/s: bulk bytes go through the WebAssembly.

import { viewOf } from '../core/bytes.ts';

export const PRIME_1 = 0x9e3779b185ebca87n;
export const PRIME_2 = 0xc2b2ae3d27d4eb4fn;
const PRIME_3 = 0x165667b19e3779f9n;
const PRIME_4 = 0x85ebca77c2b2ae63n;
const PRIME_5 = 0x27d4eb2f165667c5n;

// Every intermediate value is cut to 64 bits at once: the engine then computes with machine words instead of big integers.
function wrap(value: bigint): bigint {
  return BigInt.asUintN(64, value);
}

function rotateLeft(value: bigint, bits: bigint): bigint {
  return wrap((value << bits) | (value >> (64n - bits)));
}

function round(accumulator: bigint, lane: bigint): bigint {
  return wrap(rotateLeft(wrap(accumulator + wrap(lane * PRIME_2)), 31n) * PRIME_1);
}

function mergeRound(hash: bigint, accumulator: bigint): bigint {
  return wrap(wrap((hash ^ round(0n, accumulator)) * PRIME_1) + PRIME_4);
}

function avalanche(hash: bigint): bigint {
  let mixed = wrap((hash ^ (hash >> 33n)) * PRIME_2);
  mixed = wrap((mixed ^ (mixed >> 29n)) * PRIME_3);
  return mixed ^ (mixed >> 32n);
}

/** The four accumulators over all whole stripes of 32 bytes, merged into one (specification, steps 1 to 3). */
function hashStripes(view: DataView, seed: bigint): bigint {
  let a = wrap(seed + PRIME_1 + PRIME_2);
  let b = wrap(seed + PRIME_2);
  let c = wrap(seed);
  let d = wrap(seed - PRIME_1);
  for (let at = 0; at + 32 <= view.byteLength; at += 32) {
    a = round(a, view.getBigUint64(at, true));
    b = round(b, view.getBigUint64(at + 8, true));
    c = round(c, view.getBigUint64(at + 16, true));
    d = round(d, view.getBigUint64(at + 24, true));
  }
  const hash = wrap(rotateLeft(a, 1n) + rotateLeft(b, 7n) + rotateLeft(c, 12n) + rotateLeft(d, 18n));
  return mergeRound(mergeRound(mergeRound(mergeRound(hash, a), b), c), d);
}

/**
 * XXH64 of `bytes`, as an unsigned 64-bit integer.
 *
 * `seed` is taken modulo 2^64. Source: the xxHash fast digest algorithm, doc/xxhash_spec.md of the xxHash repository
 * (github.com/Cyan4973/xxHash), section "XXH64 algorithm description".
 */
export function xxh64(bytes: Uint8Array, seed = 0n): bigint {
  const view = viewOf(bytes);
  const end = bytes.length;
  let hash = end >= 32 ? hashStripes(view, seed) : wrap(seed + PRIME_5);
  let at = end - (end % 32);
  hash = wrap(hash + BigInt(end));
  for (; at + 8 <= end; at += 8) {
    hash = wrap(wrap(rotateLeft(hash ^ round(0n, view.getBigUint64(at, true)), 27n) * PRIME_1) + PRIME_4);
  }
  if (at + 4 <= end) {
    hash = wrap(wrap(rotateLeft(hash ^ wrap(BigInt(view.getUint32(at, true)) * PRIME_1), 23n) * PRIME_2) + PRIME_3);
    at += 4;
  }
  for (; at < end; at += 1) {
    hash = wrap(rotateLeft(hash ^ wrap(BigInt(view.getUint8(at)) * PRIME_5), 11n) * PRIME_1);
  }
  return avalanche(hash);
}
