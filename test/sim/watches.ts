// Words of the shared memory that threads of a simulated process wait on, and who does what when they change.

import type { TailMemory } from '../../src/memory/tailMemory.ts';
import type { Thread } from './thread.ts';

interface Watch {
  readonly signal: number;
  readonly thread: Thread;
  readonly label: string;
  readonly act: () => void;
  readonly isOver: () => boolean;
  seen: number;
  isPlanned: boolean;
}

export class Watches {
  readonly #memory: TailMemory;
  readonly #hopMs: () => number;
  readonly #watches: Watch[] = [];

  /** `hopMs`: how long a thread takes to wake. */
  constructor(memory: TailMemory, hopMs: () => number) {
    this.#memory = memory;
    this.#hopMs = hopMs;
  }

  /** Calls `act` on `thread` each time that the word at `signal` has changed, until `isOver`. */
  add(signal: number, thread: Thread, label: string, act: () => void, isOver: () => boolean = () => false): void {
    this.#watches.push({ signal, thread, label, act, isOver, seen: this.#memory.signal(signal), isPlanned: false });
  }

  /** Wakes threads whose word has changed. */
  plan(): void {
    for (const watch of this.#watches) {
      if (watch.isPlanned || this.#memory.signal(watch.signal) === watch.seen || watch.isOver()) continue;
      watch.isPlanned = true;
      watch.thread.post(this.#hopMs(), watch.label, () => {
        watch.isPlanned = false;
        watch.seen = this.#memory.signal(watch.signal);
        if (!watch.isOver()) watch.act();
      });
    }
  }
}
