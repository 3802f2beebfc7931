// How many requests of a kind may be open: so many of its own for each connection, and above them out of what all connections share. So those
// that take all they can get never take what is another's own.

import { assert } from '../core/assert.ts';
import { MAX_REQUESTS_PER_CONNECTION, OWN_REQUESTS_PER_CONNECTION } from '../core/servingLimits.ts';

export class Shares {
  readonly #shared: number;
  readonly #most: number;
  #taken = 0;

  /** `shared`: how many all connections share; `most`: how many one may have. */
  constructor(shared: number, most = MAX_REQUESTS_PER_CONNECTION) {
    this.#shared = shared;
    this.#most = most;
  }

  /** How many of the shared ones are taken. */
  get taken(): number {
    return this.#taken;
  }

  /** Why a connection with `count` open ones may not have one more; empty: it may, and has it now. `what` it is, in the plural. */
  take(count: number, what: string): string {
    if (count >= this.#most) return `a connection may have ${this.#most} ${what}: finish or cancel one`;
    if (count < OWN_REQUESTS_PER_CONNECTION) return '';
    if (this.#taken >= this.#shared) {
      return (
        `this connection has ${count} ${what}, and the ${this.#shared} that all connections share above ` +
        `${OWN_REQUESTS_PER_CONNECTION} for each are taken: finish one, or try again later`
      );
    }
    this.#taken += 1;
    return '';
  }

  /** A connection that had `count` open ones has one less. */
  release(count: number): void {
    assert(count > 0, 'a connection gives back what it has');
    if (count > OWN_REQUESTS_PER_CONNECTION) this.#taken -= 1;
    assert(this.#taken >= 0 && this.#taken <= this.#shared, 'what connections share is counted');
  }
}
