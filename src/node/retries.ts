// When what was tried in vain may be tried again, segment by segment: after each further time it rests twice as long, up to a bound. All of a segment is
// read for each try.

import { MAX_RETRY_FACTOR } from '../core/limits.ts';

export class Retries {
  readonly #firstMs: number;
  /** By base: how often it was in vain, and when it may be tried again. */
  readonly #failed = new Map<number, { readonly times: number; readonly againMs: number }>();

  /** `firstMs`: how long it rests after the first time. */
  constructor(firstMs: number) {
    this.#firstMs = firstMs;
  }

  /** Bases of what was tried in vain. */
  get bases(): Iterable<number> {
    return this.#failed.keys();
  }

  isDue(base: number, nowMs: number): boolean {
    return nowMs >= this.dueMs(base);
  }

  /** When it may be tried again; in the past where it never was in vain. */
  dueMs(base: number): number {
    return this.#failed.get(base)?.againMs ?? Number.NEGATIVE_INFINITY;
  }

  failed(base: number, nowMs: number): void {
    const times = this.#failed.get(base)?.times ?? 0;
    this.#failed.set(base, { times: times + 1, againMs: nowMs + this.#firstMs * Math.min(MAX_RETRY_FACTOR, 2 ** times) });
  }

  /** It was not in vain, or is no matter any more. */
  forget(base: number): void {
    this.#failed.delete(base);
  }
}
