// END requests that have to wait: for the leader's word on what is acknowledged anywhere (LINEARIZABLE), or for this node to have
// come far enough (AT_LEAST). Each has a time of its own; one request may wait for both. Nothing here walks all that wait: what becomes due is
// found by its offset or its time, and many of them are answered over several turns of the event loop.

import { assert } from '../core/assert.ts';
import { ASK_AGAIN_MS, LINEARIZABLE_WAIT_MS, MAX_SHARED_ENDS } from '../core/servingLimits.ts';
import { STATE, WORD } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { Caller, EndWait, WaitingEnd } from './caller.ts';
import { Deadlines } from './deadlines.ts';
import { Heap } from './heap.ts';
import type { Loop } from './loop.ts';
import { Paced } from './paced.ts';
import { Shares } from './shares.ts';

export interface EndRequest {
  readonly caller: Caller;
  readonly requestId: number;
  readonly isLinearizable: boolean;
  /** AT_LEAST: answer only when this node's commit has reached it; 0: whatever it is. */
  readonly atLeast: number;
  /** AT_LEAST: longest wait for that; 0: none. */
  readonly waitMs: number;
}

/** What an END needs of the cluster. */
export interface LeaderPort {
  /** A commit that counts everything that was acknowledged before this call; undefined when no leader could be asked. */
  readIndex(): Promise<number | undefined>;
  /** Why there is no leader, for people; empty while one is known, or no reason is. */
  whyNone(): string;
}

export interface EndPorts {
  readonly memory: TailMemory;
  readonly loop: Loop;
  /** Nobody else has a part in the log now: its commit counts everything that was acknowledged. Read at each question. */
  readonly isAlone: boolean;
  readonly leader: LeaderPort;
  /** Called when the commit is to be watched, for as long as {@link Ends.awaitsCommit}. */
  awaitCommit(): void;
  /** Gets what a caller throws when it is answered after the leader was. */
  broke(thrown: unknown): void;
}

export class Ends {
  readonly #memory: TailMemory;
  readonly #loop: Loop;
  readonly #leader: LeaderPort;
  readonly #cluster: Pick<EndPorts, 'isAlone'>;
  readonly #awaitCommit: () => void;
  readonly #broke: (thrown: unknown) => void;
  readonly #shares = new Shares(MAX_SHARED_ENDS);
  readonly #deadlines: Deadlines<EndWait>;
  /** Those that wait for the commit, by what it has to reach. */
  readonly #targets = new Heap<WaitingEnd>();
  /** Those that the leader is to be asked for, with one question for all. */
  #toAsk = new Set<WaitingEnd>();
  #isAsking = false;
  /** Those that the leader has answered, in the order in which they came; from `#toldAt` on. */
  #told: WaitingEnd[] = [];
  #toldAt = 0;
  /** Whose turn it is: of those that the leader has answered, and of those that the commit has reached. */
  #isTurnOfTold = false;
  /** Those whose question was lost: asked again in a moment. */
  #again = new Set<WaitingEnd>();
  /** Those that no leader could be asked for: asked again when there is one. */
  #leaderless = new Set<WaitingEnd>();
  readonly #work: Paced;

  constructor(ports: EndPorts) {
    const { memory, loop, leader, awaitCommit, broke } = ports;
    this.#memory = memory;
    this.#loop = loop;
    this.#cluster = ports;
    this.#awaitCommit = awaitCommit;
    this.#broke = broke;
    this.#leader = leader;
    this.#deadlines = new Deadlines(loop, (wait) => this.#expire(wait));
    this.#work = new Paced(loop, () => this.#step());
  }

  /** Whether {@link committed} is to be called when the commit moves. */
  get awaitsCommit(): boolean {
    return this.#targets.size > 0;
  }

  /** Answers `request`, now or later; with NOT_LEADER or BEHIND when its time is over. */
  start({ caller, requestId, isLinearizable, atLeast, waitMs }: EndRequest): void {
    const asksLeader = isLinearizable && !this.#cluster.isAlone;
    const isThere = atLeast <= this.#memory.commit;
    if (isThere && !asksLeader) {
      this.#answer(caller, requestId);
      return;
    }
    if (!isThere && waitMs === 0) {
      this.#sayBehind(caller, requestId, atLeast);
      return;
    }
    const refusal = this.#shares.take(caller.ends.size, 'END requests waiting');
    if (refusal !== '') {
      caller.sendError(requestId, 'TOO_MANY_REQUESTS', 0, refusal);
      return;
    }
    const index = asksLeader ? undefined : 0;
    const waiting: WaitingEnd = { caller, requestId, atLeast, deadlines: [], index, target: undefined, isDone: false };
    if (!isThere) waiting.deadlines.push(this.#deadlines.add({ waiting, isForLeader: false }, waitMs));
    if (asksLeader) waiting.deadlines.push(this.#deadlines.add({ waiting, isForLeader: true }, LINEARIZABLE_WAIT_MS));
    caller.ends.add(waiting);
    if (asksLeader) this.#ask(waiting);
    else this.#aim(waiting);
  }

  /** The commit moved. */
  committed(): void {
    if (this.#targets.leastKey <= this.#memory.commit) this.#work.run();
  }

  /** There is another leader, or a leader at all. */
  leaderChanged(): void {
    const again = this.#leaderless;
    this.#leaderless = new Set();
    this.#askAll(again);
  }

  /** The caller is gone: nobody waits any more. */
  closed(caller: Caller): void {
    for (const waiting of caller.ends) this.#forget(waiting);
    assert(caller.ends.size === 0, 'a caller that is gone waits for nothing');
  }

  #ask(waiting: WaitingEnd): void {
    this.#toAsk.add(waiting);
    this.#askNext().catch(this.#broke);
  }

  #askAll(waiting: Set<WaitingEnd>): void {
    if (this.#toAsk.size === 0) this.#toAsk = waiting;
    else for (const one of waiting) this.#toAsk.add(one);
    this.#askNext().catch(this.#broke);
  }

  /** Asks for all that have come until now. Those that come while the leader is asked need a later answer. */
  async #askNext(): Promise<void> {
    while (!this.#isAsking && this.#toAsk.size > 0) {
      const asked = this.#toAsk;
      this.#toAsk = new Set();
      this.#isAsking = true;
      const index = await this.#leader.readIndex();
      this.#isAsking = false;
      if (index !== undefined) this.#tell(asked, index);
      else this.#keepForLater(asked);
    }
  }

  #tell(asked: Set<WaitingEnd>, index: number): void {
    for (const waiting of asked) {
      waiting.index = index;
      this.#told.push(waiting);
    }
    this.#work.run();
  }

  #keepForLater(asked: Set<WaitingEnd>): void {
    const hasLeader = this.#memory.word32(STATE.LEADER_ID) !== 0;
    // There is a leader, or was until now: the question was lost on its way, or came a moment too early.
    if (hasLeader && this.#again.size === 0) this.#loop.after(ASK_AGAIN_MS, () => this.#askAgain(), true);
    const later = hasLeader ? this.#again : this.#leaderless;
    for (const waiting of asked) if (!waiting.isDone) later.add(waiting);
  }

  #askAgain(): void {
    const again = this.#again;
    this.#again = new Set();
    this.#askAll(again);
  }

  /** One of those that the leader has answered, or that the commit has reached: in turns, so that many of one kind keep none of the other waiting. */
  #step(): boolean {
    const { commit } = this.#memory;
    this.#isTurnOfTold = !this.#isTurnOfTold;
    const waiting = this.#isTurnOfTold
      ? (this.#takeTold() ?? this.#targets.takeUpTo(commit))
      : (this.#targets.takeUpTo(commit) ?? this.#takeTold());
    if (waiting !== undefined && !waiting.isDone) this.#aim(waiting);
    return waiting !== undefined;
  }

  /** Whoever came first is answered first. */
  #takeTold(): WaitingEnd | undefined {
    const waiting = this.#told[this.#toldAt];
    this.#toldAt += 1;
    // Not at every step: that would move all that wait, each time.
    if (2 * this.#toldAt >= this.#told.length) {
      this.#told.splice(0, this.#toldAt);
      this.#toldAt = 0;
    }
    return waiting;
  }

  /** Answers if the commit has reached all that is asked for, or else when it has; not before the leader has answered who is asked. */
  #aim(waiting: WaitingEnd): void {
    if (waiting.index === undefined) return;
    const target = Math.max(waiting.index, waiting.atLeast);
    if (target > this.#memory.commit) {
      waiting.target = this.#targets.add(target, waiting);
      this.#awaitCommit();
      return;
    }
    this.#forget(waiting);
    this.#answer(waiting.caller, waiting.requestId);
  }

  /** One of the waits is over. What it was for may have come, and the other one goes on. */
  #expire({ waiting, isForLeader }: EndWait): void {
    const target = isForLeader ? waiting.index : waiting.atLeast;
    if (target !== undefined && target <= this.#memory.commit) return;
    const { caller, requestId } = waiting;
    this.#forget(waiting);
    if (target !== undefined) this.#sayBehind(caller, requestId, target);
    else caller.sendError(requestId, 'NOT_LEADER', 0, this.#noLeader());
  }

  #noLeader(): string {
    const why = this.#leader.whyNone();
    return `no leader answered in time: ${why === '' ? 'there may be none now, or it cannot be reached from this node' : why}`;
  }

  #sayBehind(caller: Caller, requestId: number, target: number): void {
    const { commit } = this.#memory;
    caller.sendError(requestId, 'BEHIND', commit, `this node has the log only up to offset ${commit}, not up to ${target}`);
  }

  #forget(waiting: WaitingEnd): void {
    waiting.isDone = true;
    for (const deadline of waiting.deadlines) this.#deadlines.remove(deadline);
    if (waiting.target !== undefined) this.#targets.remove(waiting.target);
    for (const set of [this.#toAsk, this.#again, this.#leaderless]) set.delete(waiting);
    this.#shares.release(waiting.caller.ends.size);
    waiting.caller.ends.delete(waiting);
  }

  #answer(caller: Caller, requestId: number): void {
    caller.sendEnd(requestId, this.#memory.word(WORD.START), this.#memory.commit, this.#memory.word(WORD.TERM));
  }
}
