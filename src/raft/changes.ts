// How a leader changes the set of nodes: one node at a time, and only after an entry of its own term is committed, so that no two leaders build on different sets
// (Ongaro, raft-dev, 10 July 2015). A leader that no longer counts goes on until that is committed, by the majority of the others; then it hands its office over.

import { assert } from '../core/assert.ts';
import { doesCount } from '../core/ids.ts';
import type { ChangeRefusal } from '../core/memberChanges.ts';
import { type Configuration, faultOfFirst, faultOfStep, hasDirectory, type Member, votersOf } from '../core/members.ts';
import type { Core } from './core.ts';
import type { NodeId } from './messages.ts';
import type { Progress } from './progress.ts';
import type { Transfer } from './transfer.ts';

export class Changes {
  readonly #core: Core;
  readonly #peers: ReadonlyMap<NodeId, Progress>;
  readonly #transfer: Transfer;
  /** The one that is to be put into the log. */
  #pending: Configuration | undefined;
  /** When this leader, which does not count any more, resigns. */
  #resignAtMs = Number.POSITIVE_INFINITY;

  constructor(core: Core, peers: ReadonlyMap<NodeId, Progress>, transfer: Transfer) {
    this.#core = core;
    this.#peers = peers;
    this.#transfer = transfer;
  }

  /** When {@link tick} has something to do, on the core's clock. */
  get deadlineMs(): number {
    return this.#resignAtMs;
  }

  /** Whether a configuration is to be put into the log, or is there and not committed: there is one change at a time. */
  get isUnderWay(): boolean {
    return this.#pending !== undefined || !this.#core.members.isSettled;
  }

  /**
   * The first configuration of a log that has none: the nodes of the list that counts until then, each with the directory that the link to it leads to. It is a voter if
   * it counts, and a learner otherwise: so a node that is still to be admitted counts from its promotion on. The addresses are for the shell to add. Undefined: there is
   * one; or a node has not greeted this one yet, has not said in this term whether it counts, or counts and is about to be of age: none of these is to count less for that.
   */
  get first(): Configuration | undefined {
    const { members, settings, standing } = this.#core;
    if (!members.isByIds) return undefined;
    const unaddressed = { host: '', port: 0, peerPort: 0 };
    const found: Member[] = [
      { id: settings.id, instance: settings.instance, role: standing === 'voter' ? 'voter' : 'learner', ...unaddressed },
    ];
    for (const [id, { isVoter, mayLead, ackedRound }] of this.#peers) {
      const instance = members.instanceOf(id);
      if (instance === undefined || ackedRound === 0 || (isVoter && !mayLead)) return undefined;
      found.push({ id, instance, role: isVoter ? 'voter' : 'learner', ...unaddressed });
    }
    return found.sort((a, b) => a.id - b.id);
  }

  /** Begins to change the set to `configuration`. Returns why that cannot be now; undefined: it is begun, and the entry is about to be put into the log. */
  begin(configuration: Configuration, ownTermIsCommitted: boolean): ChangeRefusal | undefined {
    const refusal = this.refusal(configuration, ownTermIsCommitted);
    if (refusal !== undefined) return refusal;
    this.#pending = configuration;
    this.#core.emit({ kind: 'configure', term: this.#core.currentTerm });
    return undefined;
  }

  /** Why {@link begin} would not begin now. */
  refusal(configuration: Configuration, ownTermIsCommitted: boolean): ChangeRefusal | undefined {
    const early = this.#faultOfTime(ownTermIsCommitted);
    if (early !== undefined) return { code: 'CHANGE_IN_PROGRESS', sentence: early };
    const wrong = this.#faultOfSet(configuration);
    if (wrong !== undefined) return { code: this.#hasRemoved(configuration) ? 'MEMBER_REMOVED' : 'UNSUPPORTED', sentence: wrong };
    const apart = this.#faultOfReach(configuration);
    return apart === undefined ? undefined : { code: 'NO_MAJORITY', sentence: apart };
  }

  #hasRemoved(configuration: Configuration): boolean {
    return configuration.some((member) => hasDirectory(this.#core.members.removed, member));
  }

  /** What is to be put into the log now. Room for it may have taken long: where what was true when it was asked for is not any more, it is given up. */
  get due(): Configuration | undefined {
    if (this.#pending !== undefined && (this.#faultOfSet(this.#pending) ?? this.#faultOfReach(this.#pending)) !== undefined)
      this.#pending = undefined;
    return this.#pending;
  }

  #faultOfTime(ownTermIsCommitted: boolean): string | undefined {
    if (!ownTermIsCommitted) return 'nothing of the own term is committed yet: try again';
    if (this.isUnderWay) return 'another change of the set of nodes is under way: try again';
    if (this.#transfer.isUnderWay) return 'this node hands its office over: ask the next leader';
    return undefined;
  }

  #faultOfSet(next: Configuration): string | undefined {
    const { members } = this.#core;
    const { latest } = members;
    if (latest !== undefined) return faultOfStep(latest.members, next, members.removed) ?? this.#faultOfPromotion(latest.members, next);
    const { first } = this;
    if (first === undefined) return 'not every node has greeted this one yet: try again';
    const isTold = first.every(({ id, instance, role }) =>
      next.some((each) => each.id === id && each.instance === instance && each.role === role),
    );
    return isTold
      ? faultOfFirst(members.list, next)
      : 'the first set names each node as it is: with its directory, and as a voter if it counts';
  }

  /** A learner is promoted once it has, on its disk, all that is committed: a voter that has not would only stand in the way of commits. */
  #faultOfPromotion(before: Configuration, next: Configuration): string | undefined {
    const { members, commit } = this.#core;
    for (const { id, instance, role } of next) {
      if (role !== 'voter' || before.some((each) => each.id === id && each.role === 'voter')) continue;
      const progress = this.#peers.get(id);
      if (members.instanceOf(id) !== instance) return `node ${id} is not connected with instance ${instance}`;
      if (!progress?.isVoter || !this.#isHeard(progress)) return `node ${id} does not answer, or its disk is not what it was`;
      if (progress.state !== 'replicate' || progress.match < commit) return `node ${id} does not have all that is committed yet: try again`;
    }
    return undefined;
  }

  /**
   * A set whose majority is out of reach would commit nothing any more, not even the way back. Nor would one that needs a node which lacks what is trimmed here:
   * that begins anew by a leader only that has committed in its term.
   */
  #faultOfReach(next: Configuration): string | undefined {
    const { settings, members, standing, log } = this.#core;
    const voters = votersOf(next);
    const reached = voters.filter(({ id, instance }) => {
      if (id === settings.id && instance === settings.instance) return doesCount(standing);
      const progress = this.#peers.get(id);
      const isFed = progress?.state === 'replicate' && progress.match >= log.start;
      return isFed && progress.isVoter && this.#isHeard(progress) && members.instanceOf(id) === instance;
    });
    if (reached.length * 2 > voters.length) return undefined;
    return `of the ${voters.length} voters then, only ${reached.length} are heard from and fed, which are no majority: nothing could be committed any more`;
  }

  /** Whether the directory that the link to `node` leads to has answered in this term, lately. A link may outlive the process that it was made with. */
  hears(node: NodeId): boolean {
    const progress = this.#peers.get(node);
    return progress !== undefined && this.#isHeard(progress);
  }

  #isHeard({ contactMs }: Progress): boolean {
    const { nowMs, settings } = this.#core;
    return contactMs >= nowMs - settings.electionTimeoutMs;
  }

  /** The configuration that was asked for is in the log, which ends at `end`. */
  configured(end: number): void {
    const pending = this.#pending;
    assert(pending !== undefined, 'a configuration that is in the log was asked for');
    this.#pending = undefined;
    this.#core.members.appended([{ end, members: pending }]);
  }

  /** The commit has moved. A leader that does not count by what is committed has nothing left to do but to hand over. */
  committed(): void {
    const { members, nowMs, settings } = this.#core;
    if (members.latest === undefined || !members.isSettled || members.isSelfVoter || this.#resignAtMs !== Number.POSITIVE_INFINITY) return;
    this.#resignAtMs = nowMs + settings.electionTimeoutMs;
    this.#transfer.begin();
  }

  /** Time passed. Returns false when a leader that does not count any more resigns. */
  tick(): boolean {
    return this.#core.nowMs < this.#resignAtMs;
  }
}
