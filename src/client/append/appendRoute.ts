// Where appends are sent: to one leader at a time. When it leads no longer its connection is kept until every append on it is answered,
// because what is sent to the next leader must not overtake those.

import type { Connection } from '../nodes/connection.ts';

export class AppendRoute {
  readonly #leaveTimeoutMs: number;
  /** Held. */
  #connection: Connection | undefined;
  #isLeaving = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** The next leader's, held, while the connection to the last one is not left yet. */
  #successor: Connection | undefined;

  constructor(leaveTimeoutMs: number) {
    this.#leaveTimeoutMs = leaveTimeoutMs;
  }

  /** Where appends are open, or are sent. */
  get connection(): Connection | undefined {
    return this.#connection;
  }

  /** No more may be sent; what is open is waited for. */
  get isLeaving(): boolean {
    return this.#isLeaving;
  }

  /** A leader was found. Returns its connection when appends go there at once, not only when the last one is left. */
  offer(connection: Connection): Connection | undefined {
    connection.hold();
    this.#successor?.release();
    this.#successor = connection;
    return this.#connection === undefined ? this.next() : undefined;
  }

  /** A node leads no longer. Its answers are waited for, but not for ever. */
  close(connection: Connection): void {
    if (this.#successor === connection) {
      this.#successor = undefined;
      connection.release();
    }
    if (this.#connection !== connection || this.#isLeaving) return;
    this.#isLeaving = true;
    const giveUp = (): void => connection.drop('its node leads no longer, and does not say what became of these appends');
    this.#timer = setTimeout(giveUp, this.#leaveTimeoutMs);
  }

  /** Leaves the connection, on which nothing is open any more, and goes on with the next leader's, if there is one. */
  next(): Connection | undefined {
    clearTimeout(this.#timer);
    this.#connection?.release();
    this.#connection = this.#successor;
    this.#successor = undefined;
    this.#isLeaving = false;
    return this.#connection;
  }
}
