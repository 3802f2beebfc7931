// Histograms that cost two additions an observation.

/**
 * The upper bound of the bucket in which the observation stands that a share of `share` is not above, in seconds; undefined: there is none. Above the last
 * bound it is twice that, which is too low.
 */
export function quantile(counts: readonly number[], firstSeconds: number, share: number): number | undefined {
  const total = counts.reduce((sum, count) => sum + count, 0);
  let seen = 0;
  for (const [i, count] of counts.entries()) {
    seen += count;
    if (total > 0 && seen >= total * share) return firstSeconds * 2 ** i;
  }
  return undefined;
}

/** Upper bounds double from `firstSeconds`; the last bucket counts all others. */
export class PowerHistogram {
  readonly counts: number[];
  sumSeconds = 0;
  readonly #firstSeconds: number;

  constructor(firstSeconds: number, buckets: number) {
    this.#firstSeconds = firstSeconds;
    this.counts = new Array<number>(buckets).fill(0);
  }

  observe(seconds: number): void {
    const bucket = Math.min(this.counts.length - 1, Math.max(0, Math.ceil(Math.log2(seconds / this.#firstSeconds))));
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1;
    this.sumSeconds += seconds;
  }
}
