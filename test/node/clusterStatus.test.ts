// What a node says of the others: what was measured or told, and nothing else.

import { cpSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ClusterNode } from '../../src/cluster/clusterNode.ts';
import { LocalCluster } from '../../src/cluster/localCluster.ts';
import { until } from '../../src/cluster/until.ts';
import { configure } from '../../src/core/config.ts';
import { PEER_CATCHING_UP, PEER_REPLICATING, PEER_UNKNOWN, ROLE_FOLLOWER, ROLE_LEADER, STATE } from '../../src/memory/map.ts';
import { TailMemory } from '../../src/memory/tailMemory.ts';
import { ClusterStatus } from '../../src/node/clusterStatus.ts';
import type { ClusterNodeStatus } from '../../src/node/status.ts';
import { payloadOf } from '../server/support/fixture.ts';
import { removeDirectory, temporaryDirectory } from '../server/support/processNode.ts';
import { RawClient } from '../server/support/rawClient.ts';

/** Node 1 of three, which leads, as its raft thread describes the others. */
function leading(): {
  readonly memory: TailMemory;
  readonly status: ClusterStatus;
  readonly see: (id: number) => ClusterNodeStatus | undefined;
} {
  const memory = TailMemory.create({ segmentBytes: 65_536, slots: 3 });
  const config = configure({ node: '1', peers: '1=a:1/2,2=b:1/2,3=c:1/2' });
  const status = new ClusterStatus(memory, config);
  memory.setWord32(STATE.ROLE, ROLE_LEADER);
  return { memory, status, see: (id) => status.nodes('ws://a:1').find((node) => node.id === id) };
}

describe('R7: /status of a leader', () => {
  test('says null of a node that it has not heard, and what it heard of the others, 0 too', () => {
    const { memory, see } = leading();
    memory.peers.set(2, { match: null, isVoter: null, state: PEER_UNKNOWN, isOldCopy: false });
    memory.peers.set(3, { match: 0, isVoter: false, state: PEER_REPLICATING, isOldCopy: false, isConnected: true });
    expect(see(2)).toMatchObject({ durable: null, lagBytes: null, isVoter: null, isOldCopy: null, state: 'unknown', lastContactMs: null });
    expect(see(3)).toMatchObject({ durable: 0, lagBytes: 0, isVoter: false, isOldCopy: false, state: 'replicating' });
    expect(memory.peers.match(2)).toBeLessThan(0);
  });

  test('says of itself nothing that nobody told it', () => {
    const { memory, see } = leading();
    expect(see(1)).toMatchObject({ isVoter: null, durable: 0, isOldCopy: null, lastContactMs: null });
    memory.peers.set(1, { isVoter: true });
    expect(see(1)).toMatchObject({ isVoter: true });
  });

  test('and of one that led says nothing of what it heard then', () => {
    const { memory, see } = leading();
    memory.peers.set(3, { match: 500, isVoter: true, state: PEER_REPLICATING, isOldCopy: true });
    memory.setWord32(STATE.ROLE, ROLE_FOLLOWER);
    expect(see(3)).toMatchObject({ durable: null, lagBytes: null, isVoter: null, isOldCopy: null, state: 'unknown' });
  });

  test('and of one behind a link that is down says what it said last, not how it is fed, nor what its disk is', () => {
    const { memory, see } = leading();
    memory.peers.set(3, { match: 500, isVoter: true, state: PEER_REPLICATING, isOldCopy: false, isConnected: false, contactMs: 7 });
    expect(see(3)).toMatchObject({ durable: 500, isVoter: true, isConnected: false, state: 'unknown', isOldCopy: null, lastContactMs: 7 });
  });

  test('how many more nodes may fail: of those that are there, count, have what was acknowledged and are fed', () => {
    const { memory, status } = leading();
    const well = { match: 500, isVoter: true, state: PEER_REPLICATING, isOldCopy: false, isConnected: true };
    memory.peers.set(2, well);
    memory.peers.set(3, well);
    expect(status.toleratedFailures).toBe(1);
    for (const ill of [
      { isConnected: false },
      { isVoter: false },
      { isOldCopy: true },
      { state: PEER_CATCHING_UP },
      { state: PEER_UNKNOWN },
    ]) {
      memory.peers.set(3, { ...well, ...ill });
      expect([ill, status.toleratedFailures]).toEqual([ill, 0]);
    }
    memory.peers.set(2, { ...well, isConnected: false });
    expect(status.toleratedFailures).toBe(0);
    memory.setWord32(STATE.ROLE, ROLE_FOLLOWER);
    expect(status.toleratedFailures).toBeNull();
    const alone = new ClusterStatus(memory, configure({}));
    memory.setWord32(STATE.ROLE, ROLE_LEADER);
    expect(alone.toleratedFailures).toBe(0);
  });

  test('R11: names a node that runs on an old copy of its disk', () => {
    const { memory, see } = leading();
    memory.peers.set(2, { match: 100, isVoter: false, state: PEER_REPLICATING, isOldCopy: true, isConnected: true });
    expect(see(2)).toMatchObject({ isOldCopy: true, isVoter: false, durable: 100 });
  });
});

/** Appends through the leader; the end of what is committed. */
async function append(node: ClusterNode, count: number): Promise<number> {
  const client = await RawClient.connect(node.url);
  const receipts = await Promise.all(Array.from({ length: count }, (_, i) => client.append(payloadOf(1000, i))));
  await client.close();
  return receipts.at(-1)?.end ?? 0;
}

/** What `node` says of node `id`. */
async function viewOf(node: ClusterNode, id: number): Promise<ClusterNodeStatus | undefined> {
  return (await node.status())?.cluster.nodes.find((other) => other.id === id);
}

describe('a real cluster', () => {
  const directory = temporaryDirectory();
  let cluster: LocalCluster;

  beforeAll(async () => {
    // Long enough for a busy machine: the leader that knows what the others had is to stay.
    cluster = await LocalCluster.make({ nodes: 3, directory, flags: ['--election-timeout-ms', '4000'] });
    await cluster.start();
    await cluster.allVoters();
  });

  afterAll(async () => {
    await cluster.close();
    removeDirectory(directory);
  });

  test('R11: a node on an old copy of its disk is noticed, said, fed, and counts again at last', async () => {
    const leader = await cluster.leader();
    const node = cluster.nodes.find((other) => other !== leader) as ClusterNode;
    await append(leader, 5);
    await cluster.converged();
    await node.kill();
    const copy = join(directory, 'copy');
    cpSync(node.data, copy, { recursive: true });
    node.start();
    await node.ready;
    const end = await append(leader, 50);
    await until('for the leader to hear that the node has all', async () => ((await viewOf(leader, node.id))?.durable ?? 0) >= end);
    await node.kill();
    const gone = await until('for the leader to see that the node is gone', async () => {
      const view = await viewOf(leader, node.id);
      return view?.isConnected === false && view;
    });
    // Whatever becomes of its disk meanwhile: this was its last word.
    expect(gone).toMatchObject({ durable: expect.any(Number), isVoter: true, state: 'unknown', isOldCopy: null });
    rmSync(node.data, { recursive: true });
    cpSync(copy, node.data, { recursive: true });
    node.start();
    await node.ready;
    await until('for the node to have all again', async () => {
      const [view, own] = [await viewOf(leader, node.id), await node.status()];
      return view?.isVoter === true && (own?.log.durable ?? 0) >= end && (own?.log.commit ?? 0) >= end;
    });
    expect((await cluster.leader()).id).toBe(leader.id);
    expect(await viewOf(leader, node.id)).toMatchObject({ isOldCopy: false, isVoter: true });
    expect(leader.log()).toContain(`node ${node.id} came back with an old copy of its disk`);
    expect(node.log()).toContain('this directory is an old copy');
    expect(JSON.parse(readFileSync(join(node.data, 'node.json'), 'utf8'))).toMatchObject({ standing: 'voter' });
  });

  test('R7: after a failover the dead leader is unknown in /status and has no sample in /metrics', async () => {
    const dead = await cluster.leader();
    const end = await append(dead, 5);
    await dead.kill();
    const leader = await cluster.leader(dead);
    const alive = cluster.nodes.find((node) => node !== dead && node !== leader);
    const heard = await until('for the new leader to hear the other node', async () => {
      const view = await viewOf(leader, alive?.id ?? 0);
      return (view?.durable ?? 0) > end && view?.isVoter === true && view.lagBytes === 0 && view;
    });
    expect(heard).toMatchObject({ isVoter: true, lagBytes: 0 });
    const notFed = { state: 'unknown', isOldCopy: null };
    expect(await viewOf(leader, dead.id)).toMatchObject({ durable: null, lagBytes: null, isVoter: null, isConnected: false, ...notFed });
    const metrics = await (await fetch(`${leader.url.replace('ws', 'http')}/metrics`)).text();
    const samples = metrics.split('\n').filter((line) => line.startsWith('loglog_peer_durable_offset{'));
    expect(samples.map((line) => /node="(\d)"/.exec(line)?.[1])).toEqual([String(alive?.id)]);
    // A follower knows nothing of the kind.
    const follower = alive as ClusterNode;
    expect(await viewOf(follower, leader.id)).toMatchObject({ durable: null, lagBytes: null, isVoter: null, state: 'unknown' });
  });
});
