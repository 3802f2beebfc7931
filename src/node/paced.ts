// Work of many small steps, so much of it in one turn of the event loop that others hardly wait for it.

import { READ_TURN_MS } from '../core/servingLimits.ts';
import type { Loop } from './loop.ts';

/** So many steps between two looks at the clock. */
const STEPS_A_LOOK = 8;

export class Paced {
  readonly #loop: Loop;
  readonly #step: () => boolean;
  /** It goes on in the next turn. */
  #isPlanned = false;

  /** `step` does a little, and returns whether there may be more. */
  constructor(loop: Loop, step: () => boolean) {
    this.#loop = loop;
    this.#step = step;
  }

  /** Works now, and goes on in later turns if it takes long. */
  run(): void {
    if (this.#isPlanned) return;
    let endsMs = 0;
    for (let steps = 1; this.#step(); steps += 1) {
      if (steps % STEPS_A_LOOK !== 0) continue;
      const nowMs = this.#loop.nowMs();
      if (endsMs === 0) endsMs = nowMs + READ_TURN_MS;
      if (nowMs < endsMs) continue;
      this.#isPlanned = true;
      this.#loop.afterTurn(() => {
        this.#isPlanned = false;
        this.run();
      });
      return;
    }
  }
}
