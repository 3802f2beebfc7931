// A core in a scripted test, with a fake shell whose log is a list of entries.

import { expect } from 'vitest';
import { doesCount, type EntryTerm, NO_TERM } from '../../src/core/ids.ts';
import type { LogDamage, RaftSettings } from '../../src/raft/core.ts';
import type { Effect } from '../../src/raft/effects.ts';
import type { AppendRequest, NodeId, RaftMessage, Standing } from '../../src/raft/messages.ts';
import { Raft, type StoreOutcome } from '../../src/raft/raft.ts';
import { type TermStart, TermTable } from '../../src/raft/termTable.ts';
import { type DiskCopy, type Entry, type Envelope, instanceOf, NOOP_BYTES } from './testLog.ts';

/** What a node needs of the cluster around it. */
export interface Surroundings {
  readonly nowMs: number;
  /** Entries that travel with the message being handled. */
  readonly inHand: readonly Entry[];
  post(from: NodeId, to: NodeId, message: RaftMessage, entries: readonly Entry[]): void;
  /** Messages are gone. */
  take(choice: Choice): unknown;
  /** The node's turn is over. */
  settle(node: TestNode): void;
  check(node: TestNode): void;
  nextId(): string;
}

/** Which messages are meant. */
export type Choice = (envelope: Envelope) => boolean;

export class TestNode {
  readonly id: NodeId;
  readonly #cluster: Surroundings;
  readonly #settings: RaftSettings;
  readonly #list: readonly NodeId[];
  /** Where its log begins, and whose the entry before it was. */
  start: number;
  before: EntryTerm;
  raft: Raft;
  entries: Entry[];
  /** What the disk has of the log, and of the rest. */
  disk: number;
  vote = { currentTerm: 0, votedFor: 0 };
  standing: Standing;
  /** What the disk says of the commit. */
  bound: number;
  /** What its disk lacks; its log ends before that. */
  damage: LogDamage | undefined;
  isUp = true;
  /** What the shell does not do by itself: the script says when. */
  holds = { flush: false, lead: false, truncate: false };
  /** What becomes of the next stores; empty: they are stored. */
  outcomes: StoreOutcome[] = [];
  isPaused = false;
  /** So many appends come in that the core does not know of when it wants the gate closed. */
  lateAppends = 0;
  fatal: string | undefined;
  readonly reads = new Map<number, number | undefined>();
  readonly transfers: boolean[] = [];
  /** Nodes that came back without what they had acknowledged, as it noticed. */
  readonly lostData: { readonly node: NodeId; readonly had: number; readonly has: number }[] = [];
  /** Changes when the disk is lost. */
  instance = 0;
  effects: Effect[] = [];
  #lives = 0;
  #leadDue = false;
  #truncateDue: number | undefined;
  #isInTurn = false;

  constructor(
    cluster: Surroundings,
    settings: RaftSettings,
    list: readonly NodeId[],
    entries: readonly Entry[],
    currentTerm: number,
    standing: Standing,
  ) {
    this.#list = list;
    this.#cluster = cluster;
    this.#settings = settings;
    this.id = settings.id;
    this.entries = [...entries];
    this.start = entries[0]?.start ?? 0;
    const [first] = entries;
    // What was trimmed was of the first term that is left.
    this.before = first === undefined || first.start === 0 ? NO_TERM : { term: first.term, leader: first.leader };
    this.disk = this.end;
    this.bound = this.start;
    this.vote = { currentTerm, votedFor: 0 };
    this.standing = standing;
    this.raft = this.#makeRaft();
  }

  get end(): number {
    return this.entries.at(-1)?.end ?? this.start;
  }

  get terms(): number[] {
    return this.entries.map(({ term }) => term);
  }

  /** The core after a start from what the disk has. */
  #makeRaft(): Raft {
    const starts: TermStart[] = [];
    for (const { term, start, leader } of this.entries) if (starts.at(-1)?.term !== term) starts.push({ term, offset: start, leader });
    const log = new TermTable(this.start, this.end, starts, this.before);
    // Chance differs a little from life to life: a node that restarts must not number its questions as it did before.
    this.#lives += 1;
    const random = (): number => this.#settings.random() * (1 - this.#lives / 2 ** 20);
    const raft = new Raft(
      { ...this.#settings, instance: instanceOf(this.id, this.instance), random },
      { ...this.vote, standing: this.standing, commit: Math.min(this.bound, this.end), log, list: this.#list, damage: this.damage },
    );
    raft.advanceTo(this.#cluster.nowMs);
    return raft;
  }

  crash(): void {
    this.isUp = false;
    this.bound = Math.max(this.bound, Math.min(this.raft.commit, this.disk));
    this.entries = this.entries.filter(({ end }) => end <= this.disk);
    this.#leadDue = false;
    this.#truncateDue = undefined;
  }

  restart(): void {
    this.isUp = true;
    this.disk = this.end;
    this.outcomes = [];
    this.isPaused = false;
    this.raft = this.#makeRaft();
    this.#cluster.settle(this);
  }

  /** While it is down, its disk loses what it has at log offset `at`: it will start without that, and what follows. */
  loseAt(at: number): void {
    expect(this.isUp, 'what is lost is noticed at a start').toBe(false);
    this.entries = this.entries.filter(({ end }) => end <= at);
    this.damage = { bound: this.bound, before: undefined, isMending: false };
    if (doesCount(this.standing)) this.standing = 'damaged';
  }

  /** What is on its disk now, to {@link restore} it. */
  copyDisk(): DiskCopy {
    const { vote, standing } = this;
    const bound = Math.max(this.bound, Math.min(this.raft.commit, this.disk));
    return { entries: this.entries.filter(({ end }) => end <= this.disk), vote, standing, bound };
  }

  /** An old copy of the disk is put in its place: the same directory, by what is in it. */
  restore({ entries, vote, standing, bound }: DiskCopy): void {
    this.entries = [...entries];
    this.disk = this.end;
    this.vote = vote;
    this.standing = standing;
    this.bound = bound;
    this.#cluster.take(({ from, to }) => from === this.id || to === this.id);
  }

  /** Starts again with a log that was trimmed up to `start` and has no entry after that; the last one before it was of `before`. */
  trimAt(start: number, before: EntryTerm): void {
    this.crash();
    this.start = start;
    this.before = before;
    this.entries = [];
    this.bound = start;
    this.restart();
  }

  /** The disk is gone: another directory stands behind the same id. */
  wipe(): void {
    this.entries = [];
    this.disk = 0;
    this.bound = 0;
    this.vote = { currentTerm: 0, votedFor: 0 };
    this.standing = 'stranger';
    this.instance += 1;
    // A connection does not outlive the process, nor what was on it.
    this.#cluster.take(({ from, to }) => from === this.id || to === this.id);
  }

  /** One turn of the shell: an input, then all effects, then what the others are due. */
  turn(input: (raft: Raft) => void): void {
    if (!this.isUp || this.fatal !== undefined) return;
    this.raft.advanceTo(this.#cluster.nowMs);
    this.#isInTurn = true;
    input(this.raft);
    this.#carryOut();
    if (!this.holds.flush && this.disk < this.end && !this.raft.isTruncating) {
      this.disk = this.end;
      this.raft.durableMoved(this.disk);
      this.#carryOut();
    }
    this.#feed();
    this.#isInTurn = false;
    this.#cluster.check(this);
  }

  #carryOut(): void {
    for (let effects = this.raft.ready(); effects.length > 0; effects = this.raft.ready()) {
      for (const effect of effects) {
        this.effects.push(effect);
        this.#perform(effect);
        if (this.fatal !== undefined) return;
      }
    }
  }

  #perform(effect: Effect): void {
    switch (effect.kind) {
      case 'saveVote':
        expect(effect.currentTerm, 'a saved term never falls').toBeGreaterThanOrEqual(this.vote.currentTerm);
        if (effect.currentTerm === this.vote.currentTerm && this.vote.votedFor !== 0) {
          expect(effect.votedFor, 'a vote is given once a term').toBe(this.vote.votedFor);
        }
        this.vote = { currentTerm: effect.currentTerm, votedFor: effect.votedFor };
        break;
      case 'saveStanding':
        this.standing = effect.standing;
        break;
      case 'send':
        this.#checkSaved(effect.to, effect.message);
        if (effect.message.kind === 'timeoutNow') this.#checkSuccessor(effect.to);
        this.#cluster.post(this.id, effect.to, effect.message, []);
        break;
      case 'beginTerm':
        this.#leadDue = true;
        if (!this.holds.lead) this.finishLead();
        break;
      case 'role':
        if (effect.role !== 'leader') this.#leadDue = false;
        break;
      case 'pause':
        this.isPaused = effect.paused;
        if (effect.paused) this.#closeGate();
        break;
      case 'store':
        this.#store(effect.message, effect.from);
        break;
      case 'truncate':
        this.#truncateDue = effect.offset;
        if (!this.holds.truncate) this.finishTruncate();
        break;
      case 'beginAt':
        expect(this.end, 'only a log that ends before the place begins there').toBeLessThan(effect.start);
        this.start = effect.start;
        this.before = effect.before;
        this.entries = [];
        this.disk = effect.start;
        this.damage = undefined;
        this.bound = effect.start;
        this.#inside((raft) => raft.emptied(effect.start));
        break;
      case 'readIndexDone':
        expect(this.reads.has(effect.id), 'a question is answered once').toBe(false);
        this.reads.set(effect.id, effect.index);
        break;
      case 'transferDone':
        this.transfers.push(effect.ok);
        break;
      case 'fatal':
        this.fatal = effect.sentence;
        break;
      case 'lostData':
        this.lostData.push(effect);
        break;
      case 'commit':
        break;
    }
  }

  #checkSaved(to: NodeId, message: RaftMessage): void {
    if (message.kind === 'voteRequest' && message.isPreVote) return;
    if (message.kind === 'voteResponse' && message.isPreVote) return;
    expect(this.vote.currentTerm, 'a term is saved before it is told').toBe(message.term);
    if (message.kind === 'voteRequest') expect(this.vote.votedFor).toBe(this.id);
    if (message.kind === 'voteResponse' && message.granted) expect(this.vote.votedFor, 'a vote is saved before it is given').toBe(to);
  }

  /** Until the shell has closed the gate, appends come in that the core does not know of: nobody is asked to take over without them. */
  #checkSuccessor(to: NodeId): void {
    const progress = this.raft.leadership?.peers.get(to);
    if (progress !== undefined) expect(progress.verified, 'who is asked to take over has all that was let in (3.10)').toBe(this.end);
  }

  #closeGate(): void {
    const { currentTerm } = this.raft;
    for (; this.lateAppends > 0; this.lateAppends -= 1) this.#push(100, currentTerm, this.#cluster.nextId());
    this.raft.appended(currentTerm, this.end);
    this.raft.paused();
  }

  finishLead(): void {
    if (!this.#leadDue) return;
    this.#leadDue = false;
    const { currentTerm } = this.raft;
    this.#push(NOOP_BYTES, currentTerm, `no-op ${currentTerm}`);
    this.#inside((raft) => raft.begun(this.end));
  }

  finishTruncate(): void {
    const offset = this.#truncateDue;
    if (offset === undefined) return;
    this.#truncateDue = undefined;
    this.entries = this.entries.filter(({ end }) => end <= offset);
    expect(this.end, 'the log is cut between entries').toBe(offset);
    this.disk = offset;
    this.damage = undefined;
    this.#inside((raft) => raft.truncated(offset));
  }

  /** The disk has caught up, to `offset` or altogether. */
  flush(offset = this.end): void {
    this.disk = Math.max(this.disk, offset);
    this.turn((raft) => raft.durableMoved(offset));
  }

  #inside(input: (raft: Raft) => void): void {
    if (this.#isInTurn) input(this.raft);
    else this.turn(input);
  }

  #push(bytes: number, term: number, id: string): void {
    this.entries.push({ start: this.end, end: this.end + bytes, term, id, leader: instanceOf(this.id, this.instance) });
  }

  /** A client's entry, on the leader. */
  append(bytes = 100): Entry {
    expect(this.raft.leadership?.hasBegun, 'only a leader takes appends').toBe(true);
    const { currentTerm } = this.raft;
    this.#push(bytes, currentTerm, this.#cluster.nextId());
    const entry = this.entries.at(-1);
    this.turn((raft) => raft.appended(currentTerm, this.end));
    if (entry === undefined) throw new Error('unreachable');
    return entry;
  }

  #store(message: AppendRequest, from: number): void {
    const outcome = this.outcomes.shift() ?? 'stored';
    if (outcome === 'stored') {
      const entries = this.#cluster.inHand.filter(({ start }) => start >= from);
      expect(from, 'entries go to the log end').toBe(this.end);
      expect(entries[0]?.start, 'the bytes begin where they are to be stored').toBe(from);
      expect(entries.at(-1)?.end).toBe(message.end);
      for (const entry of entries) expect([entry.term, entry.leader]).toEqual([message.entriesTerm, message.entriesLeader]);
      this.entries.push(...entries);
    }
    this.raft.stored(message, outcome);
  }

  #feed(): void {
    for (const to of this.#list) {
      for (let due = to === this.id ? undefined : this.raft.due(to); due !== undefined; due = this.raft.due(to)) {
        const { from, limit, maxBytes } = due;
        const inRange = this.entries.filter(({ start, end }) => start >= from && end <= limit);
        const some = inRange.filter(({ end }, i) => i === 0 || end - from <= maxBytes);
        expect(some[0]?.start, 'what is due begins with an entry').toBe(from);
        const message = this.raft.leadership?.sending(to, some.at(-1)?.end ?? from, 0);
        if (message !== undefined) this.#cluster.post(this.id, to, message, some);
      }
    }
  }
}
