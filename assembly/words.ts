// The control block's 64-bit words. They cross into JavaScript as f64, so that no BigInt is made on a hot path: every value
// stored is a safe integer (0 to 2^53 - 1), for which the conversions are exact.

/** Atomic, sequentially consistent load of the word at `at` (8-byte aligned). */
export function loadWord(at: usize): f64 {
  return atomic.load<u64>(at) as f64;
}

/** Atomic, sequentially consistent store. */
export function storeWord(at: usize, value: f64): void {
  atomic.store<u64>(at, value as u64);
}

/** Atomic addition; returns the value before. */
export function addWord(at: usize, value: f64): f64 {
  return atomic.add<u64>(at, value as u64) as f64;
}

/** Atomic compare-and-exchange; returns the value found, which is `expected` when the exchange took place. */
export function exchangeWord(at: usize, expected: f64, replacement: f64): f64 {
  return atomic.cmpxchg<u64>(at, expected as u64, replacement as u64) as f64;
}
