// How long a writer tries to go on after a loss, and how long it looks into the log for what it lost.

import type { WriterPort } from './writerPort.ts';

export class WriterPatience {
  readonly #port: Pick<WriterPort, 'timeoutMs' | 'lookTimeoutMs'>;
  /** Attempts to go on without a success since. */
  #failures = 0;
  /** Until when there may be more, of `performance.now()`; 0: nothing was lost. */
  #retryUntilMs = 0;
  /** Until when the log may be asked; 0 before it is. */
  #lookUntilMs = 0;

  constructor(port: Pick<WriterPort, 'timeoutMs' | 'lookTimeoutMs'>) {
    this.#port = port;
  }

  get failures(): number {
    return this.#failures;
  }

  /** Something was not done: the time for trying again begins, unless it has. */
  lost(): void {
    if (this.#retryUntilMs === 0) this.renew();
  }

  /** There is progress, or what stopped it was no fault of anybody: all of the time is there again. */
  renew(): void {
    this.#retryUntilMs = performance.now() + this.#port.timeoutMs;
  }

  /** An append is acknowledged. `isSettling`: others were lost, and have all of the time again. */
  progressed(isSettling: boolean): void {
    this.#failures = 0;
    if (isSettling) this.renew();
    else this.#retryUntilMs = 0;
  }

  /** An attempt begins that is not known to be a success. */
  failed(): void {
    this.#failures += 1;
  }

  /** Whether the time for trying again is over. */
  get isOver(): boolean {
    return performance.now() >= this.#retryUntilMs;
  }

  /** Nothing is in flight: the log was not asked since. */
  forgetLook(): void {
    this.#lookUntilMs = 0;
  }

  /** For the first look since {@link forgetLook}. However late it is, the log is asked once: perhaps there is a leader again. */
  beginLook(): void {
    this.#lookUntilMs = Math.max(this.#retryUntilMs, performance.now() + this.#port.lookTimeoutMs);
  }

  /** Longest time for the next answer of the log, in milliseconds; a first question that is no {@link beginLook} may take the time of a look. */
  get lookMs(): number {
    if (this.#lookUntilMs === 0) this.#lookUntilMs = performance.now() + this.#port.lookTimeoutMs;
    return Math.max(1, Math.ceil(this.#lookUntilMs - performance.now()));
  }
}
