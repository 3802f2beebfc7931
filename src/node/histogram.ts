// Histograms that cost two additions an observation.

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
