// Following a wake-up word without blocking: what a thread with an event loop does where one without would wait.

import type { TailMemory } from './tailMemory.ts';

/** Calls `moved` now, and each time that the wake-up word at `signal` has changed, until `isOver`. `moved` must not throw. */
export async function follow(memory: TailMemory, signal: number, isOver: () => boolean, moved: () => void): Promise<void> {
  while (!isOver()) {
    const seen = memory.signal(signal);
    moved();
    await memory.wait(signal, seen);
  }
}
