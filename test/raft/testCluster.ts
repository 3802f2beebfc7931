// A small cluster of cores for scripted tests: a bag of messages that the script delivers, drops, repeats and reorders, and a fake shell
// whose log is a list of entries. After every turn it checks what must hold always: one leader a term, committed entries never change and
// are in every new leader's log, and nothing is sent before the vote that it depends on is saved.

import { expect } from 'vitest';
import { NO_OP_BYTES } from '../../assembly/layout.ts';
import { doesCount, type EntryTerm, NO_INSTANCE, NO_TERM } from '../../src/core/ids.ts';
import type { LogDamage, RaftSettings } from '../../src/raft/core.ts';
import type { Effect } from '../../src/raft/effects.ts';
import type { AppendRequest, NodeId, RaftMessage, Standing } from '../../src/raft/messages.ts';
import { Raft, type StoreOutcome } from '../../src/raft/raft.ts';
import { type TermStart, TermTable } from '../../src/raft/termTable.ts';

/** Log offsets [start, end); `id` stands for the bytes. */
export interface Entry {
  readonly start: number;
  readonly end: number;
  readonly term: number;
  readonly id: string;
  /** Instance of the leader that wrote it. */
  readonly leader: string;
}

export interface Envelope {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly message: RaftMessage;
  readonly entries: readonly Entry[];
}

/** Bytes of a no-op. */
export const NOOP_BYTES = NO_OP_BYTES;

/** An AppendRequest that a script makes up; `leaderOf` says who led in its terms. */
export function appendRequestOf(part: Partial<AppendRequest>, leaderOf: (term: number) => string = anyLeader): AppendRequest {
  const zero = { term: 1, round: 1, prevTerm: 0, prevOffset: 0, entriesTerm: 0, end: 0, base: 0, commit: 0 };
  const { prevTerm, entriesTerm } = { ...zero, ...part };
  const nameOf = (term: number): string => (term === 0 ? NO_INSTANCE : leaderOf(term));
  return { kind: 'appendRequest', ...zero, prevLeader: nameOf(prevTerm), entriesLeader: nameOf(entriesTerm), ...part };
}

/** More messages than this without time passing are a storm that feeds itself. */
const STORM = 5_000;

/** The data directory of node `id`: of its `lost`-th disk, counted from 0. */
export function instanceOf(id: NodeId, lost = 0): string {
  return `${id.toString(16).padStart(8, '0')}${(lost + 1).toString(16).padStart(8, '0')}`;
}

/** Who led in a term, where a script does not say. */
export function anyLeader(term: number): string {
  return `a${term.toString(16).padStart(15, '0')}`;
}

/** A log of entries of 100 bytes each, given as the term of each: `[1, 1, 2]` ends at 300. `leaderOf` says who led in each. */
export function logOf(terms: readonly number[], start = 0, leaderOf: (term: number) => string = anyLeader): Entry[] {
  return terms.map((term, i) => {
    const leader = leaderOf(term);
    const at = start + i * 100;
    return { start: at, end: at + 100, term, id: `${term}@${at}${leader === anyLeader(term) ? '' : ` by ${leader}`}`, leader };
  });
}

/** A node's disk at some time. */
export interface DiskCopy {
  readonly entries: readonly Entry[];
  readonly vote: { readonly currentTerm: number; readonly votedFor: number };
  readonly standing: Standing;
  readonly bound: number;
}

export class TestNode {
  readonly id: NodeId;
  readonly #cluster: Cluster;
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
    cluster: Cluster,
    settings: RaftSettings,
    list: readonly NodeId[],
    entries: readonly Entry[],
    currentTerm: number,
    standing: Standing,
  ) {
    this.#cluster = cluster;
    this.#settings = settings;
    this.#list = list;
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

export interface ClusterOptions {
  readonly count?: number;
  readonly logs?: readonly (readonly Entry[])[];
  readonly terms?: readonly number[];
  readonly standings?: readonly Standing[];
  readonly electionTimeoutMs?: number;
  readonly heartbeatMs?: number;
  readonly diskTimeoutMs?: number;
  readonly windowBytes?: number;
  readonly maxAppendBytes?: number;
  readonly random?: () => number;
  /** The node that the cluster began with; 1 unless given. */
  readonly founder?: NodeId;
  /** What it had committed alone, before. */
  readonly founded?: readonly Entry[];
  /** The script makes messages up: what it claims to be durable need not be. */
  readonly hasFakes?: boolean;
}

/** Which messages are meant; without a function, all. */
export type Choice = (envelope: Envelope) => boolean;

const all: Choice = () => true;

/** Messages of these kinds. */
export function only(...kinds: readonly RaftMessage['kind'][]): Choice {
  return ({ message }) => kinds.includes(message.kind);
}

export class Cluster {
  nowMs = 0;
  readonly nodes: TestNode[] = [];
  bag: Envelope[] = [];
  /** Entries that travel with the message being handled. */
  inHand: readonly Entry[] = [];
  /** Messages that are lost on their way. */
  loses: Choice = () => false;
  readonly #founder: NodeId;
  readonly #cuts = new Set<string>();
  readonly #leaders = new Map<number, NodeId>();
  /** All that was ever committed anywhere, by its place. */
  readonly #committed = new Map<number, Entry>();
  readonly #hasFakes: boolean;
  readonly #commits = new Map<Raft, number>();
  #ids = 0;

  constructor(options: ClusterOptions = {}) {
    const { count = 3, founder = 1, founded = [], ...rest } = options;
    const ids = Array.from({ length: count }, (_, i) => i + 1);
    const { logs = ids.map((id) => (id === founder ? founded : [])), terms = [], standings = [] } = options;
    this.#founder = founder;
    for (const entry of founded) this.#committed.set(entry.start, entry);
    this.#hasFakes = rest.hasFakes ?? false;
    // Without chance the lower id always times out first: scripts know who campaigns.
    for (const id of ids) {
      const settings: RaftSettings = {
        id,
        instance: instanceOf(id),
        electionTimeoutMs: rest.electionTimeoutMs ?? 1_000,
        heartbeatMs: rest.heartbeatMs ?? 100,
        diskTimeoutMs: rest.diskTimeoutMs ?? 5_000,
        windowBytes: rest.windowBytes ?? 4_000,
        maxAppendBytes: rest.maxAppendBytes ?? 1_000,
        random: rest.random ?? (() => (id - 0.5) / count),
      };
      const entries = logs[id - 1] ?? [];
      const currentTerm = terms[id - 1] ?? entries.at(-1)?.term ?? 0;
      this.nodes.push(new TestNode(this, settings, ids, entries, currentTerm, standings[id - 1] ?? 'voter'));
    }
    for (const node of this.nodes) this.#meet(node);
  }

  node(id: NodeId): TestNode {
    const node = this.nodes[id - 1];
    if (node === undefined) throw new Error(`no node ${id}`);
    return node;
  }

  get leaders(): NodeId[] {
    return this.nodes.filter(({ isUp, raft }) => isUp && raft.role === 'leader').map(({ id }) => id);
  }

  nextId(): string {
    this.#ids += 1;
    return `entry ${this.#ids}`;
  }

  /** A node has started: it and the others greet each other. */
  settle(node: TestNode): void {
    this.#meet(node);
  }

  #meet(node: TestNode): void {
    for (const other of this.nodes) {
      if (other === node || !other.isUp || this.#isCut(node.id, other.id) || this.#isCut(other.id, node.id)) continue;
      this.connect(node.id, other.id);
    }
  }

  /** Whether node `id` has the directory that the cluster began with. */
  isFounder(id: NodeId): boolean {
    return id === this.#founder && this.node(id).instance === 0;
  }

  /** A connection between two nodes comes up. */
  connect(a: NodeId, b: NodeId): void {
    for (const [here, there] of [
      [this.node(a), this.node(b)],
      [this.node(b), this.node(a)],
    ] as const) {
      here.turn((raft) => raft.met(there.id, instanceOf(there.id, there.instance)));
    }
    const termOfA = this.node(a).raft.currentTerm;
    this.node(a).turn((raft) => raft.greeted(b, this.node(b).raft.currentTerm, true, this.isFounder(b)));
    this.node(b).turn((raft) => raft.greeted(a, termOfA, true, this.isFounder(a)));
    this.node(a).turn((raft) => raft.reconnected(b));
    this.node(b).turn((raft) => raft.reconnected(a));
  }

  post(from: NodeId, to: NodeId, message: RaftMessage, entries: readonly Entry[]): void {
    expect(to, 'a message has an addressee').toBeGreaterThan(0);
    this.bag.push({ from, to, message, entries });
  }

  /** Messages from `from` to `to` are lost from now on. */
  cut(from: NodeId, to: NodeId): void {
    this.#cuts.add(`${from}>${to}`);
  }

  isolate(id: NodeId): void {
    for (const { id: other } of this.nodes) {
      if (other === id) continue;
      this.cut(id, other);
      this.cut(other, id);
    }
  }

  /** All links work again; connections come up when the script says so. */
  mend(): void {
    this.#cuts.clear();
  }

  /** All links work again, and every two nodes that are up have a connection. */
  heal(): void {
    this.mend();
    for (const node of this.nodes) {
      for (const other of this.nodes) if (node.id < other.id && node.isUp && other.isUp) this.connect(node.id, other.id);
    }
  }

  #isCut(from: NodeId, to: NodeId): boolean {
    return this.#cuts.has(`${from}>${to}`);
  }

  /** Takes messages out of the bag, for good or to be delivered later. */
  take(choice: Choice = all): Envelope[] {
    const taken = this.bag.filter(choice);
    this.bag = this.bag.filter((envelope) => !choice(envelope));
    return taken;
  }

  /** Delivers one message, whether it is in the bag or not. */
  hand(envelope: Envelope): void {
    if (this.#isCut(envelope.from, envelope.to) || this.loses(envelope)) return;
    this.node(envelope.to).turn((raft) => {
      this.inHand = envelope.entries;
      raft.step(envelope.from, envelope.message);
    });
  }

  /** Delivers what is in the bag now, once. */
  deliver(choice: Choice = all): void {
    for (const envelope of this.take(choice)) this.hand(envelope);
  }

  /** Delivers until nothing is on its way. */
  calm(choice: Choice = all): number {
    let count = 0;
    for (let next = this.bag.find(choice); next !== undefined; next = this.bag.find(choice)) {
      this.bag.splice(this.bag.indexOf(next), 1);
      this.hand(next);
      count += 1;
      expect(count, 'messages do not beget messages for ever').toBeLessThan(STORM);
    }
    return count;
  }

  /** Time passes, and messages arrive at once. Returns how many were delivered. */
  pass(ms: number): number {
    const untilMs = this.nowMs + ms;
    let count = this.calm();
    for (;;) {
      const live = this.nodes.filter(({ isUp, fatal }) => isUp && fatal === undefined);
      const dueMs = Math.min(...live.map(({ raft }) => raft.deadlineMs));
      if (dueMs > untilMs) break;
      this.nowMs = Math.max(this.nowMs, dueMs);
      for (const node of live) if (node.raft.deadlineMs <= this.nowMs) node.turn((raft) => raft.tick());
      count += this.calm();
    }
    this.nowMs = untilMs;
    return count;
  }

  /** Only one node's clock runs on, to its next deadline. */
  timeOut(id: NodeId): void {
    this.nowMs = Math.max(this.nowMs, this.node(id).raft.deadlineMs);
    this.node(id).turn((raft) => raft.tick());
  }

  /** Node `id` misses its leader before the others do, and is elected. */
  elect(id: NodeId): void {
    this.nowMs += 2_000 + this.node(id).raft.settings.electionTimeoutMs;
    this.node(id).turn((raft) => raft.tick());
    this.calm(only('voteRequest', 'voteResponse'));
    expect(this.node(id).raft.role).toBe('leader');
  }

  check(node: TestNode): void {
    const { raft } = node;
    if (raft.role === 'leader') {
      const known = this.#leaders.get(raft.currentTerm);
      if (known === undefined) {
        this.#leaders.set(raft.currentTerm, node.id);
        const own = new Map(node.entries.map((entry) => [entry.start, entry]));
        for (const entry of this.#committed.values()) {
          if (entry.start >= node.start) expect(own.get(entry.start), 'a new leader has all that was committed').toEqual(entry);
        }
      } else {
        expect(node.id, 'a term has one leader').toBe(known);
      }
    }
    expect(raft.commit, 'the commit never falls').toBeGreaterThanOrEqual(this.#commits.get(raft) ?? 0);
    if (raft.commit > (this.#commits.get(raft) ?? -1)) this.#checkCommitted(node);
    this.#commits.set(raft, raft.commit);
  }

  #checkCommitted(node: TestNode): void {
    for (const entry of node.entries) {
      if (entry.end > node.raft.commit) break;
      const known = this.#committed.get(entry.start);
      if (known !== undefined) {
        expect(entry, 'committed entries never change').toEqual(known);
        continue;
      }
      this.#committed.set(entry.start, entry);
      const holders = this.nodes.filter(({ start, disk, entries }) => {
        return start >= entry.end || (disk >= entry.end && entries.some(({ id }) => id === entry.id));
      });
      if (!this.#hasFakes) expect(holders.length * 2, 'what is committed is on a majority of disks').toBeGreaterThan(this.nodes.length);
    }
  }
}
