// The harness itself must find what it is there to find: a node that forgets, and one that does nothing.

import { cpSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { LocalCluster } from '../../src/cluster/localCluster.ts';
import { makeDirectory } from '../server/support/fixture.ts';
import { compareDisks, missingFromDisk } from './diskLog.ts';
import { LoadedCluster } from './loadedCluster.ts';
import { runCluster } from './run.ts';

const FLAGS = ['--segment-bytes', '262144', '--slots', '6'];

test('a node whose disk goes back in time is found out: what it lost, and what readers had been shown', async () => {
  const directory = makeDirectory();
  const cluster = await LocalCluster.make({ nodes: 1, directory, flags: FLAGS });
  onTestFinished(() => cluster.close());
  const node = await cluster.start();
  const loaded = await LoadedCluster.start(cluster, 1, { patienceMs: 10_000, thinkMs: 40 });
  onTestFinished(() => loaded.abandon());
  await loaded.moreCommitted(300);
  await node.kill();
  const backup = join(directory, 'backup');
  cpSync(node.data, backup, { recursive: true });
  node.start();
  await loaded.moreCommitted(300);
  await node.kill();
  expect(missingFromDisk(node, loaded.recorder)).toEqual([]);
  const kept = join(directory, 'kept');
  cpSync(node.data, kept, { recursive: true });
  rmSync(node.data, { recursive: true });
  cpSync(backup, node.data, { recursive: true });
  expect(missingFromDisk(node, loaded.recorder).join()).toMatch(
    /dishonest receipt: node 1 was said to have entry \d+ .* and has nothing there/,
  );
  const end = loaded.context.acknowledgedEnd;
  const disks = [kept, backup].map((data, i) => ({ id: i + 1, data }));
  expect(compareDisks(disks, 0, end).join()).toMatch(
    /the directories of nodes 1 and 2 differ in \[0, \d+\): [0-9a-f]{64} and only \[0, \d+\)/,
  );
  expect(
    compareDisks(
      [disks[0], disks[0]].flatMap((disk) => disk ?? []),
      0,
      end,
    ),
  ).toEqual([]);
  node.start();
  await loaded.moreCommitted(1_000);
  const kinds = new Set((await loaded.judge()).map((problem) => problem.split(':', 1)[0]));
  expect(kinds).toContain('lost');
  expect(kinds.has('precommitted read') || kinds.has('read differs')).toBe(true);
});

test('a node that ends by itself is told, with its last words', async () => {
  const cluster = await LocalCluster.make({ nodes: 1, directory: makeDirectory(), flags: FLAGS });
  onTestFinished(() => cluster.close());
  const node = await cluster.start();
  process.kill(node.pid ?? 0, 'SIGABRT');
  await node.exited;
  expect(cluster.surprises.join()).toMatch(/node 1 ended on its own with SIGABRT/);
});

test('a run of a cluster that can do nothing fails, and keeps its history', async () => {
  const directory = makeDirectory();
  // Payloads of at most 4 bytes: no append of ours is taken.
  const flags = ['--max-payload-bytes', '4'];
  const { problems } = await runCluster({
    nodes: 1,
    seconds: 5,
    seed: 1,
    directory,
    tell: () => undefined,
    flags,
    patienceMs: 2_000,
    thinkMs: 40,
  });
  expect(problems.join('\n')).toMatch(/too little progress/);
  expect(existsSync(join(directory, 'history.ndjson'))).toBe(true);
});
