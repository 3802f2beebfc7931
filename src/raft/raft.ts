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
import { type Due, Leadership } from './leadership.ts';
import type { AppendRequest, AppendResponse, NodeId, PeerMessage, Standing, VoteRequest, VoteResponse } from './messages.ts';
import type { TermTable } from './termTable.ts';

/** What a node remembers when it starts. */
export interface RaftState {
  readonly currentTerm: number;
  readonly votedFor: NodeId;
  readonly standing: Standing;
  /** Everything in it is durable. */
  readonly log: TermTable;
}

/** What became of the bytes that a `store` effect named. */
export type StoreOutcome =
  /** They are in the log. */
  | 'stored'
  /** No memory is free until the disk has caught up: the leader will send them again. */
  | 'full'
  /** They belong to another segment than the open one, which must be reopened first. */
  | 'misplaced'
  /** They are not what the message says: damaged on their way. */
  | 'refused';

/** Less than any offset. */
const NOTHING = -1;

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
  /** Follower: what is known to be the same as this term's leader's log; NOTHING until the two were compared. */
  #verified = NOTHING;
  /** Follower: the largest commit that this term's leader has told. */
  #leaderCommit = 0;
  /** Follower: the leader's last round, which reports of a flush repeat. */
  #round = 0;
  /** Follower: set while the log is being cut there. */
  #truncating: number | undefined;
  /** When a leader was last heard from, and when to campaign. */
  #contactMs = Number.NEGATIVE_INFINITY;
  #electionAtMs = 0;
  #votes = new Set<NodeId>();
  /** Questions for the leader that are on their way. */
  #asked = new Set<number>();
  /** Nodes heard from since this one started. */
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
    return this.#truncating !== undefined;
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
    if (!this.settings.nodes.includes(from) || from === this.settings.id) return;
    this.#heard.add(from);
    if (message.kind === 'voteRequest') {
      this.#voteRequest(from, message);
      return;
    }
    // A granted pre-vote repeats the term that was asked for, which nobody is in yet.
    const isPromise = message.kind === 'voteResponse' && message.isPreVote && message.granted;
    if (message.term > this.#currentTerm && !isPromise) this.#becomeFollower(message.term, 0);
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
        if (this.#asked.delete(message.id)) {
          this.#emit({ kind: 'readIndexDone', id: message.id, index: message.ok ? message.index : undefined });
        }
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
    this.#heard.add(from);
    if (term > this.#currentTerm) this.#becomeFollower(term, 0);
  }

  /** A connection to `node` is there (again): what was on its way before may be lost. */
  reconnected(node: NodeId): void {
    this.#leadership?.reconnected(node);
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
    if (end > this.log.end) this.log.extend(term, end);
    this.#leadership?.maybeHandOver();
  }

  /** This node's disk has everything before `offset`. */
  durableMoved(offset: number): void {
    // What is being cut may still reach the disk: it must not count (redpanda#3114, #16105).
    if (this.#truncating !== undefined || offset <= this.#durable) return;
    assert(offset <= this.log.end, 'only what is in the log becomes durable');
    this.#durable = offset;
    if (this.#leadership !== undefined) this.#leadership.durableMoved();
    else if (this.#verified !== NOTHING) this.#flushed();
  }

  /** The bytes of a `store` effect were put at the log's end, or why not. The disk's word (`durableMoved`) answers the leader. */
  stored(request: AppendRequest, outcome: StoreOutcome): void {
    switch (outcome) {
      case 'stored':
        this.log.extend(request.entriesTerm, request.end);
        this.#verified = Math.max(this.#verified, request.end);
        this.#advanceCommit(request.commit);
        break;
      case 'misplaced':
        this.#truncate(this.log.end);
        break;
      case 'refused':
        this.#reject(request);
        break;
      case 'full':
        break;
      default:
        unreachable(outcome);
    }
  }

  /** The log was cut at `end`, as a `truncate` effect asked; all before it is durable. */
  truncated(end: number): void {
    assert(end === this.#truncating, 'the log is cut where it was asked to be');
    this.#truncating = undefined;
    this.log.truncate(end);
    this.#durable = end;
    if (this.#verified !== NOTHING) this.#reject({ prevOffset: end, prevTerm: this.log.lastTerm });
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
      this.#asked.add(id);
      this.send(this.#leader, { kind: 'readIndexRequest', term: this.#currentTerm, id });
    }
  }

  /** Hands leadership to another node; `transferDone` says how it went. */
  transfer(): void {
    if (this.#leadership === undefined) this.#emit({ kind: 'transferDone', ok: true });
    else if (!this.#leadership.transfer()) this.#emit({ kind: 'transferDone', ok: false });
    else this.#leadership.maybeHandOver();
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
      emit: (effect) => raft.#emit(effect),
      send: (to, message) => raft.send(to, message),
      commitTo: (offset) => raft.#commitTo(offset),
    };
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
    return this.#standing === 'voter' && this.#truncating === undefined;
  }

  #setTerm(term: number): void {
    assert(term > this.#currentTerm, 'terms rise');
    this.#currentTerm = term;
    // A stranger may have voted in this term before it lost its disk: it never does again.
    this.#votedFor = this.#standing === 'stranger' ? this.settings.id : 0;
    this.#round = 0;
    this.#leaderCommit = 0;
    this.#saveVote();
  }

  #saveVote(): void {
    this.#emit({ kind: 'saveVote', currentTerm: this.#currentTerm, votedFor: this.#votedFor });
  }

  #becomeFollower(term: number, leader: NodeId): void {
    const before = this.#leader;
    const wasFollower = this.#role === 'follower';
    const leadership = this.#leadership;
    this.#leadership = undefined;
    this.#role = 'follower';
    this.#leader = leader;
    const isNewTerm = term > this.#currentTerm;
    if (!wasFollower || leader !== before || isNewTerm) {
      // The gate closes before the new term is saved or told to anyone.
      this.#emit({ kind: 'role', role: 'follower', currentTerm: term, leader });
    }
    if (isNewTerm) this.#setTerm(term);
    if (isNewTerm || leader !== before || !wasFollower) this.#verified = NOTHING;
    leadership?.end();
    if (leader !== before || isNewTerm) this.#failAsked();
    if (!wasFollower || isNewTerm) this.#resetElection();
  }

  #failAsked(): void {
    for (const id of this.#asked) this.#emit({ kind: 'readIndexDone', id, index: undefined });
    this.#asked.clear();
  }

  /** Asks the others for their votes, or first whether they would give them (PreVote, 9.6). */
  #campaign(campaign: Campaign): void {
    this.#failAsked();
    this.#leader = 0;
    this.#verified = NOTHING;
    const isPreVote = campaign === 'preVote';
    const isTransfer = campaign === 'transfer';
    this.#role = isPreVote ? 'preCandidate' : 'candidate';
    this.#emit({ kind: 'role', role: this.#role, currentTerm: this.#currentTerm + (isPreVote ? 0 : 1), leader: 0 });
    if (!isPreVote) {
      this.#setTerm(this.#currentTerm + 1);
      this.#votedFor = this.settings.id;
      this.#saveVote();
    }
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
    assert(this.#truncating === undefined, 'a node whose log is being cut does not lead');
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
    if (!isPreVote && term > this.#currentTerm) this.#becomeFollower(term, 0);
    const isUpToDate = lastTerm > this.log.lastTerm || (lastTerm === this.log.lastTerm && end >= this.log.end);
    let granted = isUpToDate && this.#mayVoteFor(from) && !isDisruptive;
    if (isPreVote) granted &&= term > this.#currentTerm;
    else granted &&= term === this.#currentTerm && (this.#votedFor === 0 || this.#votedFor === from);
    if (granted && !isPreVote) {
      this.#resetElection();
      if (this.#votedFor === 0) {
        this.#votedFor = from;
        this.#saveVote();
      }
    }
    this.send(from, { kind: 'voteResponse', term: granted && isPreVote ? term : this.#currentTerm, isPreVote, granted });
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
    if (standing === 'voter' && (from !== this.#leader || term !== this.#currentTerm)) return;
    if (standing === 'new' && from !== Math.min(...this.settings.nodes)) return;
    this.#setStanding(standing);
  }

  #setStanding(standing: Standing): void {
    this.#standing = standing;
    this.#emit({ kind: 'saveStanding', standing });
  }

  #appendRequest(from: NodeId, request: AppendRequest): void {
    if (request.term < this.#currentTerm) {
      // An old leader learns of the new term.
      this.send(from, this.#response({ accepted: false, offset: this.log.end, hintTerm: this.log.lastTerm, rejected: request.prevOffset }));
      return;
    }
    if (this.#role === 'leader') {
      this.#emit({ kind: 'fatal', sentence: `node ${from} leads in term ${request.term}, in which this node was elected` });
      return;
    }
    if (this.#leader !== from || this.#role !== 'follower') this.#becomeFollower(request.term, from);
    this.#contactMs = this.#nowMs;
    this.#round = Math.max(this.#round, request.round);
    this.#resetElection();
    if (this.#truncating === undefined && this.#matches(request)) this.#take(request);
    else this.#reject(request);
  }

  /** Whether this log has the entry that ends at `prevOffset`, or nothing has to be had there. */
  #matches({ prevOffset, prevTerm }: AppendRequest): boolean {
    if (prevOffset > this.log.end || prevOffset < this.log.start) return false;
    const ownTerm = this.log.termBefore(prevOffset);
    if (ownTerm === prevTerm) return true;
    if (prevOffset > this.#commit) return false;
    // Every leader has all that is committed (3.4). One of the two may have trimmed what tells the term.
    if (ownTerm === 0 || prevTerm === 0) return true;
    this.#emit({ kind: 'fatal', sentence: `the leader has another entry before offset ${prevOffset}, which is committed here` });
    return false;
  }

  /** The logs agree up to `prevOffset`: what is new goes to the log's end, what is in its way is cut. */
  #take(request: AppendRequest): void {
    const { prevOffset, entriesTerm, end, commit } = request;
    this.#verified = Math.max(this.#verified, prevOffset);
    let from = prevOffset;
    if (end > prevOffset && prevOffset < this.log.end) {
      // Bytes of one term are the same wherever they are: its leader wrote them once. So they differ where the terms do.
      from = this.log.termAt(prevOffset) === entriesTerm ? Math.min(end, this.log.endOf(entriesTerm)) : prevOffset;
      this.#verified = Math.max(this.#verified, from);
      if (from < end && from < this.log.end) {
        this.#truncate(from);
        return;
      }
    }
    if (from < end) {
      this.#emit({ kind: 'store', message: request, from });
      return;
    }
    this.#advanceCommit(commit);
    this.#accept();
  }

  /** Not further than what is known to be the same as the leader's (copycat#265, ra#508, cockroach#36353). */
  #advanceCommit(leaderCommit: number): void {
    const commit = Math.min(leaderCommit, this.#verified);
    if (commit > this.#commit) this.#commitTo(commit);
    this.#leaderCommit = Math.max(this.#leaderCommit, leaderCommit);
    this.#maybeComeOfAge();
  }

  /** A leader tells a commit only of its own term: who has all of that on disk has all that was ever committed. */
  #maybeComeOfAge(): void {
    const { log } = this;
    if (this.#standing !== 'new' || this.#leaderCommit <= log.start) return;
    if (Math.min(this.#verified, this.#durable) >= this.#leaderCommit) this.#setStanding('voter');
  }

  #flushed(): void {
    this.#maybeComeOfAge();
    this.#accept();
  }

  #truncate(offset: number): void {
    if (offset < this.#commit) {
      this.#emit({ kind: 'fatal', sentence: `the leader's log differs at offset ${offset}, below the commit ${this.#commit}` });
      return;
    }
    assert(this.#verified <= offset, 'what is the same as the leader has is not cut');
    this.#truncating = offset;
    this.#durable = Math.min(this.#durable, offset);
    this.#emit({ kind: 'truncate', offset });
  }

  #accept(): void {
    this.send(this.#leader, this.#response({ accepted: true, offset: this.#verified, hintTerm: 0, rejected: 0 }));
  }

  /** Says where the logs may agree: at the end of a term that both may have, never below the commit. */
  #reject({ prevOffset, prevTerm }: Pick<AppendRequest, 'prevOffset' | 'prevTerm'>): void {
    const { log } = this;
    let place = Math.min(prevOffset, this.#truncating ?? log.end, log.end);
    if (log.termBefore(place) > prevTerm) place = log.endOf(log.largestUpTo(prevTerm));
    const offset = Math.max(place, this.#commit);
    this.send(this.#leader, this.#response({ accepted: false, offset, hintTerm: log.termBefore(offset), rejected: prevOffset }));
  }

  #response(part: Pick<AppendResponse, 'accepted' | 'offset' | 'hintTerm' | 'rejected'>): AppendResponse {
    return {
      kind: 'appendResponse',
      term: this.#currentTerm,
      round: this.#round,
      durable: part.accepted ? Math.min(this.#durable, this.#verified) : 0,
      isVoter: this.#standing !== 'stranger',
      hasHeardAll: this.#heard.size === this.settings.nodes.length - 1,
      ...part,
    };
  }
}
