// Disks of a test cluster that are slow, full, failing or lie.

import { expect, test } from 'vitest';
import { LogError, startCluster } from '../../src/testing/index.ts';

const timeout = 240_000;

test('disks that are slow, fail, fill up and lie cost the node, and no entry that was acknowledged', { timeout }, async () => {
  // Small segments: what is written ahead does not last long. Who leads goes on leading on a busy machine: a full disk means another thing there.
  await using cluster = await startCluster({ nodes: 3, segmentBytes: 65_536, slots: 3, electionTimeoutMs: 2000 });
  const log = await cluster.connect();
  let count = 0;
  /** Appends until it is acknowledged: leaders come and go here. */
  const append = async (bytes = 10): Promise<number> => {
    for (;;) {
      try {
        const { end } = await log.end();
        return (await log.append(`${++count} ${'x'.repeat(bytes)}`, { expectedEnd: end })).offset;
      } catch (thrown) {
        if (!(thrown instanceof LogError && (thrown.retryable || thrown.code === 'CONDITION_FAILED'))) throw thrown;
      }
    }
  };
  const first = await append();

  // One whose disk is slow does not slow the others; when all are, appends take as long.
  for (const node of cluster.nodes) await node.slowDisk(300);
  const startedMs = performance.now();
  await append();
  expect(performance.now() - startedMs).toBeGreaterThan(300);
  for (const node of cluster.nodes) await node.mendDisk();

  const leader = await cluster.leader();
  await leader.failDisk();
  const other = append();
  expect((await leader.ended()).code).toBe(1);
  expect(leader.log()).toMatch(/EIO/);
  await other;
  await expect(leader.start()).rejects.toThrow(/EIO/);
  await leader.mendDisk();
  await leader.start();
  await cluster.converged();

  const follower = await cluster.follower();
  await follower.fillDisk();
  let isThere = true;
  const ended = follower.ended().then((exit) => {
    isThere = false;
    return exit;
  });
  while (isThere) await append(30_000);
  expect((await ended).code).toBe(1);
  expect(follower.log()).toMatch(/ENOSPC/);
  await follower.mendDisk();
  await follower.start();
  await cluster.converged();

  // Two full disks leave no majority with room: appends are refused before they are ordered, and taken again after that.
  const leads = await cluster.leader();
  const others = cluster.nodes.filter((node) => node !== leads);
  for (const node of others) await node.fillDisk();
  const hasty = await cluster.connect({ reconnect: { timeoutMs: 3000 } });
  await expect.poll(() => hasty.append('perhaps').then(String, ({ code }: LogError) => code), { timeout }).toBe('DISK_FULL');
  expect(leads.log()).toMatch(/so that no majority could store them/);
  for (const node of others) {
    await node.mendDisk();
    await node.start();
  }
  await append();
  await cluster.converged();

  await follower.stop();
  await follower.flipBit(first);
  // A sealed segment is read when somebody asks for it: what is damaged there is healed from another node first.
  await follower.start();
  const { compared, damaged } = await cluster.check();
  expect(damaged).toEqual([]);
  expect(compared).toEqual([1, 2, 3]);
  expect(follower.log()).toMatch(/was healed with the copy of node/);
});
