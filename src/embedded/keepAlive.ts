// Whether a log keeps its program running. Nothing of an embedded log does by itself, neither its threads nor its timers, so that a program
// that forgets to close it ends; but while something is asked of it, the program must not end before the answer.

/** Longest time of a timer. */
const FOR_LONG_MS = 0x7fff_ffff;

export class KeepAlive {
  #timer: NodeJS.Timeout | undefined;
  readonly #holders = new Set<unknown>();

  /** From now on the program goes on running while `holder` is not let go. */
  hold(holder: unknown): void {
    this.#holders.add(holder);
    // Rarely made, and often switched on and off: with one append at a time, twice for each.
    this.#timer ??= setInterval(() => undefined, FOR_LONG_MS);
    if (this.#holders.size === 1) this.#timer.ref();
  }

  letGo(holder: unknown): void {
    if (this.#holders.delete(holder) && this.#holders.size === 0) this.#timer?.unref();
  }

  /** Nothing is held any more. */
  end(): void {
    this.#holders.clear();
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
