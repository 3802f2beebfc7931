// What a node knows whatever its role (dissertation, figure 3.1), and the effects that wait for the shell. The roles see it as Core.

import { assert } from '../core/assert.ts';
import { doesCount } from '../core/ids.ts';
import type { Core, LogDamage, RaftSettings } from './core.ts';
import type { Effect } from './effects.ts';
import { Membership, type MembershipState, NO_CONFIGURATIONS } from './membership.ts';
import type { NodeId, RaftMessage, Standing } from './messages.ts';
import type { TermTable } from './termTable.ts';

/** What a node remembers when it starts. */
export interface RaftState {
  readonly currentTerm: number;
  readonly votedFor: NodeId;
  readonly standing: Standing;
  /** Everything in it is durable. */
  readonly log: TermTable;
  /** Everything before this offset was committed when the node ran last; perhaps more was. */
  readonly commit: number;
  /** Its disk lacks something that was on it; undefined: it does not. */
  readonly damage?: LogDamage | undefined;
  /** The nodes that count, by their ids, while the log says nothing of its nodes; empty: this node does not know any. */
  readonly list: readonly NodeId[];
  /** What the log says of its nodes; undefined: nothing. */
  readonly membership?: MembershipState;
}

export class State implements Core {
  readonly settings: RaftSettings;
  readonly log: TermTable;
  readonly members: Membership;
  nowMs = 0;
  currentTerm: number;
  votedFor: NodeId;
  /** Directory of the node that got this term's vote; undefined: it was given before this node started. */
  #votedInstance: string | undefined;
  standing: Standing;
  durable: number;
  commit: number;
  leader: NodeId = 0;
  awaitsCommit = false;
  /** What was said last of the thread that serves clients: it does not answer. */
  isMainHung = false;
  isFull = false;
  damage: LogDamage | undefined;
  /** Nodes whose term was learnt in a greeting since this one started: other messages may be older than that. */
  readonly heard = new Set<NodeId>();
  /** What each node, with the disk that it has now, acknowledged to this one and is committed. It has that as long as it keeps its disk. */
  readonly acknowledged = new Map<NodeId, number>();
  /** The node whose data directory the cluster began with, as it said in its last greeting; 0: it has not greeted this node yet. */
  founder: NodeId = 0;
  #effects: Effect[] = [];

  constructor(settings: RaftSettings, state: RaftState) {
    const { currentTerm, votedFor, standing, log, commit, damage, list, membership = NO_CONFIGURATIONS } = state;
    assert(log.lastTerm <= currentTerm, 'a term is durable before an entry carries it');
    assert(commit >= log.start && commit <= log.end, 'what was committed is in the log');
    assert(damage === undefined || !doesCount(standing), 'a node whose log is damaged does not count');
    this.settings = settings;
    this.log = log;
    this.members = new Membership(settings, list, membership, commit);
    this.currentTerm = currentTerm;
    this.votedFor = votedFor;
    this.standing = standing;
    this.durable = log.end;
    this.commit = commit;
    this.damage = damage;
  }

  get isHung(): boolean {
    return this.isMainHung && !this.members.isAlone;
  }

  get hasHeardAll(): boolean {
    return this.members.others.every((node) => this.heard.has(node));
  }

  /** Whether it knows every term that it may have voted in: a node whose disk is damaged has its votes. */
  get knowsItsVotes(): boolean {
    return this.hasHeardAll || this.standing === 'damaged';
  }

  /** Whether a message from `node` is heard: of any node that its link was made with, whatever set it is in by this node's log, but of none that was removed. */
  isOther(node: NodeId): boolean {
    return node !== this.settings.id && !this.members.isRemoved(node);
  }

  emit(effect: Effect): void {
    this.#effects.push(effect);
  }

  send(to: NodeId, message: RaftMessage): void {
    this.emit({ kind: 'send', to, message });
  }

  takeEffects(): readonly Effect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  commitTo(offset: number): void {
    assert(offset >= this.commit && offset <= this.log.end, 'the commit moves forward, inside the log');
    if (offset === this.commit) return;
    this.commit = offset;
    this.emit({ kind: 'commit', commit: offset });
    const wasRemoved = this.members.isSelfRemoved;
    this.members.committed(offset);
    this.#maybeKnown();
    if (this.members.isSelfRemoved && !wasRemoved) this.emit({ kind: 'removed' });
  }

  /**
   * From the first configuration on the log says who counts, and a node is no stranger to it any more, and not new: once one is committed, and on this node's disk.
   * Sooner, a node that loses power would count by its id again, with a disk that it never did by.
   */
  #maybeKnown(): void {
    if ((this.standing === 'stranger' || this.standing === 'new') && this.members.committedEnd <= this.durable) this.comeOfAge();
  }

  setDurable(offset: number): void {
    this.durable = offset;
    this.#maybeKnown();
  }

  setStanding(standing: Standing): void {
    this.standing = standing;
    this.emit({ kind: 'saveStanding', standing });
  }

  /**
   * A new node becomes a voter. It follows the leader of this term, so its vote is of no use any more; given to itself, it is not given a
   * second time by a node that lost its disk and was taken for new.
   */
  comeOfAge(): void {
    this.maybeVote(this.settings.id);
    this.setStanding('voter');
  }

  /** A new term, and the vote in it if it is given at once: one record, one flush. */
  setTerm(term: number, votedFor: NodeId): void {
    assert(term > this.currentTerm, 'terms rise');
    this.currentTerm = term;
    this.#votedInstance = this.#instanceOf(votedFor);
    // A node that lost its disk may have voted in this term before: it never does again.
    this.votedFor = doesCount(this.standing) ? votedFor : this.settings.id;
    this.#saveVote();
  }

  /** Gives this term's vote to `candidate` unless another one has it: a new term clears the vote, nothing else does (3.4). */
  maybeVote(candidate: NodeId): boolean {
    if (this.votedFor === 0) {
      this.votedFor = candidate;
      this.#votedInstance = this.#instanceOf(candidate);
      this.#saveVote();
    }
    // A node that lost its disk is another candidate, with the same id.
    return this.votedFor === candidate && (this.members.isByIds || this.#votedInstance === this.#instanceOf(candidate));
  }

  #instanceOf(node: NodeId): string | undefined {
    return node === this.settings.id ? this.settings.instance : this.members.instanceOf(node);
  }

  /** This node came back without a part of what it had acknowledged: what it did with it, it has forgotten, so it does not count any more. */
  becomeReturned(): void {
    if (!doesCount(this.standing) && this.standing !== 'damaged') return;
    this.setStanding('returned');
    // It may have voted in this term as well.
    this.maybeVote(this.settings.id);
  }

  /** What is left after the damage is given up for what a leader has: from then on only a leader can say when this node counts again. */
  giveUpDamaged(): void {
    this.damage = undefined;
    this.setStanding(this.standing);
  }

  /** A stranger votes for nobody, nor does one that returned or is damaged. A new node votes for the founder only: only the founder certainly has what was committed before the cluster was. */
  mayVoteFor(candidate: NodeId): boolean {
    return this.standing === 'voter' || (this.standing === 'new' && candidate === this.founder);
  }

  #saveVote(): void {
    this.emit({ kind: 'saveVote', currentTerm: this.currentTerm, votedFor: this.votedFor });
  }
}
