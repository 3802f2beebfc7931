// How much of the node's time one connection may take.
//
// uSockets reads on from a socket as long as its buffer of 512 KiB comes full, and calls our handlers for every message in it, without
// going back to the event loop: a socket that is always readable would be the only one that is ever served. It cannot be paused either.
// So each connection has
//
//   * a slice of time between two turns of the loop. What comes after it waits in a queue of the connection, and the queues are served in
//     turns, some milliseconds each time round, so that all other sockets are read in between;
//   * a bound of what has come and was not handled: above it the connection is closed. A client that keeps to its window cannot reach it
//     (docs/PROTOCOL.md, "Budget"), however slow this node or its machine is;
//   * a share of what all have sent. Each message costs time when it is read, whether or not it waits then, and nobody else is served while all
//     sockets are read. So the more has come from all, the less may come from one; never less than a client needs. What counts are
//     messages, not time, which passes also when the machine stands still.

import { assert } from '../core/assert.ts';
import {
  CONTROL_FRAMES_PER_SECOND,
  CROWDED_REQUESTS,
  FAIR_REQUESTS,
  FAIR_REQUESTS_MAX,
  GONE_REQUESTS_HALF_MS,
  MAX_CONTROL_FRAMES,
  MAX_REQUESTS_PER_CONNECTION,
  MAX_UNACKNOWLEDGED_APPENDS,
  TURN_QUEUED_BYTES,
  TURN_ROUND_MS,
  TURN_SLICE_MS,
} from '../core/limits.ts';
import type { Loop } from '../node/loop.ts';
import { MESSAGE_HEADER_BYTES } from '../protocol/client.ts';
import { RequestQueue } from './requestQueue.ts';

/** What of a connection the budget needs. */
export interface BudgetSession {
  readonly isClosed: boolean;
}

/** What one connection may have sent that was not handled. */
export interface Budget {
  readonly requests: number;
  readonly bytes: number;
}

/**
 * Twice what a client that keeps the rules can have under way. Requests: as many appends as may be unacknowledged, as many readings and ENDs
 * as may be open, and as many CANCELs. Bytes: the bodies of those appends, which are a window or one append that is larger, and the headers.
 * Twice, because errors leave at once, and make room for more within the same turn; and for grants of credit.
 */
export function budgetOf(limits: { readonly windowBytes: number; readonly maxBatchBytes: number }): Budget {
  const requests = MAX_UNACKNOWLEDGED_APPENDS + 3 * MAX_REQUESTS_PER_CONNECTION;
  const bytes = Math.max(limits.windowBytes, limits.maxBatchBytes) + requests * MESSAGE_HEADER_BYTES;
  return { requests: 2 * requests, bytes: 2 * bytes };
}

/** The event loop and the clock. */
export type TurnLoop = Pick<Loop, 'nowMs' | 'afterTurn'>;

/** After so many requests, or bytes of them, the clock is looked at. */
const CLOCK_REQUESTS = 16;
const CLOCK_BYTES = 64 * 1024;

/** What one connection has sent. */
export class Inbox<S extends BudgetSession> {
  readonly session: S;
  readonly queue = new RequestQueue();
  /** The turn that the following are about. */
  turn = 0;
  /** What has come in this turn, and what waited when it began. */
  requests = 0;
  bytes = 0;
  /** Of them, those since the clock was looked at last. */
  unclockedBytes = 0;
  /** Pings and pongs that may come. */
  controlFrames = MAX_CONTROL_FRAMES;
  /** When the first message of this turn came; before any, when the connection was made. */
  startedMs: number;
  /** The turn's beginning when a message came last; 0: none has come yet. */
  messageMs = 0;
  isSliceOver = false;

  constructor(session: S, nowMs: number) {
    this.session = session;
    this.startedMs = nowMs;
  }
}

export class TurnBudget<S extends BudgetSession> {
  readonly #budget: Budget;
  readonly #handle: (session: S, message: ArrayBuffer) => void;
  readonly #exceeded: (session: S, sentence: string) => void;
  readonly #loop: TurnLoop;
  /** Connections whose queues are not empty; the one whose turn is next comes first. */
  readonly #waiting = new Set<Inbox<S>>();
  #queuedBytes = 0;
  #queuedRequests = 0;
  /** Messages, pings and pongs that have come in this turn and do not wait. */
  #handledRequests = 0;
  /** What closed connections had sent, as far as it counts still, and when that was reckoned. */
  #goneRequests = 0;
  #goneMs = 0;
  #turn = 1;
  /** When the first message of this turn came. */
  #turnStartedMs = 0;
  #startedTurn = 0;
  #isTurnPlanned = false;

  /** `handle` takes one message, whose memory is valid during the call; `exceeded` closes the connection. */
  constructor(
    budget: Budget,
    handle: (session: S, message: ArrayBuffer) => void,
    exceeded: (session: S, sentence: string) => void,
    loop: TurnLoop,
  ) {
    this.#budget = budget;
    this.#handle = handle;
    this.#exceeded = exceeded;
    this.#loop = loop;
  }

  /** Bytes of messages that wait, over all connections. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** A message came: it is handled now, or after those before it. */
  message(inbox: Inbox<S>, message: ArrayBuffer): void {
    this.#enterTurn(inbox);
    inbox.messageMs = inbox.startedMs;
    inbox.requests += 1;
    inbox.bytes += message.byteLength;
    const { requests, bytes } = this.#budget;
    if (inbox.requests > requests || inbox.bytes > bytes) {
      this.#exceeded(
        inbox.session,
        `more than ${requests} requests or ${bytes} bytes came before the node had handled them: wait for answers`,
      );
      return;
    }
    if (this.#isUnfair(inbox)) return;
    if (inbox.queue.count === 0 && !this.#isSliceOver(inbox, message.byteLength)) {
      this.#handledRequests += 1;
      this.#handle(inbox.session, message);
      return;
    }
    const cost = RequestQueue.costOf(message);
    // Without memory for queues, each message that comes makes room for itself: order comes before turns.
    while (inbox.queue.count > 0 && this.#queuedBytes + cost > TURN_QUEUED_BYTES) this.#handleNext(inbox);
    if (inbox.queue.count === 0 && this.#queuedBytes + cost > TURN_QUEUED_BYTES) {
      this.#handle(inbox.session, message);
      return;
    }
    inbox.queue.push(message);
    this.#queuedBytes += cost;
    this.#queuedRequests += 1;
    this.#waiting.add(inbox);
  }

  /** Closes the connection, and returns true, when it has more than its share of all that has come. */
  #isUnfair(inbox: Inbox<S>): boolean {
    const all = this.#handledRequests + this.#queuedRequests + this.#goneRequests;
    if (all <= CROWDED_REQUESTS || inbox.requests <= FAIR_REQUESTS) return false;
    if (inbox.requests <= FAIR_REQUESTS_MAX * (CROWDED_REQUESTS / all) ** 2) return false;
    this.#exceeded(
      inbox.session,
      `${inbox.requests} requests, pings and pongs are not handled yet, too many while others send so much: wait for answers`,
    );
    return true;
  }

  /** A ping or a pong came. Pings are answered already. */
  control(inbox: Inbox<S>): void {
    this.#enterTurn(inbox);
    inbox.controlFrames -= 1;
    inbox.requests += 1;
    this.#handledRequests += 1;
    if (inbox.controlFrames < 0) {
      this.#exceeded(inbox.session, `more than ${CONTROL_FRAMES_PER_SECOND} pings and pongs a second came`);
      return;
    }
    this.#isUnfair(inbox);
  }

  /** The connection ends: what waits of it is never handled. */
  closed(inbox: Inbox<S>): void {
    this.#left(inbox.queue.bytes, inbox.queue.count);
    this.#goneRequests += inbox.turn === this.#turn ? inbox.requests : inbox.queue.count;
    inbox.queue.clear();
    this.#waiting.delete(inbox);
  }

  #enterTurn(inbox: Inbox<S>): void {
    if (!this.#isTurnPlanned) {
      this.#isTurnPlanned = true;
      this.#loop.afterTurn(() => this.#endTurn());
    }
    if (inbox.turn === this.#turn) return;
    const nowMs = this.#loop.nowMs();
    if (this.#startedTurn !== this.#turn) this.#startTurn(nowMs);
    const passedMs = Math.max(0, nowMs - inbox.startedMs);
    inbox.turn = this.#turn;
    inbox.requests = inbox.queue.count;
    inbox.bytes = inbox.queue.bytes;
    inbox.unclockedBytes = 0;
    inbox.controlFrames = Math.min(MAX_CONTROL_FRAMES, inbox.controlFrames + (passedMs * CONTROL_FRAMES_PER_SECOND) / 1000);
    inbox.startedMs = nowMs;
    inbox.isSliceOver = false;
  }

  #startTurn(nowMs: number): void {
    this.#startedTurn = this.#turn;
    this.#turnStartedMs = nowMs;
    this.#handledRequests = 0;
    this.#goneRequests *= 0.5 ** (Math.max(0, nowMs - this.#goneMs) / GONE_REQUESTS_HALF_MS);
    this.#goneMs = nowMs;
  }

  /**
   * Whether a message of `bytes` must wait. The first one of a turn need not; the others of a connection not for its slice, and not once the turn has
   * taken long, for all. Messages of one connection come one after the other, so since the first one no time was another's.
   */
  #isSliceOver(inbox: Inbox<S>, bytes: number): boolean {
    if (inbox.requests <= 1 || inbox.isSliceOver) return inbox.isSliceOver;
    inbox.unclockedBytes += bytes;
    if (inbox.requests % CLOCK_REQUESTS !== 0 && inbox.unclockedBytes < CLOCK_BYTES) return false;
    inbox.unclockedBytes = 0;
    const nowMs = this.#loop.nowMs();
    inbox.isSliceOver = nowMs - inbox.startedMs > TURN_SLICE_MS || nowMs - this.#turnStartedMs > TURN_ROUND_MS;
    return inbox.isSliceOver;
  }

  /** All sockets were read: the queues have their turns. */
  #endTurn(): void {
    this.#isTurnPlanned = false;
    this.#turn += 1;
    const startedMs = this.#loop.nowMs();
    let nowMs = startedMs;
    // Whoever is added again while this runs comes round again.
    for (const inbox of this.#waiting) {
      this.#waiting.delete(inbox);
      nowMs = this.#serve(inbox, nowMs);
      if (inbox.queue.count > 0) this.#waiting.add(inbox);
      if (nowMs - startedMs > TURN_ROUND_MS) break;
    }
    if (this.#waiting.size === 0) return;
    this.#isTurnPlanned = true;
    this.#loop.afterTurn(() => this.#endTurn());
  }

  /** Handles what waits of one connection, for a slice. Returns the time at which it ended. */
  #serve(inbox: Inbox<S>, startedMs: number): number {
    let nowMs = startedMs;
    let requests = 0;
    let bytes = 0;
    while (inbox.queue.count > 0 && nowMs - startedMs <= TURN_SLICE_MS) {
      bytes += this.#handleNext(inbox);
      requests += 1;
      if (requests % CLOCK_REQUESTS !== 0 && bytes < CLOCK_BYTES) continue;
      nowMs = this.#loop.nowMs();
      bytes = 0;
    }
    return this.#loop.nowMs();
  }

  #left(bytes: number, requests: number): void {
    this.#queuedBytes -= bytes;
    this.#queuedRequests -= requests;
    assert(this.#queuedBytes >= 0 && this.#queuedRequests >= 0, 'a request leaves the queue once');
  }

  /** Handles the oldest message that waits of a connection. Returns its size. */
  #handleNext(inbox: Inbox<S>): number {
    const message = inbox.queue.shift();
    this.#left(RequestQueue.costOf(message), 1);
    this.#handle(inbox.session, message);
    return message.byteLength;
  }
}
