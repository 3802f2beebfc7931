// Times at which waits end, with one timer for all of them; many that end at once do so over several turns of the event loop.

import { Heap, type HeapNode } from './heap.ts';
import type { Loop, Timer } from './loop.ts';
import { Paced } from './paced.ts';

/** A wait's end in {@link Deadlines}. */
export type Deadline<T> = HeapNode<T>;

export class Deadlines<T> {
  readonly #heap = new Heap<T>();
  readonly #expire: (item: T) => void;
  readonly #loop: Loop;
  readonly #expiring: Paced;
  #timer: Timer | undefined;
  /** When the timer goes off. */
  #timerMs = Number.POSITIVE_INFINITY;

  /** `expire` is called when an item's wait has ended, and was not removed. */
  constructor(loop: Loop, expire: (item: T) => void) {
    this.#loop = loop;
    this.#expiring = new Paced(loop, () => this.#step());
    this.#expire = expire;
  }

  add(item: T, waitMs: number): Deadline<T> {
    const node = this.#heap.add(this.#loop.nowMs() + waitMs, item);
    if (node.key < this.#timerMs) this.#arm();
    return node;
  }

  remove(deadline: Deadline<T>): void {
    this.#heap.remove(deadline);
    // Otherwise the timer stays, and is set anew when it goes off: that is cheaper than a timer for each wait.
    if (this.#heap.size === 0) this.#arm();
  }

  #step(): boolean {
    // A timer may go off within the millisecond before its time.
    const item = this.#heap.takeUpTo(this.#loop.nowMs() + 1);
    if (item !== undefined) this.#expire(item);
    else this.#arm();
    return item !== undefined;
  }

  #arm(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#timerMs = this.#heap.leastKey;
    if (this.#heap.size === 0) return;
    this.#timer = this.#loop.after(this.#timerMs - this.#loop.nowMs(), () => this.#expiring.run());
  }
}
