// Whether appends come one at a time. Then what an append waits for is mostly that threads wake, and they may spin (spin.ts); with more of them
// there is always something to do, and whoever spins takes a processor from it.

import { LONE_APPENDS } from '../core/limits.ts';
import { STATE } from '../memory/map.ts';
import type { TailMemory } from './tailMemory.ts';

/** Of whoever owns the log's end. It says so in shared memory, for all threads. */
export class Lone {
  readonly #memory: TailMemory;
  #inRow = 0;

  constructor(memory: TailMemory) {
    this.#memory = memory;
  }

  /** Something was ordered; `isLone`: all before it was finished. */
  ordered(isLone: boolean): void {
    this.#inRow = isLone ? Math.min(this.#inRow + 1, LONE_APPENDS) : 0;
    const lone = this.isOn ? 1 : 0;
    // Another owner of the log's end may have left something else there.
    if (this.#memory.word32(STATE.LONE) !== lone) this.#memory.setWord32(STATE.LONE, lone);
  }

  /** Whether appends come one at a time. */
  get isOn(): boolean {
    return this.#inRow === LONE_APPENDS;
  }
}
