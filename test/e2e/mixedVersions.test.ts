// A cluster of an earlier build is upgraded node by node while it is written to, and goes back the same way: nothing that was acknowledged is lost, and no
// append fails. docs/COMPATIBILITY.md promises it.

import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { connect } from '../../src/client/index.ts';
import { ClusterNode } from '../../src/cluster/clusterNode.ts';
import { claimPorts } from '../../src/cluster/portBlock.ts';
import { LOGLOG } from '../../src/cluster/program.ts';
import { until } from '../../src/cluster/until.ts';
import { makeDirectory } from '../server/support/fixture.ts';
import { earlierBuild } from '../support/earlierBuild.ts';
import { Load } from '../support/load.ts';
import { runCommand } from '../support/server.ts';

/** The last commit before sets of nodes could change. */
const EARLIER = '40d1e4f';

test('a cluster under load is upgraded node by node from an earlier build, and goes back', async () => {
  const directory = makeDirectory();
  const earlier = earlierBuild(EARLIER, join(directory, 'earlier'));
  if (earlier === undefined) return console.warn(`mixed versions did not run: the history here does not go back to ${EARLIER}`);
  const block = await claimPorts(6);
  const peers = [1, 2, 3].map((id) => `${id}=127.0.0.1:${block.ports[id - 1]}/${block.ports[id + 2]}`).join();
  const make = (id: number, program: string): ClusterNode => {
    const data = join(directory, `data-${id}`);
    const flags = ['--data', data, '--segment-bytes', '65536', '--slots', '3', '--election-timeout-ms', '500'];
    return new ClusterNode({ id, port: block.ports[id - 1] ?? 0, data, logFile: join(directory, `${id}.log`), flags, program });
  };
  const nodes = new Map([1, 2, 3].map((id) => [id, make(id, earlier)]));
  const programs = new Map([1, 2, 3].map((id) => [id, earlier]));
  onTestFinished(async () => {
    await Promise.all([...nodes.values()].map((node) => node.kill()));
    await block.release();
  });
  const start = (node: ClusterNode): void => node.start(['--node', String(node.id), '--peers', peers]);
  for (const node of nodes.values()) start(node);
  const urls = [...nodes.values()].map(({ url }) => url);
  const log = await connect(urls, { reconnect: { timeoutMs: 60_000 } });
  onTestFinished(() => log.close());
  const hasAll = (): Promise<unknown> => until('all three have an entry', async () => (await log.append('all')).nodes.length === 3);
  await hasAll();
  const load = new Load(log, 10);
  const change = async (id: number, program: string): Promise<void> => {
    await nodes.get(id)?.stop();
    const node = make(id, program);
    nodes.set(id, node);
    programs.set(id, program);
    start(node);
    await node.ready;
    await hasAll();
  };
  /** All nodes, the one that leads last, as docs/OPERATIONS.md says. */
  const rolling = async (program: string): Promise<void> => {
    const leader = (await until('a node leads', async () => (await nodes.get(1)?.status())?.node.leader ?? false)).id;
    const left = [1, 2, 3].filter((id) => programs.get(id) !== program);
    for (const id of left.sort((a, b) => Number(a === leader) - Number(b === leader))) await change(id, program);
  };
  const json = async <T>(...args: string[]): Promise<T> =>
    JSON.parse((await runCommand([...args, '--json', '--url', urls.join()])).stdout.toString());
  const levels = (): Promise<{ readonly level: number; readonly newest: number }> => json('upgrade', 'status');
  await change(3, LOGLOG);
  const mixed = await levels();
  const { findings } = await json<{ findings: readonly { code: string; about: string }[] }>('doctor');
  const held = findings.filter(({ code }) => code === 'VERSION_HOLDS_BACK').map(({ about }) => about);
  // As long as the newer build knows no newer level, nobody holds anything back.
  expect(held).toEqual(mixed.newest > mixed.level ? ['node 1', 'node 2'] : []);
  await rolling(LOGLOG);
  const upgraded = load.acknowledged.size;
  const { level, newest } = await levels();
  await rolling(earlier);
  await load.stop();
  expect(load.failures).toEqual([]);
  expect([upgraded > 0, load.acknowledged.size > upgraded]).toEqual([true, true]);
  const found = new Map<number, string>();
  for await (const { offset, payload } of log.read()) found.set(offset, Buffer.from(payload).toString());
  expect([...load.acknowledged].filter(([offset, text]) => found.get(offset) !== text)).toEqual([]);

  // What the newest build alone knows is in the log only when somebody says so; then the earlier one refuses it.
  if (level === newest)
    return console.warn(`both builds know the same level, ${level}: that the earlier one refuses a higher one did not run`);
  await rolling(LOGLOG);
  expect((await runCommand(['upgrade', 'finalize', '--url', urls.join()])).code).toBe(0);
  await hasAll();
  await nodes.get(3)?.stop();
  const old = make(3, earlier);
  nodes.set(3, old);
  start(old);
  expect((await old.exited).code).toBe(1);
  expect(old.log()).toMatch(/newer/i);
}, 120_000);
