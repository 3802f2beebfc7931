// Who counts: the configurations of the log, as the core needs them. The last one is in force from where it is appended, and rolled back where the log is cut.
// A log that an earlier build began, or several nodes at once, has none at first: then the ids of a list count that each node was given, and each says itself whether it does (its
// standing). Nothing else in the core knows of that list.
//
//   log   ├─ ids of the list ──────┤ first ├──── second ────┤ third ├──── end
//                                         ▲ committed            ▲ in force
//
// A configuration names each voter by id and instance, so a node counts only while the link to it leads to that directory.

import { assert } from '../core/assert.ts';
import { MAX_REMOVED_NODES } from '../core/limits.ts';
import { type Configuration, type Directory, hasDirectory, majorityOf, removedAfter, votersOf } from '../core/members.ts';
import type { NodeId } from './messages.ts';

/** A configuration, and the log offset at which the entry ends that says it. */
export interface ConfigurationAt {
  readonly end: number;
  readonly members: Configuration;
  /** Where a log begins, which says it in its state: the directories that were removed before. */
  readonly removed?: readonly Directory[];
}

/** What is known of the set when a node starts. */
export interface MembershipState {
  /** Of the log, ends ascending: the one in force at the commit, if there is one, and all later ones. */
  readonly configurations: readonly ConfigurationAt[];
  /** Directories whose removal is committed. */
  readonly removed: readonly Directory[];
  /** The log is empty and does not begin at 0: what it says of the set is with its first entry. */
  readonly isUnknown: boolean;
}

/** A log that says nothing of its nodes. */
export const NO_CONFIGURATIONS: MembershipState = { configurations: [], removed: [], isUnknown: false };

export class Membership {
  readonly #self: Directory;
  /** Those that count while the log has no configuration. */
  readonly list: readonly NodeId[];
  /** The last that is committed, if one is, and those after it. */
  #configurations: ConfigurationAt[];
  /** Whether the first of them is committed. */
  #isCommitted: boolean;
  #removed: readonly Directory[];
  #isUnknown: boolean;
  /** The data directory behind each other node's id, as it said last. */
  readonly #instances = new Map<NodeId, string>();

  constructor(self: Directory, list: readonly NodeId[], state: MembershipState, commit: number) {
    this.#self = self;
    this.list = list;
    this.#configurations = [...state.configurations];
    this.#isUnknown = state.isUnknown;
    this.#removed = state.removed;
    this.#isCommitted = false;
    this.committed(commit);
  }

  /** The configuration in force; undefined: the ids of the list count, or nothing is known. */
  get latest(): ConfigurationAt | undefined {
    return this.#configurations.at(-1);
  }

  /** Whether the log says nothing of the set up to its end, so that the ids of the list count. */
  get isByIds(): boolean {
    return !this.#isUnknown && this.#configurations.length === 0;
  }

  /** Whether the log is empty, and what the set is where it begins is not known. */
  get isUnknown(): boolean {
    return this.#isUnknown;
  }

  /** Where the entry ends of the last configuration that is committed, as far as is known here; infinite: none is. */
  get committedEnd(): number {
    return this.#isCommitted ? (this.#configurations[0]?.end ?? Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY;
  }

  /** The last one that is committed, as far as is known here; empty: none is. */
  get committedSet(): Configuration {
    return this.#isCommitted ? (this.#configurations[0]?.members ?? []) : [];
  }

  /** Whether the one in force is committed, as far as is known here; also where there is none. */
  get isSettled(): boolean {
    return this.#configurations.length === (this.#isCommitted ? 1 : 0);
  }

  get removed(): readonly Directory[] {
    return this.#removed;
  }

  /** All nodes but this one: whom a leader feeds, and a candidate asks. */
  get others(): readonly NodeId[] {
    const { latest } = this;
    const ids = latest === undefined ? this.list : latest.members.map(({ id }) => id);
    return ids.filter((id) => id !== this.#self.id);
  }

  /** How many nodes count. */
  get voterCount(): number {
    const { latest } = this;
    return latest === undefined ? this.list.length : votersOf(latest.members).length;
  }

  /** Ids of all that count, whichever directory is behind them. */
  get voters(): readonly NodeId[] {
    const { latest } = this;
    return latest === undefined ? this.list : votersOf(latest.members).map(({ id }) => id);
  }

  /** All nodes that a configuration names which may still be in force: the last one that is committed, or a later one. */
  get known(): Configuration {
    const byId = new Map(this.#configurations.flatMap(({ members }) => members.map((member) => [member.id, member] as const)));
    return [...byId.values()];
  }

  /** Ids of the others that count, whichever directory the link leads to. */
  get otherVoters(): readonly NodeId[] {
    const { latest } = this;
    const ids = latest === undefined ? this.list : votersOf(latest.members).map(({ id }) => id);
    return ids.filter((id) => id !== this.#self.id || !this.isSelfVoter);
  }

  /** Whether nobody else has a part in the log. */
  get isAlone(): boolean {
    return this.isSelfVoter && this.others.length === 0;
  }

  /** Whether this node counts: its own disk, its vote, its contact with itself. */
  get isSelfVoter(): boolean {
    const { latest } = this;
    if (latest === undefined) return !this.#isUnknown && this.list.includes(this.#self.id);
    return hasDirectory(votersOf(latest.members), this.#self);
  }

  /** Whether the log says a set, and this node does not count by it: where it leads, it lets nothing in after that, which could not be committed any more. */
  get leavesSelfOut(): boolean {
    return this.latest !== undefined && !this.isSelfVoter;
  }

  /** Whether another node counts, with the directory that the link leads to. */
  isVoter(node: NodeId): boolean {
    const { latest } = this;
    if (latest === undefined) return this.list.includes(node);
    const instance = this.#instances.get(node);
    return instance !== undefined && hasDirectory(votersOf(latest.members), { id: node, instance });
  }

  /** The same, of a directory. */
  isVoterDirectory(directory: Directory): boolean {
    const { latest } = this;
    return latest === undefined ? this.list.includes(directory.id) : hasDirectory(votersOf(latest.members), directory);
  }

  /** Whether so many of those that count are a majority. */
  isMajority(count: number): boolean {
    return count >= majorityOf(this.voterCount);
  }

  /**
   * Whether this node may campaign: it counts, or did before a change that is not committed. Who is in no configuration never does; but who was left out by one
   * that is not committed may be the only one that has it (dissertation, 4.2.2).
   */
  get mayCampaign(): boolean {
    if (this.#isUnknown) return false;
    const wasByIds = !this.#isCommitted && this.list.includes(this.#self.id);
    return wasByIds || this.#configurations.some(({ members }) => hasDirectory(votersOf(members), this.#self));
  }

  /** Whether the removal of this node's directory is committed. */
  get isSelfRemoved(): boolean {
    return hasDirectory(this.#removed, this.#self);
  }

  /** Whether the directory that the link to a node leads to was removed, and that is committed. */
  isRemoved(node: NodeId): boolean {
    const instance = this.#instances.get(node);
    return instance !== undefined && hasDirectory(this.#removed, { id: node, instance });
  }

  /** The directory that the link to a node leads to; undefined: there was no link since the start. */
  instanceOf(node: NodeId): string | undefined {
    return this.#instances.get(node);
  }

  /** The link to a node leads to the directory `instance`. Returns whether it led to another one before. */
  met(node: NodeId, instance: string): boolean {
    const before = this.#instances.get(node);
    this.#instances.set(node, instance);
    return before !== undefined && before !== instance;
  }

  /** The log has grown by entries that say these, ends ascending: the last of them is in force. */
  appended(configurations: readonly ConfigurationAt[]): void {
    for (const configuration of configurations) {
      assert(configuration.end > (this.latest?.end ?? 0), 'configurations follow one another in the log');
      this.#configurations.push(configuration);
      this.#removed = configuration.removed ?? this.#removed;
    }
    // A log that began anew begins with its state.
    this.#isUnknown = false;
  }

  /** The log was cut at `end`: what was in force there is again. */
  truncated(end: number): void {
    const kept = this.#configurations.filter((each) => each.end <= end);
    assert(kept.length > 0 || !this.#isCommitted, 'a committed configuration is not cut');
    this.#configurations = kept;
  }

  /** The log begins anew, empty, past all that this node has: what the set is there is not known until its first entry comes. */
  beganAnew(): void {
    this.#configurations = [];
    this.#isCommitted = false;
    this.#isUnknown = true;
  }

  /** All before `commit` is committed: so are the configurations there, and the removals that they are. */
  committed(commit: number): void {
    const last = this.#configurations.findLastIndex(({ end }) => end <= commit);
    if (last < 0) return;
    for (const [i, { members }] of this.#configurations.slice(0, last).entries()) {
      const next = this.#configurations[i + 1];
      // Another generation begins with what it says itself.
      this.#removed = next?.removed ?? removedAfter(this.#removed, members, next?.members ?? [], MAX_REMOVED_NODES);
    }
    this.#configurations = this.#configurations.slice(last);
    this.#isCommitted = true;
  }
}
