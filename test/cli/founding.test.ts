// How clusters of real processes begin, and what they refuse: a founder that lost its disk beside a node that had never started, nodes
// started one by one, growing from three to five by longer lists, a single node of any id that is given others.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { connect, type LogClient } from '../../src/client/index.ts';
import { ClusterNode } from '../../src/cluster/clusterNode.ts';
import { claimPorts } from '../../src/cluster/portBlock.ts';
import { until } from '../../src/cluster/until.ts';
import { failureOf } from '../client/support/failure.ts';
import { makeDirectory } from '../server/support/fixture.ts';
import { runCommand } from '../support/server.ts';

const FLAGS = ['--segment-bytes', '65536', '--slots', '3', '--election-timeout-ms', '300'];
const timeout = 120_000;

interface Machines {
  /** Nodes 1 to `count`; none is started. */
  readonly nodes: readonly ClusterNode[];
  /** `--node` and `--peers` of a node, with the ids from 1 to `size`. */
  membership(id: number, size: number): readonly string[];
  /** Starts node `id` as one of `size`. */
  start(id: number, size: number, flags?: readonly string[]): ClusterNode;
  wipe(id: number): void;
}

async function machines(count: number): Promise<Machines> {
  const directory = makeDirectory();
  const block = await claimPorts(2 * count);
  const portOf = (id: number): number => block.ports[id - 1] ?? 0;
  const nodes = Array.from({ length: count }, (_, i) => {
    const id = i + 1;
    const data = join(directory, `data-${id}`);
    return new ClusterNode({ id, port: portOf(id), data, logFile: join(directory, `${id}.log`), flags: ['--data', data, ...FLAGS] });
  });
  onTestFinished(async () => {
    await Promise.all(nodes.map((node) => node.kill()));
    await block.release();
  });
  const membership = (id: number, size: number): readonly string[] => {
    const peers = nodes.slice(0, size).map((node) => `${node.id}=127.0.0.1:${portOf(node.id)}/${portOf(count + node.id)}`);
    return ['--node', String(id), '--peers', peers.join()];
  };
  const nodeOf = (id: number): ClusterNode => {
    const node = nodes[id - 1];
    if (node === undefined) throw new TypeError(`there is no node ${id}`);
    return node;
  };
  const start = (id: number, size: number, flags: readonly string[] = []): ClusterNode => {
    const node = nodeOf(id);
    node.start([...membership(id, size), ...flags]);
    return node;
  };
  return { nodes, membership, start, wipe: (id) => rmSync(nodeOf(id).data, { recursive: true, force: true }) };
}

async function connectTo(...nodes: readonly ClusterNode[]): Promise<LogClient> {
  const client = await connect(nodes.map(({ url }) => url));
  onTestFinished(() => client.close());
  return client;
}

async function texts(client: LogClient): Promise<string[]> {
  const all: string[] = [];
  for await (const { payload } of client.read()) all.push(Buffer.from(payload).toString());
  return all;
}

/** Waits for a line in what the node logs. */
function says(node: ClusterNode, text: string): Promise<boolean> {
  return until(`for node ${node.id} to say ${JSON.stringify(text)}`, () => node.log().includes(text));
}

/** Waits until the log says that so many nodes count: before that, one that stops may be one too many. */
function allCount(client: LogClient, voters: number): Promise<boolean> {
  return until(`for ${voters} nodes to count`, async () => {
    const members = await client.members();
    return members.isInLog && members.isSettled && members.voters === voters;
  });
}

describe('a cluster', { timeout }, () => {
  test('whose founder lost its disk is not begun again, also not with a node that had never started (R3)', async () => {
    const { nodes, start, membership, wipe } = await machines(3);
    const [one, two] = [nodes[0], nodes[1]];
    if (one === undefined || two === undefined) throw new TypeError('there are three nodes');
    const init = await runCommand(['init', '--data', one.data, ...membership(1, 3)]);
    expect(init.code).toBe(0);
    expect(init.stdout.toString()).toContain(`npx loglog serve ${membership(1, 3).join(' ')} --data ${one.data}`);
    expect((await runCommand(['init', '--data', one.data, ...membership(1, 3)])).code).toBe(2);
    await Promise.all([start(1, 3), start(2, 3)].map(({ ready }) => ready));
    await (await connectTo(one, two)).append('acknowledged');
    const { clusterId } = (await two.status()) ?? {};
    await Promise.all([one.kill(), two.kill()]);
    wipe(1);
    const three = start(3, 3);
    start(1, 3);
    // It used to begin a cluster after a second, and to have a majority with node 3.
    await says(one, 'node 3 at');
    await says(one, 'it does not know the cluster either');
    await two.kill();
    start(2, 3);
    await says(one, `joins cluster ${clusterId}`);
    await says(three, `joins cluster ${clusterId}`);
    await Promise.all([one, two, three].map(({ ready }) => ready));
    for (const node of [one, two, three]) {
      const status = await until(`for node ${node.id} to answer`, () => node.status());
      expect([status.clusterId, status.node.role]).toEqual([clusterId, expect.not.stringMatching('leader')]);
    }
    // A6: not only in the log.
    await until('for node 2 to say that nobody can be elected', async () => {
      return (await two.status())?.node.whyNoLeader?.includes('nobody can be elected: all 3 nodes talk') === true;
    });
    const client = await connect(two.url, { reconnect: { timeoutMs: 3000 } });
    onTestFinished(() => client.close());
    expect((await failureOf(client.append('x'))).message).toContain('node 1 lost its disk, or never joined');
  });

  test('of three, started one by one, does not become one of five by longer lists, which say addresses and not the set (R2, R3)', async () => {
    const { nodes, start } = await machines(5);
    const three = nodes.slice(0, 3);
    // Node 1 begins the cluster when the last one is there, and not before.
    const [one] = [start(1, 3), start(3, 3)];
    await says(one, 'it does not know the cluster either');
    start(2, 3);
    await Promise.all(three.map(({ ready }) => ready));
    const client = await connectTo(...three);
    await client.append('0');
    await allCount(client, 3);
    const five = start(5, 5);
    start(4, 5);
    for (const node of three.slice(0, 2)) {
      expect(await node.stop()).toMatchObject({ code: 0 });
      await start(node.id, 5).ready;
      await client.append(String(node.id));
    }
    await says(five, 'loglog member add 5@');
    expect((await client.members()).members.map(({ id, role }) => `${id} ${role}`)).toEqual(['1 voter', '2 voter', '3 voter']);
    expect(await texts(client)).toEqual(['0', '1', '2']);
  });

  test('begins with a single node of any id, whose log it goes on with; smaller segments are refused (R10)', async () => {
    const { nodes, start } = await machines(3);
    const two = nodes[1];
    if (two === undefined) throw new TypeError('there are three nodes');
    two.start(['--node', '2', '--port', String(two.port), '--segment-bytes', '131072']);
    await two.ready;
    const alone = await (await connectTo(two)).append('alone');
    await two.stop();
    start(2, 3);
    expect(await two.exited).toEqual({ code: 2, signal: null });
    expect(two.lastWords()).toContain('start all of them with --segment-bytes 131072 or more; nothing was changed');
    const all = [2, 1, 3].map((id) => start(id, 3, ['--segment-bytes', '131072']));
    await Promise.all(all.map(({ ready }) => ready));
    await allCount(await connectTo(two), 3);
    // From then on the others need the founder no more.
    await until('for all to have the same log', async () => {
      const logs = await Promise.all(all.map((node) => node.status().then((status) => status?.log)));
      return logs.every(
        (log) => log !== undefined && log.durable === log.commit && log.commit === logs[0]?.commit && log.commit > alone.end,
      );
    });
    await two.stop();
    const [one, three] = [nodes[0], nodes[2]];
    if (one === undefined || three === undefined) throw new TypeError('there are three nodes');
    const client = await connectTo(one, three);
    await client.append('without it');
    expect(await texts(client)).toEqual(['alone', 'without it']);
  });
});
