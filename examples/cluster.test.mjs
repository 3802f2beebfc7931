// A test with a cluster of its own, for any test runner. Run it with: node --test examples/

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startCluster } from 'loglogd/testing';

test('orders outlive their leader, and a follower that is cut off', async (t) => {
  // With TypeScript, or on Node 24: `await using cluster = await startCluster(…)`.
  const cluster = await startCluster({ nodes: 3 });
  t.after(() => cluster.close());

  const log = await cluster.connect();
  const { end } = await log.append('order 1');

  const leader = await cluster.leader();
  await leader.kill();
  // Only if nobody appended anything since: so it is not done twice when its answer is lost.
  await log.append('order 2', { expectedEnd: end });
  await leader.start();

  const follower = await cluster.follower();
  const others = cluster.nodes.filter((node) => node !== follower).map(({ id }) => id);
  await cluster.partition([[follower.id], ['clients', ...others]]);
  await log.append('order 3');
  await cluster.heal();

  const orders = [];
  for await (const { payload } of log.read()) orders.push(new TextDecoder().decode(payload));
  assert.deepEqual(orders, ['order 1', 'order 2', 'order 3']);

  // Nothing that was acknowledged is lost, nothing is there twice, and everybody saw the same order.
  await cluster.check();
});
