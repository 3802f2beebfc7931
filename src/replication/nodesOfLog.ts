// What the shell does about the set of nodes in the log: it tells the core what the log says, and has a leader change the set, one step after the other, to what it
// should be. Nothing here is decided by time: looks are only far enough apart to cost nothing.

import { stateCapacityBytes } from '../core/capacities.ts';
import { NO_INSTANCE } from '../core/ids.ts';
import { MEMBERS_LEVEL } from '../core/levels.ts';
import { type ChangeRefusal, changedBy, isRefusal, type MemberChange } from '../core/memberChanges.ts';
import {
  type Configuration,
  type Directory,
  faultOfConfiguration,
  hasDirectory,
  isSameConfiguration,
  type Member,
  NO_NODES,
  type NodesView,
} from '../core/members.ts';
import type { Peer } from '../core/peers.ts';
import { type NodesAt, nodesAt } from '../format/nodeChanges.ts';
import { stateBytes } from '../format/stateEntry.ts';
import type { LogFold } from '../memory/logFold.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { Raft } from '../raft/raft.ts';

export const REMOVED_SENTENCE =
  'this data directory was removed from the set of nodes, and that is committed: it has no part in the log any more, and never gets one again; stop this node, and start it with an empty directory if it is to come back';

const LEVEL_TOO_LOW: ChangeRefusal = {
  code: 'LEVEL_TOO_LOW',
  sentence: `the log does not say which nodes it has before it is of level ${MEMBERS_LEVEL}: when all nodes run a LogLog that knows it, loglog upgrade finalize`,
};

const NO_ADDRESS: ChangeRefusal = {
  code: 'UNSUPPORTED',
  sentence: 'this node has no address for other nodes: start it again with --peers ID=HOST:PORT/PEERPORT, which is its own',
};

/** Of a node that has not been seen. */
const ANY_INSTANCE = 'f'.repeat(NO_INSTANCE.length);

/** A state entry's header and check. */
const ENTRY_BYTES = 12;

/** `1, 2 and 3 (learner)`, for sentences. */
export function describeNodes(members: Configuration): string {
  const names = members.map(({ id, role }) => (role === 'voter' ? `${id}` : `${id} (${role})`));
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}

export class NodesOfLog {
  readonly #raft: Raft;
  readonly #fold: LogFold;
  readonly #memory: TailMemory;
  readonly #peers: readonly Peer[];
  /** What the entries said that were folded since the core was told. */
  #said: NodesAt[] = [];
  #lookAtMs = 0;
  #told: NodesView = NO_NODES;
  /** Of another node, whose directory the cluster began with: the nodes that it goes by, as it greeted last. */
  #founder: { readonly directory: Directory; readonly nodes: readonly number[] } | undefined;

  constructor(raft: Raft, fold: LogFold, memory: TailMemory, peers: readonly Peer[]) {
    this.#raft = raft;
    this.#fold = fold;
    this.#memory = memory;
    this.#peers = peers;
    fold.onNodes = (nodes, by, isState) => {
      const said = nodesAt(nodes, by, isState);
      if (said !== undefined) this.#said.push(said);
    };
  }

  /** What the entries said that were folded since this was called last. */
  said(): readonly NodesAt[] {
    const said = this.#said;
    this.#said = [];
    return said;
  }

  /** Whether what is durable here is committed, and nobody else is there to tell. */
  get isSole(): boolean {
    const { members, leadership } = this.#raft;
    if (leadership === undefined || !members.isAlone) return false;
    // The first set of a log is still to come, or another node.
    const isLasting = this.#fold.level < MEMBERS_LEVEL || members.latest !== undefined;
    return isLasting && !leadership.changes.isUnderWay;
  }

  /** The set that a log begins with, where its nodes are known before its first entry: of a node alone. */
  get founding(): Configuration {
    const { members } = this.#raft;
    return members.isByIds && members.isAlone ? (this.#first() ?? []) : [];
  }

  /** What a log says that begins with {@link founding}, once its first entry is in the log. */
  get founded(): readonly NodesAt[] {
    const { nodes, stateEntryBytes } = this.#fold;
    return nodes.members.length === 0 ? [] : [{ end: stateEntryBytes, members: nodes.members, removed: [] }];
  }

  /** Whether this node leads a log that says which nodes it has, and {@link next} was not asked for a while. */
  isDue(nowMs: number): boolean {
    const { leadership, settings } = this.#raft;
    if (leadership === undefined || nowMs < this.#lookAtMs || this.#fold.level < MEMBERS_LEVEL) return false;
    this.#lookAtMs = nowMs + settings.heartbeatMs;
    return !leadership.changes.isUnderWay;
  }

  /**
   * Begins a change that somebody asked for, unless `isDryRun`. Returns why that cannot be, or not now; undefined: it is begun, and decided when it is committed.
   */
  begin(change: MemberChange, isDryRun = false): ChangeRefusal | undefined {
    const { latest } = this.#raft.members;
    if (this.#raft.leadership === undefined) return { code: 'NOT_LEADER', sentence: 'this node does not lead: ask the leader' };
    if (this.#fold.level < MEMBERS_LEVEL) return LEVEL_TOO_LOW;
    if (latest === undefined)
      return {
        code: 'CHANGE_IN_PROGRESS',
        sentence: 'the log does not say which nodes it has yet, because not all have been there at once: try again',
      };
    if (change.kind === 'add' && this.#peers.length === 0) return NO_ADDRESS;
    const found = this.#withInstance(change, isDryRun);
    const next = 'sentence' in found ? found : changedBy(latest.members, found);
    if (isRefusal(next)) return next;
    if (!this.#hasRoomFor(next))
      return { code: 'UNSUPPORTED', sentence: 'the state of the log has no room for that set: remove tokens, or run larger segments' };
    return isDryRun ? this.#raft.refusalOf(next) : this.#raft.configure(next);
  }

  /** Who comes without a directory has the one that it has greeted this node with. One that has none yet may be talked of. */
  #withInstance(change: MemberChange, isDryRun: boolean): MemberChange | ChangeRefusal {
    const { members } = this.#raft;
    if (change.kind !== 'add' || change.instance !== NO_INSTANCE || (members.latest?.members ?? []).some(({ id }) => id === change.id))
      return change;
    const { id } = change;
    const instance = members.instanceOf(id);
    const isRemoved = instance !== undefined && hasDirectory(members.removed, { id, instance });
    if (instance !== undefined && !isRemoved) return { ...change, instance };
    if (isDryRun) return { ...change, instance: ANY_INSTANCE };
    // It may have an empty directory by now, and no link yet.
    const sentence = isRemoved
      ? `node ${id} has not come yet with another directory than the one that was removed, for good (instance ${instance}): start it with an empty directory`
      : `node ${id} has not come yet: start it`;
    return { code: 'NOT_READY', sentence };
  }

  /** The set in force, for who is not on this thread; undefined: it is what it was when this was called last. */
  news(): NodesView | undefined {
    const { latest, isSettled } = this.#raft.members;
    const { members, end } = latest ?? NO_NODES;
    const told = this.#told;
    if (told.members === members && told.end === end && told.isSettled === isSettled) return undefined;
    this.#told = { members, end, isSettled };
    return this.#told;
  }

  /** The set that comes next; undefined: it is what it should be, or cannot be that yet. */
  next(): Configuration | undefined {
    const { latest } = this.#raft.members;
    for (const next of latest === undefined ? [this.#first()] : this.#after(latest.members))
      if (next !== undefined && this.#hasRoomFor(next) && this.#raft.refusalOf(next) === undefined) return next;
    return undefined;
  }

  /** What it should become, one step each, the most urgent first: what cannot be now keeps nothing else from being. */
  *#after(members: Configuration): Generator<Configuration | undefined> {
    yield* this.#withNewDisks(members);
    yield* this.#withPromoted(members);
    yield this.#withListed(members);
    yield this.#withAddresses(members);
  }

  /** The founder, another node, greeted from `directory`, and goes by these `nodes`: those of its list among them that are still awaited. */
  founderGreeted(directory: Directory, nodes: readonly number[]): void {
    this.#founder = { directory, nodes };
  }

  /** Nodes of the list that this directory was given before the log said anything, and that are to be added as they come: whoever leads hears of them. */
  get awaited(): readonly number[] {
    const { members } = this.#raft;
    // What is not committed may go again: until then the list and the set are two things.
    return members.committedSet.length === 0 || this.isListless ? [] : members.list;
  }

  /** Whether the log has another part in it than the list that this directory was given before the log said anything: then no list counts any more. */
  get isListless(): boolean {
    return !this.#isAwaited(this.#raft.members.list);
  }

  /** Whether a list is the founder's, and not all of its nodes are in the log's set yet: nobody else is, or ever was. */
  #isAwaited(list: readonly number[]): boolean {
    const { members } = this.#raft;
    const ids = members.latest?.members.map(({ id }) => id);
    if (ids === undefined) return true;
    // A lost disk that was replaced is no node that was removed.
    const isOther = members.removed.some(({ id }) => !ids.includes(id)) || ids.some((id) => !list.includes(id));
    return !isOther && !list.every((id) => ids.includes(id));
  }

  /** The log of a node alone that was given a list: those of it that have come are added, whoever leads by then. */
  #withListed(members: Configuration): Configuration | undefined {
    const { members: known } = this.#raft;
    const founder = this.#founder;
    const told = founder !== undefined && hasDirectory(members, founder.directory) ? founder.nodes : [];
    const list = [known.list, told].find((each) => this.#isAwaited(each));
    const id = list?.find((each) => known.instanceOf(each) !== undefined && !members.some((member) => member.id === each));
    const instance = id === undefined ? undefined : known.instanceOf(id);
    if (id === undefined || instance === undefined) return undefined;
    const added = this.#withAddress({ id, instance, role: 'learner', host: '', port: 0, peerPort: 0 });
    return [...members, added].sort((a, b) => a.id - b.id);
  }

  /** This node is reached somewhere else than the set says, or knows where one is of which the set does not say it. */
  #withAddresses(members: Configuration): Configuration | undefined {
    for (const member of members) {
      const isUnknown = member.host === '' || member.peerPort === 0;
      const addressed = member.id === this.#raft.settings.id || isUnknown ? this.#withAddress(member) : member;
      if (!isSameConfiguration([addressed], [member])) return members.map((each) => (each === member ? addressed : each));
    }
    return undefined;
  }

  /** The first one: all nodes as they have greeted, where they are reached as this node was told. */
  #first(): Configuration | undefined {
    return this.#raft.firstConfiguration?.map((member) => this.#withAddress(member));
  }

  #withAddress(member: Member): Member {
    const { host, port, peerPort } = this.#peers.find(({ id }) => id === member.id) ?? member;
    const addressed = { ...member, host, port, peerPort };
    return faultOfConfiguration([{ ...addressed, role: 'voter' }]) === undefined ? addressed : member;
  }

  /**
   * A node's id has another disk than the set says: it is a learner with that one, and the one that was lost never counts again. Only for a disk that answers: a
   * link to a process that has ended may be older than what the set says, and whatever is replaced is locked out for good.
   */
  *#withNewDisks(members: Configuration): Generator<Configuration> {
    const { members: known, settings, leadership } = this.#raft;
    for (const member of members) {
      const isOwn = member.id === settings.id;
      const instance = isOwn ? settings.instance : known.instanceOf(member.id);
      if (instance === undefined || instance === member.instance) continue;
      if (!isOwn && leadership?.changes.hears(member.id) !== true) continue;
      // Who was only fed goes on to be.
      const replaced: Member = { ...member, instance, role: member.role === 'reader' ? 'reader' : 'learner' };
      if (hasDirectory(known.removed, replaced)) continue;
      const next = members.map((each) => (each === member ? replaced : each));
      if (faultOfConfiguration(next) === undefined) yield next;
    }
  }

  /** A learner that has all that is committed becomes a voter. */
  *#withPromoted(members: Configuration): Generator<Configuration> {
    const { leadership, commit, standing, settings } = this.#raft;
    for (const member of members) {
      if (member.role !== 'learner') continue;
      const progress = leadership?.peers.get(member.id);
      const isReady = progress?.isVoter === true && progress.state === 'replicate' && progress.match >= commit;
      const isOwn = member.id === settings.id && standing === 'voter';
      if (!isReady && !isOwn) continue;
      const promoted: Member = { ...member, role: 'voter' };
      yield members.map((each) => (each === member ? promoted : each));
    }
  }

  /** Whether the state of the log stays within its bound, with all that was removed until then. */
  #hasRoomFor(members: Configuration): boolean {
    const { removed } = this.#fold.nodes;
    const gone = this.#fold.nodes.members.map(({ id, instance }) => ({ id, instance }));
    const bytes = ENTRY_BYTES + stateBytes({ ...this.#fold.state, nodes: { members, removed: [...removed, ...gone] } });
    return bytes <= stateCapacityBytes(this.#memory.map.shape.segmentBytes);
  }
}
