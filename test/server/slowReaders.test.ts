// Readers that do not read, that ask for too much, and those that wait for ever, each beside a client that behaves well.

import { expect, onTestFinished, test } from 'vitest';
import { SEND_BUFFER_CUT_BYTES } from '../../src/core/servingLimits.ts';
import { END_AT_LEAST } from '../../src/protocol/client.ts';
import { beside } from '../support/attack/beside.ts';
import { Flood } from '../support/attack/flood.ts';
import { deafReaders, subscribers, waitingEnds } from '../support/attack/readers.ts';
import { LOG_HEAD_BYTES } from '../support/logHead.ts';
import { Canary } from './support/canary.ts';
import { appendAll, connect, payloadOf, startNode } from './support/fixture.ts';
import type { ProcessNode } from './support/processNode.ts';
import type { RawClient, Subscription } from './support/rawClient.ts';

/** What may wait in send buffers, and generous room for garbage of the largest messages that is not collected yet. */
const MEGABYTES_ALLOWED = SEND_BUFFER_CUT_BYTES / 1e6 + 250;

async function startCanary(node: ProcessNode): Promise<Canary> {
  const canary = await Canary.start(node.url, 'canary');
  onTestFinished(() => canary.terminate());
  return canary;
}

/** Reads a subscription with `bytesPerSecond`, by pausing its socket. Returns how to go on without pauses. */
function readSlowly({ socket }: RawClient, subscription: Subscription, bytesPerSecond: number): () => void {
  let resume: ReturnType<typeof setTimeout> | undefined;
  subscription.keep = false;
  subscription.onData = (bytes) => {
    socket.pause();
    resume = setTimeout(() => socket.resume(), (bytes / bytesPerSecond) * 1000);
  };
  return () => {
    subscription.onData = undefined;
    clearTimeout(resume);
    socket.resume();
  };
}

test('a reader of 1 MB/s is not cut by connections that ask for a large entry and do not read it', async () => {
  const node = await startNode({ slots: 3 });
  const writer = await connect(node);
  const large = await writer.append(Buffer.alloc(16_000_000, 'l'));
  // More than all buffers between it and the node hold.
  const receipts = await appendAll(writer, new Array<Buffer>(24).fill(payloadOf(1_000_000, 1)));
  const reader = await connect(node);
  const subscription = reader.subscribe(large.end, 0x7fff_ffff);
  const hurry = readSlowly(reader, subscription, 1_000_000);
  await subscription.until(large.end + 1_000_000);
  const attacks = { deaf: deafReaders(15, large.offset), 'deaf to all': deafReaders(15, LOG_HEAD_BYTES) };
  const attacking = beside(node, attacks, { appends: 100 }, onTestFinished);
  await subscription.until(large.end + 3_000_000);
  const { grownMegabytes } = await attacking;
  expect(grownMegabytes).toBeLessThan(MEGABYTES_ALLOWED);
  hurry();
  await subscription.until(receipts.at(-1)?.end ?? 0);
  expect(reader.errors).toEqual([]);
});

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

test.each([
  ['128 reads of 1 MB', 1_000_000, 60, 128, 60],
  ['16 reads of large entries', 15_000_000, 8, 16, 120],
])('%s from the disk, pipelined, do not get their own reader cut, however slowly it reads', async (_, bytes, entries, reads, megabytes) => {
  const node = await startNode({ slots: 3, segmentBytes: bytes > 4 << 20 ? 32 << 20 : 4 << 20 });
  const writer = await connect(node);
  const receipts = await appendAll(writer, new Array<Buffer>(entries).fill(payloadOf(bytes, 1)));
  const canary = await startCanary(node);
  const before = await node.residentMegabytes();
  const reader = await connect(node);
  const answers = Promise.all(Array.from({ length: reads }, (_, i) => reader.read(receipts[i % (entries / 2)]?.offset ?? 0)));
  answers.catch(() => undefined);
  reader.socket.pause();
  await untilFull(node, canary);
  expect((await node.residentMegabytes()) - before).toBeLessThan(megabytes);
  reader.socket.resume();
  expect((await answers).every((answer) => answer.bytes === bytes + 12)).toBe(true);
  await canary.stop();
});

test('connections that subscribe as often as they may do not hold up the appends of others', async () => {
  const node = await startNode();
  const attacks = { greedy: subscribers(64, 256, LOG_HEAD_BYTES) };
  const { cuts } = await beside(node, attacks, { appends: 100, healthChecks: 5 }, onTestFinished);
  expect(cuts.greedy).toEqual([]);
});

test('connections that wait for ends that never come do not take them from others', async () => {
  const node = await startNode();
  const client = await connect(node);
  const flood = await Flood.start(node.url, waitingEnds(300, 256));
  onTestFinished(() => flood.stop());
  const { end } = await client.append(Buffer.from('one'));
  const waiting = client.end(END_AT_LEAST, end + 1, 30_000);
  // More than ten thousand of them are refused, and told so.
  await flood.until(() => flood.answerBytes > 10_000 * 100);
  const others = Array.from({ length: 15 }, () => client.end(END_AT_LEAST, end + 1, 30_000));
  await client.append(Buffer.from('two'));
  for (const { commit } of await Promise.all([waiting, ...others])) expect(commit).toBeGreaterThan(end);
  expect(client.errors).toEqual([]);
  expect(flood.cuts).toEqual([]);
});
