// END requests that have to wait: for the leader's word on what is acknowledged anywhere (LINEARIZABLE), or for this node to have
// come far enough (AT_LEAST). Each has a time of its own; one request may wait for both.

import { ASK_AGAIN_MS, LINEARIZABLE_WAIT_MS, MAX_WAITING_ENDS } from '../core/limits.ts';
import { STATE, WORD } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import { encodeEnded } from '../protocol/client.ts';
import type { Session, WaitingEnd } from './session.ts';

export interface EndRequest {
  readonly session: Session;
  readonly requestId: number;
  readonly isLinearizable: boolean;
  /** AT_LEAST: answer only when this node's commit has reached it; 0: whatever it is. */
  readonly atLeast: number;
  /** AT_LEAST: longest wait for that; 0: none. */
  readonly waitMs: number;
}

export class Ends {
  readonly #memory: TailMemory;
  readonly #readIndex: () => Promise<number | undefined>;
  /** A cluster of one: its commit counts everything that it has acknowledged. */
  readonly #isAlone: boolean;
  readonly #awaitCommit: () => void;
  readonly #waiting = new Set<WaitingEnd>();
  /** At most the smallest target of those that wait: below it a commit need not be looked at. */
  #leastTarget = Number.POSITIVE_INFINITY;
  /** Those that no leader could be asked for: asked again when there is one. */
  readonly #leaderless = new Set<WaitingEnd>();

  /** `awaitCommit` is called when the commit is to be watched, for as long as {@link awaitsCommit}. */
  constructor(memory: TailMemory, isAlone: boolean, awaitCommit: () => void, readIndex: () => Promise<number | undefined>) {
    this.#memory = memory;
    this.#isAlone = isAlone;
    this.#awaitCommit = awaitCommit;
    this.#readIndex = readIndex;
  }

  /** Whether {@link committed} is to be called when the commit moves. */
  get awaitsCommit(): boolean {
    return this.#leastTarget !== Number.POSITIVE_INFINITY;
  }

  /** Answers `request`, now or later; with NOT_LEADER or BEHIND when its time is over. */
  start({ session, requestId, isLinearizable, atLeast, waitMs }: EndRequest): void {
    const asksLeader = isLinearizable && !this.#isAlone;
    const isThere = atLeast <= this.#memory.commit;
    if (isThere && !asksLeader) {
      this.#answer(session, requestId);
      return;
    }
    if (!isThere && waitMs === 0) {
      this.#sayBehind(session, requestId, atLeast);
      return;
    }
    if (this.#waiting.size >= MAX_WAITING_ENDS) {
      session.sendError(requestId, 'TOO_MANY_REQUESTS', 0, `${MAX_WAITING_ENDS} END requests wait at this node already: try again later`);
      return;
    }
    const waiting: WaitingEnd = { session, requestId, atLeast, timers: [], index: asksLeader ? undefined : 0, isDone: false };
    if (!isThere) waiting.timers.push(setTimeout(() => this.#expire(waiting, atLeast), waitMs));
    if (asksLeader) waiting.timers.push(setTimeout(() => this.#expire(waiting, waiting.index), LINEARIZABLE_WAIT_MS));
    this.#waiting.add(waiting);
    session.ends.add(waiting);
    if (asksLeader) void this.#ask(waiting);
    else this.#aim(waiting);
  }

  /** The commit moved. */
  committed(): void {
    const { commit } = this.#memory;
    if (commit < this.#leastTarget) return;
    this.#leastTarget = Number.POSITIVE_INFINITY;
    for (const waiting of this.#waiting) this.#aim(waiting);
  }

  /** There is another leader, or a leader at all. */
  leaderChanged(): void {
    const again = [...this.#leaderless];
    this.#leaderless.clear();
    for (const waiting of again) void this.#ask(waiting);
  }

  /** The session is gone: nobody waits any more. */
  closed(session: Session): void {
    for (const waiting of session.ends) this.#forget(waiting);
  }

  async #ask(waiting: WaitingEnd): Promise<void> {
    const index = await this.#readIndex();
    if (waiting.isDone) return;
    if (index !== undefined) {
      waiting.index = index;
      this.#aim(waiting);
    } else if (this.#memory.word32(STATE.LEADER_ID) === 0) this.#leaderless.add(waiting);
    else {
      // There is a leader, or was until now: the question was lost on its way, or came a moment too early.
      setTimeout(() => waiting.isDone || void this.#ask(waiting), ASK_AGAIN_MS).unref();
    }
  }

  /** Answers if the commit has reached all that is asked for, or else when it has; not before the leader has answered who is asked. */
  #aim(waiting: WaitingEnd): void {
    if (waiting.index === undefined) return;
    const target = Math.max(waiting.index, waiting.atLeast);
    if (target > this.#memory.commit) {
      this.#leastTarget = Math.min(this.#leastTarget, target);
      this.#awaitCommit();
      return;
    }
    this.#forget(waiting);
    this.#answer(waiting.session, waiting.requestId);
  }

  /** One of the waits is over, for `target`; undefined: for the leader's word. What it was for may have come, and the other one goes on. */
  #expire(waiting: WaitingEnd, target: number | undefined): void {
    if (target !== undefined && target <= this.#memory.commit) return;
    const { session, requestId } = waiting;
    this.#forget(waiting);
    if (target !== undefined) this.#sayBehind(session, requestId, target);
    else
      session.sendError(requestId, 'NOT_LEADER', 0, 'no leader answered in time: the cluster has none now, or cannot be reached from here');
  }

  #sayBehind(session: Session, requestId: number, target: number): void {
    const { commit } = this.#memory;
    session.sendError(requestId, 'BEHIND', commit, `this node has the log only up to offset ${commit}, not up to ${target}`);
  }

  #forget(waiting: WaitingEnd): void {
    waiting.isDone = true;
    for (const timer of waiting.timers) clearTimeout(timer);
    waiting.session.ends.delete(waiting);
    this.#waiting.delete(waiting);
    this.#leaderless.delete(waiting);
    if (this.#waiting.size === 0) this.#leastTarget = Number.POSITIVE_INFINITY;
  }

  #answer(session: Session, requestId: number): void {
    session.send(encodeEnded(requestId, this.#memory.word(WORD.START), this.#memory.commit, this.#memory.word(WORD.TERM)));
  }
}
