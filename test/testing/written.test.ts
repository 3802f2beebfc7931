// What is written without promises, over the death of a leader, in a cluster that records what its clients do.

import { expect, onTestFinished, test } from 'vitest';
import { startCluster } from '../../dist/src/testing/index.js';

test('what is written is in the log once, in order, although the leader dies on the way', async () => {
  const cluster = await startCluster({ nodes: 3, fsync: false });
  onTestFinished(() => cluster.close());
  const log = await cluster.connect();
  const writer = log.writer({ expectedEnd: (await log.end()).end });
  const leader = await cluster.leader();
  const texts = Array.from({ length: 3_000 }, (_, i) => `entry ${i}`);
  let killed: Promise<void> | undefined;
  for (const [i, text] of texts.entries()) {
    if (i === 1_000) killed = leader.kill();
    // In portions, so that some are on their way when it dies.
    if (!writer.write(text) || i % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await killed;
  const range = await writer.flushed();
  expect([range?.count, range?.end]).toEqual([texts.length, writer.end]);
  const seen: string[] = [];
  for await (const { payload } of log.readable({ from: range?.offset, follow: false })) seen.push(Buffer.from(payload).toString());
  expect(seen).toEqual(texts);
  await cluster.check();
});
