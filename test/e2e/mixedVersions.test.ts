// A cluster of an earlier build is upgraded node by node while it is written to, and goes back the same way: nothing that was acknowledged is lost, and no
// append fails. docs/COMPATIBILITY.md promises it.

import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { connect, type LogClient } from '../../src/client/index.ts';
import { ClusterNode } from '../../src/cluster/clusterNode.ts';
import { claimPorts, type PortBlock } from '../../src/cluster/portBlock.ts';
import { LOGLOG } from '../../src/cluster/program.ts';
import { until } from '../../src/cluster/until.ts';
import { LOG_LEVEL } from '../../src/core/levels.ts';
import { makeDirectory } from '../server/support/fixture.ts';
import { removeDirectory, temporaryDirectory } from '../server/support/processNode.ts';
import { earlierBuild, withoutLevels } from '../support/earlierBuild.ts';
import { Load } from '../support/load.ts';
import { runCommand } from '../support/server.ts';

/** The last commit before sets of nodes could change. */
const EARLIER = '40d1e4f';
/** On a machine that has other things to do. */
const TIMEOUT_MS = 400_000;
/** Of both builds. */
const VERSION = '0.1.0';

const directory = temporaryDirectory();
/** The command as it was then; undefined where the history does not go back. */
let built: string | undefined;

beforeAll(() => {
  built = earlierBuild(EARLIER, join(directory, 'earlier'));
}, TIMEOUT_MS);

afterAll(() => removeDirectory(directory), TIMEOUT_MS);

/** Three nodes, each of a build that may change. */
class Cluster {
  readonly #directory: string;
  readonly #block: PortBlock;
  readonly #nodes = new Map<number, { readonly node: ClusterNode; readonly program: string }>();

  private constructor(of: string, block: PortBlock) {
    this.#directory = of;
    this.#block = block;
  }

  static async start(of: string, program: string): Promise<Cluster> {
    const cluster = new Cluster(of, await claimPorts(6));
    onTestFinished(() => cluster.#stop());
    for (const id of [1, 2, 3]) cluster.#start(id, program);
    return cluster;
  }

  async #stop(): Promise<void> {
    await Promise.all([...this.#nodes.values()].map(({ node }) => node.kill()));
    await this.#block.release();
  }

  get urls(): string[] {
    return [...this.#nodes.values()].map(({ node }) => node.url);
  }

  #start(id: number, program: string): ClusterNode {
    const { ports } = this.#block;
    const peers = [1, 2, 3].map((each) => `${each}=127.0.0.1:${ports[each - 1]}/${ports[each + 2]}`).join();
    const data = join(this.#directory, `data-${id}`);
    const flags = ['--data', data, '--segment-bytes', '65536', '--slots', '3', '--election-timeout-ms', '500'];
    const logFile = join(this.#directory, `${id}.log`);
    const node = new ClusterNode({ id, port: ports[id - 1] ?? 0, data, logFile, flags, program });
    this.#nodes.set(id, { node, program });
    node.start(['--node', String(id), '--peers', peers]);
    return node;
  }

  /** Node `id` goes on with another build. */
  async change(id: number, program: string): Promise<ClusterNode> {
    await this.#nodes.get(id)?.node.stop();
    return this.#start(id, program);
  }

  /** All nodes, the one that leads last, as docs/OPERATIONS.md says; `isThere` waits until one has all of the log. */
  async rolling(program: string, isThere: () => Promise<unknown>): Promise<void> {
    const leader = (await until('a node leads', async () => (await this.#nodes.get(1)?.node.status())?.node.leader ?? false)).id;
    const left = [1, 2, 3].filter((id) => this.#nodes.get(id)?.program !== program);
    for (const id of left.sort((a, b) => Number(a === leader) - Number(b === leader))) {
      await (await this.change(id, program)).ready;
      await isThere();
    }
  }

  async json<T>(...args: string[]): Promise<T> {
    return JSON.parse((await runCommand([...args, '--json', '--url', this.urls.join()])).stdout.toString());
  }
}

interface Members {
  readonly isInLog: boolean;
  readonly isSettled: boolean;
  readonly members: readonly { readonly role: string }[];
}

interface Levels {
  readonly level: number;
}

async function heldBack(cluster: Cluster): Promise<string[]> {
  const { findings } = await cluster.json<{ findings: readonly { code: string; about: string; seen: string }[] }>('doctor');
  return findings.filter(({ code }) => code === 'VERSION_HOLDS_BACK').map(({ about, seen }) => `${about}: ${seen}`);
}

/** What is said of a node of the earlier build, whose status does not have its levels yet. */
const heldBackBy = (id: number, level: number): string =>
  `node ${id}: its LogLog (${VERSION}) does not say which levels it knows, and the log is of level ${level}`;

async function connected(cluster: Cluster): Promise<{ readonly log: LogClient; readonly hasAll: () => Promise<unknown> }> {
  const log = await connect(cluster.urls, { reconnect: { timeoutMs: 60_000 } });
  onTestFinished(() => log.close());
  return { log, hasAll: () => until('all three have an entry', async () => (await log.append('all')).nodes.length === 3) };
}

test(
  'a cluster under load is upgraded node by node from an earlier build, and goes back',
  async () => {
    if (built === undefined) return console.warn(`mixed versions did not run: the history here does not go back to ${EARLIER}`);
    const cluster = await Cluster.start(makeDirectory(), built);
    const { log, hasAll } = await connected(cluster);
    await hasAll();
    const load = new Load(log, 10);
    await (await cluster.change(3, LOGLOG)).ready;
    await hasAll();
    const { level } = await cluster.json<Levels>('upgrade', 'status');
    // The log is as the earlier build made it, and nothing that only the newer one knows is in it.
    expect([level, LOG_LEVEL]).toEqual([1, 2]);
    expect(await heldBack(cluster)).toEqual([1, 2].map((id) => heldBackBy(id, 1)));
    await cluster.rolling(LOGLOG, hasAll);
    const upgraded = load.acknowledged.size;
    await cluster.rolling(built, hasAll);
    await load.stop();
    expect(load.failures).toEqual([]);
    expect([upgraded > 0, load.acknowledged.size > upgraded]).toEqual([true, true]);
    const found = new Map<number, string>();
    for await (const { offset, payload } of log.read()) found.set(offset, Buffer.from(payload).toString());
    expect([...load.acknowledged].filter(([offset, text]) => found.get(offset) !== text)).toEqual([]);
  },
  TIMEOUT_MS,
);

// In no commit do nodes know level 0 alone, and say so: so a build is made that does.
test(
  'what a build knows that an earlier one does not is in the log only when somebody says so; then the earlier one refuses it',
  async () => {
    if (built === undefined) return console.warn(`levels did not run: the history here does not go back to ${EARLIER}`);
    const earlier = withoutLevels(join(directory, 'earlier'), join(directory, 'without-levels'));
    const cluster = await Cluster.start(makeDirectory(), earlier);
    const { hasAll } = await connected(cluster);
    await hasAll();
    await (await cluster.change(3, LOGLOG)).ready;
    await hasAll();
    const mixed = await cluster.json<Levels>('upgrade', 'status');
    expect(mixed.level).toBe(0);
    expect(await heldBack(cluster)).toEqual([1, 2].map((id) => heldBackBy(id, 0)));
    await cluster.rolling(LOGLOG, hasAll);
    // The way back is open.
    await (await cluster.change(3, earlier)).ready;
    await hasAll();
    await (await cluster.change(3, LOGLOG)).ready;
    await hasAll();
    expect((await runCommand(['upgrade', 'finalize', '--url', cluster.urls.join()])).code).toBe(0);
    await hasAll();
    expect((await cluster.json<Levels>('upgrade', 'status')).level).toBe(LOG_LEVEL);
    // From now on it says which nodes it has, and each of them counts.
    await until('the log says its nodes', async () => {
      const { isInLog, isSettled, members } = await cluster.json<Members>('member', 'list');
      return isInLog && isSettled && members.filter(({ role }) => role === 'voter').length === 3;
    });
    const old = await cluster.change(3, earlier);
    expect((await old.exited).code).toBe(1);
    expect(old.log()).toMatch(/newer/i);
  },
  TIMEOUT_MS,
);
