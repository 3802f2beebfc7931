// Nodes that are cores alone, what is on its way between them, and what must hold after every turn of any of them: one leader a term over all sets of nodes, one
// committed entry at an offset, each on the disks of a majority, and sets that follow one another without disjoint majorities.

import { doesCount } from '../../../src/core/ids.ts';
import { MAX_REMOVED_NODES } from '../../../src/core/limits.ts';
import { type Configuration, type Directory, hasDirectory, majorityOf, removedAfter, votersOf } from '../../../src/core/members.ts';
import type { NodeId, RaftMessage } from '../../../src/raft/messages.ts';
import type { Raft } from '../../../src/raft/raft.ts';
import type { Random } from '../../assembly/random.ts';
import { promise } from '../violation.ts';
import { CoreDisk, CoreNode, type CoreWorld, type Entry, type Envelope, instanceOf } from './coreNode.ts';
import { CoreWatch } from './coreWatch.ts';

/** More is on its way than matters: old messages. */
const MOST_MESSAGES = 300;

const keyOf = ({ id, instance }: Directory): string => `${id}/${instance}`;

export class World implements CoreWorld {
  readonly #random: Random;
  nowMs = 0;
  lateAppends: () => number = () => 0;
  readonly nodes: readonly CoreNode[];
  bag: Envelope[] = [];
  inHand: readonly Entry[] = [];
  /** All disks that were ever made, and those of them that are gone for good. */
  readonly disks = new Map<string, CoreDisk>();
  readonly gone = new Set<string>();
  readonly #cuts = new Set<string>();
  /** Who led in each term. */
  readonly #leaders = new Map<number, string>();
  /** All that was ever committed anywhere, by where it begins. */
  readonly committed = new Map<number, Entry>();
  readonly #commits = new Map<Raft, number>();
  /** Of the committed log, ends ascending, with the directories that had gone by then. */
  readonly sets: { readonly end: number; readonly set: Configuration; readonly removed: readonly Directory[] }[] = [];
  readonly founders: readonly NodeId[];
  /** Entries that say a set, and were looked at when their leader wrote them. */
  readonly #seen = new Set<string>();
  readonly #watch = new CoreWatch(this);
  #ids = 0;
  #disks = 0;
  #watches = false;

  /** `founders` nodes of a cluster of builds before, and `spares` that are in no set. */
  constructor(random: Random, founders: number, spares: number) {
    this.#random = random;
    this.founders = Array.from({ length: founders }, (_, i) => i + 1);
    const ids = Array.from({ length: founders + spares }, (_, i) => i + 1);
    this.nodes = ids.map((id) => {
      const isFounder = id <= founders;
      return new CoreNode(this, id, isFounder ? this.founders : [], this.newDisk(id, isFounder ? 'voter' : 'stranger'));
    });
    this.#watches = true;
    this.heal();
  }

  random(): number {
    return this.#random.u32() / 2 ** 32;
  }

  newId(): string {
    this.#ids += 1;
    return `entry ${this.#ids}`;
  }

  newDisk(id: NodeId, standing: 'voter' | 'stranger' = 'stranger'): CoreDisk {
    const disk = new CoreDisk(instanceOf(id, this.#disks), standing);
    this.#disks += 1;
    this.disks.set(keyOf({ id, instance: disk.instance }), disk);
    return disk;
  }

  node(id: NodeId): CoreNode | undefined {
    return this.nodes[id - 1];
  }

  get leaders(): CoreNode[] {
    return this.nodes.filter(({ isLive, raft }) => isLive && raft.role === 'leader');
  }

  /** The set in force by what is committed; undefined: the founders count, by their ids. */
  get set(): Configuration | undefined {
    return this.sets.at(-1)?.set;
  }

  headAt(start: number): { readonly set: Configuration | undefined; readonly removed: readonly Directory[] } {
    const found = this.sets.findLast(({ end }) => end <= start);
    return { set: found?.set, removed: found?.removed ?? [] };
  }

  // What is on its way.

  post(envelope: Envelope): void {
    promise(envelope.to > 0, 'soundness', () => 'a message has an addressee');
    if (this.#watches) this.#watch.posted(envelope);
    if (this.bag.length > MOST_MESSAGES) this.bag.splice(0, MOST_MESSAGES / 2);
    this.bag.push(envelope);
  }

  hand(envelope: Envelope): void {
    const node = this.node(envelope.to);
    if (node === undefined || !node.isLive || this.#isCut(envelope.from, envelope.to)) return;
    this.#watch.handing(node, envelope, () =>
      node.turn((raft) => {
        this.inHand = envelope.entries;
        raft.step(envelope.from, envelope.message);
      }),
    );
  }

  cut(from: NodeId, to: NodeId): void {
    this.#cuts.add(`${from}>${to}`);
  }

  #isCut(from: NodeId, to: NodeId): boolean {
    return this.#cuts.has(`${from}>${to}`);
  }

  /** All links work again, and every two nodes that are up have a connection. */
  heal(): void {
    this.#cuts.clear();
    for (const node of this.nodes) for (const other of this.nodes) if (node.id < other.id) this.connect(node, other);
  }

  connect(here: CoreNode, there: CoreNode): void {
    if (!here.isLive || !there.isLive || this.#isCut(here.id, there.id) || this.#isCut(there.id, here.id)) return;
    const terms = [here.raft.currentTerm, there.raft.currentTerm] as const;
    let isMade = true;
    for (const [one, other, term] of [
      [here, there, terms[1]],
      [there, here, terms[0]],
    ] as const) {
      const { id } = other;
      const { instance, standing } = other.disk;
      let isBelieved = false;
      one.turn((raft) => {
        isBelieved = raft.doubts(id, term, doesCount(standing), instance) === undefined;
        if (!isBelieved) return;
        this.#watch.met(one, other.directory);
        raft.met(id, instance);
      });
      if (isBelieved) one.turn((raft) => raft.greeted(id, term, true, false));
      isMade &&= isBelieved;
    }
    if (!isMade) return;
    here.turn((raft) => raft.reconnected(there.id));
    there.turn((raft) => raft.reconnected(here.id));
  }

  /** A node's process ends; no connection outlives it, nor what was on it. */
  crash(node: CoreNode): void {
    node.crash();
    this.#watch.ended(node);
    this.bag = this.bag.filter(({ from, to }) => from !== node.id && to !== node.id);
  }

  restart(node: CoreNode, disk = node.disk): void {
    this.#watch.ended(node);
    node.restart(disk);
    for (const other of this.nodes) if (other !== node) this.connect(node, other);
  }

  /**
   * Whether the cluster can live without a node's disk for good: in every set that may be in force, a majority has its disks, and on them what is trimmed elsewhere.
   * While ids count, all nodes must have what they had.
   */
  canLose(node: CoreNode): boolean {
    const founders = this.nodes.filter(({ id }) => this.founders.includes(id));
    const isWhole = founders.every(({ disk }) => disk.standing === 'voter');
    if (this.set === undefined && this.founders.includes(node.id) && !isWhole) return false;
    return this.#isEnough(Math.max(...this.nodes.map(({ disk }) => disk.start)), node.directory);
  }

  /** The same where no leader may know of the loss: also in sets that only a disk has which may come back. */
  canLoseUnseen(node: CoreNode): boolean {
    return this.canLose(node) && this.#isEnough(0, node.directory, this.#setsOnDisks);
  }

  get #setsOnDisks(): (readonly Directory[])[] {
    const disks = [...this.disks].filter(([key]) => !this.gone.has(key)).map(([, disk]) => disk.configurations.at(-1)?.members);
    return disks.flatMap((members) => (members === undefined ? [] : [votersOf(members)]));
  }

  /** Whether a majority of every set that may be in force has its disks, and all before `start` on them, without counting `lost`. */
  #isEnough(start: number, lost?: Directory, more: readonly (readonly Directory[])[] = []): boolean {
    const isKept = (directory: Directory): boolean => {
      const key = keyOf(directory);
      const disk = this.disks.get(key);
      if (disk === undefined || this.gone.has(key) || (lost !== undefined && key === keyOf(lost))) return false;
      return disk.standing === 'voter' && disk.end >= start;
    };
    const founders = this.nodes.filter(({ id }) => this.founders.includes(id)).map(({ directory }) => directory);
    const sets = [this.set === undefined ? founders : votersOf(this.set), ...more];
    for (const { raft } of this.nodes) if (raft.members.latest !== undefined) sets.push(votersOf(raft.members.latest.members));
    return sets.every((voters) => voters.filter(isKept).length >= majorityOf(voters.length));
  }

  /** Everything before `start` goes on a node: as a rule not before a majority has it. */
  trim(node: CoreNode, start: number): void {
    if (this.#isEnough(start)) node.trim(start);
  }

  /** Another disk is in a node from now on; the one that was may come back, unless it is `gone`. With a `term`, it is of a node that counted, elsewhere, in that term. */
  replaceDisk(node: CoreNode, isGone: boolean, term = 0): void {
    this.crash(node);
    if (isGone) this.gone.add(keyOf(node.directory));
    const disk = this.newDisk(node.id, term > 0 ? 'voter' : 'stranger');
    disk.vote = { currentTerm: term, votedFor: 0 };
    this.restart(node, disk);
  }

  /** `message` reaches a node from another disk of `other`, which then is what it was again. */
  askFrom(node: CoreNode, other: CoreNode, message: RaftMessage): void {
    const directory = { id: other.id, instance: this.newDisk(other.id).instance };
    node.turn((raft) => {
      this.#watch.met(node, directory);
      raft.met(directory.id, directory.instance);
    });
    this.hand({ from: other.id, to: node.id, message, entries: [] });
    this.connect(node, other);
  }

  /** The disk of a node that is down loses all entries but the first `count`. See {@link CoreDisk.lose}. */
  loseEntries({ disk }: CoreNode, count: number, standing: 'returned' | 'damaged', isUnknownEnd: boolean): void {
    this.#watch.losing(disk, disk.entries.slice(count));
    disk.lose(count, standing, isUnknownEnd);
  }

  /** Whether the log on a directory's disk ends at `end` or later. */
  has(directory: Directory, end: number): boolean {
    return (this.disks.get(keyOf(directory))?.end ?? 0) >= end;
  }

  /** Whether a directory has lost entries, and a leader cannot know that yet. */
  isNewlyLost(leader: CoreNode, directory: Directory): boolean {
    const disk = this.disks.get(keyOf(directory));
    return disk !== undefined && this.#watch.isNews(leader, disk);
  }

  // What must hold.

  turned(node: CoreNode): void {
    if (!this.#watches) return;
    const { raft } = node;
    promise(node.fatal === undefined, 'soundness', () => `node ${node.id} stops: ${node.fatal}`);
    this.#watch.turned(node);
    if (raft.role === 'leader') this.#checkLeader(node);
    promise(raft.commit >= (this.#commits.get(raft) ?? 0), 'committed bytes', () => `the commit of node ${node.id} falls`);
    if (raft.commit > (this.#commits.get(raft) ?? -1)) this.#checkCommitted(node);
    this.#commits.set(raft, raft.commit);
    this.#checkSets(node);
  }

  #checkLeader(node: CoreNode): void {
    const { currentTerm } = node.raft;
    const known = this.#leaders.get(currentTerm);
    const own = keyOf(node.directory);
    promise(known === undefined || known === own, 'election safety', () => `term ${currentTerm} has two leaders, ${known} and ${own}`);
    if (known !== undefined) return;
    this.#leaders.set(currentTerm, own);
    const entries = new Map(node.entries.map((entry) => [entry.start, entry.id]));
    for (const { start, id } of this.committed.values()) {
      if (start < node.disk.start) continue;
      promise(
        entries.get(start) === id,
        'leader completeness',
        () => `${own} leads in term ${currentTerm} without ${id}, which is committed`,
      );
    }
  }

  #checkCommitted(node: CoreNode): void {
    for (const entry of node.entries) {
      if (entry.end > node.raft.commit) break;
      const known = this.committed.get(entry.start);
      if (known !== undefined) {
        promise(known.id === entry.id, 'committed bytes', () => `${known.id} and ${entry.id} are committed at offset ${entry.start}`);
        continue;
      }
      this.committed.set(entry.start, entry);
      this.#checkMajority(node, entry);
      if (entry.members !== undefined) this.#addSet(entry, entry.members);
    }
  }

  #addSet({ end }: Entry, set: Configuration): void {
    const last = this.sets.at(-1);
    const removed = last === undefined ? [] : removedAfter(last.removed, last.set, set, MAX_REMOVED_NODES);
    for (const member of set) promise(!hasDirectory(removed, member), 'sets of nodes', () => `${keyOf(member)} was removed, and is back`);
    this.sets.push({ end, set, removed });
  }

  /** What is committed is on the disks of a majority of the set in force at the end of the log of whoever commits it first. */
  #checkMajority(node: CoreNode, entry: Entry): void {
    const { latest, isByIds } = node.raft.members;
    const has = (disk: CoreDisk | undefined): boolean =>
      disk !== undefined &&
      (disk.start >= entry.end || disk.entries.some(({ id }) => id === entry.id) || this.#watch.isNews(node, disk, entry.id));
    const voters = latest === undefined ? [] : votersOf(latest.members);
    // What a disk acknowledged may be counted right after it was lost.
    const had = (id: NodeId): boolean => [...this.disks].some(([key, disk]) => key.startsWith(`${id}/`) && has(disk));
    const holders = isByIds ? this.founders.filter(had).length : voters.filter((voter) => has(this.disks.get(keyOf(voter)))).length;
    const needed = majorityOf(isByIds ? this.founders.length : voters.length);
    promise(
      holders >= needed,
      'majority',
      () => `${entry.id} is committed on node ${node.id}, and on ${holders} disks of voters, not ${needed}`,
    );
  }

  #checkSets(node: CoreNode): void {
    const { start, head } = node.disk;
    let before: Configuration | undefined = head;
    let isBeforeCommitted = true;
    for (const { members, start: at, id, leader, term } of node.entries) {
      const isOwn = leader === node.disk.instance && term === node.raft.currentTerm && !this.committed.has(at) && !this.#seen.has(id);
      if (members === undefined) continue;
      promise(isBeforeCommitted, 'sets of nodes', () => `the log of node ${node.id} has two sets that are not committed, the second ${id}`);
      if (before !== undefined) this.#checkStep(before, members);
      else if (start === 0 && !this.#seen.has(id)) this.#checkFirst(node, members);
      if (isOwn) this.#checkOwnTerm(term, id);
      if (before !== undefined && isOwn) this.#checkPromotion(node, before, members);
      this.#seen.add(id);
      before = members;
      isBeforeCommitted = this.committed.get(at)?.id === id;
    }
  }

  #checkStep(before: Configuration, next: Configuration): void {
    const [one, other] = [votersOf(before), votersOf(next)];
    const all = new Set([...one, ...other].map(keyOf));
    promise(
      majorityOf(one.length) + majorityOf(other.length) > all.size,
      'sets of nodes',
      () => `majorities of ${one.map(keyOf).join(' ')} and of ${other.map(keyOf).join(' ')} may be disjoint`,
    );
    for (const was of before) {
      const is = next.find(({ id }) => id === was.id);
      const hasMoved = is !== undefined && is.port !== was.port;
      promise(!hasMoved || is.role === was.role, 'sets of nodes', () => `node ${was.id} gets an address, and another role with it`);
    }
  }

  /** A leader that changes the set has committed in its own term. */
  #checkOwnTerm(term: number, id: string): void {
    const isCommitted = [...this.committed.values()].some((entry) => entry.term === term);
    promise(isCommitted, 'sets of nodes', () => `${id} changes the set in term ${term}, of which nothing is committed`);
  }

  /** Who becomes a voter has, on its disk, what was committed before. */
  #checkPromotion(leader: CoreNode, before: Configuration, next: Configuration): void {
    const known = Math.max(0, ...[...this.committed.values()].filter(({ end }) => end <= leader.raft.commit).map(({ end }) => end));
    for (const voter of votersOf(next)) {
      if (hasDirectory(votersOf(before), voter)) continue;
      const disk = this.disks.get(keyOf(voter));
      const end = disk?.end ?? 0;
      promise(
        end >= known || this.isNewlyLost(leader, voter),
        'sets of nodes',
        () => `${keyOf(voter)} is promoted with ${end} of ${known}`,
      );
    }
  }

  #checkFirst(node: CoreNode, first: Configuration): void {
    const voters = votersOf(first);
    for (const voter of voters) {
      const disk = this.disks.get(keyOf(voter));
      promise(
        disk?.standing === 'voter' || this.gone.has(keyOf(voter)) || (disk !== undefined && this.#watch.isNews(node, disk)),
        'sets of nodes',
        () => `${keyOf(voter)} is a stranger, and listed as voter`,
      );
    }
    const meets = majorityOf(voters.length) + majorityOf(this.founders.length) > this.founders.length;
    promise(meets, 'sets of nodes', () => `majorities of the founders and of the first ${voters.length} voters may be disjoint`);
  }
}
