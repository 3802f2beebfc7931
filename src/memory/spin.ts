// Looking at a wake-up word for a moment before a thread sleeps on it: a thread that sleeps takes 30 to 80 µs to wake, which for an append that
// is alone is as long as the disk takes. A spin comes before a wait for the same word and the same value, and nobody counts on it: it changes
// when a thread goes on, never with what, and a word that moves after the last look is seen by the wait.
//
// A thread spins only while appends come one at a time (lone.ts), not while more threads want to run than there are processors (processors.ts), and
// only as long as that has paid: after a spin in vain it rests for twice as long as it spun, after the next one for twice that.

import { CROWD_LOOK_MS, MAX_SPIN_REST, SPIN_GAP_MS } from '../core/limits.ts';
import { STATE } from './map.ts';
import type { TailMemory } from './tailMemory.ts';

export interface SpinPorts {
  /** Milliseconds of a clock that never goes back. */
  nowMs(): number;
  /** Whether more threads want to run than there are processors; where it is not given, another thread looks. */
  isCrowded?(): boolean;
}

/** When one thread may spin before one kind of wait. */
export class Spin {
  readonly #memory: TailMemory;
  readonly #ports: SpinPorts;
  readonly #maxMs: number;
  #startedMs = 0;
  #lookedMs = 0;
  #restsUntilMs = Number.NEGATIVE_INFINITY;
  /** How often in a row it was in vain, as a power of two. */
  #restFactor = 1;
  #crowdLookMs = Number.NEGATIVE_INFINITY;

  /** A spin takes `maxMs` at most. */
  constructor(memory: TailMemory, maxMs: number, ports: SpinPorts) {
    this.#memory = memory;
    this.#maxMs = maxMs;
    this.#ports = ports;
  }

  /** Begins a spin. Returns whether there is to be one. */
  begin(): boolean {
    if (this.#memory.word32(STATE.LONE) === 0) return false;
    const nowMs = this.#ports.nowMs();
    if (nowMs < this.#restsUntilMs) return false;
    // Who looks whether it is crowded has to spin once to find out that it is not any more.
    if (this.#memory.word32(STATE.CROWDED) !== 0 && !this.#isCrowdDue(nowMs)) return false;
    this.#startedMs = nowMs;
    this.#lookedMs = nowMs;
    return true;
  }

  /** A look was in vain. Returns whether there is to be another one. */
  goesOn(): boolean {
    const nowMs = this.#ports.nowMs();
    const isOver = nowMs - this.#lookedMs > SPIN_GAP_MS || nowMs - this.#startedMs >= this.#maxMs;
    this.#lookedMs = nowMs;
    if (isOver) this.#rest(nowMs);
    return !isOver;
  }

  /** The word has moved. */
  paid(): void {
    const nowMs = this.#ports.nowMs();
    if (nowMs - this.#lookedMs > SPIN_GAP_MS) this.#rest(nowMs);
    else this.#restFactor = 1;
    if (!this.#isCrowdDue(nowMs)) return;
    this.#crowdLookMs = nowMs;
    this.#memory.setWord32(STATE.CROWDED, this.#ports.isCrowded?.() === true ? 1 : 0);
  }

  #isCrowdDue(nowMs: number): boolean {
    return this.#ports.isCrowded !== undefined && nowMs - this.#crowdLookMs >= CROWD_LOOK_MS;
  }

  #rest(nowMs: number): void {
    this.#restFactor = Math.min(2 * this.#restFactor, MAX_SPIN_REST);
    this.#restsUntilMs = nowMs + this.#restFactor * this.#maxMs;
  }
}

/** Spins without leaving the thread. Returns whether the wake-up word at `signal` is not `seen` any more; if it is, it is to be waited for. */
export function spinSync(memory: TailMemory, spin: Spin, signal: number, seen: number): boolean {
  if (!spin.begin()) return false;
  do {
    if (memory.signal(signal) !== seen) {
      spin.paid();
      return true;
    }
  } while (spin.goesOn());
  return false;
}

/** Spins in an event loop, whose sockets and timers have their turns between looks. */
export class LoopSpin {
  readonly #spin: Spin;

  constructor(spin: Spin) {
    this.#spin = spin;
  }

  /** Looks until `hasMoved`, or it is enough, and calls `ended` with which; never from within this call. False: there is to be no spin, and `ended` will not be called. */
  begin(hasMoved: () => boolean, ended: (hasMoved: boolean) => void): boolean {
    if (!this.#spin.begin()) return false;
    setImmediate(this.#look, hasMoved, ended);
    return true;
  }

  readonly #look = (hasMoved: () => boolean, ended: (hasMoved: boolean) => void): void => {
    const isOver = hasMoved();
    if (isOver) this.#spin.paid();
    else if (this.#spin.goesOn()) {
      setImmediate(this.#look, hasMoved, ended);
      return;
    }
    ended(isOver);
  };
}
