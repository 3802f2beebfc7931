// The client's uploads with real nodes: they hit, a follower that stands still holds nothing up, and a leader that dies in the middle loses nothing.

import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ClientEvent, LogClient } from '../../src/client/index.ts';
import { startCluster, type TestCluster } from '../../src/testing/index.ts';

const PAYLOAD_BYTES = 100_000;

let cluster: TestCluster;
let log: LogClient;
const events: ClientEvent[] = [];

beforeAll(async () => {
  // On a busy machine, too, leaders end only where the test ends them: an append at one that is deposed is unknown.
  cluster = await startCluster({ nodes: 3, fsync: false, electionTimeoutMs: 2000 });
  log = await cluster.connect({ uploads: 'on', onEvent: (event) => void events.push(event) });
});

afterAll(() => cluster?.close());

const payloadOf = (number: number): Uint8Array => new Uint8Array(PAYLOAD_BYTES).fill(number % 256);

async function appendSome(count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, i) => log.append(payloadOf(i))));
}

/** Appends until uploads go to all of these nodes. */
async function uploadTo(ids: readonly number[]): Promise<void> {
  const isUploading = (id: number): boolean =>
    events.findLast((event) => 'nodeId' in event && event.nodeId === id && event.type.startsWith('uploads'))?.type === 'uploads';
  while (!ids.every(isUploading)) await appendSome(1);
}

/** What node `id` counts. */
async function countsOf(id: number): Promise<{ readonly hits: number; readonly placed: number }> {
  const url = new URL('/status', cluster.urls[id - 1]?.replace(/^ws/, 'http'));
  return ((await (await fetch(url)).json()) as { uploads: { hits: number; placed: number } }).uploads;
}

test('what a client appends is on the followers before it is ordered', async () => {
  const leader = await cluster.leader();
  const followers = [1, 2, 3].filter((id) => id !== leader.id);
  await uploadTo(followers);
  // Where the machine is busy, an announcement may come after its append, which has no use of it then; and another node may lead by now.
  const isPlaced = async (): Promise<boolean> => {
    const counts = await Promise.all([1, 2, 3].map(countsOf));
    return counts.some(({ hits }) => hits > 0) && counts.filter(({ placed }) => placed > 0).length >= followers.length;
  };
  do await appendSome(20);
  while (!(await isPlaced()));
});

test('a follower that stands still leaves, and comes back', async () => {
  const follower = await cluster.follower();
  await uploadTo([follower.id]);
  await follower.pause();
  await appendSome(20);
  await follower.resume();
  const lost = events.filter((event) => event.type === 'uploadsLost' && event.nodeId === follower.id);
  expect(lost.length).toBeGreaterThan(0);
  await uploadTo([follower.id]);
});

test('a leader that dies in the middle of a chain of uploads loses nothing, and the next one gets them', async () => {
  const leader = await cluster.leader();
  const writer = log.writer({ expectedEnd: (await log.end({ linearizable: true })).end });
  const before = log.stats().uploadedMessageCount;
  const calls = Array.from({ length: 60 }, (_, i) => writer.append(payloadOf(i)));
  await calls[20];
  await leader.kill();
  await Promise.all(calls);
  expect(log.stats().uploadedMessageCount).toBeGreaterThan(before);
  const next = await cluster.leader({ not: leader });
  await uploadTo([1, 2, 3].filter((id) => id !== next.id && id !== leader.id));
  await leader.start();
  // No loss, no duplicate, one order, on all nodes.
  await cluster.check();
});
