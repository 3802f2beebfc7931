// Random numbers by seed, so that a failing input can be made again.

/** Numbers that depend on the seed alone: Mulberry32, whose every seed gives a sequence of period 2^32. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** 0 to 2^32 - 1. */
  u32(): number {
    this.#state = (this.#state + 0x6d2b_79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  /** 0 to `bound` - 1; `bound` is 1 to 2^32. */
  below(bound: number): number {
    return Math.floor((this.u32() / 0x1_0000_0000) * bound);
  }

  /** 0 to 2^53 - 1. */
  safeInteger(): number {
    return this.below(0x20_0000) * 0x1_0000_0000 + this.u32();
  }

  oneIn(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<T>(first: T, ...others: readonly T[]): T {
    return others[this.below(others.length + 1) - 1] ?? first;
  }
}
