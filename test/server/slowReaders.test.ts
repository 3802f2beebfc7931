// Readers that do not read, that ask for too much, and those that wait for ever, each beside a client that behaves well.

import { expect, onTestFinished, test } from 'vitest';
import { NO_OP_BYTES } from '../../assembly/layout.ts';
import { SEND_BUFFER_CUT_BYTES } from '../../src/core/limits.ts';
import { END_AT_LEAST } from '../../src/protocol/client.ts';
import { Canary } from './support/canary.ts';
import { appendAll, connect, eventually, payloadOf, startNode } from './support/fixture.ts';
import type { ProcessNode } from './support/processNode.ts';
import { openDeafReaders, openSubscribers, openWaitingEnds, SlowReader } from './support/readers.ts';

/** What may wait in send buffers, and generous room for garbage of the largest messages that is not collected yet. */
const MEGABYTES_ALLOWED = SEND_BUFFER_CUT_BYTES / 1e6 + 250;

async function startCanary(url: string): Promise<Canary> {
  const canary = await Canary.start(url, 'canary');
  onTestFinished(() => canary.terminate());
  return canary;
}

/** Waits until what is unsent on all connections stands still while a canary makes appends. */
async function untilFull(node: ProcessNode, canary: Canary): Promise<void> {
  let stood = 0;
  for (let before = -1; stood < 10; ) {
    await canary.progress(8);
    const { sendBufferedBytes } = (await node.status()).clients;
    stood = sendBufferedBytes === before && before > 0 ? stood + 1 : 0;
    before = sendBufferedBytes;
  }
}

test('a reader of 1 MB/s is not cut by connections that ask once for a large entry and do not read it', async () => {
  const node = await startNode({ slots: 3 });
  const writer = await connect(node);
  const large = await writer.append(Buffer.alloc(16_000_000, 'l'));
  const receipts = await appendAll(writer, new Array<Buffer>(24).fill(payloadOf(1_000_000, 1)));
  const end = receipts.at(-1)?.end ?? 0;
  const canary = await startCanary(node.url);
  const before = await node.residentMegabytes();
  // What it asks for is more than all buffers between it and the node hold.
  const reader = await SlowReader.start(node.url, large.end, 1_000_000);
  await reader.subscription.until(large.end + 1_000_000);
  let peak = 0;
  for (let wave = 0; wave < 3; wave += 1) {
    const attackers = await openDeafReaders(node.url, 15, large.offset);
    const next = reader.subscription.next + 1_000_000;
    await Promise.all([canary.progress(20), reader.subscription.until(next)]);
    peak = Math.max(peak, await node.residentMegabytes());
    if (wave % 2 === 0) for (const { socket } of attackers) socket.terminate();
  }
  expect(peak - before).toBeLessThan(MEGABYTES_ALLOWED);
  reader.hurry();
  await reader.subscription.until(end);
  await canary.stop();
});

test('one that has just come gets its large entries, with 20 that do not read theirs beside it', async () => {
  const node = await startNode({ slots: 3 });
  const writer = await connect(node);
  const large = await appendAll(writer, [Buffer.alloc(16_000_000, 'k'), Buffer.alloc(16_000_000, 'l')]);
  const [first, second] = large;
  if (first === undefined || second === undefined) throw new Error('two receipts');
  const reader = await connect(node);
  await openDeafReaders(node.url, 20, first.offset);
  // Those that do not read are cut as soon as somebody has waited for room for a while.
  const answers = await Promise.all([reader.read(first.offset), reader.read(second.offset)]);
  expect(answers.map(({ bytes }) => bytes)).toEqual([first.end - first.offset, second.end - second.offset]);
  expect(reader.errors).toEqual([]);
});

test('128 pipelined reads from the disk do not get their own reader cut, however slowly it reads', async () => {
  const node = await startNode({ slots: 3, segmentBytes: 4 << 20 });
  const writer = await connect(node);
  const receipts = await appendAll(writer, new Array<Buffer>(60).fill(payloadOf(1_000_000, 1)));
  const canary = await startCanary(node.url);
  const before = await node.residentMegabytes();
  const reader = await connect(node);
  const reads = Promise.all(Array.from({ length: 128 }, (_, i) => reader.read(receipts[i % 30]?.offset ?? 0)));
  reads.catch(() => undefined);
  reader.socket.pause();
  await untilFull(node, canary);
  expect((await node.residentMegabytes()) - before).toBeLessThan(60);
  reader.socket.resume();
  expect((await reads).every(({ bytes }) => bytes === 1_000_012)).toBe(true);
  await canary.stop();
});

test('nor do large entries from the disk, of which each waits for the one before', async () => {
  const node = await startNode({ slots: 3 });
  const writer = await connect(node);
  const large = await appendAll(writer, new Array<Buffer>(8).fill(Buffer.alloc(15_000_000, 'l')));
  const canary = await startCanary(node.url);
  const before = await node.residentMegabytes();
  const reader = await connect(node);
  const reads = Promise.all(large.map(({ offset }) => reader.read(offset)));
  reads.catch(() => undefined);
  reader.socket.pause();
  await untilFull(node, canary);
  expect((await node.residentMegabytes()) - before).toBeLessThan(120);
  reader.socket.resume();
  expect((await reads).every(({ bytes }) => bytes === 15_000_012)).toBe(true);
  await canary.stop();
});

test('connections that subscribe as often as they may do not hold up the appends of others', async () => {
  const node = await startNode();
  const canary = await startCanary(node.url);
  await openSubscribers(node.url, 48, 256, NO_OP_BYTES);
  await canary.progress(200);
  const { connections } = (await node.status()).clients;
  expect(connections).toBe(49);
  await canary.stop();
});

test('connections that wait for ends that never come do not take them from others', async () => {
  const node = await startNode();
  const client = await connect(node);
  await openWaitingEnds(node.url, 300, 256);
  // Those who are refused are told so; nobody is cut.
  await eventually(async () => (await node.status()).clients.connections === 301, 'all are there');
  const { end } = await client.append(Buffer.from('one'));
  const waiting = client.end(END_AT_LEAST, end + 1, 30_000);
  await client.append(Buffer.from('two'));
  expect((await waiting).commit).toBeGreaterThan(end);
  expect((await client.end()).commit).toBeGreaterThan(end);
  expect(client.errors).toEqual([]);
});
