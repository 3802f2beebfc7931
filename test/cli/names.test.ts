// A6, with real processes: what the nodes, `loglog status` and the client say when two processes are one node, and when addresses lead elsewhere.

import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { connect, type LogClient } from '../../src/client/index.ts';
import { ClusterNode } from '../../src/cluster/clusterNode.ts';
import { LinkProxy } from '../../src/cluster/link.ts';
import { claimPorts } from '../../src/cluster/portBlock.ts';
import { until } from '../../src/cluster/until.ts';
import type { NodeStatus } from '../../src/node/status.ts';
import { failureOf } from '../client/support/failure.ts';
import { makeDirectory } from '../server/support/fixture.ts';
import { RawClient } from '../server/support/rawClient.ts';
import { runCommand } from '../support/server.ts';

const FLAGS = ['--segment-bytes', '65536', '--slots', '3', '--election-timeout-ms', '300'];
const timeout = 120_000;

interface Machine {
  readonly node: ClusterNode;
  /** What a list of nodes says of it. */
  readonly entry: string;
  readonly peerPort: number;
}

/** A machine for a node `id`, whose data directory does not exist yet. */
type MakeMachine = (id: number) => Machine;

async function machines(count: number): Promise<MakeMachine> {
  const directory = makeDirectory();
  const block = await claimPorts(2 * count);
  const ports = [...block.ports];
  const made: ClusterNode[] = [];
  onTestFinished(async () => {
    await Promise.all(made.map((node) => node.kill()));
    await block.release();
  });
  return (id) => {
    const [port = 0, peerPort = 0] = ports.splice(0, 2);
    const data = join(directory, `data-${port}`);
    const node = new ClusterNode({ id, port, data, logFile: join(directory, `${port}.log`), flags: ['--data', data, ...FLAGS] });
    made.push(node);
    return { node, peerPort, entry: `${id}=127.0.0.1:${port}/${peerPort}` };
  };
}

async function connectTo(node: ClusterNode, timeoutMs: number): Promise<LogClient> {
  const client = await connect(node.url, { reconnect: { timeoutMs } });
  onTestFinished(() => client.close());
  return client;
}

function saying(node: ClusterNode, isSaid: (status: NodeStatus) => boolean, what: string): Promise<unknown> {
  return until(`for node ${node.id} to say ${what}`, async () => {
    const status = await node.status();
    return status !== undefined && isSaid(status);
  });
}

function knowsTwo(node: ClusterNode, text: string): Promise<unknown> {
  const isSaid = ({ cluster }: NodeStatus): boolean =>
    cluster.causes.some(({ code, sentence }) => code === 'TWO_PROCESSES' && sentence.includes(text));
  return saying(node, isSaid, `that there are two: ${text}`);
}

describe('two processes with one id', { timeout }, () => {
  test('A6: a copied directory, and an empty one: the cluster goes on, every side says it, and the second one learns why it has no leader', async () => {
    const make = await machines(5);
    const three = [1, 2, 3].map(make);
    const [one, two] = [three[0]?.node, three[1]?.node];
    if (one === undefined || two === undefined) throw new TypeError('there are three machines');
    const list = three.map(({ entry }) => entry).join();
    const start = ({ node }: Machine, peers: string): Promise<unknown> => {
      node.start(['--node', String(node.id), '--peers', peers]);
      return node.ready;
    };
    await Promise.all(three.map((machine) => start(machine, list)));
    const client = await connectTo(one, 20_000);
    await client.append('before');
    // Stopped, so that the copy is one of a directory at rest.
    await two.stop();
    const copy = make(2);
    cpSync(two.data, copy.node.data, { recursive: true });
    two.start(['--node', '2', '--peers', list]);
    await two.ready;
    await client.append('between');
    const elsewhere = [three[0]?.entry, copy.entry, three[2]?.entry].join();
    await start(copy, elsewhere);
    await saying(
      copy.node,
      ({ node }) => node.whyNoLeader?.includes('another process runs as node 2') === true,
      'that it is the second one',
    );
    // A client that the copy sends on to the cluster is served; what the copy answers itself says why it does not lead.
    await (await connectTo(copy.node, 20_000)).append('sent on');
    const { hello } = await RawClient.connect(copy.node.url);
    expect(hello.whyNoLeader).toContain('node 2 runs already, with a copy of the same data directory');
    expect(hello.whyNoLeader).not.toContain('majority of the nodes must be up');
    await client.append('after');
    await knowsTwo(one, 'with copies of one data directory');
    await until('for the log to say so', () => one.log().includes('two processes run as node 2'));
    const shown = await runCommand(['status', '--url', one.url]);
    expect(shown.stdout.toString().replace(/\n +/g, ' ')).toContain('two processes run as node 2');
    await copy.node.kill();
    const fresh = make(2);
    await start(fresh, [three[0]?.entry, fresh.entry, three[2]?.entry].join());
    await knowsTwo(one, 'each with a data directory of its own');
    await client.append('at last');
    expect((await one.status())?.cluster.nodes.filter(({ isConnected }) => isConnected)).toHaveLength(3);
  });
});

describe('addresses that lead elsewhere', { timeout }, () => {
  test('A6: back to the node itself by a loopback name, and by a forwarded port to another node', async () => {
    const make = await machines(3);
    const [one, two, three] = [1, 2, 3].map(make);
    if (one === undefined || two === undefined || three === undefined) throw new TypeError('there are three machines');
    const forwarded = await LinkProxy.listen(two.peerPort);
    onTestFinished(() => forwarded.close());
    // As on a machine whose /etc/hosts has the name of another one as its own.
    const list = [one.entry, `2=127.0.1.1:${two.node.port}/${one.peerPort}`, `3=127.0.0.1:${three.node.port}/${forwarded.port}`].join();
    const flags = ['--node', '1', '--peers', list];
    expect((await runCommand(['init', '--data', one.node.data, ...flags])).code).toBe(0);
    one.node.start([...flags, '--host', '0.0.0.0', '--insecure']);
    await one.node.ready;
    two.node.start(['--node', '2', '--peers', [one.entry, two.entry, three.entry].join()]);
    const isSaid = ({ node, cluster }: NodeStatus): boolean =>
      node.whyNoLeader !== null && cluster.causes.map(({ code }) => code).join() === 'LEADS_TO_SELF,LEADS_TO_OTHER';
    await saying(one.node, isSaid, 'where its addresses lead');
    const client = await connectTo(one.node, 300);
    const { message } = await failureOf(client.append('x'));
    expect(message).toContain('itself included, and a leader needs 2');
    expect(message).toContain(`the address of node 2 in the list of nodes, 127.0.1.1:${one.peerPort}, leads back to this node itself`);
    expect(message).toContain(`the address of node 3 in the list of nodes, 127.0.0.1:${forwarded.port}, leads to node 2`);
    const shown = await runCommand(['status', '--url', one.node.url]);
    expect(shown.code).toBe(1);
    expect(shown.stdout.toString().replace(/\n +/g, ' ')).toContain('leads back to this node itself');
    await until('for the log to say so', () => one.node.log().includes('no leader is known: it talks to'));
  });
});
