// What `loglog doctor` says of a cluster of real nodes whose log says which it has: of a learner that stays one, of nodes that are fed, and of voters that are missing. (A node that cannot
// be fed is one for a moment only: it begins anew.)

import { cpSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, onTestFinished, test } from 'vitest';
import type { Finding } from '../../src/cli/doctor/findings.ts';
import { connect } from '../../src/client/index.ts';
import { LocalCluster } from '../../src/cluster/localCluster.ts';
import { until } from '../../src/cluster/until.ts';
import { makeDirectory } from '../server/support/fixture.ts';
import { runCommand, stopServers } from '../support/server.ts';

afterEach(stopServers);

const FLAGS = ['--segment-bytes', '65536', '--slots', '3', '--election-timeout-ms', '500'];
/** A node that is fed by such a link takes long enough to be seen. */
const SLOW = { bytesPerSecond: 40_000 };

test('learners that stay, nodes that are fed, and voters that are missing, for real', async () => {
  const directory = makeDirectory();
  const cluster = await LocalCluster.make({ nodes: 4, directory, flags: FLAGS });
  onTestFinished(() => cluster.close());
  await cluster.start();
  await cluster.allVoters();
  const log = await connect(cluster.urls, { reconnect: { timeoutMs: 60_000 } });
  onTestFinished(() => log.close());
  const { network } = cluster;
  if (network === undefined) throw new Error('a cluster of four has links');
  const fill = (entries: number): Promise<unknown> =>
    Promise.all(Array.from({ length: entries }, (_, i) => log.append(`${i} ${'x'.repeat(4_000)}`)));

  /** What it says, but for disks that this machine makes slow now. */
  const doctor = async (): Promise<readonly Finding[]> => {
    const { stdout } = await runCommand(['doctor', '--json', '--url', cluster.urls.join()]);
    const { findings } = JSON.parse(stdout.toString()) as { readonly findings: readonly Finding[] };
    return findings.filter(({ code }) => code !== 'DISK_SLOW');
  };
  const found = (findings: readonly Finding[], wanted: string): Finding | undefined => findings.find(({ code }) => code === wanted);
  const seen = (wanted: string): Promise<Finding> => until(`the doctor says ${wanted}`, async () => found(await doctor(), wanted), 120_000);

  // Of four voters one becomes a learner that stays one: nothing is wrong with that.
  await log.demoteMember(4, { timeoutMs: 60_000 });
  await until('all is well', async () => (await doctor()).length === 0, 60_000);

  // A node on an old copy of its disk.
  if ((await cluster.leader()).id === 3) await log.transfer({ to: 1, timeoutMs: 60_000 });
  const three = cluster.node(3);
  await cluster.converged();
  await three.stop();
  const copy = join(directory, 'copy');
  cpSync(three.data, copy, { recursive: true });
  three.start();
  await until('node 3 has an entry', async () => (await log.append('an entry')).nodes.includes(3));
  await fill(100);
  await cluster.converged();
  await three.stop();
  rmSync(three.data, { recursive: true });
  renameSync(copy, three.data);
  network.slow(3, SLOW);
  three.start();
  const old = await seen('OLD_COPY');
  expect([old.about, old.severity, old.seen, old.todo]).toEqual([
    'node 3',
    'problem',
    'it lacks what it had acknowledged to the leader: it runs on an old copy of its disk',
    'nothing now: it is fed anew, and counts again then; never start a node on a copy or a snapshot of its disk again',
  ]);
  network.heal();
  await cluster.converged();

  // One that lost its disk, and is fed.
  await until('all is well again', async () => (await doctor()).length === 0, 60_000);
  await three.kill();
  cluster.wipe(three);
  network.slow(3, SLOW);
  three.start();
  const joining = await seen('NOT_A_VOTER');
  expect([joining.about, joining.severity, joining.seen]).toEqual(['node 3', 'warning', 'it does not count for majorities yet']);
  network.heal();
  await until('all is well once more', async () => (await doctor()).length === 0, 120_000);

  // Two of three voters are gone; the learner does not count.
  await Promise.all([1, 3].map((id) => cluster.node(id).kill()));
  const lost = await until('nobody leads, and node 2 says why', async () => {
    const one = found(await doctor(), 'NO_MAJORITY');
    // The other two end one after the other.
    return one?.seen.includes('it talks to 1 of 3 voters') === true && one;
  });
  expect(lost.seen).toMatch(
    /^nobody leads, and 2 of 4 nodes answer here; .*node 2 says: it talks to 1 of 3 voters, itself included, and a leader needs 2: /,
  );
  expect([lost.expected, lost.todo]).toEqual([
    '2 of 3 voters that talk with each other, and may vote',
    'start the nodes 1, 3; if it is gone for good with a majority of the disks: loglog recover show DIR on each machine that is left',
  ]);
  const down = found(await doctor(), 'NODE_DOWN');
  expect(down?.todo).toContain('loglog recover show DIR');
}, 600_000);
