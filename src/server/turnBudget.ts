// How much of the node's time one connection may take.
//
// uSockets reads on from a socket as long as its buffer of 512 KiB comes full, and calls our handlers for every message in it, without
// going back to the event loop: a socket that is always readable would be the only one that is ever served. It cannot be paused either.
// So each connection has
//
//   * a slice of time between two turns of the loop. What comes after it waits in a queue of the connection, and the queues are served in
//     turns, some milliseconds each time round, so that all other sockets are read in between;
//   * where it has a quota, a pace: what comes above it waits in the same queue, and for itself;
//   * its token's turn on the disk: while several tokens send, one that has much under way waits until the disk has little left to write, so that
//     what another one appends is not written after all of that;
//   * a bound of what has come and was not handled: above it the connection is closed. A client that keeps to its window cannot reach it
//     (docs/PROTOCOL.md, "Budget"), however slow this node or its machine is;
//   * a share of what all have sent. Each message costs time when it is read, whether or not it waits then, and nobody else is served while all
//     sockets are read. So the more has come from all, the less may come from one; never less than a client needs. What counts are
//     messages, not time, which passes also when the machine stands still.

import { CROWDED_BACKLOG_BYTES, CROWDED_BACKLOG_LOOK_MS, CROWDED_MS, CROWDED_ROUND_MS, CROWDED_SLICE_MS } from '../core/accessLimits.ts';
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
} from '../core/servingLimits.ts';
import type { Loop } from '../node/loop.ts';
import { MESSAGE_HEADER_BYTES } from '../protocol/client.ts';
import { HeldBack } from './heldBack.ts';
import type { BudgetSession, Exceeded, Inbox, Party } from './inbox.ts';
import { RequestQueue } from './requestQueue.ts';

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
export type TurnLoop = Pick<Loop, 'nowMs' | 'afterTurn' | 'after'>;

/** After so many requests, or bytes of them, the clock is looked at. */
const CLOCK_REQUESTS = 16;
const CLOCK_BYTES = 64 * 1024;

export class TurnBudget<S extends BudgetSession> {
  readonly #budget: Budget;
  readonly #handle: (session: S, message: ArrayBuffer) => void;
  readonly #exceeded: Exceeded<S>;
  readonly #loop: TurnLoop;
  readonly #backlogBytes: () => number;
  /** Those that wait for their turn on the disk. */
  readonly #stalled = new Set<Party<S>>();
  #isLookPlanned = false;
  /** Those of whose connections any waits; the one whose turn is next comes first. */
  readonly #waiting = new Set<Party<S>>();
  readonly #held: HeldBack<S>;
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
  /** The party with a pace that sent last, and when; and when another one had sent a moment before it. */
  #lastParty: Party<S> | undefined;
  #lastPartyMs = Number.NEGATIVE_INFINITY;
  #crowdedMs = Number.NEGATIVE_INFINITY;

  /** `handle` takes one message, whose memory is valid during the call; `exceeded` closes the connection; `backlogBytes` are those that the disk has yet to write. */
  constructor(
    budget: Budget,
    handle: (session: S, message: ArrayBuffer) => void,
    exceeded: Exceeded<S>,
    loop: TurnLoop,
    backlogBytes: () => number,
  ) {
    this.#backlogBytes = backlogBytes;
    this.#budget = budget;
    this.#handle = handle;
    this.#exceeded = exceeded;
    this.#loop = loop;
    const mayGoOn = (inbox: Inbox<S>): void => {
      this.#await(inbox);
      this.#planTurn();
    };
    this.#held = new HeldBack(exceeded, loop, mayGoOn);
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
        false,
      );
      return;
    }
    // Whoever waits for the disk takes nobody's time meanwhile.
    const isStalled = this.#isStalled(inbox);
    if (!isStalled && this.#isUnfair(inbox)) return;
    const isHeld = this.#mustHold(inbox);
    if (isHeld && this.#held.isTooMuch(inbox, message)) return;
    if (!isHeld && !isStalled && inbox.queue.count === 0 && !this.#isSliceOver(inbox, message.byteLength)) {
      this.#handledRequests += 1;
      this.#take(inbox, message);
      return;
    }
    const cost = RequestQueue.costOf(message);
    if (isHeld) {
      this.#push(inbox, message);
      if (inbox.isHeld) this.#held.grew(cost);
      else this.#held.hold(inbox);
      return;
    }
    // Without memory for queues, each message that comes makes room for itself: order comes before turns.
    while (inbox.queue.count > 0 && this.#queuedBytes + cost > TURN_QUEUED_BYTES) this.#handleNext(inbox);
    if (inbox.queue.count === 0 && this.#queuedBytes + cost > TURN_QUEUED_BYTES) {
      this.#take(inbox, message);
      return;
    }
    this.#push(inbox, message);
    this.#await(inbox);
  }

  #push(inbox: Inbox<S>, message: ArrayBuffer): void {
    inbox.queue.push(message);
    this.#queuedBytes += RequestQueue.costOf(message);
    this.#queuedRequests += 1;
  }

  #take(inbox: Inbox<S>, message: ArrayBuffer): void {
    inbox.pace?.took(message.byteLength);
    this.#handle(inbox.session, message);
  }

  /** It waits for its turn. */
  #await(inbox: Inbox<S>): void {
    inbox.party.waiting.add(inbox);
    if (!this.#stalled.has(inbox.party)) this.#waiting.add(inbox.party);
  }

  /** Whether several parties with a pace have sent within a moment. */
  get #isCrowded(): boolean {
    return this.#turnStartedMs - this.#crowdedMs < CROWDED_MS;
  }

  /** Whether it has more under way than others that send are to wait for. */
  #isStalled({ pace, party }: Inbox<S>): boolean {
    if (pace === undefined || party.unacknowledgedBytes <= CROWDED_BACKLOG_BYTES || !this.#isCrowded) return false;
    return this.#backlogBytes() > CROWDED_BACKLOG_BYTES;
  }

  /** A party waits until the disk has less to write. */
  #stall(party: Party<S>): void {
    this.#stalled.add(party);
    if (this.#isLookPlanned) return;
    this.#isLookPlanned = true;
    this.#loop.after(
      CROWDED_BACKLOG_LOOK_MS,
      () => {
        this.#isLookPlanned = false;
        for (const stalled of this.#stalled) if (stalled.waiting.size > 0) this.#waiting.add(stalled);
        this.#stalled.clear();
        if (this.#waiting.size > 0) this.#planTurn();
      },
      true,
    );
  }

  #sliceMs({ pace }: Inbox<S>): number {
    return pace !== undefined && this.#isCrowded ? CROWDED_SLICE_MS : TURN_SLICE_MS;
  }

  /** Whether its quota says that what comes now waits. */
  #mustHold({ pace, queue, isHeld }: Inbox<S>): boolean {
    return pace !== undefined && (isHeld || (queue.count === 0 && pace.waitMs > 0));
  }

  /** Closes the connection, and returns true, when it has more than its share of all that has come. */
  #isUnfair(inbox: Inbox<S>): boolean {
    // What waits for a quota, for however long, takes nobody's time meanwhile.
    const all = this.#handledRequests + this.#queuedRequests - this.#held.requests + this.#goneRequests;
    if (all <= CROWDED_REQUESTS || inbox.requests <= FAIR_REQUESTS) return false;
    if (inbox.requests <= FAIR_REQUESTS_MAX * (CROWDED_REQUESTS / all) ** 2) return false;
    this.#exceeded(
      inbox.session,
      `${inbox.requests} requests, pings and pongs are not handled yet, too many while others send so much: wait for answers`,
      false,
    );
    return true;
  }

  /** A ping or a pong came. Pings are answered already. */
  control(inbox: Inbox<S>, isPing: boolean): void {
    this.#enterTurn(inbox);
    inbox.controlFrames -= 1;
    inbox.requests += 1;
    this.#handledRequests += 1;
    if (inbox.controlFrames < 0) {
      this.#exceeded(inbox.session, `more than ${CONTROL_FRAMES_PER_SECOND} pings and pongs a second came`, false);
      return;
    }
    // What the node itself asked for, of each connection of an account, is no use of it.
    if (isPing) inbox.pace?.took(0);
    if (isPing && inbox.pace?.isOverdrawn === true && !inbox.isHeld) {
      this.#exceeded(inbox.session, 'more pings and pongs than its quota came', true);
      return;
    }
    this.#isUnfair(inbox);
  }

  /** The connection ends: what waits of it is never handled. */
  closed(inbox: Inbox<S>): void {
    this.#left(inbox.queue.bytes, inbox.queue.count);
    const held = this.#held.has(inbox) ? inbox.queue.count : 0;
    this.#goneRequests += (inbox.turn === this.#turn ? inbox.requests : inbox.queue.count) - held;
    this.#held.release(inbox);
    inbox.queue.clear();
    inbox.party.waiting.delete(inbox);
  }

  #enterTurn(inbox: Inbox<S>): void {
    this.#planTurn();
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
    inbox.clockedMs = nowMs;
    inbox.isSliceOver = false;
    if (inbox.pace !== undefined) {
      if (inbox.party !== this.#lastParty && nowMs - this.#lastPartyMs < CROWDED_MS) this.#crowdedMs = nowMs;
      this.#lastParty = inbox.party;
      this.#lastPartyMs = nowMs;
    }
    if (inbox.party.turn === this.#turn) return;
    inbox.party.turn = this.#turn;
    inbox.party.spentMs = 0;
    inbox.party.isSliceOver = false;
  }

  #planTurn(): void {
    if (this.#isTurnPlanned) return;
    this.#isTurnPlanned = true;
    this.#loop.afterTurn(() => this.#endTurn());
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
    const { party } = inbox;
    if (inbox.isSliceOver || party.isSliceOver) return true;
    if (inbox.requests <= 1) return false;
    inbox.unclockedBytes += bytes;
    if (inbox.requests % CLOCK_REQUESTS !== 0 && inbox.unclockedBytes < CLOCK_BYTES) return false;
    inbox.unclockedBytes = 0;
    const nowMs = this.#loop.nowMs();
    party.spentMs += nowMs - inbox.clockedMs;
    inbox.clockedMs = nowMs;
    party.isSliceOver = party.spentMs > this.#sliceMs(inbox);
    inbox.isSliceOver = party.isSliceOver || nowMs - this.#turnStartedMs > TURN_ROUND_MS;
    return inbox.isSliceOver;
  }

  /** All sockets were read: the queues have their turns. */
  #endTurn(): void {
    this.#isTurnPlanned = false;
    this.#turn += 1;
    const startedMs = this.#loop.nowMs();
    let nowMs = startedMs;
    // Whoever is added again while this runs comes round again.
    for (const party of this.#waiting) {
      this.#waiting.delete(party);
      const [inbox] = party.waiting;
      if (inbox === undefined) continue;
      if (this.#isStalled(inbox)) {
        this.#stall(party);
        continue;
      }
      party.waiting.delete(inbox);
      nowMs = this.#serve(inbox, nowMs);
      if (inbox.queue.count > 0 && !inbox.isHeld) party.waiting.add(inbox);
      if (party.waiting.size > 0) this.#waiting.add(party);
      if (nowMs - startedMs > (this.#isCrowded ? CROWDED_ROUND_MS : TURN_ROUND_MS)) break;
    }
    if (this.#waiting.size > 0) this.#planTurn();
  }

  /** Handles what waits of one connection, for a slice. Returns the time at which it ended. */
  #serve(inbox: Inbox<S>, startedMs: number): number {
    let nowMs = startedMs;
    let requests = 0;
    let bytes = 0;
    const sliceMs = this.#sliceMs(inbox);
    while (inbox.queue.count > 0 && nowMs - startedMs <= sliceMs) {
      if (inbox.pace !== undefined && inbox.pace.waitMs > 0) {
        this.#held.hold(inbox);
        break;
      }
      if (this.#isStalled(inbox)) break;
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
    this.#take(inbox, message);
    return message.byteLength;
  }
}
