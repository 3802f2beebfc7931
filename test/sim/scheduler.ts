// Virtual time: a queue of things to come, in the order of their times, and of their making where these are equal. Nothing in a
// simulation happens but from here, and so everything happens again in the same order from the same seed.

/** Something to come. */
export interface Planned {
  readonly atMs: number;
  readonly number: number;
  run: (() => void) | undefined;
}

function isBefore(left: Planned, right: Planned): boolean {
  return left.atMs < right.atMs || (left.atMs === right.atMs && left.number < right.number);
}

export class Scheduler {
  /** A binary heap: the next one is first. */
  readonly #heap: Planned[] = [];
  #count = 0;
  readonly #unsettled: (() => void)[] = [];
  /** Milliseconds since the simulation began. */
  nowMs = 0;
  /** How many things have happened. */
  steps = 0;

  /** Plans `run` in `delayMs` from now. */
  after(delayMs: number, run: () => void): Planned {
    const planned = { atMs: this.nowMs + Math.max(0, delayMs), number: this.#count, run };
    this.#count += 1;
    this.#push(planned);
    return planned;
  }

  /** It does not happen. */
  cancel(planned: Planned): void {
    planned.run = undefined;
  }

  /** Whether something that has happened settled promises: what follows of that must happen before anything else, see {@link settled}. */
  get isUnsettled(): boolean {
    return this.#unsettled.length > 0;
  }

  /** Promises were settled: `after` is called when what waited for them has had its turn, and what follows of that. */
  settle(after: () => void): void {
    this.#unsettled.push(after);
  }

  /** Lets all happen that waits for promises that are settled. */
  async settled(): Promise<void> {
    while (this.#unsettled.length > 0) {
      // From within a microtask, the next tick comes when no other one is left.
      await undefined;
      await new Promise<void>((resolve) => process.nextTick(resolve));
      for (const after of this.#unsettled.splice(0)) after();
    }
  }

  /** Lets the next thing happen, if it is due before `limitMs`. Otherwise the time is `limitMs`, and false is returned. */
  step(limitMs: number): boolean {
    for (;;) {
      const next = this.#heap[0];
      if (next === undefined || next.atMs > limitMs) {
        this.nowMs = Math.max(this.nowMs, limitMs);
        return false;
      }
      this.#pop();
      if (next.run === undefined) continue;
      this.nowMs = next.atMs;
      this.steps += 1;
      next.run();
      return true;
    }
  }

  #push(planned: Planned): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(planned);
    while (at > 0) {
      const up = (at - 1) >> 1;
      const parent = heap[up];
      if (parent === undefined || !isBefore(planned, parent)) break;
      heap[at] = parent;
      at = up;
    }
    heap[at] = planned;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let down = 2 * at + 1;
      let child = heap[down];
      if (child === undefined) break;
      const right = heap[down + 1];
      if (right !== undefined && isBefore(right, child)) {
        down += 1;
        child = right;
      }
      if (!isBefore(child, last)) break;
      heap[at] = child;
      at = down;
    }
    heap[at] = last;
  }
}
