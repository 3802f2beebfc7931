// A cluster on this machine: one process for each node, and a proxy for each link between two of them.
//
//   node 1 ──► proxy 1→2 ──► node 2        each node's --peers names its own peer port, and for the
//   node 1 ◄── proxy 2→1 ◄── node 2        others the proxies that lead from it to them

import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { MEMBERS_LEVEL } from '../core/levels.ts';
import { formatPeers, type Peer } from '../core/peers.ts';
import type { NodeStatus } from '../node/status.ts';
import { ClusterNode, type ClusterNodeOptions } from './clusterNode.ts';
import { PeerNetwork } from './network.ts';
import { secretFlags } from './peerSecret.ts';
import { claimPorts, type PortBlock, peersOn } from './portBlock.ts';
import { until } from './until.ts';

export interface LocalClusterOptions extends Pick<ClusterNodeOptions, 'environment' | 'nodeFlags' | 'readyTimeoutMs' | 'token'> {
  /** 1 to 7; a cluster of one is a node without peers. */
  readonly nodes: number;
  /** Holds the data directories and the logs of all nodes. */
  readonly directory: string;
  /** For every node, besides what makes it one of this cluster. */
  readonly flags?: readonly string[];
  /** More for one of them. */
  readonly flagsOf?: (id: number) => readonly string[];
  /** Whether clients reach the nodes by links too, which can be cut: {@link LocalCluster.urls} are those of the links. Default false. */
  readonly hasClientLinks?: boolean;
  /** Whether the nodes prove a secret to each other, which is made in `directory`, if no flag says by what they prove themselves. Default true. */
  readonly hasSecret?: boolean;
  /** Data directory of a node; by default one in `directory`. */
  readonly dataOf?: (id: number) => string;
}

export class LocalCluster {
  readonly nodes: readonly ClusterNode[];
  /** Undefined where there are no links: a cluster of one, without any for clients. */
  readonly network: PeerNetwork | undefined;
  readonly #peers: readonly Peer[];
  readonly #block: PortBlock;

  private constructor(nodes: readonly ClusterNode[], network: PeerNetwork | undefined, peers: readonly Peer[], block: PortBlock) {
    this.nodes = nodes;
    this.network = network;
    this.#peers = peers;
    this.#block = block;
  }

  /** Makes ports, links and directories. Starts nothing. */
  static async make(options: LocalClusterOptions): Promise<LocalCluster> {
    const { nodes: count, directory, flags = [], flagsOf, dataOf, hasClientLinks = false, hasSecret = true, ...rest } = options;
    const block = await claimPorts(2 * count);
    const peers = peersOn(block.ports);
    const isLinked = count > 1 || hasClientLinks;
    const clientPorts = peers.map(({ port }) => port);
    const network = isLinked
      ? await PeerNetwork.make({ peerPorts: peers.map(({ peerPort }) => peerPort), ...(hasClientLinks ? { clientPorts } : {}) })
      : undefined;
    const clientPortOf = ({ id, port }: Peer): number => (hasClientLinks ? (network?.link('clients', id).port ?? port) : port);
    const membership = (own: Peer): string[] => {
      const listens = ['--port', String(own.port)];
      if (count === 1) return listens;
      // Each node is told of the others where its own links to them begin.
      const seen = peers.map((other) => ({
        ...other,
        port: clientPortOf(other),
        peerPort: other === own ? own.peerPort : (network?.link(own.id, other.id).port ?? other.peerPort),
      }));
      return ['--node', String(own.id), '--peers', formatPeers(seen), ...listens];
    };
    mkdirSync(directory, { recursive: true });
    const nodes = peers.map((peer) => {
      const { id } = peer;
      const given = [...flags, ...(flagsOf?.(id) ?? [])];
      const proof = hasSecret && count > 1 ? secretFlags(directory, given) : [];
      const data = dataOf?.(id) ?? join(directory, `data-${id}`);
      return new ClusterNode({
        ...rest,
        id,
        port: clientPortOf(peer),
        data,
        logFile: join(directory, `node-${id}.log`),
        flags: [...membership(peer), '--data', data, ...proof, ...given],
      });
    });
    return new LocalCluster(nodes, network, peers, block);
  }

  /** Starts all nodes, and waits until all serve clients and one leads. */
  async start(timeoutMs = 60_000): Promise<ClusterNode> {
    for (const node of this.nodes) node.start();
    await Promise.all(this.nodes.map((node) => node.ready));
    return this.leader(undefined, timeoutMs);
  }

  node(id: number): ClusterNode {
    const node = this.nodes[id - 1];
    if (node === undefined) throw new TypeError(`there is no node ${id}`);
    return node;
  }

  /** Where node `id` itself listens: what it is added with to a set. */
  addressOf(id: number): Peer {
    const peer = this.#peers.find((each) => each.id === id);
    if (peer === undefined) throw new TypeError(`there is no node ${id}`);
    return peer;
  }

  get urls(): string[] {
    return this.nodes.map(({ url }) => url);
  }

  get majority(): number {
    return Math.floor(this.nodes.length / 2) + 1;
  }

  /** All that answer. */
  async statuses(): Promise<{ node: ClusterNode; status: NodeStatus }[]> {
    const all = await Promise.all(this.nodes.map(async (node) => ({ node, status: await node.status() })));
    return all.flatMap(({ node, status }) => (status === undefined ? [] : [{ node, status }]));
  }

  /** The node that leads in the highest term of those that answer, if one of them says that it does. */
  async findLeader(): Promise<ClusterNode | undefined> {
    const statuses = await this.statuses();
    const leaders = statuses.filter(({ status }) => status.node.role === 'leader');
    const highest = Math.max(...leaders.map(({ status }) => status.node.term));
    return leaders.find(({ status }) => status.node.term === highest)?.node;
  }

  /** Waits for a leader, other than `not` if that is given. */
  leader(not?: ClusterNode, timeoutMs = 60_000): Promise<ClusterNode> {
    const what = `for a leader${not === undefined ? '' : ` other than node ${not.id}`}`;
    return until(
      what,
      async () => {
        const leader = await this.findLeader();
        return leader !== not && leader;
      },
      timeoutMs,
    );
  }

  /** Some node that does not lead at the moment. */
  async follower(): Promise<ClusterNode> {
    const leader = await this.leader();
    const follower = this.nodes.find((node) => node !== leader && node.isRunning);
    if (follower === undefined) throw new Error('every running node leads');
    return follower;
  }

  /** Waits until every node runs, answers, and has all of the log committed and durable. Returns its end. */
  converged(timeoutMs = 60_000): Promise<number> {
    let seen = '';
    return until(
      () => `for all nodes to have the same committed log; ${seen}`,
      async () => {
        const statuses = await this.statuses();
        seen = statuses
          .map(({ node, status }) => `node ${node.id} ${status.node.role} of term ${status.node.term}, ${JSON.stringify(status.log)}`)
          .join('; ');
        if (statuses.length < this.nodes.length) return undefined;
        const ends = new Set(statuses.flatMap(({ status: { log } }) => [log.commit, log.durable, log.tail]));
        const [end] = ends;
        return ends.size === 1 && statuses.some(({ status }) => status.node.role === 'leader') ? end : undefined;
      },
      timeoutMs,
      50,
    );
  }

  /** Waits until every node counts for majorities, as the leader sees it, and as the log says where it says that. */
  async allVoters(timeoutMs = 60_000): Promise<void> {
    await until(
      'for every node to be a voter',
      async () => {
        const status = await (await this.findLeader())?.status();
        if (status === undefined) return false;
        const isSaid = status.log.level >= MEMBERS_LEVEL;
        return status.cluster.nodes.every(({ isVoter, role }) => isVoter && (!isSaid || role === 'voter'));
      },
      timeoutMs,
    );
  }

  /** Ends that nobody had asked for. */
  get surprises(): string[] {
    return this.nodes.flatMap((node) => node.surprises);
  }

  /** Removes everything that a node has on its disk. It must not run. */
  wipe(node: ClusterNode): void {
    if (node.isRunning) throw new Error(`node ${node.id} runs`);
    rmSync(node.data, { recursive: true, force: true });
    node.wipedAtMs = performance.now();
  }

  /** Kills what runs; nothing is left behind but the directories. */
  async close(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()));
    await this.network?.close();
    await this.#block.release();
  }
}
