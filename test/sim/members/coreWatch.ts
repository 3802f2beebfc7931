// What is watched of messages and terms between cores, by the directories that they are from: who was removed is not heard, who leads is; a node votes for one disk
// in a term; a leader goes on only while a majority of its set answers; and no term leaps.

import { MAX_TERM_STEP } from '../../../src/core/limits.ts';
import { type Configuration, type Directory, hasDirectory, majorityOf, votersOf } from '../../../src/core/members.ts';
import type { NodeId } from '../../../src/raft/messages.ts';
import type { Raft } from '../../../src/raft/raft.ts';
import { promise } from '../violation.ts';
import { type CoreDisk, type CoreNode, ELECTION_MS, type Entry, type Envelope, HEARTBEAT_MS } from './coreNode.ts';

/** What there is to look at. */
export interface WatchedWorld {
  readonly nowMs: number;
  readonly bag: readonly Envelope[];
  node(id: NodeId): CoreNode | undefined;
  /** The directories whose removal is committed before `offset`. */
  headAt(offset: number): { readonly removed: readonly Directory[] };
}

/** A leader's office in one term, as the watch sees it. */
interface Office {
  readonly term: number;
  readonly sinceMs: number;
  /** When an answer of each directory came last: by the world's clock, and by the count of messages. */
  readonly answered: Map<string, { readonly atMs: number; readonly count: number }>;
  set: Configuration | undefined;
  setSinceMs: number;
}

const keyOf = ({ id, instance }: Directory): string => `${id}/${instance}`;

export class CoreWatch {
  readonly #world: WatchedWorld;
  /** Which directory each node's link to another one leads to, since it started. */
  readonly #links = new Map<NodeId, Map<NodeId, Directory>>();
  readonly #offices = new Map<Raft, Office>();
  /** Whom a directory has voted for in a term. */
  readonly #votes = new Map<string, string>();
  readonly #terms = new Map<Raft, number>();
  /** Messages that were handed over so far. */
  #count = 0;
  /** Entries that were lost on a disk, and the count then. */
  readonly #lost = new Map<CoreDisk, { readonly ids: ReadonlySet<string>; readonly count: number }>();

  constructor(world: WatchedWorld) {
    this.#world = world;
  }

  met(node: CoreNode, other: Directory): void {
    const links = this.#links.get(node.id) ?? new Map<NodeId, Directory>();
    links.set(other.id, other);
    this.#links.set(node.id, links);
  }

  /** A node's process has ended. */
  ended({ id }: CoreNode): void {
    this.#links.delete(id);
  }

  /** A disk loses entries. */
  losing(disk: CoreDisk, entries: readonly Entry[]): void {
    const before = this.#lost.get(disk)?.ids ?? [];
    this.#lost.set(disk, { ids: new Set([...before, ...entries.map(({ id }) => id)]), count: this.#count });
  }

  /** Whether a leader cannot know that an entry, or any, was lost on another node's disk, which has not answered it since. */
  isNews({ raft }: CoreNode, disk: CoreDisk, entry?: string): boolean {
    const lost = this.#lost.get(disk);
    if (lost === undefined || (entry !== undefined && !lost.ids.has(entry))) return false;
    const answers = [...(this.#offices.get(raft)?.answered ?? [])].filter(([key]) => key.endsWith(`/${disk.instance}`));
    return answers.every(([, { count }]) => count <= lost.count);
  }

  /** A message leaves its node. */
  posted({ from, to, message }: Envelope): void {
    if (message.kind !== 'voteResponse' || !message.granted || message.isPreVote) return;
    const node = this.#world.node(from);
    const candidate = this.#links.get(from)?.get(to);
    // While ids count, so do votes.
    if (node === undefined || candidate === undefined || node.raft.members.isByIds) return;
    const vote = `${keyOf(node.directory)} in term ${message.term}`;
    const before = this.#votes.get(vote) ?? keyOf(candidate);
    promise(before === keyOf(candidate), 'election safety', () => `${vote} votes for ${before} and for ${keyOf(candidate)}`);
    this.#votes.set(vote, before);
  }

  /** A message is about to be handed to `node`, by `hand`. */
  handing(node: CoreNode, { from, message }: Envelope, hand: () => void): void {
    const { raft } = node;
    const { currentTerm } = raft;
    this.#count += 1;
    const sender = this.#links.get(node.id)?.get(from);
    const isOfLeader = from === raft.leader && message.term === currentTerm;
    const isGone =
      !isOfLeader && sender !== undefined && !raft.members.isUnknown && hasDirectory(this.#world.headAt(raft.commit).removed, sender);
    if (sender !== undefined) this.#answered(raft, sender, message);
    if (!isGone) {
      hand();
      const isStillOfLeader = isOfLeader && raft.role === 'follower' && raft.leader === from && raft.currentTerm === currentTerm;
      if (isStillOfLeader && message.kind === 'appendRequest' && node.isLive)
        promise(
          raft.deadlineMs >= this.#world.nowMs + ELECTION_MS,
          'progress',
          () => `node ${node.id} does not hear node ${from}, which leads`,
        );
      return;
    }
    // Whatever else the time brings.
    node.turn(() => undefined);
    const before = this.#stateOf(node);
    hand();
    promise(
      this.#stateOf(node) === before,
      'sets of nodes',
      () => `node ${node.id} hears ${keyOf(sender)}, which was removed: ${message.kind}`,
    );
  }

  #stateOf({ raft, end, disk }: CoreNode): string {
    const { currentTerm, role, leader, commit, deadlineMs, standing } = raft;
    return JSON.stringify([currentTerm, role, leader, commit, deadlineMs, standing, end, disk.vote, this.#world.bag.length]);
  }

  #answered(raft: Raft, sender: Directory, message: Envelope['message']): void {
    const office = this.#offices.get(raft);
    if (message.kind !== 'appendResponse' || office?.term !== message.term) return;
    office.answered.set(keyOf(sender), { atMs: this.#world.nowMs, count: this.#count });
  }

  /** A turn of a node has ended. */
  turned(node: CoreNode): void {
    const { raft } = node;
    const { currentTerm } = raft;
    const before = this.#terms.get(raft) ?? currentTerm;
    // A node that has neither a term nor entries takes any.
    promise(
      before === 0 || currentTerm - before <= MAX_TERM_STEP,
      'soundness',
      () => `node ${node.id} goes from term ${before} to ${currentTerm}`,
    );
    this.#terms.set(raft, currentTerm);
    if (raft.role === 'leader') this.#checkQuorum(node);
    else this.#offices.delete(raft);
  }

  /** A leader that a majority of its set does not answer resigns, in an election timeout: it looks once a heartbeat. */
  #checkQuorum({ id, raft, directory }: CoreNode): void {
    const { nowMs } = this.#world;
    const { currentTerm, members } = raft;
    const known = this.#offices.get(raft);
    const office =
      known?.term === currentTerm ? known : { term: currentTerm, sinceMs: nowMs, answered: new Map(), set: undefined, setSinceMs: nowMs };
    this.#offices.set(raft, office);
    const set = members.latest?.members;
    if (set !== office.set) Object.assign(office, { set, setSinceMs: nowMs });
    const isLooking = raft.deadlineMs > nowMs && nowMs - office.setSinceMs > HEARTBEAT_MS;
    const fromMs = nowMs - ELECTION_MS - HEARTBEAT_MS;
    if (set === undefined || !isLooking || office.sinceMs >= fromMs) return;
    const voters = votersOf(set);
    const heard = voters.filter((voter) => keyOf(voter) === keyOf(directory) || (office.answered.get(keyOf(voter))?.atMs ?? 0) >= fromMs);
    promise(
      heard.length >= majorityOf(voters.length),
      'check quorum',
      () => `node ${id} leads on, and ${heard.length} of ${voters.length} voters are heard`,
    );
  }
}
