// A leader hands its office over because somebody asks for it: to a node by name, to the one that is furthest, or to nobody.

import { afterAll, expect, onTestFinished, test } from 'vitest';
import { openLog } from '../../dist/src/index.js';
import { startCluster } from '../../dist/src/testing/index.js';
import { eventually } from '../server/support/fixture.ts';
import { runCommand, stopServers, temporaryDirectory } from '../support/server.ts';

afterAll(stopServers);

test('a leader hands over while appends are under way, to whom it is told, or goes on', async () => {
  const cluster = await startCluster({ nodes: 3, fsync: false, electionTimeoutMs: 3000 });
  onTestFinished(() => cluster.close());
  const log = await cluster.connect();
  await log.append(Buffer.from('first'));
  const leader = await cluster.leader();
  const [one, two] = [1, 2, 3].filter((id) => id !== leader.id).map((id) => cluster.node(id));
  if (one === undefined || two === undefined) throw new Error('three nodes');

  const dry = await log.transfer({ to: one.id, dryRun: true });
  expect(dry).toEqual({ from: leader.id, leader: one.id, term: dry.term });
  expect((await cluster.leader()).id).toBe(leader.id);
  expect(await log.transfer({ to: leader.id })).toEqual({ from: leader.id, leader: leader.id, term: dry.term });
  await expect(log.transfer({ to: 9 })).rejects.toMatchObject({ code: 'UNSUPPORTED', message: expect.stringContaining('1, 2, 3') });
  await expect(log.transfer({ to: 0 })).rejects.toThrow(RangeError);

  const appends = Promise.all(Array.from({ length: 200 }, (_, i) => log.append(Buffer.from(String(i)))));
  // Where the transfer fails, that is what is told.
  appends.catch(() => undefined);
  const named = await log.transfer({ to: one.id });
  expect(named).toEqual({ from: leader.id, leader: one.id, term: named.term });
  expect(named.term).toBeGreaterThan(dry.term);
  await appends;
  const others = await log.transfer();
  expect(others.from).toBe(one.id);
  expect(others.leader).not.toBe(one.id);
  await log.append(Buffer.from('last'));

  // Who does not answer does not get it, and whoever leads leads on.
  const last = await cluster.leader();
  const away = last.id === two.id ? one : two;
  await away.kill();
  await eventually(
    () =>
      log.transfer({ to: away.id }).then(
        () => false,
        (thrown: { code: string }) => thrown.code === 'NOT_READY',
      ),
    'the leader notices that the node is gone',
  );
  await log.append(Buffer.from('still'));
  expect((await cluster.leader()).id).toBe(last.id);
  const third = [1, 2, 3].find((id) => id !== last.id && id !== away.id);
  const { code, stdout } = await runCommand(['transfer', '--url', cluster.urls[0] ?? '', '--json']);
  expect([code, JSON.parse(String(stdout))]).toMatchObject([0, { from: last.id, leader: third, dryRun: false }]);
  await cluster.check();
});

test('a log of one node has nobody to hand over to', async () => {
  await using log = await openLog({ dir: temporaryDirectory(), fsync: false });
  await expect(log.transfer()).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  await log.append(Buffer.from('on'));
});
