// Pauses between attempts: none before the first, then longer each time, and never in step with other clients.

import type { Settings } from '../options.ts';

/** How long to wait after so many failures in a row, in milliseconds: random between half and all of a time that doubles. */
export function pauseMs(failures: number, { minDelayMs, maxDelayMs }: Settings): number {
  if (failures === 0) return 0;
  const fullMs = Math.min(maxDelayMs, minDelayMs * 2 ** Math.min(failures - 1, 30));
  return fullMs * (0.5 + Math.random() / 2);
}

/** Even the last attempt before a deadline is given so long: one that is given less says nothing about the node. */
const MIN_ATTEMPT_MS = 250;

/** How long the next attempt at an address may take, in milliseconds. */
export function attemptMs(deadlineMs: number, { connectTimeoutMs }: Settings): number {
  return Math.min(connectTimeoutMs, Math.max(MIN_ATTEMPT_MS, Math.ceil(deadlineMs - performance.now())));
}

/** A pause that ends early when its owner says so, or when `signal` is aborted. */
export class Pause {
  readonly #signal: AbortSignal;
  readonly #untilMs: number;
  readonly #finish: () => void;
  readonly over: Promise<void>;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(ms: number, signal: AbortSignal) {
    this.#signal = signal;
    this.#untilMs = performance.now() + ms;
    let resolveOver = (): void => {};
    this.over = new Promise((resolve) => {
      resolveOver = resolve;
    });
    this.#finish = () => {
      clearTimeout(this.#timer);
      signal.removeEventListener('abort', this.#finish);
      resolveOver();
    };
    signal.addEventListener('abort', this.#finish);
    if (ms <= 0 || signal.aborted) this.#finish();
    else this.#timer = setTimeout(this.#finish, ms);
  }

  /** Waits no longer than `ms` from now. */
  shorten(ms: number): void {
    if (this.#signal.aborted || performance.now() + ms >= this.#untilMs) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#finish, ms);
  }
}
