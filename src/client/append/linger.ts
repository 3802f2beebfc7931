// How long the open message waits for more: to the end of the tick, or so many milliseconds after the first tick that put something into it.

export class Linger {
  readonly #ms: number;
  readonly #onOver: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isOver = false;
  #isHurried = false;

  /** `onOver` is called when the time is over; `ms` 0: nothing waits. */
  constructor(ms: number, onOver: () => void) {
    this.#ms = ms;
    this.#onOver = onOver;
  }

  /** Whether the open message, which has something in it, is to wait; it begins to. */
  waits(): boolean {
    if (this.#ms === 0 || this.#isOver || this.#isHurried) return false;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#isOver = true;
      this.#onOver();
    }, this.#ms);
    return true;
  }

  /** The message is sealed: the next one waits anew. */
  done(): void {
    this.#isOver = false;
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Nothing waits any more: no more will come. */
  hurry(): void {
    this.#isHurried = true;
  }
}
