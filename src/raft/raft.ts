// The consensus core: Raft (Ongaro's dissertation) by byte offsets, as one pure class. Inputs are calls, outputs are effects; it has no clock,
// no disk, no network and no randomness of its own, and never sees an entry's bytes. A thread and a simulator run the same code.
//
//                  election timeout      majority would      majority did
//      follower ───────────────────► preCandidate ───► candidate ───► leader
//          ▲                               │               │            │
//          └───────────────────────────────┴───────────────┴────────────┘
//             a leader of this term or a later one, a later term, no majority
//
// A preCandidate leads at once when the votes of its last campaign come late.
//
// The shell's contract: set the time (`advanceTo`), make one call, then carry out all of `ready()` in order, saving what is to be saved
// before anything after it. Before a message of a later term reaches a leader, the shell has closed the gate and reported the log's end.

import { assert, unreachable } from '../core/assert.ts';
import { doesCount } from '../core/ids.ts';
import { MAX_TERM } from '../core/limits.ts';
import type { ChangeRefusal } from '../core/memberChanges.ts';
import type { Configuration } from '../core/members.ts';
import type { RaftSettings } from './core.ts';
import type { Effect, RaftRole } from './effects.ts';
import { Elections } from './elections.ts';
import { Following, type StoreOutcome } from './following.ts';
import { type Due, Leadership } from './leadership.ts';
import type { ConfigurationAt, Membership } from './membership.ts';
import type { Admit, AppendRequest, NodeId, PeerMessage, RaftMessage, Standing, VoteRequest } from './messages.ts';
import { Questions } from './reads.ts';
import { type RaftState, State } from './state.ts';
import { EXHAUSTED, TermFuse } from './termFuse.ts';
import type { TermStart, TermTable } from './termTable.ts';

export type { StoreOutcome } from './following.ts';
export type { RaftState } from './state.ts';

/** A rehearsal, a campaign after it, or one that the leader itself asked for. */
type Campaign = 'preVote' | 'vote' | 'transfer';

const NOT_LEADING: ChangeRefusal = { code: 'NOT_LEADER', sentence: 'this node does not lead: ask the leader' };

export class Raft {
  readonly settings: RaftSettings;
  readonly log: TermTable;
  readonly #state: State;
  #role: RaftRole = 'follower';
  #leadership: Leadership | undefined;
  readonly #following: Following;
  readonly #elections: Elections;
  /** Questions for the leader. */
  readonly #asked: Questions;
  readonly #fuse: TermFuse;

  constructor(settings: RaftSettings, state: RaftState) {
    this.settings = settings;
    this.log = state.log;
    this.#state = new State(settings, state);
    this.#following = new Following(this.#state);
    this.#fuse = new TermFuse(this.#state);
    this.#asked = new Questions(this.#state, Math.floor(settings.random() * 2 ** 40));
    this.#elections = new Elections(this.#state);
  }

  get role(): RaftRole {
    return this.#role;
  }

  get currentTerm(): number {
    return this.#state.currentTerm;
  }

  get votedFor(): NodeId {
    return this.#state.votedFor;
  }

  get leader(): NodeId {
    return this.#state.leader;
  }

  get standing(): Standing {
    return this.#state.standing;
  }

  get commit(): number {
    return this.#state.commit;
  }

  get durable(): number {
    return this.#state.durable;
  }

  /** Who counts, by this node's log. */
  get members(): Membership {
    return this.#state.members;
  }

  /** Whether the log is being cut, so that nothing can be stored. */
  get isTruncating(): boolean {
    return this.#following.isTruncating;
  }

  /** What a leader knows of the others; undefined while this node does not lead. */
  get leadership(): Leadership | undefined {
    return this.#leadership;
  }

  /** Whether every other node has told its term since this one started. */
  get hasHeardAll(): boolean {
    return this.#state.hasHeardAll;
  }

  /** When {@link tick} has something to do, on the clock of {@link advanceTo}. */
  get deadlineMs(): number {
    return this.#leadership?.deadlineMs ?? this.#elections.deadlineMs;
  }

  /** The time is `nowMs`: milliseconds of a clock that never goes back. */
  advanceTo(nowMs: number): void {
    assert(nowMs >= this.#state.nowMs, 'time goes forward');
    this.#state.nowMs = nowMs;
  }

  /** Whether something at this node waits for the commit to move: the leader hears of it with the next answer. */
  set awaitsCommit(awaitsCommit: boolean) {
    this.#state.awaitsCommit = awaitsCommit;
  }

  /** Whether this node's disk has no room for more appends: the leader hears of it with the next answer. */
  set isFull(isFull: boolean) {
    this.#state.isFull = isFull;
  }

  /**
   * The thread that serves clients does not answer any more, or does again. Meanwhile this node votes, stores and counts as before, but it
   * does not campaign, takes no office, and hands over the one that it has. Nothing while this node is alone: nobody else could lead.
   */
  hung(isMainHung: boolean): void {
    this.#state.isMainHung = isMainHung;
    const isCampaigning = this.#role === 'candidate' || this.#role === 'preCandidate';
    if (this.isHung && isCampaigning) this.#becomeFollower(this.#state.currentTerm, 0);
  }

  /** Whether it was told so last, and is not alone. */
  get isHung(): boolean {
    return this.#state.isHung;
  }

  /** Ends a turn: what is to be done now, in this order. */
  ready(): readonly Effect[] {
    this.#leadership?.flush();
    return this.#state.takeEffects();
  }

  /** Time has passed. */
  tick(): void {
    if (this.#leadership !== undefined) {
      if (!this.#leadership.tick()) this.#becomeFollower(this.#state.currentTerm, 0);
    } else if (this.#elections.isDue) {
      this.#elections.restartTimer();
      if (!this.#mayCampaign()) this.#becomeFollower(this.#state.currentTerm, 0);
      else this.#campaign(this.members.isAlone ? 'vote' : 'preVote');
    }
  }

  /** A message from another node. */
  step(from: NodeId, message: RaftMessage): void {
    if (!this.#hears(from, message)) return;
    if (!this.#fuse.believesMessage(message)) {
      this.#state.emit({ kind: 'distrust', node: from, sentence: this.#fuse.sentence(from, message.term) });
      return;
    }
    if (message.kind === 'voteRequest') {
      this.#voteRequest(from, message);
      return;
    }
    // A granted pre-vote repeats the term that was asked for, which nobody is in yet.
    const isPromise = message.kind === 'voteResponse' && message.isPreVote && message.granted;
    if (message.term > this.#state.currentTerm && !isPromise) {
      this.#becomeFollower(message.term, message.kind === 'appendRequest' ? from : 0);
    }
    switch (message.kind) {
      case 'voteResponse':
        if (!message.granted) break;
        this.#elections.count(from, message);
        this.#maybeWin();
        break;
      case 'appendRequest':
        this.#appendRequest(from, message);
        break;
      case 'appendResponse':
        if (message.term === this.#state.currentTerm) this.#leadership?.answered(from, message);
        break;
      case 'timeoutNow':
        if (message.term === this.#state.currentTerm && this.#role !== 'leader' && this.#mayCampaign()) this.#campaign('transfer');
        break;
      case 'readIndexRequest':
        if (this.#leadership !== undefined) this.#leadership.readIndex(message.id, from);
        else this.send(from, { kind: 'readIndexResponse', term: this.#state.currentTerm, id: message.id, ok: false, index: 0 });
        break;
      case 'readIndexResponse':
        this.#asked.answered(message);
        break;
      case 'admit':
        this.#admitted(from, message);
        break;
      default:
        unreachable(message);
    }
  }

  /** Whether a message is heard. A leader that was removed has that committed, and then hands over: what it says in its term is heard until then. */
  #hears(from: NodeId, { term }: RaftMessage): boolean {
    const { leader, currentTerm } = this.#state;
    return this.#state.isOther(from) || (from === leader && term === currentTerm && from !== this.settings.id);
  }

  /** A part of a message came from `from`: it lives, and if it leads, nobody need campaign while the rest is on its way. */
  receiving(from: NodeId, { term }: PeerMessage): void {
    if (from !== this.#state.leader || term !== this.#state.currentTerm || this.#role !== 'follower') return;
    this.#elections.heardLeader();
  }

  /**
   * Another node, in the greeting of a connection made since this node started, said that it is in `term`, and whether it is the founder:
   * the node with the data directory that the cluster began with. `isHeard`: and it knows of this node, so that it counts as heard from.
   */
  greeted(from: NodeId, term: number, isHeard: boolean, isFounder: boolean): void {
    if (!this.#state.isOther(from) || !this.#fuse.believes(term)) return;
    // A founder that lost its disk is none any more. What it sends comes after its greeting, so the last one counts.
    if (isFounder) this.#state.founder = from;
    else if (this.#state.founder === from) this.#state.founder = 0;
    if (isHeard) this.#state.heard.add(from);
    if (term > this.#state.currentTerm) this.#becomeFollower(term, 0);
  }

  /**
   * Another node is about to greet with `term`: undefined, or why that term is not believed, so that the connection is not made. A term that
   * a majority greets with is believed, and taken. `counts`: whether the node says that it counts for majorities; `instance`: of its directory.
   */
  doubts(from: NodeId, term: number, counts: boolean, instance: string): string | undefined {
    this.#fuse.note({ id: from, instance }, term, counts);
    const { agreed } = this.#fuse;
    if (!this.#fuse.believes(agreed)) this.#becomeFollower(agreed, 0);
    return this.#fuse.believes(term) ? undefined : this.#fuse.sentence(from, term);
  }

  /** Whether a message would be acted on, by its term. */
  believes(message: PeerMessage): boolean {
    return this.#fuse.believesMessage(message);
  }

  /** This node found out on its own that its directory is an old copy: it does not count any more, and gives up what it was elected for. */
  returned(): void {
    this.#becomeFollower(this.#state.currentTerm, this.#role === 'follower' ? this.#state.leader : 0);
    this.#state.becomeReturned();
  }

  /** A connection to `node` is there (again): what was on its way before may be lost. Where nobody leads, it may be the one that a majority lacked. */
  reconnected(node: NodeId): void {
    this.#leadership?.reconnected(node);
    if (node === this.#state.leader) this.#asked.giveUp();
    if (this.#state.leader === 0) this.#elections.hasten();
  }

  /**
   * The process of `node` has ended: its connection to this node is closed, and its port has refused another one since. If it leads, nobody waits for an
   * election timeout any more, and this node does not keep others from being elected. A node that is silent, or whose port answers, is not gone.
   */
  gone(node: NodeId): void {
    if (node === this.#state.leader && this.#role === 'follower') this.#elections.leaderGone();
  }

  /**
   * The link to a node leads to the data directory `instance`. If it led to another one before, what that one acknowledged counts no longer. Messages that came
   * by an earlier link are not told to this core any more.
   */
  met(node: NodeId, instance: string): void {
    if (!this.members.met(node, instance)) return;
    this.#state.acknowledged.delete(node);
    this.#leadership?.forget(node);
  }

  /**
   * Changes the set of nodes to `configuration`, or gives a log that has none its first one, which {@link firstConfiguration} is but for addresses. Returns why
   * that cannot be, or not now; undefined: it is begun, and in force once `configured`. It is decided when it is committed: another leader may have cut it.
   */
  configure(configuration: Configuration): ChangeRefusal | undefined {
    return this.#leadership === undefined ? NOT_LEADING : this.#leadership.configure(configuration);
  }

  /** Why {@link configure} would not begin now; nothing is begun. */
  refusalOf(configuration: Configuration): ChangeRefusal | undefined {
    return this.#leadership === undefined ? NOT_LEADING : this.#leadership.refusalOf(configuration);
  }

  /** The first configuration of a log that has none, without addresses; undefined: this node does not lead, there is one, or not every node has greeted it yet. */
  get firstConfiguration(): Configuration | undefined {
    return this.#leadership?.changes.first;
  }

  /** What a `configure` effect asked for; undefined: nothing any more. */
  get configurationDue(): Configuration | undefined {
    return this.#leadership?.changes.due;
  }

  /** The entry that a `configure` effect asked for is in the log, which ends at `end` now. What was appended before it was told. */
  configured(end: number): void {
    assert(this.#leadership !== undefined, 'a leader changes the set of nodes');
    this.log.extend(this.#state.currentTerm, this.settings.instance, end);
    this.#leadership.configured(end);
  }

  /** The no-op that a `beginTerm` effect asked for is in the log, which ends at `end` now; a new log may say before it which nodes it has, `configurations`. */
  begun(end: number, configurations: readonly ConfigurationAt[] = []): void {
    assert(this.#leadership !== undefined && !this.#leadership.hasBegun, 'a leader begins its term once');
    assert(configurations.length === 0 || this.members.isAlone, 'a log begins with the set of a node alone, or with none');
    this.log.extend(this.#state.currentTerm, this.settings.instance, end);
    if (configurations.length > 0) this.members.appended(configurations);
    this.#leadership.begun(end);
  }

  /** Entries of this leader's term were put at the log's end, up to `end`; also what came in before the gate closed behind a leader. */
  appended(term: number, end: number): void {
    if (end > this.log.end) {
      assert(term === this.log.lastTerm, "a leader's entries follow its no-op, and carry no later term");
      this.log.extend(term, this.log.last.leader, end);
    }
    this.#leadership?.transfer.maybeAsk();
  }

  /** This node's disk has everything before `offset`. */
  durableMoved(offset: number): void {
    // What is being cut may still reach the disk: it must not count (redpanda#3114, #16105).
    if (this.#following.isTruncating || offset <= this.#state.durable) return;
    assert(offset <= this.log.end, 'only what is in the log becomes durable');
    this.#state.setDurable(offset);
    if (this.#leadership !== undefined) this.#leadership.durableMoved();
    else this.#following.flushed();
  }

  /**
   * The bytes of a `store` effect were put at the log's end, or why not; `configurations` are those that they say. The disk's word (`durableMoved`) answers the
   * leader.
   */
  stored(request: AppendRequest, outcome: StoreOutcome, configurations: readonly ConfigurationAt[] = []): void {
    this.#following.stored(request, outcome, configurations);
  }

  /** The log was cut at `end`, as a `truncate` effect asked; all before it is durable. */
  truncated(end: number): void {
    this.#following.truncated(end);
  }

  /** Whether others are being asked for what the log's disk lacks. */
  mending(isUnderWay: boolean): void {
    const { damage } = this.#state;
    if (damage !== undefined && !this.#following.isTruncating) this.#state.damage = { ...damage, isMending: isUnderWay };
  }

  /**
   * The log has again what its disk had lost: it ends at `end`, its terms from the damage on begin at `terms`, `configurations` are those that it says there, and
   * all before `commit` was committed. So this node has everything that it ever acknowledged, and is what it was.
   */
  mended(terms: readonly TermStart[], end: number, commit: number, configurations: readonly ConfigurationAt[] = []): void {
    const { damage } = this.#state;
    assert(damage?.isMending === true && damage.before !== undefined, 'nothing of a damaged log was given up that is mended');
    for (const [i, { term, leader }] of terms.entries()) {
      const termEnd = terms[i + 1]?.offset ?? end;
      if (termEnd > this.log.end) this.log.extend(term, leader, termEnd);
    }
    assert(this.log.end === end && commit >= damage.bound, 'a mended log is what it was');
    this.members.appended(configurations);
    this.#state.damage = undefined;
    this.#state.setDurable(end);
    if (commit > this.#state.commit) this.#state.commitTo(commit);
    this.#state.setStanding(damage.before);
  }

  /** Everything before `start`, which is committed, is trimmed here. */
  trimmed(start: number): void {
    assert(start <= this.#state.commit, 'only what is committed is trimmed');
    this.log.trim(start);
    this.#leadership?.trimmed();
  }

  /** The log begins anew at `start`, as a `beginAt` effect asked. */
  emptied(start: number): void {
    this.#following.emptied(start);
  }

  /** What node `to` is to be sent; undefined: nothing now. */
  due(to: NodeId): Due | undefined {
    return this.#leadership?.due(to);
  }

  /** Asks for a commit offset that counts all that was acknowledged before: `readIndexDone` has it. `id` is not in use. */
  readIndex(id: number): void {
    if (this.#leadership !== undefined) this.#leadership.readIndex(id, 0);
    else this.#asked.ask(id);
  }

  /** Hands leadership to node `to`, or to whichever is furthest; `transferDone` says how it went. */
  transfer(to?: NodeId): void {
    if (this.#leadership === undefined) this.#state.emit({ kind: 'transferDone', ok: true });
    else if (!this.#leadership.transfer.begin(to)) this.#state.emit({ kind: 'transferDone', ok: false });
  }

  /** As a `pause` effect asked, no appends are let in any more, and what came in until then is told ({@link appended}). */
  paused(): void {
    this.#leadership?.transfer.paused();
  }

  /** Sends a message at this point of the effects. */
  send(to: NodeId, message: RaftMessage): void {
    this.#state.send(to, message);
  }

  /**
   * A node that lost its disk, or that is new, has too little to lead; one whose log is being cut does not know its end; one that hangs would
   * serve nobody; one that is in no set has nobody to lead.
   */
  #mayCampaign(): boolean {
    return this.#state.standing === 'voter' && !this.#following.isTruncating && !this.#state.isHung && this.members.mayCampaign;
  }

  /** A new term, and the vote in it if it is given at once: one record, one flush. */
  #becomeFollower(term: number, leader: NodeId, votedFor: NodeId = 0): void {
    const leadership = this.#leadership;
    const wasFollower = this.#role === 'follower';
    const isNewTerm = term > this.#state.currentTerm;
    const isNews = isNewTerm || !wasFollower || leader !== this.#state.leader;
    this.#leadership = undefined;
    this.#role = 'follower';
    this.#state.leader = leader;
    // The gate closes before the new term is saved or told to anyone.
    if (isNews) this.#state.emit({ kind: 'role', role: 'follower', currentTerm: term, leader });
    if (isNewTerm) this.#setTerm(term, votedFor);
    if (isNews) {
      this.#following.leaderChanged();
      this.#asked.giveUp();
    }
    leadership?.end();
    // A later term alone is no reason to wait longer: its candidate may have been one that cannot win.
    if (!wasFollower) this.#elections.restartTimer();
  }

  #setTerm(term: number, votedFor: NodeId): void {
    this.#state.setTerm(term, votedFor);
    this.#following.termChanged();
  }

  /** Asks the others for their votes, or first whether they would give them (PreVote, 9.6). */
  #campaign(campaign: Campaign): void {
    if (this.#state.currentTerm >= MAX_TERM) {
      this.#state.emit({ kind: this.members.isAlone ? 'fatal' : 'warn', sentence: EXHAUSTED });
      return;
    }
    this.#asked.giveUp();
    this.#state.leader = 0;
    this.#following.leaderChanged();
    const isPreVote = campaign === 'preVote';
    const isTransfer = campaign === 'transfer';
    this.#role = isPreVote ? 'preCandidate' : 'candidate';
    this.#state.emit({ kind: 'role', role: this.#role, currentTerm: this.#state.currentTerm + (isPreVote ? 0 : 1), leader: 0 });
    if (!isPreVote) this.#setTerm(this.#state.currentTerm + 1, this.settings.id);
    this.#elections.begin(isPreVote);
    this.#elections.restartTimer();
    this.#elections.askForVotes(isPreVote, isTransfer);
    this.#maybeWin();
  }

  #maybeWin(): void {
    const isCampaigning = this.#role === 'candidate' || this.#role === 'preCandidate';
    // Votes of its last campaign still elect it while it rehearses the next one: on a slow network all votes may be as late as that.
    if (isCampaigning && this.#elections.isElected) this.#becomeLeader();
    else if (this.#role === 'preCandidate' && this.#elections.isPromised) this.#campaign('vote');
  }

  #becomeLeader(): void {
    assert(!this.#following.isTruncating, 'a node whose log is being cut does not lead');
    assert(!this.#state.isHung, 'a node that hangs takes no office');
    this.#role = 'leader';
    this.#elections.won();
    this.#state.leader = this.settings.id;
    this.#leadership = new Leadership(this.#state);
    this.#state.emit({ kind: 'role', role: 'leader', currentTerm: this.#state.currentTerm, leader: this.#state.leader });
    this.#state.emit({ kind: 'beginTerm', term: this.#state.currentTerm });
  }

  #voteRequest(from: NodeId, request: VoteRequest): void {
    const { term, isPreVote, isTransfer, lastTerm, end } = request;
    const isDisruptive = !isTransfer && (this.#leadership !== undefined || this.#elections.hearsLeader);
    if (isDisruptive && !isPreVote && term > this.#state.currentTerm) return;
    const isSame = lastTerm === this.log.lastTerm && end === this.log.end;
    const isUpToDate = isSame || lastTerm > this.log.lastTerm || (lastTerm === this.log.lastTerm && end >= this.log.end);
    const isRival = isPreVote && this.#role === 'preCandidate' && isSame && this.#elections.goesBefore(from);
    const isWelcome = isUpToDate && !isDisruptive && !isRival && this.#state.mayVoteFor(from);
    if (!isPreVote && term > this.#state.currentTerm) this.#becomeFollower(term, 0, isWelcome ? from : 0);
    const { currentTerm } = this.#state;
    const granted = isWelcome && (isPreVote ? term > currentTerm : term === currentTerm && this.#state.maybeVote(from));
    if (granted) this.#elections.makeWay(isPreVote);
    this.send(from, { kind: 'voteResponse', term: granted && isPreVote ? term : currentTerm, isPreVote, granted });
  }

  #admitted(from: NodeId, { term, standing }: Admit): void {
    const isFromLeader = from === this.#state.leader && term === this.#state.currentTerm;
    if (standing === 'returned' && isFromLeader) this.#state.becomeReturned();
    if (standing === 'returned' || doesCount(this.#state.standing)) return;
    // An admission that is late, from before this disk was lost, is not borne out by what is on it now.
    const isBorneOut = isFromLeader && this.#state.knowsItsVotes && this.#following.hasAllCommitted;
    if (standing === 'voter' && !isBorneOut) return;
    if (standing === 'new' && (from !== this.#state.founder || this.#state.standing !== 'stranger')) return;
    this.#state.setStanding(standing);
  }

  #appendRequest(from: NodeId, request: AppendRequest): void {
    if (request.term < this.#state.currentTerm) {
      this.#following.refuse(from, request);
      return;
    }
    if (this.#state.leader !== 0 && this.#state.leader !== from) {
      this.#state.emit({
        kind: 'fatal',
        sentence: `node ${from} leads in term ${request.term}, in which node ${this.#state.leader} was elected`,
      });
      return;
    }
    if (this.#state.leader !== from || this.#role !== 'follower') this.#becomeFollower(request.term, from);
    this.#elections.heardLeader();
    this.#asked.giveUp(this.#state.nowMs - this.settings.electionTimeoutMs);
    this.#following.take(request);
  }
}
