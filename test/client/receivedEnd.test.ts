// Up to where the appends of a writer that asks for `received` are committed, when its leader is gone: the log decides, entry by entry of
// that leader's term, and nothing that was seen of other nodes.

import { afterEach, expect, test } from 'vitest';
import { KIND_NOOP } from '../../assembly/layout.ts';
import type { LogClient } from '../../src/client/client.ts';
import { SUBSCRIBE } from '../../src/protocol/client.ts';
import { failureOf } from './support/failure.ts';
import { FakeCluster, urlOf } from './support/fakeCluster.ts';
import { settleMicrotasks } from './support/fakeServer.ts';

const NOOP_BYTES = 12;

let cluster: FakeCluster;
let log: LogClient;

async function begin(): Promise<void> {
  cluster = new FakeCluster();
  log = await cluster.connect({ ack: 'received' });
}

afterEach(() => log.close());

/** Nodes 2 and 3 go on without node 1, in `term`, with a foreign entry, which they commit. */
function goOnWithoutFirst(term: number): void {
  for (const id of [2, 3]) {
    const node = cluster.node(id);
    node.add('', term, KIND_NOOP);
    node.add('foreign', term);
    node.say({ role: id === 2 ? 'leader' : 'follower', leader: id === 2 ? '' : urlOf(2), term });
    for (const connection of node.connections) connection.push();
  }
}

test.each([0, 1])(
  'a receipt of an old leader that comes after the commit of the next one was seen proves nothing, after %i that are committed',
  async (committed) => {
    await begin();
    await log.end();
    const writer = log.writer({ expectedEnd: NOOP_BYTES });
    if (committed > 0) await writer.append('A');
    const { end } = writer;
    cluster.lagging.add(2).add(3);
    cluster.leader.holdsAppends = true;
    const lost = writer.appendBatch(['own entry that is lost, and longer than the foreign one']);
    const failed = failureOf(writer.appendBatch(['C']));
    await settleMicrotasks();
    goOnWithoutFirst(2);
    await settleMicrotasks();
    const { connection } = cluster.node(1);
    connection.answerAppends(1);
    expect((await lost).end).toBeGreaterThan(cluster.node(2).end);
    cluster.kill(1);
    const error = await failed;
    expect(error.details.chainEnd).toBe(end);
    expect(writer.end).toBe(end);
    expect(cluster.node(2).texts()).toEqual(committed > 0 ? ['A', 'foreign'] : ['foreign']);
  },
);

test('entries of an earlier term that the leader of the writer’s term never had do not count', async () => {
  await begin();
  // Node 1 leads term 3 without the entry of term 2 that nodes 2 and 3 have; nothing of term 3 is ever committed.
  for (const id of [2, 3]) cluster.node(id).add('', 2);
  cluster.lagging.add(2).add(3);
  const first = cluster.node(1);
  first.maxCommit = NOOP_BYTES;
  for (const id of [2, 3]) cluster.node(id).maxCommit = NOOP_BYTES;
  first.add('', 3, KIND_NOOP);
  first.say({ term: 3 });
  const writer = log.writer({ expectedEnd: NOOP_BYTES });
  await writer.append('A');
  await writer.append('B'.repeat(100));
  cluster.leader.holdsAppends = true;
  const failed = failureOf(writer.append('C'));
  await settleMicrotasks();
  cluster.kill(1);
  for (const id of [2, 3]) {
    const node = cluster.node(id);
    node.add('', 4, KIND_NOOP);
    node.maxCommit = Number.POSITIVE_INFINITY;
    node.say({ role: id === 2 ? 'leader' : 'follower', leader: id === 2 ? '' : urlOf(2), term: 4 });
  }
  expect((await failed).details.chainEnd).toBe(NOOP_BYTES);
  expect(writer.end).toBe(NOOP_BYTES);
});

test('a long writer finds the end of what is committed by a few looks, wherever it is, and of a batch all or nothing', {
  timeout: 60_000,
}, async () => {
  for (const committed of [0, 1, 700, 1199, 1200]) {
    await begin();
    const writer = log.writer({ expectedEnd: NOOP_BYTES });
    const ends = [NOOP_BYTES];
    const receipts = [];
    for (let i = 0; i < 1200; i++) {
      if (i === committed) cluster.lagging.add(2).add(3);
      receipts.push(writer.appendBatch([`${i}`, 'second']));
      if (i % 100 === 99 || i === committed - 1) await receipts.at(-1);
    }
    for (const { end } of await Promise.all(receipts)) ends.push(end);
    cluster.leader.holdsAppends = true;
    const failed = failureOf(writer.append('last'));
    await settleMicrotasks();
    cluster.kill(1);
    cluster.lagging.clear();
    for (const { requests } of cluster.nodes) requests.length = 0;
    cluster.lead(2);
    // Other entries are where the lost ones were, and some of them begin where those began.
    while (cluster.leader.end <= (ends.at(-1) ?? 0)) cluster.leader.add('', 2);
    cluster.replicate();
    expect((await failed).details.chainEnd).toBe(ends[committed]);
    expect(writer.end).toBe(ends[committed]);
    const looks = cluster.requests(SUBSCRIBE).map(({ offset }) => offset);
    expect(looks.length).toBeLessThan(24);
    await log.close();
  }
});

test('of a batch of which the log shows a part the end is its beginning', async () => {
  await begin();
  const writer = log.writer({ expectedEnd: NOOP_BYTES });
  const { end } = await writer.append('A');
  const batch = await writer.appendBatch(['B', 'C']);
  for (const node of cluster.nodes) node.maxCommit = batch.offsets[1] ?? 0;
  cluster.leader.holdsAppends = true;
  const failed = failureOf(writer.append('D'));
  await settleMicrotasks();
  cluster.kill(1);
  cluster.lead(2);
  expect((await failed).details.chainEnd).toBe(end);
});
