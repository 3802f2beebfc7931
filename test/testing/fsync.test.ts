// A cluster that syncs nothing says so wherever it is asked, and a kill loses nothing of it.

import { expect, test } from 'vitest';
import { diskOf } from '../../src/storage/unsyncedDisk.ts';
import { startCluster } from '../../src/testing/index.ts';
import { runCommand } from '../support/server.ts';

test('a cluster without fsync calls nothing durable, in receipts, greetings, status, metrics and logs', { timeout: 240_000 }, async () => {
  await using cluster = await startCluster({ nodes: 1, fsync: false });
  const [node] = cluster.nodes;
  if (node === undefined) throw new TypeError('there is one');
  const log = await cluster.connect();
  expect(log.hello.isDurable).toBe(false);
  const receipt = await log.append('one');
  expect(receipt).toMatchObject({ level: 'volatile', nodes: [1] });
  expect(await log.appendBatch(['two', 'three'])).toMatchObject({ level: 'volatile' });
  const received = await log.append('four', { ack: 'received' });
  expect(received).toMatchObject({ level: 'received' });
  // What was only received need not be committed yet.
  const writer = log.writer({ expectedEnd: (await log.end({ atLeast: received.end, linearizable: true })).end });
  const link = writer.append('five');
  // Its receipt may have to be found in the log.
  await node.kill();
  await node.start();
  expect(await link).toMatchObject({ level: 'volatile' });
  expect((await node.status())?.node.isDurable).toBe(false);
  const metrics = await fetch(new URL('/metrics', node.url.replace(/^ws/, 'http')));
  expect(await metrics.text()).toMatch(/^loglog_fsync 0$/m);
  expect(node.log()).toContain('--fsync off: nothing that this node acknowledges is durable');
  const { stdout } = await runCommand(['status', '--url', node.url]);
  expect(stdout.toString()).toMatch(/durable +nothing: it runs with --fsync off/);
  expect(await cluster.check()).toMatchObject({ entries: 5, acknowledged: 4 });
});

test('a disk without fsync syncs nothing; one with it asks the system', () => {
  // No such file: whoever asks is told.
  const closed = 1_000_000;
  expect(() => diskOf(true).dataSync(closed)).toThrow(/EBADF/);
  expect(() => diskOf(false).dataSync(closed)).not.toThrow();
  expect(() => diskOf(true).syncDirectory('/nowhere')).toThrow(/ENOENT/);
  expect(() => diskOf(false).syncDirectory('/nowhere')).not.toThrow();
});

test('fsync is true or false', async () => {
  await expect(startCluster({ fsync: 'off' as unknown as boolean })).rejects.toThrow('fsync must be true or false, not string');
});
