// The drill: a cluster that is written to is backed up while its leader dies; what was backed up is restored, serves, and grows to three nodes again.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { connect } from '../../src/client/index.ts';
import { ClusterNode } from '../../src/cluster/clusterNode.ts';
import { claimPorts } from '../../src/cluster/portBlock.ts';
import { until } from '../../src/cluster/until.ts';
import { startCluster } from '../../src/testing/index.ts';
import { makeDirectory } from '../server/support/fixture.ts';
import { Load } from '../support/load.ts';
import { runCommand } from '../support/server.ts';

const FLAGS = ['--segment-bytes', '65536', '--slots', '3', '--election-timeout-ms', '500'];

interface Report {
  readonly start: number;
  readonly end: number;
  /** Of a restore. */
  readonly backupEnd?: number;
  readonly clusterId: string;
}

async function command(...args: readonly string[]): Promise<Report> {
  const { code, stdout, stderr } = await runCommand([...args, '--json']);
  expect([code, stderr]).toEqual([0, expect.anything()]);
  return JSON.parse(stdout.toString()) as Report;
}

test('a cluster that is written to is backed up over the death of its leader, restored, and grown to three nodes again', async () => {
  const directory = makeDirectory();
  const folder = join(directory, 'backup');
  const data = join(directory, 'data-1');
  const cluster = await startCluster({ segmentBytes: 65_536, slots: 3, electionTimeoutMs: 500 });
  const urls = cluster.urls.join();
  const load = new Load(await cluster.connect(), 20);
  await until('the log has some segments', () => load.end > 200_000);
  const first = load.end;
  const running = command('backup', urls, folder, '--timeout', '60');
  await (await cluster.leader()).kill();
  expect((await running).end).toBeGreaterThanOrEqual(first);
  await until('a new leader acknowledges', () => load.end > first + 20_000);
  const second = load.end;
  const backup = await command('backup', urls, folder, '--timeout', '60');
  expect(backup.end).toBeGreaterThanOrEqual(second);
  await load.stop();
  await cluster.close();

  const report = await command('restore', folder, data);
  expect([report.start, report.backupEnd]).toEqual([0, backup.end]);
  expect(report.clusterId).not.toBe(backup.clusterId);
  expect((await runCommand(['verify', data])).code).toBe(0);
  const again = await runCommand(['restore', folder, data]);
  expect([again.code, again.stderr]).toEqual([2, expect.stringContaining('is a data directory already')]);

  const block = await claimPorts(6);
  const peers = [1, 2, 3].map((id) => `${id}=127.0.0.1:${block.ports[id - 1]}/${block.ports[id + 2]}`).join();
  const nodes = [1, 2, 3].map((id) => {
    const own = join(directory, `data-${id}`);
    const node = new ClusterNode({
      id,
      port: block.ports[id - 1] ?? 0,
      data: own,
      logFile: join(directory, `${id}.log`),
      flags: ['--data', own, ...FLAGS],
    });
    node.start(['--node', String(id), '--peers', peers]);
    return node;
  });
  onTestFinished(async () => {
    await Promise.all(nodes.map((node) => node.kill()));
    await block.release();
  });
  const log = await connect(nodes.map(({ url }) => url));
  onTestFinished(() => log.close());
  await until('all three have an entry', async () => (await log.append('more')).nodes.length === 3);
  const generations = (): string[] =>
    [1, 2, 3].map((id) => String(JSON.parse(readFileSync(join(directory, `data-${id}`, 'node.json'), 'utf8')).generation));
  const restored = generations()[0] ?? '';
  await until('all three say that they are of the new generation', () => generations().every((id) => id === restored));
  const found = new Map<number, string>();
  for await (const { offset, payload } of log.read()) found.set(offset, Buffer.from(payload).toString());
  const inBackup = [...load.acknowledged].filter(([offset]) => offset < backup.end);
  expect(inBackup.length).toBeGreaterThan(500);
  expect(inBackup.filter(([offset, text]) => found.get(offset) !== text)).toEqual([]);
  // The others have all of it: the node that was restored may go.
  await nodes[0]?.kill();
  const { offset } = await log.append('without the first');
  expect(offset).toBeGreaterThan(backup.end);
  const refused = await runCommand(['backup', nodes[1]?.url ?? '', folder]);
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('is a backup of another log: it is of cluster')]);
}, 240_000);

test('what is no backup, or no empty directory, gets a sentence and stays as it is', async () => {
  const directory = makeDirectory();
  const used = join(directory, 'used');
  mkdirSync(used);
  writeFileSync(join(used, 'photo.jpg'), 'x');
  const none = await runCommand(['restore', used, join(directory, 'data')]);
  expect([none.code, none.stderr]).toEqual([2, expect.stringContaining('is not the folder of a backup')]);
  const missing = await runCommand(['restore', join(directory, 'nothing'), join(directory, 'data')]);
  expect(missing.code).toBe(2);
  expect(readdirSync(directory)).toEqual(['used']);
});
