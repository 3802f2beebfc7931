// LogLog under test: one node, or three that are a cluster, each a process on free ports of loopback with its data in a folder of the bench.
// Nodes can be killed, and started again on what they have or on nothing.

import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { secretFlags } from '../../src/cluster/peerSecret.ts';
import { claimPorts, type PortBlock, peersOn } from '../../src/cluster/portBlock.ts';
import { OPTIONS } from '../../src/core/options.ts';
import { clientUrlOf, formatPeers, type Peer } from '../../src/core/peers.ts';
import type { NodeStatus } from '../../src/node/status.ts';
import type { Target } from '../load/target.ts';
import { processResident } from '../machine/proc.ts';
import type { Signal } from '../processes/processes.ts';
import { until } from '../processes/until.ts';
import { sumOf } from '../statistics.ts';
import { type Certificate, makeCertificate } from './certificate.ts';
import { LogLogNode } from './loglogNode.ts';
import { CLUSTER_NODES, type Place, type RunningSystem } from './system.ts';

/** What is started. */
export interface LogLogPlan {
  readonly nodes: 1 | 3;
  /** A cluster gets one node more, which is not in its set, and does not run, at first. */
  readonly hasSpare?: boolean;
  /** Folder of the build that is started; undefined: this one. */
  readonly build?: string | undefined;
  /** A node alone whose clients connect by TLS. */
  readonly tls?: boolean;
  /** Nodes of a cluster prove a secret to each other, and encrypt what they say. */
  readonly secret?: boolean;
  /** Where it is given: no thread of the nodes spins. */
  readonly spin?: 'off';
  /** A node alone that asks for tokens, of which there are so many. */
  readonly tokens?: number;
  /** Where it is not as the command line says. */
  readonly segmentBytes?: number;
  /** Clients append as a producer. */
  readonly isOnce?: boolean;
}

/** Starts a node in `directory` that asks for no token, makes so many, and ends it. */
async function makeTokens(directory: string, count: number): Promise<string[]> {
  const node = new LogLogNode(directory, ['--port', '0']);
  await node.start();
  try {
    const { connect } = await import('../../src/client/index.ts');
    const log = await connect(node.url);
    const made = await Promise.all(
      Array.from({ length: count }, (_, i) => log.createToken({ name: `bench ${i}`, scopes: ['read', 'append'] })),
    );
    await log.close();
    return made.map(({ token }) => token);
  } finally {
    await node.end('SIGTERM');
  }
}

export class LogLogServers implements RunningSystem {
  readonly directory: string;
  readonly electionTimeoutMs: number;
  readonly #build: string | undefined;
  /** Those that the cluster begins with. */
  readonly #peers: readonly Peer[];
  readonly #spares: readonly Peer[];
  readonly #block: PortBlock | undefined;
  readonly #ca: string | undefined;
  readonly #isOnce: boolean;
  /** What clients show. */
  readonly tokens: readonly string[];
  readonly #nodes: readonly LogLogNode[];

  private constructor(
    { sizes }: Place,
    directory: string,
    { build, spin, isOnce = false, segmentBytes = sizes.segmentBytes }: LogLogPlan,
    block: PortBlock | undefined,
    tls: Certificate | undefined,
    secret: readonly string[],
    tokens: readonly string[],
  ) {
    this.#ca = tls?.ca;
    this.#isOnce = isOnce;
    this.tokens = tokens;
    const { slots, windowBytes, electionTimeoutMs } = sizes;
    this.directory = directory;
    this.#build = build;
    this.#block = block;
    const all = block === undefined ? [] : peersOn(block.ports);
    this.#peers = all.slice(0, CLUSTER_NODES);
    this.#spares = all.slice(CLUSTER_NODES);
    this.electionTimeoutMs = block === undefined ? OPTIONS.electionTimeoutMs.default : electionTimeoutMs;
    const spinFlags = spin === undefined ? [] : ['--spin', spin];
    const flags = ['--segment-bytes', String(segmentBytes), '--slots', String(slots), '--window-bytes', String(windowBytes), ...spinFlags];
    const access = tokens.length > 0 ? ['--tokens'] : [];
    const clusterFlags = [...secret, '--election-timeout-ms', String(electionTimeoutMs), ...flags];
    const member = (id: number, peers: readonly Peer[]): LogLogNode =>
      new LogLogNode(join(directory, `node-${id}`), ['--node', String(id), '--peers', formatPeers(peers), ...clusterFlags], build);
    this.#nodes =
      block === undefined
        ? [
            new LogLogNode(
              directory,
              ['--port', '0', ...access, ...flags, ...(tls === undefined ? [] : ['--tls-cert', tls.certFile, '--tls-key', tls.keyFile])],
              build,
              undefined,
              tls?.ca,
            ),
          ]
        : [...this.#peers.map(({ id }) => member(id, this.#peers)), ...this.#spares.map(({ id }) => member(id, all))];
  }

  /** Starts it on what `directory` holds, and waits until it can be used. */
  static async start(place: Place, directory: string, plan: LogLogPlan): Promise<LogLogServers> {
    const block = plan.nodes === 1 ? undefined : await claimPorts(2 * (CLUSTER_NODES + (plan.hasSpare === true ? 1 : 0)));
    const tls = plan.tls === true ? await makeCertificate(`${directory}-tls`) : undefined;
    mkdirSync(directory, { recursive: true });
    const secret = plan.secret === true ? secretFlags(directory, []) : [];
    const tokens = plan.tokens === undefined ? [] : await makeTokens(directory, plan.tokens);
    const servers = new LogLogServers(place, directory, plan, block, tls, secret, tokens);
    try {
      // All of them must have ended or be there before anything is removed.
      const first = servers.#nodes.slice(0, plan.nodes);
      const failed = (await Promise.allSettled(first.map((node) => node.start()))).find((each) => each.status === 'rejected');
      if (failed !== undefined) throw failed.reason;
      await servers.leader();
      return servers;
    } catch (thrown) {
      await servers.endAll('SIGKILL');
      await block?.release();
      throw thrown;
    }
  }

  /** Where clients reach the nodes, of a cluster also those that do not run. */
  get urls(): string[] {
    return this.#block === undefined ? this.nodes.map(({ url }) => url) : this.#peers.map((peer) => clientUrlOf(peer));
  }

  /** Those that run. */
  get nodes(): LogLogNode[] {
    return this.#nodes.filter(({ isRunning }) => isRunning);
  }

  /** Those that do not run, too. */
  node(id: number): LogLogNode {
    const node = this.#nodes[id - 1];
    if (node === undefined) throw new RangeError(`there is no node ${id}`);
    return node;
  }

  /** Where the node is that is added to the set; one of a cluster. */
  addressOf(id: number): Peer {
    const peer = [...this.#peers, ...this.#spares].find((each) => each.id === id);
    if (peer === undefined) throw new RangeError(`there is no node ${id}`);
    return peer;
  }

  get folders(): string[] {
    return this.#nodes.map(({ directory }) => directory);
  }

  async target(): Promise<Target> {
    return { driver: 'loglog', urls: this.urls, build: this.#build, ca: this.#ca, token: this.tokens[0], isOnce: this.#isOnce };
  }

  cpuSeconds(): number | undefined {
    return sumOf(this.nodes.map((node) => node.cpuSeconds()));
  }

  residentBytes(): number | undefined {
    return sumOf(this.nodes.map(({ pid }) => processResident(pid)?.now));
  }

  storageReadBytes(): number | undefined {
    return sumOf(this.nodes.map((node) => node.storageReadBytes()));
  }

  /** A node that fails is named by its clients' errors. */
  lastWords(): string {
    return '';
  }

  start(id: number): Promise<void> {
    return this.node(id).start();
  }

  end(id: number, signal: Signal): Promise<void> {
    return this.node(id).end(signal);
  }

  async endAll(signal: Signal): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.end(signal)));
  }

  async #statuses(): Promise<NodeStatus[]> {
    const answers = await Promise.allSettled(this.nodes.map((node) => node.status()));
    return answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
  }

  /** One that can commit; a node alone leads when it is ready. */
  leader(): Promise<number> {
    if (this.#block === undefined) return Promise.resolve(1);
    return until('a node leads', async () => {
      const leading = (await this.#statuses()).filter(({ node, log }) => node.role === 'leader' && log.commit > 0);
      return leading.sort((a, b) => b.node.term - a.node.term)[0]?.node.id;
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
      const isSettled = statuses.length === this.nodes.length && statuses.every(({ log }) => log.commit === end && log.durable === end);
      return isSettled ? true : undefined;
    });
  }

  /** Nothing of it is needed any more, so it is killed, as the servers of others are. */
  async remove(): Promise<void> {
    await this.endAll('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
    await this.#block?.release();
  }
}
