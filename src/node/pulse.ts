// The main thread's sign of life: a word that it bumps for as long as its event loop turns. The raft thread watches it.

import { MAIN_BEAT_MS } from '../core/limits.ts';
import { STATE } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { Loop, Timer } from './loop.ts';

export class Pulse {
  readonly #memory: TailMemory;
  readonly #loop: Loop;
  readonly #beatMs: number;
  readonly #also: () => void;
  #timer: Timer | undefined;
  #dueMs = 0;
  #lateMs = 0;

  /** `beatMs`: from one bump to the next. `also` is called at each of them. */
  constructor(memory: TailMemory, loop: Loop, also: () => void = () => undefined, beatMs: number = MAIN_BEAT_MS) {
    this.#also = also;
    this.#memory = memory;
    this.#loop = loop;
    this.#beatMs = beatMs;
  }

  /** How long the loop was late for its beats, all of them together. */
  get lateMs(): number {
    return this.#lateMs;
  }

  start(): void {
    this.#memory.addWord32(STATE.BEAT, 1);
    this.#plan(this.#loop.nowMs());
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #plan(nowMs: number): void {
    this.#dueMs = nowMs + this.#beatMs;
    this.#timer = this.#loop.after(this.#beatMs, this.#beat, true);
  }

  readonly #beat = (): void => {
    this.#memory.addWord32(STATE.BEAT, 1);
    const nowMs = this.#loop.nowMs();
    this.#lateMs += Math.max(0, nowMs - this.#dueMs);
    this.#plan(nowMs);
    this.#also();
  };
}
