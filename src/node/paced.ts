// Work of many small steps, so much of it in one turn of the event loop that others hardly wait for it.

import { READ_TURN_MS } from '../core/limits.ts';

/** So many steps between two looks at the clock. */
const STEPS_A_LOOK = 8;

export class Paced {
  readonly #step: () => boolean;
  #next: NodeJS.Immediate | undefined;

  /** `step` does a little, and returns whether there may be more. */
  constructor(step: () => boolean) {
    this.#step = step;
  }

  /** Works now, and goes on in later turns if it takes long. */
  run(): void {
    if (this.#next !== undefined) return;
    let endsMs = 0;
    for (let steps = 1; this.#step(); steps += 1) {
      if (steps % STEPS_A_LOOK !== 0) continue;
      const nowMs = performance.now();
      if (endsMs === 0) endsMs = nowMs + READ_TURN_MS;
      if (nowMs < endsMs) continue;
      this.#next = setImmediate(() => {
        this.#next = undefined;
        this.run();
      });
      return;
    }
  }
}
