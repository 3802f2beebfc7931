// Those who wait until the commit has moved, or room was made: they look again, and wait again.

export class Progress {
  readonly #waiters: (() => void)[] = [];
  readonly #awaitCommit: () => void;

  /** `awaitCommit` lets the commit be watched for as long as {@link isAwaited}. */
  constructor(awaitCommit: () => void) {
    this.#awaitCommit = awaitCommit;
  }

  get isAwaited(): boolean {
    return this.#waiters.length > 0;
  }

  /** Resolves at the next {@link moved}. */
  next(): Promise<void> {
    return new Promise((wake) => {
      this.#waiters.push(wake);
      this.#awaitCommit();
    });
  }

  /** The commit has moved, held appends were tried again, or whatever else somebody may wait for. */
  moved(): void {
    for (const wake of this.#waiters.splice(0)) wake();
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await this.next();
  }
}
