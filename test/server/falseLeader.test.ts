// What was committed survives a restart, whoever speaks first afterwards.

import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { connect } from '../../src/client/index.ts';
import { LocalCluster } from '../../src/cluster/localCluster.ts';
import { until } from '../../src/cluster/until.ts';
import { NO_INSTANCE, NO_TERM } from '../../src/core/ids.ts';
import { LOG_LEVEL } from '../../src/core/levels.ts';
import { PeerSockets } from '../../src/peers/peerSockets.ts';
import { readIdentity } from '../../src/storage/dataDirectory.ts';
import { readFile } from '../../src/storage/disk.ts';
import { segmentName } from '../../src/storage/names.ts';
import { NodeDisk } from '../../src/storage/nodeDisk.ts';
import { examineDirectory } from '../../src/storage/offline.ts';
import { stampNoOp } from '../crash/batches.ts';
import { BARE_LOG_HEAD_BYTES } from '../support/logHead.ts';
import { makeDirectory } from './support/fixture.ts';

const SEGMENT_BYTES = 4 * 1024 * 1024;
const disk = new NodeDisk();

/** What a node's directory says to be committed; a running node may be changing it. */
function boundOf(directory: string): number {
  return examineDirectory(disk, directory, { everyEntry: false }).commit;
}

/** Sends node 2, as node 1 of its cluster and leader of a new term, a no-op in the place of what is at `offset`. */
function lie(cluster: LocalCluster, offset: number, term: number): PeerSockets {
  const identity = readIdentity(disk, cluster.node(1).data);
  const port = cluster.network?.link(1, 2).port ?? 0;
  if (identity === undefined) throw new Error('node 1 has an identity');
  const body = stampNoOp(identity.instance, term, offset);
  const before = examineDirectory(disk, cluster.node(1).data, { everyEntry: false }).segments[0]?.terms[0] ?? NO_TERM;
  const leaders = { prevTerm: before.term, prevLeader: before.leader, entriesTerm: term, entriesLeader: identity.instance };
  const request = { prevOffset: offset, ...leaders, end: offset + body.length, base: 0, commit: offset };
  const sockets: PeerSockets = new PeerSockets({
    self: {
      clusterId: identity.clusterId,
      id: 1,
      instance: identity.instance,
      process: 'f'.repeat(16),
      segmentBytes: SEGMENT_BYTES,
      isSynced: true,
      takesUploads: false,
      levels: { lowest: 0, highest: LOG_LEVEL },
      level: 0,
      generation: NO_INSTANCE,
      standing: 'voter',
      term: 1,
      nodes: [1, 2, 3],
      saysNodes: false,
      voters: [1, 2, 3],
      isRemoved: () => false,
      advertise: '',
    },
    now: () => ({ standing: 'voter', isFounder: true, term }),
    stuckMs: 60_000,
    silentMs: 60_000,
    events: {
      message: () => undefined,
      receiving: () => undefined,
      connected: (to) => sockets.send(to, { kind: 'appendRequest', term, round: 1, ...request }, body),
      disconnected: () => undefined,
      gone: () => undefined,
      doubts: () => undefined,
      greeting: () => undefined,
      accepted: () => undefined,
      drained: () => undefined,
      changed: () => undefined,
      log: () => undefined,
    },
  });
  sockets.dial([{ id: 2, host: '127.0.0.1', peerPort: port }]);
  return sockets;
}

test('R4: a restarted node shows what was committed at once, and one frame of a false leader cuts none of it', {
  timeout: 180_000,
}, async () => {
  const directory = makeDirectory();
  const cluster = await LocalCluster.make({ nodes: 3, directory, hasSecret: false, flags: ['--segment-bytes', String(SEGMENT_BYTES)] });
  onTestFinished(() => cluster.close());
  await cluster.start();
  const client = await connect(cluster.urls);
  const entry = new Uint8Array(64 * 1024).fill(7);
  for (let i = 0; i < 30; i += 1) await client.append(entry);
  await client.close();
  const end = await cluster.converged();
  // Nobody appends any more: what stands on each disk catches up with the commit, the followers' too.
  for (const { id, data } of cluster.nodes) await until(`for the commit bound of node ${id}`, () => boundOf(data) === end);
  const { status } = (await cluster.statuses())[0] ?? {};
  const term = status?.node.term ?? 0;
  await Promise.all(cluster.nodes.map((node) => node.kill()));

  const two = cluster.node(2);
  const segment = join(two.data, segmentName(0));
  two.start();
  await two.ready;
  // No leader has told it anything.
  expect((await two.status())?.log).toMatchObject({ commit: end, durable: end });
  const before = Buffer.from(readFile(disk, segment)).subarray(4096, 4096 + end);
  two.excuse(/at offset 116, below this node's commit/);
  const sockets = lie(cluster, BARE_LOG_HEAD_BYTES, term + 1);
  onTestFinished(() => sockets.close());
  await until('for node 2 to stop', () => !two.isRunning);
  expect(Buffer.compare(Buffer.from(readFile(disk, segment)).subarray(4096, 4096 + end), before)).toBe(0);
  expect(boundOf(two.data)).toBe(end);
  expect(cluster.surprises).toEqual([]);
});
