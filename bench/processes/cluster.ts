// A cluster under test: three nodes, each a process of its own on free ports of loopback, with its data in a folder of the bench. Nodes can
// be killed, and started again on what they have or on nothing.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { claimPorts, type PortBlock, peersOn } from '../../src/cluster/portBlock.ts';
import { until as untilSeen } from '../../src/cluster/until.ts';
import { clientUrlOf, formatPeers, type Peer } from '../../src/core/peers.ts';
import type { NodeStatus } from '../../src/node/status.ts';
import type { LogUnderTest } from './log.ts';
import { NodeUnderTest } from './node.ts';
import type { Signal } from './processes.ts';

export const CLUSTER_NODES = 3;

const LOOK_MS = 10;
const PATIENCE_MS = 120_000;

/** Looks at `condition` again and again until it is not undefined. Throws when that takes longer than any scenario may. */
export function until<T>(what: string, condition: () => Promise<T | undefined>, lookMs = LOOK_MS): Promise<T> {
  return untilSeen(`until ${what}`, condition, PATIENCE_MS, lookMs);
}

export class ClusterUnderTest implements LogUnderTest {
  readonly directory: string;
  readonly #flags: readonly string[];
  readonly #peers: readonly Peer[];
  readonly #block: PortBlock;
  readonly #nodes = new Map<number, NodeUnderTest>();

  private constructor(directory: string, flags: readonly string[], block: PortBlock) {
    this.directory = directory;
    this.#flags = flags;
    this.#block = block;
    this.#peers = peersOn(block.ports);
  }

  /** Starts the nodes of `ids`, by default all, of an empty cluster in `directory`, and waits until one of them leads. */
  static async start(directory: string, flags: readonly string[], ids?: readonly number[]): Promise<ClusterUnderTest> {
    const block = await claimPorts(2 * CLUSTER_NODES);
    const cluster = new ClusterUnderTest(directory, flags, block);
    try {
      const starts = (ids ?? cluster.#peers.map(({ id }) => id)).map((id) => cluster.startNode(id));
      // All of them must have ended or be there before anything is removed.
      const failed = (await Promise.allSettled(starts)).find((each) => each.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
      await cluster.leader();
      return cluster;
    } catch (thrown) {
      await cluster.remove();
      throw thrown;
    }
  }

  /** Where clients reach the nodes, also those that are not running. */
  get urls(): string[] {
    return this.#peers.map(clientUrlOf);
  }

  get nodes(): NodeUnderTest[] {
    return [...this.#nodes.values()];
  }

  get directories(): string[] {
    return this.#peers.map(({ id }) => this.directoryOf(id));
  }

  directoryOf(id: number): string {
    return join(this.directory, `node-${id}`);
  }

  /** Starts a node that is not running, on what its directory holds. */
  async startNode(id: number): Promise<NodeUnderTest> {
    const flags = ['--node', String(id), '--peers', formatPeers(this.#peers), ...this.#flags];
    const node = await NodeUnderTest.start(this.directoryOf(id), flags);
    this.#nodes.set(id, node);
    return node;
  }

  /** Stops all nodes, starts them again, and waits until one of them leads. */
  async restart(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
    await Promise.all(this.nodes.map((node) => node.restart()));
    await this.leader();
  }

  /** Ends a node; its data stays. */
  async end(id: number, signal: Signal): Promise<void> {
    const node = this.#nodes.get(id);
    this.#nodes.delete(id);
    await (signal === 'SIGKILL' ? node?.kill() : node?.stop());
  }

  /** Kills a node at once; its data stays. */
  kill(id: number): Promise<void> {
    return this.end(id, 'SIGKILL');
  }

  async #statuses(): Promise<NodeStatus[]> {
    const answers = await Promise.allSettled(this.nodes.map((node) => node.status()));
    return answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
  }

  /** The node that leads, once one does and can commit. */
  async leader(): Promise<{ readonly id: number; readonly node: NodeUnderTest }> {
    return until('a node leads', async () => {
      const leading = (await this.#statuses()).filter(({ node, log }) => node.role === 'leader' && log.commit > 0);
      const newest = leading.sort((a, b) => b.node.term - a.node.term)[0];
      const node = newest === undefined ? undefined : this.#nodes.get(newest.node.id);
      return newest === undefined || node === undefined ? undefined : { id: newest.node.id, node };
    });
  }

  /** The largest term of any node: it rises by at least one with each election. */
  async term(): Promise<number> {
    return Math.max(0, ...(await this.#statuses()).map(({ node }) => node.term));
  }

  /** The furthest commit of any node. */
  async commit(): Promise<number> {
    return Math.max(0, ...(await this.#statuses()).map(({ log }) => log.commit));
  }

  /** Waits until all running nodes have everything on their disks that the leader has. Nothing may be appended meanwhile. */
  async settled(): Promise<void> {
    await until('all nodes have the same log', async () => {
      const statuses = await this.#statuses();
      const end = Math.max(...statuses.map(({ log }) => log.tail));
      const isSettled = statuses.length === this.#nodes.size && statuses.every(({ log }) => log.commit === end && log.durable === end);
      return isSettled ? true : undefined;
    });
  }

  /** Ends all nodes and removes their data. */
  async remove(signal: Signal = 'SIGTERM'): Promise<void> {
    await Promise.all([...this.#nodes.keys()].map((id) => this.end(id, signal)));
    rmSync(this.directory, { recursive: true, force: true });
    await this.#block.release();
  }
}
