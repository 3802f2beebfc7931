// As a user: two of three nodes are lost for good, the third is recovered, refuses what is left of before, and grows to three nodes again.

import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { connect } from '../../src/client/index.ts';
import { ClusterNode } from '../../src/cluster/clusterNode.ts';
import { claimPorts } from '../../src/cluster/portBlock.ts';
import { until } from '../../src/cluster/until.ts';
import { planRecovery, RECOVER_RANDOM_BYTES, recoverCluster } from '../../src/generation/recover.ts';
import { survivorIn } from '../../src/generation/survivors.ts';
import { type Identity, readIdentity, writeIdentity } from '../../src/storage/dataDirectory.ts';
import { NodeDisk } from '../../src/storage/nodeDisk.ts';
import { MemoryDisk } from '../crash/memoryDisk.ts';
import { DIRECTORY } from '../crash/testNode.ts';
import { describedLog, killed, type MakeLog, NOW_MS } from '../generation/support.ts';
import { makeDirectory } from '../server/support/fixture.ts';
import { type CommandResult, runCommand } from '../support/server.ts';

const FLAGS = ['--segment-bytes', '65536', '--slots', '3', '--election-timeout-ms', '500'];
const ENTRIES = 300;

interface Cluster {
  readonly nodes: readonly [ClusterNode, ClusterNode, ClusterNode];
  start(node: ClusterNode): void;
}

async function makeCluster(directory: string): Promise<Cluster> {
  const block = await claimPorts(6);
  const peers = [1, 2, 3].map((id) => `${id}=127.0.0.1:${block.ports[id - 1]}/${block.ports[id + 2]}`).join();
  const make = (id: number): ClusterNode => {
    const data = join(directory, `data-${id}`);
    const logFile = join(directory, `${id}.log`);
    return new ClusterNode({ id, port: block.ports[id - 1] ?? 0, data, logFile, flags: ['--data', data, ...FLAGS] });
  };
  const nodes = [make(1), make(2), make(3)] as const;
  onTestFinished(async () => {
    await Promise.all(nodes.map((node) => node.kill()));
    await block.release();
  });
  return { nodes, start: (node) => node.start(['--node', String(node.id), '--peers', peers]) };
}

const text = ({ stdout }: CommandResult): string => stdout.toString().trim();
const logOf = ({ logFile }: ClusterNode): string => (logFile === undefined || !existsSync(logFile) ? '' : readFileSync(logFile, 'utf8'));

test('two of three nodes are lost, the third is recovered, and grows to three again', async () => {
  const directory = makeDirectory();
  const { nodes, start } = await makeCluster(directory);
  const [first, second, third] = nodes;
  const urls = nodes.map(({ url }) => url);
  for (const node of nodes) start(node);
  const before = await connect(urls, { reconnect: { timeoutMs: 120_000 } });
  onTestFinished(() => before.close());
  await until('all three have an entry', async () => (await before.append('first')).nodes.length === 3);
  const texts = Array.from({ length: ENTRIES }, (_, i) => `${i} ${'x'.repeat((i * 37) % 900)}`);
  await Promise.all(texts.map((each) => before.append(each)));
  await until('all three have all', async () => (await before.append('last')).nodes.length === 3);

  const running = await runCommand(['recover', 'show', first.data]);
  expect([running.code, running.stderr]).toEqual([1, expect.stringContaining('is in use by process')]);
  await Promise.all(nodes.map((node) => node.kill()));
  const old = join(directory, 'old-2');
  renameSync(second.data, old);
  renameSync(third.data, join(directory, 'old-3'));

  const show = await runCommand(['recover', 'show', first.data]);
  expect(show.code).toBe(0);
  expect(text(show)).toMatch(/^node=1,instance=[\w=,]+,number=1,[\w=,]+,standing=voter,founder=(yes|no),check=[0-9a-f]{8}$/);
  const end = Number(/,end=(\d+)/.exec(text(show))?.[1]);
  const apply = ['recover', 'apply', first.data, '--from', text(show)];
  const loss = [
    ', of node 1 of cluster ',
    `and it ends at offset ${end}`,
    `loglog: may be lost: whatever nodes 2, 3 had after offset ${end}, acknowledged or not; nobody can say what that was`,
    'loglog: clients, bookmarks and receipts of before, of generation 1, are of another generation from then on: they get GENERATION_CHANGED',
    'loglog: no other directory of this cluster may be started again: empty them, and let their nodes join',
  ];
  const asked = await runCommand(apply);
  for (const sentence of [...loss, 'nothing was changed: run it again with --i-accept-data-loss']) expect(asked.stderr).toContain(sentence);
  expect([asked.code, text(await runCommand(['recover', 'show', first.data]))]).toEqual([2, text(show)]);
  const others = await runCommand([...apply, text(await runCommand(['recover', 'show', old])), '--i-accept-data-loss']);
  expect([others.code, others.stderr]).toEqual([2, expect.stringContaining('the lines are of 2 of the 3 nodes, which are a majority')]);

  const done = await runCommand([...apply, '--i-accept-data-loss']);
  for (const sentence of loss) expect(done.stderr).toContain(sentence);
  expect([done.code, text(done)]).toEqual([0, expect.stringContaining(`is the log from offset 0 to ${end}, `)]);
  expect(text(done)).toMatch(/Type next:\n {2}.*loglog.* serve --data /);
  const again = await runCommand(['recover', 'show', first.data]);
  expect([again.code, again.stderr]).toEqual([2, expect.stringContaining('belongs to a node alone, which has no majority to lose')]);
  expect((await runCommand(['verify', first.data])).code).toBe(0);

  // What is left of before does not come back by mistake.
  renameSync(old, second.data);
  for (const node of [first, second]) start(node);
  await until('the old directory is refused', () => /OTHER_GENERATION/.test(logOf(first) + logOf(second)));
  await second.kill();
  // Nor one that was still to be let in: nothing in it says of which generation it is.
  const disk = new NodeDisk();
  const { generation, ...left } = readIdentity(disk, second.data) ?? {};
  expect(generation).toMatch(/^[0-9a-f]{16}$/);
  writeIdentity(disk, second.data, { ...(left as Identity), standing: 'new' });
  start(second);
  await until('it is refused, too', () => /was begun anew since it was let in/.test(logOf(first) + logOf(second)));
  await second.kill();
  expect(readIdentity(disk, first.data)).toMatchObject({ standing: 'voter', isFounder: true });
  renameSync(second.data, old);
  for (const node of [second, third]) start(node);
  await expect(before.append('as before')).rejects.toMatchObject({ code: 'GENERATION_CHANGED' });
  const log = await connect(urls);
  onTestFinished(() => log.close());
  await until('all three have an entry', async () => (await log.append('more')).nodes.length === 3);
  const found = new Set<string>();
  for await (const { payload } of log.read()) found.add(Buffer.from(payload).toString());
  expect(texts.filter((each) => !found.has(each))).toEqual([]);
  await first.kill();
  expect((await log.append('without the first')).offset).toBeGreaterThan(end);
}, 240_000);

/** The directory of a node of three whose recovery was cut short: its `at`-th plan was written to node.json, and nothing after that. */
async function cutShort(make: MakeLog, at: number): Promise<string> {
  const { image } = await killed(make, (identity) => ({ ...identity, nodes: [1, 2, 32], isFounder: false }));
  let plans = 0;
  const dying = new MemoryDisk(image, (operation) => {
    if (operation.kind !== 'rename' || !operation.to.endsWith('node.json')) return;
    plans += 1;
    if (plans > at) throw new Error('it dies');
  });
  const plan = planRecovery(dying, DIRECTORY, [survivorIn(dying, DIRECTORY)]);
  const random = new Uint8Array(RECOVER_RANDOM_BYTES).fill(3);
  expect(() => recoverCluster(dying, DIRECTORY, { plan, random, nowMs: NOW_MS })).toThrow('it dies');
  const directory = join(makeDirectory(), 'data');
  mkdirSync(directory);
  for (const [path, { bytes }] of dying.image())
    if (path.startsWith(`${DIRECTORY}/`)) writeFileSync(join(directory, basename(path)), bytes);
  return directory;
}

test.each([
  [
    'of level 1',
    'before it has begun',
    describedLog,
    1,
    'another generation',
    'receipts of before, of generation 2, are of another generation from then on: they get GENERATION_CHANGED',
  ],
  [
    'of level 0',
    'once it has begun',
    () => Promise.resolve(),
    2,
    'another cluster',
    'the log has no generations, and becomes another cluster: clients, bookmarks and receipts of before get OTHER_CLUSTER',
  ],
])(
  'a recovery of a log %s that was cut short %s is finished by the command that doctor names, without its line',
  async (_level, _when, make, at, as, loss) => {
    const { image } = await killed(make, (identity) => ({ ...identity, nodes: [1, 2, 32], isFounder: false }));
    const untouched = join(makeDirectory(), 'data');
    mkdirSync(untouched);
    for (const [path, { bytes }] of image) if (path.startsWith(`${DIRECTORY}/`)) writeFileSync(join(untouched, basename(path)), bytes);
    const without = await runCommand(['recover', 'apply', untouched]);
    expect([without.code, without.stderr]).toEqual([
      2,
      expect.stringContaining('--from is needed: the lines of all directories that are left'),
    ]);
    const asked = await runCommand(['recover', 'apply', untouched, '--from', text(await runCommand(['recover', 'show', untouched]))]);
    expect([asked.code, asked.stderr]).toEqual([2, expect.stringContaining(loss)]);

    const directory = await cutShort(make, at);
    const shown = await runCommand(['recover', 'show', directory]);
    expect([shown.code, shown.stderr]).toEqual([
      2,
      expect.stringContaining(`did not come to its end: loglog recover apply ${directory} goes on`),
    ]);
    const { stdout } = await runCommand(['doctor', '--no-probe', '--json', directory]);
    const { findings } = JSON.parse(stdout.toString()) as {
      readonly findings: readonly { readonly code: string; readonly todo: string }[];
    };
    const command = /finish it: loglog (.*); leave the directory as it is/.exec(findings[0]?.todo ?? '')?.[1]?.split(' ') ?? [];
    expect([findings.length, findings[0]?.code, command]).toEqual([1, 'UNFINISHED', ['recover', 'apply', directory]]);
    const done = await runCommand(command);
    expect([done.code, text(done)]).toEqual([0, expect.stringMatching(new RegExp(` segments?, as ${as}\\nIt is node \\d+ of cluster `))]);
    expect((await runCommand(['verify', directory])).code).toBe(0);
  },
);
