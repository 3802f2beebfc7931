// When a node campaigns, whom it asks for votes, and who gave one (dissertation, 3.4, 4.2.3 and 9.6). What follows from that, a change of
// role or of the term, is the core's.

import type { RaftSettings } from './core.ts';
import type { NodeId, VoteResponse } from './messages.ts';
import type { State } from './state.ts';

/**
 * While a node does not wait for timeouts, it rehearses after so long, in election timeouts, and up to two and a half times that by chance: a live leader has dialed anew by
 * then, and a rehearsal is over. A campaign has a whole timeout, whatever came before: on a machine that is too slow for this, terms must not rise faster than ever.
 */
const SOON = 0.04;
/** For so long, in election timeouts: what has not succeeded by then waits for timeouts. */
const SOON_FOR = 1;

export class Elections {
  readonly #settings: RaftSettings;
  readonly #state: State;
  /** When a leader was last heard from, and when to campaign. */
  #contactMs = Number.NEGATIVE_INFINITY;
  #electionAtMs = 0;
  /** Until then attempts follow soon, one after the other. */
  #soonUntilMs = Number.NEGATIVE_INFINITY;
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

  /** Waits an election timeout from now on, and up to half of another one; after {@link hasten} less for a while. */
  restartTimer(): void {
    const { electionTimeoutMs, random } = this.#settings;
    const { nowMs } = this.#state;
    if (this.#isHasty) this.#electionAtMs = nowMs + this.#soonMs();
    else this.#electionAtMs = nowMs + electionTimeoutMs * (1 + random() / 2);
  }

  /**
   * There is no leader, as far as this node knows, and now a majority might elect one. A rehearsal changes nothing where others hear a leader, so it may be
   * tried before a timeout has passed (9.6).
   */
  hasten(): void {
    const { nowMs } = this.#state;
    this.#soonUntilMs = nowMs + SOON_FOR * this.#settings.electionTimeoutMs;
    this.#electionAtMs = Math.min(this.#electionAtMs, nowMs + this.#soonMs());
  }

  /** The process of the leader that this node follows has ended: it is not waited for. */
  leaderGone(): void {
    this.#contactMs = Number.NEGATIVE_INFINITY;
    this.hasten();
  }

  /** Another node campaigns: this one gives it the time for that. `isPreVote`: it may not be able to. */
  makeWay(isPreVote: boolean): void {
    if (!isPreVote) this.#soonUntilMs = Number.NEGATIVE_INFINITY;
    if (!isPreVote || this.#isHasty) this.restartTimer();
  }

  /**
   * Whether `node`, which rehearses at the same time as this one, is to be the one that waits. Who saw the same death may ask in the same moment; promised to both, the
   * votes would be split.
   */
  goesBefore(node: NodeId): boolean {
    return this.#isHasty && this.#settings.id < node;
  }

  get #isHasty(): boolean {
    return this.#state.nowMs < this.#soonUntilMs;
  }

  #soonMs(): number {
    const { electionTimeoutMs, random } = this.#settings;
    return electionTimeoutMs * SOON * (1 + 1.5 * random());
  }

  /**
   * The leader of this term was heard from. So this node did not win the term, and never does: a few votes that it got might be a majority of a smaller set, which
   * that leader makes.
   */
  heardLeader(): void {
    this.#campaignTerm = 0;
    this.#contactMs = this.#state.nowMs;
    this.#soonUntilMs = Number.NEGATIVE_INFINITY;
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
    this.#soonUntilMs = Number.NEGATIVE_INFINITY;
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
