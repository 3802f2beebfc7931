// How an engine ends on its own.

import { LogError } from '../core/errors.ts';

/** The one way for an engine to end without being asked to. */
export class Failure {
  #error: LogError | undefined;
  #act: (error: LogError) => void = () => undefined;
  #reject: (error: LogError) => void = () => undefined;
  readonly failed = new Promise<never>((_, reject) => {
    this.#reject = reject;
  });

  constructor() {
    // Whoever starts the engine listens to `failed`; until then a rejection is not an unhandled one.
    this.failed.catch(() => undefined);
  }

  /** Why it failed; undefined while it has not. */
  get error(): LogError | undefined {
    return this.#error;
  }

  /** The first call counts. */
  readonly fail = (error: LogError): void => {
    if (this.#error !== undefined) return;
    this.#error = error;
    this.#reject(error);
    this.#actOn(error);
  };

  /** The same for whatever was thrown where nothing was to be: nothing may go on as if it had not happened. */
  readonly broke = (thrown: unknown): void => {
    this.fail(thrown instanceof LogError ? thrown : new LogError('IO', thrown instanceof Error ? (thrown.stack ?? '') : String(thrown)));
  };

  /** `act` is called, once, from within {@link fail}; at once if that was called before. What it throws is no second failure. */
  whenFailed(act: (error: LogError) => void): void {
    this.#act = act;
    if (this.#error !== undefined) this.#actOn(this.#error);
  }

  #actOn(error: LogError): void {
    try {
      this.#act(error);
    } catch {
      // Whoever says that it fails has no part in what others make of it, and may be a promise that nobody waits for.
    }
  }
}
