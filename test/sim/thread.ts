// One thread of a simulated process: what is posted to it is done in order, later while it is busy or stopped, and never once the
// process is dead.

import type { PeerMessage } from '../../src/raft/messages.ts';
import type { Scheduler } from './scheduler.ts';

interface Work {
  readonly label: string;
  readonly act: () => void;
  readonly what: PeerMessage | string | undefined;
}

/** Does a piece of work, and looks after what became of the process. Returns whether the process lives. */
export type Perform = (work: Work) => boolean;

export class Thread {
  readonly #scheduler: Scheduler;
  readonly #perform: Perform;
  readonly #backlog: Work[] = [];
  #isPaused = false;
  #isDead = false;
  #busyUntilMs = 0;
  #isWakePlanned = false;

  constructor(scheduler: Scheduler, perform: Perform) {
    this.#scheduler = scheduler;
    this.#perform = perform;
  }

  /** Plans work in `delayMs`. */
  post(delayMs: number, label: string, act: () => void, what?: PeerMessage | string): void {
    this.#scheduler.after(delayMs, () => this.arrive(label, act, what));
  }

  /** The work is there: it is done now, or as soon as the thread can. */
  arrive(label: string, act: () => void, what?: PeerMessage | string): void {
    if (this.#isDead) return;
    const work = { label, act, what };
    if (this.#isPaused || this.#backlog.length > 0 || this.#scheduler.nowMs < this.#busyUntilMs) {
      this.#backlog.push(work);
      this.#planWake();
    } else {
      this.#perform(work);
    }
  }

  /** The thread is blocked for so long from now. */
  block(forMs: number): void {
    this.#busyUntilMs = Math.max(this.#busyUntilMs, this.#scheduler.nowMs) + forMs;
  }

  /** How long it is blocked still. */
  get blockedMs(): number {
    return Math.max(0, this.#busyUntilMs - this.#scheduler.nowMs);
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#planWake();
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  die(): void {
    this.#isDead = true;
    this.#backlog.length = 0;
  }

  #planWake(): void {
    if (this.#isWakePlanned || this.#isPaused || this.#backlog.length === 0) return;
    this.#isWakePlanned = true;
    this.#scheduler.after(this.blockedMs, () => this.#wake());
  }

  #wake(): void {
    this.#isWakePlanned = false;
    while (!this.#isDead && !this.#isPaused && this.blockedMs === 0) {
      const work = this.#backlog.shift();
      if (work === undefined || !this.#perform(work)) return;
      // What follows of settled promises comes before the next piece of work.
      if (this.#scheduler.isUnsettled) break;
    }
    this.#planWake();
  }
}
