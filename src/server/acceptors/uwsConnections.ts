// The connections on the clients' port that are not WebSockets, or not yet: how many there are, which of them have said nothing so far, and
// the requests that came in this turn of the event loop.
//
// Where there is no place left, the connection goes that has been silent for longest, not the newest: so nobody is shut out by connections
// that only wait. uWS does not say which connection a request came on, and an object of a connection that is gone must never be touched. So
// each connection gets two handlers when it comes: `onAborted`, which uWS calls when the connection ends before a request, and `onData`, which
// it calls right after a request's own handler. Every request is handled only after that, at the end of the turn; then it is answered, and its connection closed.

import type { HttpRequest, HttpResponse } from 'uWebSockets.js';
import { assert } from '../../core/assert.ts';
import type { MadeRoom } from '../acceptor.ts';
import { type Broke, carefully } from '../mistakes.ts';
import { Silent } from './silent.ts';

/** Does what a request asks for, at the end of its turn. What it returns is done after all the requests of the turn got as far, and ends its connection. */
export type Act = () => (() => void) | undefined;

interface Waiting {
  readonly response: HttpResponse;
  readonly act: Act;
  last: (() => void) | undefined;
  /** Its connection is gone, or no request any more: its object must not be touched. */
  isOver: boolean;
}

export class UwsConnections {
  /** All of them. */
  count = 0;
  /** Turns in which requests were answered. */
  turn = 0;
  /** Those that have not sent a whole request. Each is alive. */
  readonly #silent = new Silent<HttpResponse>();
  readonly #broke: Broke;
  #waiting: Waiting[] = [];
  /** Requests of which it is not known which connection they came on. */
  #unknown = 0;

  /** `broke` is told what an answer throws. */
  constructor(broke: Broke) {
    this.#broke = broke;
  }

  /** A connection was made. */
  came(response: HttpResponse): void {
    this.count += 1;
    this.#silent.add(response);
    response.onAborted(() => this.#silent.delete(response));
    let isFirst = true;
    response.onData(() => {
      this.#silent.delete(response);
      if (isFirst) this.#unknown -= 1;
      isFirst = false;
    });
  }

  /** One of them ended, or became a WebSocket. */
  went(): void {
    this.count -= 1;
  }

  /** Another one than that of `response`, at the end of a turn, that is alive until the event loop turns: it is silent, or has a request in this turn. */
  otherThan(response: HttpResponse): HttpResponse | undefined {
    return this.#silent.first ?? this.#waiting.find((waiting) => !waiting.isOver && waiting.response !== response)?.response;
  }

  /** Whether no other connection is silent than the one whose request is being handled, which is silent until after that. */
  get isOnlyOneSilent(): boolean {
    return this.#silent.size <= 1;
  }

  /** The one whose request is being handled, the only silent one, becomes a WebSocket: its object must not be touched any more. */
  becameWebSocket(): void {
    assert(this.isOnlyOneSilent, 'it is known which connection becomes a WebSocket');
    this.#silent.clear();
    this.went();
  }

  /** As `Acceptor.makeRoom`. */
  makeRoom(orUnread: boolean): MadeRoom {
    return this.#silent.closeOldest(orUnread, (oldest) => void oldest.close());
  }

  /**
   * Takes a request: `act` handles it at the end of this turn, unless its connection is gone by then. One connection carries one request: a
   * second one before the answer makes uWS close it.
   */
  take(response: HttpResponse, request: HttpRequest, act: Act): void {
    // No request has a body, and of one in pieces it would not be known which connection it came on.
    if (request.getHeader('transfer-encoding') !== '') {
      response.close();
      return;
    }
    this.#unknown += 1;
    const waiting: Waiting = { response, act, last: undefined, isOver: false };
    response.onAborted(() => {
      waiting.isOver = true;
    });
    this.#waiting.push(waiting);
    if (this.#waiting.length === 1) setImmediate(() => this.#endTurn());
  }

  #endTurn(): void {
    this.turn += 1;
    // It must not happen; then nobody is known to be alive, and all of them are left to their time limits.
    if (this.#unknown !== 0) this.#silent.clear();
    this.#unknown = 0;
    for (const waiting of this.#waiting) {
      if (waiting.isOver) continue;
      carefully(this.#broke, () => {
        waiting.last = waiting.act();
      });
      waiting.isOver = waiting.last === undefined;
    }
    const answered = this.#waiting.splice(0).filter(({ isOver }) => !isOver);
    if (answered.length > 0) setTimeout(() => this.#answer(answered), 0);
  }

  /**
   * Answers, and closes the connections: by a timer. Of one that is closed in the phase of `setImmediate` uSockets never frees the memory, some 460 bytes: libuv
   * has closed the handle before uSockets' own turn comes, which then waits for that for ever.
   */
  #answer(answered: readonly Waiting[]): void {
    for (const waiting of answered) {
      if (waiting.isOver) continue;
      waiting.isOver = true;
      carefully(this.#broke, () => waiting.last?.());
    }
  }
}
