// How far the subscribers of a load are, and a way to wait for the slowest of them.

export class Deliveries {
  readonly #counts: number[] = [];
  #awaited = Number.POSITIVE_INFINITY;
  #wake = (): void => undefined;

  /** Another subscriber, which has nothing yet. Returns its number. */
  join(): number {
    return this.#counts.push(0) - 1;
  }

  /** How many subscribers there are. */
  get size(): number {
    return this.#counts.length;
  }

  /** Entries that `subscriber` has. */
  of(subscriber: number): number {
    return this.#counts[subscriber] ?? 0;
  }

  /** Entries that every subscriber has. */
  get slowest(): number {
    return this.#counts.reduce((least, count) => Math.min(least, count), Number.POSITIVE_INFINITY);
  }

  /** `subscriber` has got `entries` more. */
  add(subscriber: number, entries: number): void {
    const before = this.of(subscriber);
    const count = before + entries;
    this.#counts[subscriber] = count;
    // All are looked at only when one comes to where somebody waits for them.
    if (count >= this.#awaited && before < this.#awaited && this.slowest >= this.#awaited) this.#wake();
  }

  /** Waits until every subscriber has `count` entries. */
  async until(count: number): Promise<void> {
    if (this.slowest >= count) return;
    this.#awaited = count;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#awaited = Number.POSITIVE_INFINITY;
  }
}
