// Following a wake-up word without blocking: what a thread with an event loop does where one without would wait.

import { LoopSpin, type Spin } from './spin.ts';
import type { TailMemory } from './tailMemory.ts';

/**
 * Calls `moved` now, and each time that the wake-up word at `signal` has changed, until `isOver`. `moved` must not throw. `spin`: when it may spin before
 * it waits; undefined: never.
 */
export async function follow(memory: TailMemory, signal: number, isOver: () => boolean, moved: () => void, spin?: Spin): Promise<void> {
  const loopSpin = spin === undefined ? undefined : new LoopSpin(spin);
  while (!isOver()) {
    const seen = memory.signal(signal);
    moved();
    if (loopSpin !== undefined && (await spun(loopSpin, () => memory.signal(signal) !== seen))) continue;
    await memory.wait(signal, seen);
  }
}

/** Whether a spin has seen it move. */
async function spun(spin: LoopSpin, hasMoved: () => boolean): Promise<boolean> {
  return new Promise((resolve) => {
    if (!spin.begin(hasMoved, resolve)) resolve(false);
  });
}
