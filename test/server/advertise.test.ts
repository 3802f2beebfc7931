// Nodes of a cluster tell clients where each of them says that it is reached, and one address is enough to go on when its node dies.

import { expect, onTestFinished, test } from 'vitest';
import { connect } from '../../src/client/index.ts';
import { LocalCluster } from '../../src/cluster/localCluster.ts';
import { encodeIntroduce } from '../../src/protocol/client.ts';
import { eventually, makeDirectory } from './support/fixture.ts';
import { RawClient } from './support/rawClient.ts';

test('every node tells every other one’s --advertise, the leader’s too, and a client with one address outlives its node', async () => {
  const cluster = await LocalCluster.make({
    nodes: 3,
    directory: makeDirectory(),
    flags: ['--slots', '3', '--peer-host', '127.0.0.1'],
    flagsOf: (id) => (id === 2 ? ['--advertise', 'ws://localhost:9/two'] : []),
  });
  onTestFinished(() => cluster.close());
  await cluster.start();
  const urls = cluster.nodes.map(({ id, url }) => (id === 2 ? 'ws://localhost:9/two' : url));
  for (const node of cluster.nodes) {
    const client = await RawClient.connect(node.url);
    onTestFinished(() => client.socket.terminate());
    client.send(encodeIntroduce(1, { lowestVersion: 1, highestVersion: 1, features: 0, name: 'test/1' }));
    await eventually(() => client.hello.cluster?.members[1]?.url === urls[1], `node ${node.id} tells where node 2 is`);
    expect(client.hello.cluster?.members).toEqual(urls.map((url, i) => ({ id: i + 1, url })));
    const { leaderId } = client.hello.cluster ?? {};
    if (leaderId !== undefined && leaderId !== 0 && leaderId !== node.id) expect(client.hello.leader).toBe(urls[leaderId - 1]);
  }
  const log = await connect(cluster.node(1).url);
  onTestFinished(() => log.close());
  await log.append('before');
  await cluster.node(1).kill();
  // Nobody is at node 2's address, so only node 3 can be reached; it is the leader, or says where that would be.
  expect((await log.end()).end).toBeGreaterThan(0);
  expect(log.hello.nodeId).toBe(3);
});
