// The event loop and the clock of the thread that an engine runs on: a port, so that a simulator can have its own.

import { SIGNAL } from '../memory/map.ts';
import { LoopSpin, type Spin } from '../memory/spin.ts';
import type { TailMemory } from '../memory/tailMemory.ts';

/** Something that will be called later. */
export interface Timer {
  /** It is not called any more; nothing when it was. */
  cancel(): void;
}

/** What a callback throws is a mistake that the loop hears of, and no engine goes on after it. */
export interface Loop {
  /** Milliseconds of a clock that never goes back; where it began means nothing. */
  nowMs(): number;
  /** Unix milliseconds, for information only. */
  wallMs(): number;
  /** Calls `run` once the loop has taken all that is there to be taken now. */
  afterTurn(run: () => void): void;
  /** Calls `run` in `delayMs`, or later. `isBackground`: a process that has nothing else to do need not stay for it. */
  after(delayMs: number, run: () => void, isBackground?: boolean): Timer;
  /** Calls `moved`, once and never from within this call, when the wake-up word at `signal` is not `seen` any more. */
  wait(signal: number, seen: number, moved: () => void): void;
  /** Turns without a pause for a moment, for as long as that has paid lately, because something is likely to come; until `hasMoved`. Where it is not there, the loop may sleep. */
  stayAwake?(hasMoved: () => boolean): void;
}

/** The loop of a thread of Node, with the wake-up words of `memory`. */
export class NodeLoop implements Loop {
  readonly #memory: TailMemory;
  readonly #run: (callback: () => void) => void;
  readonly #spin: LoopSpin | undefined;
  #isAwake = false;

  /** `broke` gets what a callback throws. `spin`: when it may spin before it waits for the commit; undefined: never. */
  constructor(memory: TailMemory, broke: (thrown: unknown) => void, spin?: Spin) {
    this.#memory = memory;
    this.#spin = spin === undefined ? undefined : new LoopSpin(spin);
    this.#run = (callback) => {
      try {
        callback();
      } catch (thrown) {
        broke(thrown);
      }
    };
  }

  nowMs(): number {
    return performance.now();
  }

  wallMs(): number {
    return Date.now();
  }

  afterTurn(run: () => void): void {
    setImmediate(this.#run, run);
  }

  after(delayMs: number, run: () => void, isBackground = false): Timer {
    const timer = setTimeout(this.#run, delayMs, run);
    if (isBackground) timer.unref();
    return { cancel: () => clearTimeout(timer) };
  }

  wait(signal: number, seen: number, moved: () => void): void {
    if (this.#spin !== undefined && signal === SIGNAL.COMMIT) {
      const ended = (hasMoved: boolean): void => (hasMoved ? this.#run(moved) : this.#sleep(signal, seen, moved));
      if (this.#spin.begin(() => this.#memory.signal(signal) !== seen, ended)) return;
    }
    this.#sleep(signal, seen, moved);
  }

  stayAwake(hasMoved: () => boolean): void {
    if (this.#isAwake || this.#spin === undefined) return;
    this.#isAwake = this.#spin.begin(hasMoved, this.#fellAsleep);
  }

  readonly #fellAsleep = (): void => {
    this.#isAwake = false;
  };

  #sleep(signal: number, seen: number, moved: () => void): void {
    void this.#memory.wait(signal, seen).then(() => this.#run(moved));
  }
}
