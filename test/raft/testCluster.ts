// A small cluster of cores for scripted tests: a bag of messages that the script delivers, drops, repeats and reorders, and a fake shell
// whose log is a list of entries. After every turn it checks what must hold always: one leader a term, committed entries never change and
// are in every new leader's log, and nothing is sent before the vote that it depends on is saved.

import { expect } from 'vitest';
import type { RaftSettings } from '../../src/raft/core.ts';
import type { NodeId, RaftMessage, Standing } from '../../src/raft/messages.ts';
import type { Raft } from '../../src/raft/raft.ts';
import { type Entry, type Envelope, instanceOf } from './testLog.ts';
import { type Choice, TestNode } from './testNode.ts';

/** More messages than this without time passing are a storm that feeds itself. */
const STORM = 5_000;

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
