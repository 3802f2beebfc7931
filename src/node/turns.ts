// Connections that are to be sent something take turns, one message each: by whose they are first, then by connections, not by what each has open. A turn of the event loop
// has a budget for all of it, so that appends, their receipts and new requests never wait longer than that for readers.

import { READ_TURN_MS } from '../core/servingLimits.ts';
import type { Loop } from './loop.ts';
import { PartyQueue } from './partyQueue.ts';

export class Turns<T extends object> {
  readonly #queue: PartyQueue<T>;
  /** Does at most one message's work for a connection. Returns whether it has more to do now. */
  readonly #serve: (connection: T) => boolean;
  /** What comes first in each turn of the event loop. */
  readonly #before: () => void;
  readonly #loop: Loop;
  #isPlanned = false;
  /** When this turn's budget is used up; 0: it has not begun. */
  #endsMs = 0;

  /** `partyOf` says whose a connection is; those of one party share its turns. */
  constructor(loop: Loop, serve: (connection: T) => boolean, before: () => void, partyOf: (connection: T) => object = (one) => one) {
    this.#queue = new PartyQueue(partyOf);
    this.#loop = loop;
    this.#serve = serve;
    this.#before = before;
  }

  /** Whether what comes now need not wait for others. */
  get isFree(): boolean {
    return this.#queue.size === 0 && this.#hasTime();
  }

  /** Puts a connection at the end of the queue, unless it is in it. {@link run} or a later turn of the event loop serves it. */
  add(connection: T): void {
    this.#queue.add(connection);
    this.#planNext();
  }

  /** A connection has nothing to do any more. */
  remove(connection: T): void {
    this.#queue.delete(connection);
  }

  /** Serves the queue until this turn's budget is used up. */
  run(): void {
    if (!this.#hasTime()) return;
    for (let connection = this.#queue.shift(); connection !== undefined; connection = this.#queue.shift()) {
      if (this.#serve(connection)) this.#queue.add(connection);
      if (!this.#hasTime()) return;
    }
  }

  #hasTime(): boolean {
    const nowMs = this.#loop.nowMs();
    if (this.#endsMs === 0) {
      this.#endsMs = nowMs + READ_TURN_MS;
      this.#planNext();
    }
    return nowMs < this.#endsMs;
  }

  #planNext(): void {
    if (this.#isPlanned) return;
    this.#isPlanned = true;
    this.#loop.afterTurn(this.#turn);
  }

  readonly #turn = (): void => {
    this.#isPlanned = false;
    this.#endsMs = 0;
    if (this.#queue.size === 0) return;
    this.#before();
    this.run();
  };
}
