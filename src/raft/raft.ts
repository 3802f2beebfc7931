// The consensus core: Raft (Ongaro's dissertation) by byte offsets, as one pure class. Inputs are calls, outputs are effects; it has no clock,
// no disk, no network and no randomness of its own, and never sees an entry's bytes. A thread and a simulator run the same code.
//
//                  election timeout      majority would      majority did
//      follower ───────────────────► preCandidate ───► candidate ───► leader
//          ▲                               │               │            │
//          └───────────────────────────────┴───────────────┴────────────┘
//             a leader of this term or a later one, a later term, no majority
//
// The shell's contract: set the time (`advanceTo`), make one call, then carry out all of `ready()` in order, saving what is to be saved
// before anything behind it. Before a message of a later term reaches a leader, the shell has closed the gate and reported the log's end.

import { assert, unreachable } from '../core/assert.ts';
import type { Core, RaftSettings } from './core.ts';
import type { Effect, RaftRole } from './effects.ts';
import { Following, type StoreOutcome } from './following.ts';
import { type Due, Leadership } from './leadership.ts';
import type { AppendRequest, NodeId, PeerMessage, ReadIndexResponse, Standing, VoteRequest, VoteResponse } from './messages.ts';
import { Questions } from './reads.ts';
import type { TermTable } from './termTable.ts';

export type { StoreOutcome } from './following.ts';

/** What a node remembers when it starts. */
export interface RaftState {
  readonly currentTerm: number;
  readonly votedFor: NodeId;
  readonly standing: Standing;
  /** Everything in it is durable. */
  readonly log: TermTable;
}

/** A rehearsal, a campaign after it, or one that the leader itself asked for. */
type Campaign = 'preVote' | 'vote' | 'transfer';

export class Raft {
  readonly settings: RaftSettings;
  readonly log: TermTable;
  readonly #core: Core;
  #nowMs = 0;
  #currentTerm: number;
  #votedFor: NodeId;
  #standing: Standing;
  #role: RaftRole = 'follower';
  /** Leader of this term as far as known; 0: none. */
  #leader: NodeId = 0;
  #durable: number;
  #commit: number;
  #leadership: Leadership | undefined;
  readonly #following: Following;
  /** When a leader was last heard from, and when to campaign. */
  #contactMs = Number.NEGATIVE_INFINITY;
  #electionAtMs = 0;
  #votes = new Set<NodeId>();
  /** Questions for the leader that are on their way. */
  readonly #asked: Questions;
  /** Nodes whose term was learnt in a greeting since this one started: other messages may be older than that. */
  readonly #heard = new Set<NodeId>();
  #effects: Effect[] = [];

  constructor(settings: RaftSettings, state: RaftState) {
    this.settings = settings;
    this.log = state.log;
    this.#currentTerm = state.currentTerm;
    this.#votedFor = state.votedFor;
    this.#standing = state.standing;
    this.#durable = state.log.end;
    this.#commit = state.log.start;
    assert(settings.nodes.includes(settings.id), 'a node is one of its cluster');
    assert(state.log.lastTerm <= state.currentTerm, 'a term is durable before an entry carries it');
    this.#core = this.#makeCore();
    this.#following = new Following(this.#core);
    this.#asked = new Questions(Math.floor(settings.random() * 2 ** 40));
    this.#resetElection();
    // Nobody else could be waited for.
    if (settings.nodes.length === 1) this.#electionAtMs = 0;
  }

  get role(): RaftRole {
    return this.#role;
  }

  get currentTerm(): number {
    return this.#currentTerm;
  }

  get votedFor(): NodeId {
    return this.#votedFor;
  }

  get leader(): NodeId {
    return this.#leader;
  }

  get standing(): Standing {
    return this.#standing;
  }

  get commit(): number {
    return this.#commit;
  }

  get durable(): number {
    return this.#durable;
  }

  /** Whether the log is being cut, so that nothing can be stored. */
  get isTruncating(): boolean {
    return this.#following.isTruncating;
  }

  /** What a leader knows of the others; undefined while this node does not lead. */
  get leadership(): Leadership | undefined {
    return this.#leadership;
  }

  /** When {@link tick} has something to do, on the clock of {@link advanceTo}. */
  get deadlineMs(): number {
    return this.#leadership?.deadlineMs ?? this.#electionAtMs;
  }

  /** The time is `nowMs`: milliseconds of a clock that never goes back. */
  advanceTo(nowMs: number): void {
    assert(nowMs >= this.#nowMs, 'time goes forward');
    this.#nowMs = nowMs;
  }

  /** Ends a turn: what is to be done now, in this order. */
  ready(): readonly Effect[] {
    this.#leadership?.flush();
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  /** Time has passed. */
  tick(): void {
    if (this.#leadership !== undefined) {
      if (!this.#leadership.tick()) this.#becomeFollower(this.#currentTerm, 0);
    } else if (this.#nowMs >= this.#electionAtMs) {
      this.#resetElection();
      if (!this.#mayCampaign()) this.#becomeFollower(this.#currentTerm, 0);
      else this.#campaign(this.settings.nodes.length === 1 ? 'vote' : 'preVote');
    }
  }

  /** A message from another node. */
  step(from: NodeId, message: PeerMessage): void {
    if (!this.#isOther(from)) return;
    if (message.kind === 'voteRequest') {
      this.#voteRequest(from, message);
      return;
    }
    // A granted pre-vote repeats the term that was asked for, which nobody is in yet.
    const isPromise = message.kind === 'voteResponse' && message.isPreVote && message.granted;
    if (message.term > this.#currentTerm && !isPromise) this.#becomeFollower(message.term, message.kind === 'appendRequest' ? from : 0);
    switch (message.kind) {
      case 'voteResponse':
        this.#voteResponse(from, message);
        break;
      case 'appendRequest':
        this.#appendRequest(from, message);
        break;
      case 'appendResponse':
        if (message.term === this.#currentTerm) this.#leadership?.answered(from, message);
        break;
      case 'timeoutNow':
        if (message.term === this.#currentTerm && this.#role !== 'leader' && this.#mayCampaign()) this.#campaign('transfer');
        break;
      case 'readIndexRequest':
        if (this.#leadership !== undefined) this.#leadership.readIndex(message.id, from);
        else this.send(from, { kind: 'readIndexResponse', term: this.#currentTerm, id: message.id, ok: false, index: 0 });
        break;
      case 'readIndexResponse':
        this.#readIndexResponse(message);
        break;
      case 'admit':
        this.#admitted(from, message.term, message.standing);
        break;
      default:
        unreachable(message);
    }
  }

  /** A part of a message came from `from`: it lives, and if it leads, nobody need campaign while the rest is on its way. */
  receiving(from: NodeId, { term }: PeerMessage): void {
    if (from !== this.#leader || term !== this.#currentTerm || this.#role !== 'follower') return;
    this.#contactMs = this.#nowMs;
    this.#resetElection();
  }

  /** Another node, in a greeting, said that it is in `term`. */
  greeted(from: NodeId, term: number): void {
    if (!this.#isOther(from)) return;
    this.#heard.add(from);
    if (term > this.#currentTerm) this.#becomeFollower(term, 0);
  }

  /** A connection to `node` is there (again): what was on its way before may be lost. */
  reconnected(node: NodeId): void {
    this.#leadership?.reconnected(node);
    if (node === this.#leader) this.#failAsked();
  }

  /** Another disk stands behind a node's id. */
  forget(node: NodeId): void {
    this.#leadership?.forget(node);
  }

  /** The no-op that a `lead` effect asked for is in the log, which ends at `end` now. */
  led(end: number): void {
    assert(this.#leadership !== undefined && !this.#leadership.hasLed, 'a leader begins its term once');
    this.log.extend(this.#currentTerm, end);
    this.#leadership.led(end);
  }

  /** Entries of this leader's term were put at the log's end, up to `end`; also what came in before the gate closed behind a leader. */
  appended(term: number, end: number): void {
    if (end > this.log.end) {
      assert(term === this.log.lastTerm, "a leader's entries follow its no-op, and carry no later term");
      this.log.extend(term, end);
    }
    this.#leadership?.maybeHandOver();
  }

  /** This node's disk has everything before `offset`. */
  durableMoved(offset: number): void {
    // What is being cut may still reach the disk: it must not count (redpanda#3114, #16105).
    if (this.#following.isTruncating || offset <= this.#durable) return;
    assert(offset <= this.log.end, 'only what is in the log becomes durable');
    this.#durable = offset;
    if (this.#leadership !== undefined) this.#leadership.durableMoved();
    else this.#following.flushed();
  }

  /** The bytes of a `store` effect were put at the log's end, or why not. The disk's word (`durableMoved`) answers the leader. */
  stored(request: AppendRequest, outcome: StoreOutcome): void {
    this.#following.stored(request, outcome);
  }

  /** The log was cut at `end`, as a `truncate` effect asked; all before it is durable. */
  truncated(end: number): void {
    this.#following.truncated(end);
  }

  /** What node `to` is to be sent; undefined: nothing now. */
  due(to: NodeId): Due | undefined {
    return this.#leadership?.due(to);
  }

  /** Asks for a commit offset that counts all that was acknowledged before: `readIndexDone` has it. `id` is not in use. */
  readIndex(id: number): void {
    if (this.#leadership !== undefined) {
      this.#leadership.readIndex(id, 0);
    } else if (this.#leader === 0) {
      this.#emit({ kind: 'readIndexDone', id, index: undefined });
    } else {
      this.send(this.#leader, { kind: 'readIndexRequest', term: this.#currentTerm, id: this.#asked.add(id) });
    }
  }

  /** Hands leadership to another node; `transferDone` says how it went. */
  transfer(): void {
    if (this.#leadership === undefined) this.#emit({ kind: 'transferDone', ok: true });
    else if (!this.#leadership.transfer()) this.#emit({ kind: 'transferDone', ok: false });
  }

  /** Sends a message at this point of the effects. */
  send(to: NodeId, message: PeerMessage): void {
    this.#emit({ kind: 'send', to, message });
  }

  #emit(effect: Effect): void {
    this.#effects.push(effect);
  }

  #makeCore(): Core {
    const raft = this;
    return {
      settings: raft.settings,
      log: raft.log,
      get nowMs() {
        return raft.#nowMs;
      },
      get currentTerm() {
        return raft.#currentTerm;
      },
      get standing() {
        return raft.#standing;
      },
      get durable() {
        return raft.#durable;
      },
      get commit() {
        return raft.#commit;
      },
      get leader() {
        return raft.#leader;
      },
      get hasHeardAll() {
        return raft.#heard.size === raft.settings.nodes.length - 1;
      },
      emit: (effect) => raft.#emit(effect),
      send: (to, message) => raft.send(to, message),
      commitTo: (offset) => raft.#commitTo(offset),
      setDurable: (offset) => {
        raft.#durable = offset;
      },
      setStanding: (standing) => raft.#setStanding(standing),
    };
  }

  #isOther(node: NodeId): boolean {
    return node !== this.settings.id && this.settings.nodes.includes(node);
  }

  #commitTo(offset: number): void {
    assert(offset >= this.#commit && offset <= this.log.end, 'the commit moves forward, inside the log');
    if (offset === this.#commit) return;
    this.#commit = offset;
    this.#emit({ kind: 'commit', commit: offset });
  }

  #resetElection(): void {
    const { electionTimeoutMs, random } = this.settings;
    this.#electionAtMs = this.#nowMs + electionTimeoutMs * (1 + random() / 2);
  }

  /** Whether a leader was heard from so lately that nobody should campaign (leader stickiness, 4.2.3). */
  get #hearsLeader(): boolean {
    if (this.#leadership !== undefined) return true;
    return this.#leader !== 0 && this.#nowMs - this.#contactMs < this.settings.electionTimeoutMs;
  }

  /** A node that lost its disk, or that is new, has too little to lead; one whose log is being cut does not know its end. */
  #mayCampaign(): boolean {
    return this.#standing === 'voter' && !this.#following.isTruncating;
  }

  /** A new term, and the vote in it if it is given at once: one record, one flush. */
  #setTerm(term: number, votedFor: NodeId): void {
    assert(term > this.#currentTerm, 'terms rise');
    this.#currentTerm = term;
    // A stranger may have voted in this term before it lost its disk: it never does again.
    this.#votedFor = this.#standing === 'stranger' ? this.settings.id : votedFor;
    this.#following.termChanged();
    this.#saveVote();
  }

  #saveVote(): void {
    this.#emit({ kind: 'saveVote', currentTerm: this.#currentTerm, votedFor: this.#votedFor });
  }

  #becomeFollower(term: number, leader: NodeId, votedFor: NodeId = 0): void {
    const leadership = this.#leadership;
    const wasFollower = this.#role === 'follower';
    const isNewTerm = term > this.#currentTerm;
    const isNews = isNewTerm || !wasFollower || leader !== this.#leader;
    this.#leadership = undefined;
    this.#role = 'follower';
    this.#leader = leader;
    // The gate closes before the new term is saved or told to anyone.
    if (isNews) this.#emit({ kind: 'role', role: 'follower', currentTerm: term, leader });
    if (isNewTerm) this.#setTerm(term, votedFor);
    if (isNews) {
      this.#following.leaderChanged();
      this.#failAsked();
    }
    leadership?.end();
    // A later term alone is no reason to wait longer: its candidate may have been one that cannot win.
    if (!wasFollower) this.#resetElection();
  }

  #failAsked(): void {
    for (const id of this.#asked.drain()) this.#emit({ kind: 'readIndexDone', id, index: undefined });
  }

  /** Asks the others for their votes, or first whether they would give them (PreVote, 9.6). */
  #campaign(campaign: Campaign): void {
    this.#failAsked();
    this.#leader = 0;
    this.#following.leaderChanged();
    const isPreVote = campaign === 'preVote';
    const isTransfer = campaign === 'transfer';
    this.#role = isPreVote ? 'preCandidate' : 'candidate';
    this.#emit({ kind: 'role', role: this.#role, currentTerm: this.#currentTerm + (isPreVote ? 0 : 1), leader: 0 });
    if (!isPreVote) this.#setTerm(this.#currentTerm + 1, this.settings.id);
    this.#resetElection();
    this.#votes = new Set([this.settings.id]);
    const term = this.#currentTerm + (isPreVote ? 1 : 0);
    for (const node of this.settings.nodes) {
      if (node === this.settings.id) continue;
      const { lastTerm, end } = this.log;
      this.send(node, { kind: 'voteRequest', term, isPreVote, isTransfer, lastTerm, end });
    }
    this.#maybeWin();
  }

  #maybeWin(): void {
    if (this.#votes.size * 2 <= this.settings.nodes.length) return;
    if (this.#role === 'preCandidate') this.#campaign('vote');
    else if (this.#role === 'candidate') this.#becomeLeader();
  }

  #becomeLeader(): void {
    assert(!this.#following.isTruncating, 'a node whose log is being cut does not lead');
    this.#role = 'leader';
    this.#leader = this.settings.id;
    this.#leadership = new Leadership(this.#core);
    this.#emit({ kind: 'role', role: 'leader', currentTerm: this.#currentTerm, leader: this.#leader });
    this.#emit({ kind: 'lead', term: this.#currentTerm });
  }

  #voteRequest(from: NodeId, request: VoteRequest): void {
    const { term, isPreVote, isTransfer, lastTerm, end } = request;
    const isDisruptive = !isTransfer && this.#hearsLeader;
    if (isDisruptive && !isPreVote && term > this.#currentTerm) return;
    const isUpToDate = lastTerm > this.log.lastTerm || (lastTerm === this.log.lastTerm && end >= this.log.end);
    const isWelcome = isUpToDate && !isDisruptive && this.#mayVoteFor(from);
    if (!isPreVote && term > this.#currentTerm) this.#becomeFollower(term, 0, isWelcome ? from : 0);
    const granted = isWelcome && (isPreVote ? term > this.#currentTerm : this.#maybeVote(from, term));
    this.send(from, { kind: 'voteResponse', term: granted && isPreVote ? term : this.#currentTerm, isPreVote, granted });
  }

  /** One vote a term. */
  #maybeVote(candidate: NodeId, term: number): boolean {
    if (term !== this.#currentTerm || (this.#votedFor !== 0 && this.#votedFor !== candidate)) return false;
    this.#resetElection();
    if (this.#votedFor === 0) {
      this.#votedFor = candidate;
      this.#saveVote();
    }
    return true;
  }

  /** A stranger votes for nobody. A new node votes for the founder only: it alone surely has what was committed before the cluster was. */
  #mayVoteFor(candidate: NodeId): boolean {
    if (this.#standing === 'new') return candidate === Math.min(...this.settings.nodes);
    return this.#standing === 'voter';
  }

  #voteResponse(from: NodeId, { term, isPreVote, granted }: VoteResponse): void {
    const asked = isPreVote ? this.#role === 'preCandidate' : this.#role === 'candidate';
    if (!granted || !asked || term !== this.#currentTerm + (isPreVote ? 1 : 0)) return;
    this.#votes.add(from);
    this.#maybeWin();
  }

  #admitted(from: NodeId, term: number, standing: 'new' | 'voter'): void {
    if (this.#standing !== 'stranger') return;
    // An admission that is late, from before this disk was lost, is not borne out by what is on it now.
    const isBorneOut = from === this.#leader && term === this.#currentTerm && this.#core.hasHeardAll && this.#following.hasAllCommitted;
    if (standing === 'voter' && !isBorneOut) return;
    if (standing === 'new' && from !== Math.min(...this.settings.nodes)) return;
    this.#setStanding(standing);
  }

  #setStanding(standing: Standing): void {
    this.#standing = standing;
    this.#emit({ kind: 'saveStanding', standing });
  }

  #appendRequest(from: NodeId, request: AppendRequest): void {
    if (request.term < this.#currentTerm) {
      this.#following.refuse(from, request);
      return;
    }
    if (this.#leader !== 0 && this.#leader !== from) {
      this.#emit({ kind: 'fatal', sentence: `node ${from} leads in term ${request.term}, in which node ${this.#leader} was elected` });
      return;
    }
    if (this.#leader !== from || this.#role !== 'follower') this.#becomeFollower(request.term, from);
    this.#contactMs = this.#nowMs;
    this.#resetElection();
    this.#following.take(request);
  }

  #readIndexResponse({ id, ok, index }: ReadIndexResponse): void {
    const asked = this.#asked.take(id);
    if (asked !== undefined) this.#emit({ kind: 'readIndexDone', id: asked, index: ok ? index : undefined });
  }
}
