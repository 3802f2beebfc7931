// How long `close` waits for answers: as long as they come, or exactly as long as it is told to.

import { LogError } from '../core/errors.ts';

/** Without an answer for so long, a server hangs. */
export const DEFAULT_CLOSE_PATIENCE_MS = 10_000;
/** How often progress is looked for. */
const LOOK_MS = 250;

export class ClosePatience {
  /** Resolves when it is over. */
  readonly over: Promise<void>;
  readonly #progress: () => number;
  readonly #beganMs = performance.now();
  #end: () => void = () => undefined;
  #deadlineMs: number | undefined;
  #progressBefore: number;
  #progressAtMs = performance.now();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isStopped = false;

  /** `progress` is a number that changes with each answer. */
  constructor(progress: () => number) {
    this.#progress = progress;
    this.#progressBefore = progress();
    this.over = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#look();
  }

  /** How long it has lasted, in milliseconds. */
  get elapsedMs(): number {
    return Math.round(performance.now() - this.#beganMs);
  }

  /** It ends after `timeoutMs` from now, whatever comes. A later call can only shorten that. */
  limitTo(timeoutMs: number): void {
    this.#deadlineMs = Math.min(this.#deadlineMs ?? Number.POSITIVE_INFINITY, performance.now() + timeoutMs);
    this.#look();
  }

  /** It is over, or nobody waits any more: no timer is left, whatever comes. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  #look(): void {
    if (this.#isStopped) return;
    clearTimeout(this.#timer);
    const nowMs = performance.now();
    const progress = this.#progress();
    if (progress !== this.#progressBefore) this.#progressAtMs = nowMs;
    this.#progressBefore = progress;
    const leftMs = (this.#deadlineMs ?? this.#progressAtMs + DEFAULT_CLOSE_PATIENCE_MS) - nowMs;
    if (leftMs <= 0) this.#end();
    else this.#timer = setTimeout(() => this.#look(), Math.min(leftMs, LOOK_MS));
  }
}

/** The errors of appends that `close` waited for in vain: of those that were sent, and of those that were not. */
export function closeErrors(elapsedMs: number): [unknown: LogError, failed: LogError] {
  const waited = `The client was closed, and waited ${elapsedMs} ms for answers`;
  const sent = `${waited}: this append has none, so it may be in the log or not. Read the log before you append it again.`;
  const unsent = `${waited}: this append was not sent, so it had no effect.`;
  return [new LogError('TIMEOUT', sent, {}, 'unknown'), new LogError('TIMEOUT', unsent, {}, 'failed')];
}

/** What is said to whoever calls a client that has been closed. */
export function closedError(): LogError {
  return new LogError('CLOSED', 'This log was closed with close(): connect, or open it, again.');
}
