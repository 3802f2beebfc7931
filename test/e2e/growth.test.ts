// A log grows from one node to three, and shrinks to another one, while it is written to: nothing that was acknowledged is lost, no append fails, and a client that
// knew the address of the first node only goes on with the others.

import { join } from 'node:path';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { connect, type LogClient } from '../../src/client/index.ts';
import { ClusterNode } from '../../src/cluster/clusterNode.ts';
import { claimPorts } from '../../src/cluster/portBlock.ts';
import { until } from '../../src/cluster/until.ts';
import { removeDirectory, temporaryDirectory } from '../server/support/processNode.ts';
import { Load } from '../support/load.ts';

const directory = temporaryDirectory();
afterAll(() => removeDirectory(directory));

const TIMEOUT_MS = 240_000;

/** Nodes that are started one by one. */
class Nodes {
  readonly #ports: readonly number[];
  readonly all = new Map<number, ClusterNode>();

  constructor(ports: readonly number[]) {
    this.#ports = ports;
  }

  /** Where node `id` is reached. */
  addressOf(id: number): { id: number; host: string; port: number; peerPort: number } {
    return { id, host: '127.0.0.1', port: this.#ports[id - 1] ?? 0, peerPort: this.#ports[id + 2] ?? 0 };
  }

  /** Starts node `id`, which is told of `known` and of itself. */
  async start(id: number, known: readonly number[]): Promise<ClusterNode> {
    const peers = [...known, id].map((each) => {
      const { host, port, peerPort } = this.addressOf(each);
      return `${each}=${host}:${port}/${peerPort}`;
    });
    const flags = ['--data', join(directory, `data-${id}`), '--segment-bytes', '65536', '--slots', '3', '--election-timeout-ms', '500'];
    const { port } = this.addressOf(id);
    const node = new ClusterNode({ id, port, data: join(directory, `data-${id}`), logFile: join(directory, `${id}.log`), flags });
    this.all.set(id, node);
    node.start(['--node', String(id), '--peers', peers.join()]);
    await node.ready;
    return node;
  }
}

const rolesOf = async (log: LogClient): Promise<readonly string[]> => (await log.members()).members.map(({ id, role }) => `${id} ${role}`);

test('a log goes from one node to three and on to another one alone, under load', { timeout: 4 * TIMEOUT_MS }, async () => {
  const block = await claimPorts(6);
  const nodes = new Nodes(block.ports);
  onTestFinished(async () => {
    await Promise.all([...nodes.all.values()].map((node) => node.kill()));
    await block.release();
  });
  const first = await nodes.start(1, []);
  const log = await connect(first.url);
  const load = new Load(log, 5);
  expect(await rolesOf(log)).toEqual(['1 voter']);

  await nodes.start(2, [1]);
  await log.addMember(nodes.addressOf(2), { timeoutMs: TIMEOUT_MS });
  await nodes.start(3, [1, 2]);
  await log.addMember(nodes.addressOf(3), { timeoutMs: TIMEOUT_MS });
  expect(await rolesOf(log)).toEqual(['1 voter', '2 voter', '3 voter']);

  // The node that leads goes, and the client goes on with those that it was told of.
  await log.removeMember(1, { timeoutMs: TIMEOUT_MS });
  await first.stop();
  expect(await rolesOf(log)).toEqual(['2 voter', '3 voter']);
  const grown = load.acknowledged.size;
  await until('appends go on', () => load.acknowledged.size > grown + 20);
  const { leader } = await log.members();
  const gone = leader === 2 ? 3 : 2;
  await log.removeMember(gone, { timeoutMs: TIMEOUT_MS });
  await nodes.all.get(gone)?.stop();
  const shrunk = load.acknowledged.size;
  await until('appends go on', () => load.acknowledged.size > shrunk + 20);
  await load.stop();
  expect(load.failures).toEqual([]);

  const found = new Map<number, string>();
  for await (const entry of log.read({ from: 'start' })) found.set(entry.offset, new TextDecoder().decode(entry.payload));
  for (const [offset, text] of load.acknowledged) expect([offset, found.get(offset)]).toEqual([offset, text]);
  await log.close();

  // Whoever was removed never comes back with that directory.
  first.start(['--node', '1', '--peers', `1=127.0.0.1:${nodes.addressOf(1).port}/${nodes.addressOf(1).peerPort}`]);
  const ending = await until('the removed node has ended', async () => (first.isRunning ? false : await first.ending));
  expect(ending.lastLines.join('\n')).toContain('was removed from its cluster');
});
