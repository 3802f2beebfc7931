// END requests that have to wait: for the leader's word on what is acknowledged anywhere (LINEARIZABLE), or for this node to have
// come far enough (AT_LEAST).

import { DEFAULT_END_WAIT_MS } from '../core/limits.ts';
import { WORD } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import { encodeEnded } from '../protocol/client.ts';
import type { Session } from './session.ts';

export interface EndRequest {
  readonly session: Session;
  readonly requestId: number;
  readonly isLinearizable: boolean;
  /** Answer only when this node's commit has reached it; 0: at once. */
  readonly atLeast: number;
  /** Longest wait; 0: the default. */
  readonly waitMs: number;
}

/** An END under way. */
interface Waiting {
  readonly request: EndRequest;
  readonly timer: NodeJS.Timeout;
  /** The commit that this node must reach; undefined until the leader has answered. */
  target: number | undefined;
  isDone: boolean;
}

export class Ends {
  readonly #memory: TailMemory;
  readonly #readIndex: () => Promise<number | undefined>;
  /** A cluster of one: its commit counts everything that it has acknowledged. */
  readonly #isAlone: boolean;
  readonly #waiting = new Set<Waiting>();
  /** Those whose leader could not be asked: tried again when there is another one. */
  readonly #leaderless = new Set<Waiting>();

  constructor(memory: TailMemory, isAlone: boolean, readIndex: () => Promise<number | undefined>) {
    this.#memory = memory;
    this.#isAlone = isAlone;
    this.#readIndex = readIndex;
  }

  /** Answers `request`, now or later; with NOT_LEADER or BEHIND when its time is over. */
  start(request: EndRequest): void {
    const asksLeader = request.isLinearizable && !this.#isAlone;
    if (!asksLeader && request.atLeast <= this.#memory.commit) {
      this.#answer(request);
      return;
    }
    request.session.waitingEnds += 1;
    const timer = setTimeout(() => this.#expire(waiting), request.waitMs === 0 ? DEFAULT_END_WAIT_MS : request.waitMs);
    const waiting: Waiting = { request, timer, target: asksLeader ? undefined : request.atLeast, isDone: false };
    this.#waiting.add(waiting);
    if (asksLeader) void this.#ask(waiting);
  }

  /** The commit moved. */
  committed(): void {
    if (this.#waiting.size === 0) return;
    const { commit } = this.#memory;
    for (const waiting of this.#waiting) {
      if (waiting.target !== undefined && waiting.target <= commit) this.#finish(waiting);
    }
  }

  /** There is another leader, or a leader at all. */
  leaderChanged(): void {
    const again = [...this.#leaderless];
    this.#leaderless.clear();
    for (const waiting of again) void this.#ask(waiting);
  }

  async #ask(waiting: Waiting): Promise<void> {
    const index = await this.#readIndex();
    if (waiting.isDone) return;
    if (index === undefined) {
      this.#leaderless.add(waiting);
      return;
    }
    waiting.target = Math.max(index, waiting.request.atLeast);
    if (waiting.target <= this.#memory.commit) this.#finish(waiting);
  }

  #expire(waiting: Waiting): void {
    const { session, requestId } = waiting.request;
    this.#forget(waiting);
    const { commit } = this.#memory;
    if (waiting.target === undefined) {
      session.sendError(requestId, 'NOT_LEADER', 0, 'no leader answered in time: the cluster has none now, or cannot be reached from here');
    } else {
      session.sendError(requestId, 'BEHIND', commit, `this node has the log only up to offset ${commit}, not up to ${waiting.target}`);
    }
  }

  #finish(waiting: Waiting): void {
    this.#forget(waiting);
    this.#answer(waiting.request);
  }

  #forget(waiting: Waiting): void {
    waiting.isDone = true;
    clearTimeout(waiting.timer);
    waiting.request.session.waitingEnds -= 1;
    this.#waiting.delete(waiting);
    this.#leaderless.delete(waiting);
  }

  #answer({ session, requestId }: EndRequest): void {
    session.send(encodeEnded(requestId, this.#memory.word(WORD.START), this.#memory.commit, this.#memory.word(WORD.TERM)));
  }
}
