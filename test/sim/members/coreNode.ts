// A node that is the consensus core alone, with a shell whose log is a list of entries: so small that thousands of changes of the set of nodes take seconds. Its
// disk outlives it, and can be taken away and put back.

import { type EntryTerm, NO_TERM, type Standing } from '../../../src/core/ids.ts';
import { MAX_REMOVED_NODES } from '../../../src/core/limits.ts';
import { type Configuration, type Directory, removedAfter } from '../../../src/core/members.ts';
import type { LogDamage } from '../../../src/raft/core.ts';
import type { Effect } from '../../../src/raft/effects.ts';
import type { ConfigurationAt, MembershipState } from '../../../src/raft/membership.ts';
import type { AppendRequest, NodeId, RaftMessage } from '../../../src/raft/messages.ts';
import { Raft, type StoreOutcome } from '../../../src/raft/raft.ts';
import { type TermStart, TermTable } from '../../../src/raft/termTable.ts';
import { promise } from '../violation.ts';

/** Log offsets [start, end); `id` stands for the bytes. */
export interface Entry {
  readonly start: number;
  readonly end: number;
  readonly term: number;
  readonly leader: string;
  readonly id: string;
  /** What it says, if it is a configuration. */
  readonly members?: Configuration;
}

export interface Envelope {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly message: RaftMessage;
  readonly entries: readonly Entry[];
}

/** What a data directory has. */
export class CoreDisk {
  readonly instance: string;
  /** Where its log begins, what the entry before was, and which set was in force there; undefined: none. */
  start = 0;
  before: EntryTerm = NO_TERM;
  head: Configuration | undefined;
  /** Durable. */
  entries: Entry[] = [];
  vote = { currentTerm: 0, votedFor: 0 };
  standing: Standing;
  /** It lacks what was on it. */
  damage: LogDamage | undefined;
  bound = 0;
  /** Directories whose removal was committed before `start`. */
  removed: readonly Directory[] = [];
  /** The log begins anew, and has nothing yet. */
  isUnknown = false;

  constructor(instance: string, standing: Standing) {
    this.instance = instance;
    this.standing = standing;
  }

  get end(): number {
    return this.entries.at(-1)?.end ?? this.start;
  }

  /** The configurations of its log, from the start on. */
  get configurations(): ConfigurationAt[] {
    const head = this.head === undefined ? [] : [{ end: this.start, members: this.head }];
    return [...head, ...this.entries.flatMap(({ end, members }) => (members === undefined ? [] : [{ end, members }]))];
  }

  /**
   * All entries but the first `count` are gone. As `returned` it is an old copy, which has forgotten its votes, too, and was found out; as `damaged` it knows what it
   * lacks, and is what it was once it has that, unless its end is `unknown`.
   */
  lose(count: number, standing: 'returned' | 'damaged', isUnknownEnd: boolean): void {
    const { bound } = this;
    this.entries = this.entries.slice(0, count);
    this.standing = standing;
    if (standing === 'damaged') {
      this.damage = { bound, before: isUnknownEnd ? undefined : 'voter', isMending: false };
      return;
    }
    this.bound = Math.min(bound, this.end);
    this.vote = { currentTerm: this.entries.at(-1)?.term ?? this.before.term, votedFor: 0 };
  }

  /** What a core is told at its start. */
  get membership(): MembershipState {
    if (this.isUnknown) return { configurations: [], removed: this.removed, isUnknown: true };
    const all = this.configurations;
    const inForce = all.findLastIndex(({ end }) => end <= this.bound);
    let { removed } = this;
    for (let i = 1; i <= inForce; i += 1)
      removed = removedAfter(removed, all[i - 1]?.members ?? [], all[i]?.members ?? [], MAX_REMOVED_NODES);
    return { configurations: all.slice(Math.max(0, inForce)), removed, isUnknown: this.isUnknown };
  }
}

/** What a node asks of its world. */
export interface CoreWorld {
  readonly nowMs: number;
  /** The entries that travel with the message being handled. */
  readonly inHand: readonly Entry[];
  /** A number in [0, 1). */
  random(): number;
  newId(): string;
  post(envelope: Envelope): void;
  /** So many appends come in just before a gate is closed. */
  lateAppends(): number;
  /** What a state entry at log offset `start`, which is committed, says. */
  headAt(start: number): { readonly set: Configuration | undefined; readonly removed: readonly Directory[] };
  turned(node: CoreNode): void;
}

export const ELECTION_MS = 1_000;
export const HEARTBEAT_MS = 100;

/** What the shell does late, until it is let go. */
export type Held = 'flush' | 'order' | 'truncate';

export class CoreNode {
  readonly id: NodeId;
  /** Ids that count while the log has no configuration. */
  readonly ids: readonly NodeId[];
  readonly #world: CoreWorld;
  disk: CoreDisk;
  raft: Raft;
  entries: Entry[] = [];
  isUp = true;
  /** Its directory was removed, and it knows. */
  isRemoved = false;
  fatal: string | undefined;
  readonly holds = new Set<Held>();
  outcomes: StoreOutcome[] = [];
  isPaused = false;
  #orderDue: Extract<Effect, { kind: 'beginTerm' | 'configure' }> | undefined;
  #truncateDue: number | undefined;
  #isInTurn = false;

  constructor(world: CoreWorld, id: NodeId, ids: readonly NodeId[], disk: CoreDisk) {
    this.#world = world;
    this.id = id;
    this.ids = ids;
    this.disk = disk;
    this.raft = this.#start();
  }

  get end(): number {
    return this.entries.at(-1)?.end ?? this.disk.start;
  }

  get directory(): Directory {
    return { id: this.id, instance: this.disk.instance };
  }

  /** Whether it runs, and is in the set by anybody's word. */
  get isLive(): boolean {
    return this.isUp && this.fatal === undefined;
  }

  #start(): Raft {
    const { disk } = this;
    this.entries = [...disk.entries];
    this.#orderDue = undefined;
    this.#truncateDue = undefined;
    this.isPaused = false;
    this.isRemoved = false;
    this.outcomes = [];
    const starts: TermStart[] = [];
    for (const { term, start, leader } of this.entries) if (starts.at(-1)?.term !== term) starts.push({ term, offset: start, leader });
    const log = new TermTable(disk.start, this.end, starts, disk.before);
    const settings = {
      id: this.id,
      instance: disk.instance,
      electionTimeoutMs: ELECTION_MS,
      heartbeatMs: HEARTBEAT_MS,
      diskTimeoutMs: 2_000,
      windowBytes: 600,
      maxAppendBytes: 250,
      random: () => this.#world.random(),
    };
    const commit = Math.min(disk.bound, this.end);
    const { standing, damage, membership } = disk;
    const raft = new Raft(settings, { ...disk.vote, standing, commit, log, list: this.ids, membership, damage });
    raft.advanceTo(this.#world.nowMs);
    return raft;
  }

  crash(): void {
    this.isUp = false;
    this.disk.bound = Math.max(this.disk.bound, Math.min(this.raft.commit, this.disk.end));
  }

  /** Starts, with `disk` if that is another one. */
  restart(disk = this.disk): void {
    this.disk = disk;
    this.isUp = true;
    this.raft = this.#start();
  }

  /** One turn of the shell: an input, then all effects, then what the others are due. */
  turn(input: (raft: Raft) => void): void {
    if (!this.isLive) return;
    this.raft.advanceTo(this.#world.nowMs);
    this.#isInTurn = true;
    input(this.raft);
    this.#carryOut();
    if (!this.holds.has('flush')) this.#flush(this.end);
    this.#feed();
    this.#isInTurn = false;
    this.#world.turned(this);
  }

  #inside(input: (raft: Raft) => void): void {
    if (this.#isInTurn) input(this.raft);
    else this.turn(input);
  }

  #carryOut(): void {
    for (let effects = this.raft.ready(); effects.length > 0; effects = this.raft.ready()) {
      for (const effect of effects) {
        this.#perform(effect);
        if (this.fatal !== undefined) return;
      }
    }
  }

  #flush(to: number): void {
    if (this.disk.end >= to || this.raft.isTruncating) return;
    this.disk.entries = this.entries.filter(({ end }) => end <= to);
    this.disk.isUnknown = false;
    this.raft.durableMoved(this.disk.end);
    this.#carryOut();
  }

  /** The disk has caught up, to the end of one of its entries or altogether. */
  flush(to = this.end): void {
    this.turn(() => this.#flush(to));
  }

  #perform(effect: Effect): void {
    const { disk } = this;
    switch (effect.kind) {
      case 'saveVote': {
        const { currentTerm, votedFor } = effect;
        promise(currentTerm >= disk.vote.currentTerm, 'election safety', () => `the term of node ${this.id} fell`);
        const isAnother = currentTerm > disk.vote.currentTerm || disk.vote.votedFor === 0;
        promise(
          isAnother || votedFor === disk.vote.votedFor,
          'election safety',
          () => `node ${this.id} voted twice in term ${currentTerm}`,
        );
        disk.vote = { currentTerm, votedFor };
        break;
      }
      case 'saveStanding':
        disk.standing = effect.standing;
        // What was left is given up, or it has everything again.
        disk.damage = undefined;
        break;
      case 'send':
        if (effect.message.kind === 'timeoutNow') this.#checkSuccessor(effect.to);
        this.#world.post({ from: this.id, to: effect.to, message: effect.message, entries: [] });
        break;
      case 'beginTerm':
      case 'configure':
        // What was paused was another term's office.
        if (effect.kind === 'beginTerm') this.isPaused = false;
        this.#orderDue = effect;
        if (!this.holds.has('order')) this.order();
        break;
      case 'role':
        if (effect.role !== 'leader') this.#orderDue = undefined;
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
        if (!this.holds.has('truncate')) this.truncate();
        break;
      case 'beginAt':
        promise(this.end < effect.start, 'trims', () => `the log of node ${this.id} begins at ${effect.start}, and has more`);
        disk.start = disk.bound = effect.start;
        disk.before = effect.before;
        disk.head = undefined;
        disk.isUnknown = true;
        this.entries = [];
        disk.entries = [];
        this.#inside((raft) => raft.emptied(effect.start));
        break;
      case 'fatal':
        this.fatal = effect.sentence;
        break;
      case 'removed':
        this.isRemoved = true;
        break;
      case 'readIndexDone':
      case 'transferDone':
      case 'lostData':
      case 'distrust':
      case 'warn':
      case 'commit':
        break;
    }
  }

  /** No append is let in any more; some were that the core does not know of. A leader that does not count by the newest set has let nothing in since. */
  #closeGate(): void {
    const { leadership, members, currentTerm } = this.raft;
    if (leadership?.hasBegun === true && this.#orderDue === undefined && !members.leavesSelfOut) {
      for (let count = this.#world.lateAppends(); count > 0; count -= 1) this.#push(40, {});
      this.raft.appended(currentTerm, this.end);
    }
    this.raft.paused();
  }

  #checkSuccessor(to: NodeId): void {
    const progress = this.raft.leadership?.peers.get(to);
    promise(
      progress === undefined || progress.verified === this.end,
      'transfers',
      () => `node ${this.id}, whose log ends at ${this.end}, asks node ${to} to take over, which has ${progress?.verified}`,
    );
  }

  /** Puts what is due at the log's end: a no-op, or a configuration. */
  order(): void {
    const due = this.#orderDue;
    this.#orderDue = undefined;
    if (due?.kind === 'beginTerm') {
      this.#push(20, {});
      this.#inside((raft) => raft.begun(this.end));
    } else if (due !== undefined) {
      this.#inside((raft) => {
        const members = raft.configurationDue;
        if (members === undefined) return;
        this.#push(30, { members });
        raft.configured(this.end);
      });
    }
  }

  /** Whether it takes appends: it leads, its gate is open. */
  get isOpen(): boolean {
    return this.isLive && this.raft.leadership?.hasBegun === true && !this.isPaused && this.#orderDue === undefined;
  }

  append(bytes: number): void {
    this.#push(bytes, {});
    this.turn((raft) => raft.appended(raft.currentTerm, this.end));
  }

  #push(bytes: number, more: Pick<Entry, 'members'>): void {
    const { end } = this;
    const { currentTerm } = this.raft;
    this.entries.push({ start: end, end: end + bytes, term: currentTerm, leader: this.disk.instance, id: this.#world.newId(), ...more });
  }

  truncate(): void {
    const offset = this.#truncateDue;
    if (offset === undefined) return;
    this.#truncateDue = undefined;
    this.entries = this.entries.filter(({ end }) => end <= offset);
    this.disk.entries = [...this.entries];
    promise(this.end === offset, 'soundness', () => `the log of node ${this.id} is cut inside an entry`);
    this.#inside((raft) => raft.truncated(offset));
  }

  #store(message: AppendRequest, from: number): void {
    const outcome = this.outcomes.shift() ?? 'stored';
    if (outcome !== 'stored') {
      this.raft.stored(message, outcome);
      return;
    }
    const entries = this.#world.inHand.filter(({ start }) => start >= from);
    promise(from === this.end && entries[0]?.start === from, 'soundness', () => `node ${this.id} stores elsewhere than at its end`);
    const said: ConfigurationAt[] = entries.flatMap(({ end, members }) => (members === undefined ? [] : [{ end, members }]));
    if (this.raft.members.isUnknown) {
      // What begins here is a segment, with the state of the log at its head.
      const { set, removed } = this.#world.headAt(from);
      this.disk.head = set;
      this.disk.removed = removed;
      if (set !== undefined) said.unshift({ end: from, members: set, removed });
    }
    this.entries.push(...entries);
    this.raft.stored(message, outcome, said);
  }

  #feed(): void {
    const peers = this.raft.leadership?.peers.keys() ?? [];
    for (const to of [...peers]) {
      for (let due = this.raft.due(to); due !== undefined; due = this.raft.due(to)) {
        const { from, limit, maxBytes } = due;
        const inRange = this.entries.filter(({ start, end }) => start >= from && end <= limit);
        const some = inRange.filter(({ end }, i) => i === 0 || end - from <= maxBytes);
        promise(some[0]?.start === from, 'soundness', () => `what node ${to} is due does not begin with an entry`);
        const message = this.raft.leadership?.sending(to, some.at(-1)?.end ?? from, 0);
        if (message !== undefined) this.#world.post({ from: this.id, to, message, entries: some });
      }
    }
  }

  /** All before `start`, which is committed, goes. */
  trim(start: number): void {
    const { disk } = this;
    if (start <= disk.start || start > disk.end || start > this.raft.commit) return;
    const { set, removed } = this.#world.headAt(start);
    const last = this.entries.findLast(({ end }) => end === start);
    if (last === undefined) return;
    disk.bound = Math.max(disk.bound, start);
    disk.start = start;
    disk.before = { term: last.term, leader: last.leader };
    disk.head = set;
    disk.removed = removed;
    disk.entries = disk.entries.filter((entry) => entry.start >= start);
    this.entries = this.entries.filter((entry) => entry.start >= start);
    this.turn((raft) => raft.trimmed(start));
  }
}

/** An instance for the `lost`-th disk of node `id`. */
export function instanceOf(id: NodeId, lost: number): string {
  return `${id.toString(16).padStart(8, '0')}${(lost + 1).toString(16).padStart(8, '0')}`;
}
