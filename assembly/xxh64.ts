// XXH64 (xxHash specification, doc/xxhash_spec.md, section "XXH64"), over bytes in linear memory.

const P1: u64 = 0x9e3779b185ebca87;
const P2: u64 = 0xc2b2ae3d27d4eb4f;
const P3: u64 = 0x165667b19e3779f9;
const P4: u64 = 0x85ebca77c2b2ae63;
const P5: u64 = 0x27d4eb2f165667c5;

function round(accumulator: u64, lane: u64): u64 {
  return rotl<u64>(accumulator + lane * P2, 31) * P1;
}

function mergeRound(hash: u64, accumulator: u64): u64 {
  return (hash ^ round(0, accumulator)) * P1 + P4;
}

function avalanche(hash: u64): u64 {
  hash = (hash ^ (hash >> 33)) * P2;
  hash = (hash ^ (hash >> 29)) * P3;
  return hash ^ (hash >> 32);
}

/** XXH64 of `length` bytes at `at`, with `seed`. */
export function xxh64(at: usize, length: usize, seed: u64): u64 {
  const end = at + length;
  let hash: u64;
  if (length >= 32) {
    let a = seed + P1 + P2;
    let b = seed + P2;
    let c = seed;
    let d = seed - P1;
    const lastStripe = end - 32;
    do {
      a = round(a, load<u64>(at));
      b = round(b, load<u64>(at, 8));
      c = round(c, load<u64>(at, 16));
      d = round(d, load<u64>(at, 24));
      at += 32;
    } while (at <= lastStripe);
    hash = rotl<u64>(a, 1) + rotl<u64>(b, 7) + rotl<u64>(c, 12) + rotl<u64>(d, 18);
    hash = mergeRound(hash, a);
    hash = mergeRound(hash, b);
    hash = mergeRound(hash, c);
    hash = mergeRound(hash, d);
  } else {
    hash = seed + P5;
  }
  hash += length as u64;
  while (at + 8 <= end) {
    hash = rotl<u64>(hash ^ round(0, load<u64>(at)), 27) * P1 + P4;
    at += 8;
  }
  if (at + 4 <= end) {
    hash = rotl<u64>(hash ^ ((load<u32>(at) as u64) * P1), 23) * P2 + P3;
    at += 4;
  }
  while (at < end) {
    hash = rotl<u64>(hash ^ ((load<u8>(at) as u64) * P5), 11) * P1;
    at += 1;
  }
  return avalanche(hash);
}

/**
 * What binds an entry's check to its place: 32 bits of term and offset, by two multiplications (docs/FORMAT.md, "The check").
 * XOR-ed onto the producer's check, so that the producer need not know where its entry will stand.
 */
export function place(term: u32, offset: u64): u32 {
  return (((offset ^ ((term as u64) * P1)) * P2) >> 32) as u32;
}
