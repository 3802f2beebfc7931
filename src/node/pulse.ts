// The main thread's sign of life: a word that it bumps for as long as its event loop turns. The raft thread watches it.

import { MAIN_BEAT_MS } from '../core/limits.ts';
import { STATE } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';

export class Pulse {
  readonly #memory: TailMemory;
  #timer: NodeJS.Timeout | undefined;
  #dueMs = 0;
  #lateMs = 0;

  constructor(memory: TailMemory) {
    this.#memory = memory;
  }

  /** How long the loop was late for its beats, all of them together. */
  get lateMs(): number {
    return this.#lateMs;
  }

  start(): void {
    this.#memory.addWord32(STATE.BEAT, 1);
    this.#dueMs = performance.now() + MAIN_BEAT_MS;
    this.#timer = setInterval(() => this.#beat(), MAIN_BEAT_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #beat(): void {
    this.#memory.addWord32(STATE.BEAT, 1);
    const nowMs = performance.now();
    this.#lateMs += Math.max(0, nowMs - this.#dueMs);
    this.#dueMs = nowMs + MAIN_BEAT_MS;
  }
}
