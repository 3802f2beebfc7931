// When a node campaigns, whom it asks for votes, and who gave one (dissertation, 3.4, 4.2.3 and 9.6). What follows from that, a change of
// role or of the term, is the core's.

import type { RaftSettings } from './core.ts';
import type { NodeId, VoteResponse } from './messages.ts';
import type { State } from './state.ts';

export class Elections {
  readonly #settings: RaftSettings;
  readonly #state: State;
  /** When a leader was last heard from, and when to campaign. */
  #contactMs = Number.NEGATIVE_INFINITY;
  #electionAtMs = 0;
  /** The nodes that would vote for this one in the next term, and those that did in {@link #campaignTerm}. */
  #promises = new Set<NodeId>();
  #votes = new Set<NodeId>();
  /** The term of the last campaign since the start; 0 once it was won. */
  #campaignTerm = 0;

  constructor(state: State) {
    this.#settings = state.settings;
    this.#state = state;
    this.restartTimer();
    // Nobody else could be waited for.
    if (state.members.isAlone) this.#electionAtMs = 0;
  }

  /** When to campaign, on the core's clock. */
  get deadlineMs(): number {
    return this.#electionAtMs;
  }

  /** Whether it is time to campaign. */
  get isDue(): boolean {
    return this.#state.nowMs >= this.#electionAtMs;
  }

  /** Waits an election timeout from now on, and up to half of another one. */
  restartTimer(): void {
    const { electionTimeoutMs, random } = this.#settings;
    this.#electionAtMs = this.#state.nowMs + electionTimeoutMs * (1 + random() / 2);
  }

  /**
   * The leader of this term was heard from. So this node did not win the term, and never does: a few votes that it got might be a majority of a smaller set, which
   * that leader makes.
   */
  heardLeader(): void {
    this.#campaignTerm = 0;
    this.#contactMs = this.#state.nowMs;
    this.restartTimer();
  }

  /** Whether the leader that this node follows was heard from so lately that nobody should campaign (leader stickiness, 4.2.3). */
  get hearsLeader(): boolean {
    return this.#state.leader !== 0 && this.#state.nowMs - this.#contactMs < this.#settings.electionTimeoutMs;
  }

  /** A campaign begins, or its rehearsal (`isPreVote`): this node is for itself. A campaign's term is the current one by then. */
  begin(isPreVote: boolean): void {
    // Who is left out by a change that is not committed is for itself, and does not count.
    const own = this.#state.members.isSelfVoter ? [this.#settings.id] : [];
    this.#promises = new Set(own);
    if (isPreVote) return;
    this.#campaignTerm = this.#state.currentTerm;
    this.#votes = new Set(own);
  }

  /** Asks the others for their votes, or whether they would give them. */
  askForVotes(isPreVote: boolean, isTransfer: boolean): void {
    const { currentTerm, log } = this.#state;
    const term = currentTerm + (isPreVote ? 1 : 0);
    for (const node of this.#state.members.others) {
      const { lastTerm, end } = log;
      this.#state.send(node, { kind: 'voteRequest', term, isPreVote, isTransfer, lastTerm, end });
    }
  }

  /** A vote or a promise came; one of another campaign is not counted, nor is that of a node that does not count. */
  count(from: NodeId, { term, isPreVote }: VoteResponse): void {
    if (!this.#state.members.isVoter(from)) return;
    if (isPreVote && term === this.#state.currentTerm + 1) this.#promises.add(from);
    if (!isPreVote && term === this.#campaignTerm) this.#votes.add(from);
  }

  /** Whether a majority would vote for this node in the next term. */
  get isPromised(): boolean {
    return this.#isMajority(this.#promises);
  }

  /** Whether a majority voted for this node in the current term, which it has not led yet. */
  get isElected(): boolean {
    return this.#campaignTerm === this.#state.currentTerm && this.#isMajority(this.#votes);
  }

  /** This node takes office. A term is led once: who resigns from it needs the votes of another. */
  won(): void {
    this.#campaignTerm = 0;
  }

  #isMajority(nodes: ReadonlySet<NodeId>): boolean {
    return this.#state.members.isMajority(nodes.size);
  }
}
