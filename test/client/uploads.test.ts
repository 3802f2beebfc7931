// Copies of large appends that a client puts on followers. What an append means never changes by it.

import { describe, expect, test, vi } from 'vitest';
import { APPEND, INTRODUCE } from '../../src/protocol/client.ts';
import { failureOf } from './support/failure.ts';
import { urlOf } from './support/fakeCluster.ts';
import { settleMicrotasks } from './support/fakeServer.ts';
import { keyOf } from './support/fakeStaging.ts';
import {
  appendsOf,
  connect,
  connectTried,
  KIB,
  LARGE,
  lastOf,
  nodesOf,
  payloadOf,
  uploadCluster,
  useFakeTime,
} from './support/uploading.ts';

useFakeTime();

describe('an upload', () => {
  test('is on every follower, byte for byte, before its append leaves for the leader, which names who has it', async () => {
    const cluster = uploadCluster();
    const { log, events } = await connectTried(cluster);
    for (const id of [2, 3]) cluster.node(id).staging.isHeld = true;
    const sizes = [16 * KIB, 256 * KIB - 60, 700_000, 4 * KIB * KIB - 12];
    for (const size of sizes) {
      const before = cluster.requests(APPEND).length;
      const append = log.append(payloadOf(size, size));
      await settleMicrotasks();
      cluster.node(3).staging.answer();
      await settleMicrotasks();
      expect(cluster.requests(APPEND)).toHaveLength(before);
      cluster.node(2).staging.answer();
      const { end } = await append;
      expect(end).toBe(cluster.leader.end);
    }
    expect(nodesOf(cluster)).toEqual([undefined, undefined, 0b110, 0b110, 0b110, 0b110]);
    expect(cluster.node(1).staging.receivedBytes).toBe(0);
    const uploadedBytes = sizes.reduce((sum, size) => sum + size + 12, 0);
    expect(log.stats()).toMatchObject({ uploadedMessageCount: 4, uploadedBytes, uploadMissCount: 0 });
    expect(events.filter(({ type }) => type.startsWith('uploads'))).toEqual([
      { type: 'uploads', url: urlOf(2), nodeId: 2 },
      { type: 'uploads', url: urlOf(3), nodeId: 3 },
    ]);
    expect(new Set(cluster.requests(APPEND).map(({ upload }) => upload && keyOf(upload.id))).size).toBe(5);
  });

  test('is not made of what is too small or too large, which goes at once and in its place', async () => {
    const cluster = uploadCluster();
    const { log } = await connectTried(cluster);
    cluster.node(2).staging.isHeld = true;
    const small = log.append(payloadOf(1, 16 * KIB - 13));
    const large = log.append(payloadOf(2, 4 * KIB * KIB - 11));
    await settleMicrotasks();
    expect(nodesOf(cluster)).toEqual([undefined, undefined, undefined, undefined]);
    expect((await small).end).toBe((await large).offset);
  });

  test('keeps the order of appends, whatever their kinds and sizes, and whatever is answered first', async () => {
    const cluster = uploadCluster();
    const { log } = await connectTried(cluster);
    for (const id of [2, 3]) cluster.node(id).staging.isHeld = true;
    const before = cluster.leader.texts().length;
    const calls: Promise<{ offset: number }>[] = [];
    const texts: string[] = [];
    const append = (size: number, kind: number): void => {
      const text = `${calls.length} `.padEnd(size, '.');
      texts.push(text);
      if (kind === 0) calls.push(log.append(text));
      else if (kind === 1) calls.push(log.append(text, { ack: 'received' }));
      else {
        calls.push(log.appendBatch([text, 'and more']));
        texts.push('and more');
      }
    };
    for (let i = 0; i < 40; i++) {
      append([10, LARGE, 70_000, 0, 300_000][i % 5] ?? 0, i % 3);
      if (i % 7 === 0) await settleMicrotasks();
    }
    while (log.stats().inFlightAppendCount > 0) {
      for (const id of [3, 2]) cluster.node(id).staging.answer(1);
      await settleMicrotasks();
    }
    const offsets = (await Promise.all(calls)).map(({ offset }) => offset);
    expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
    expect(cluster.leader.texts().slice(before)).toEqual(texts);
    expect(nodesOf(cluster).filter((nodes) => nodes === 0b110).length).toBeGreaterThan(10);
  });

  test('of several ticks is made beside those before it, within what a follower may have in its socket', async () => {
    const cluster = uploadCluster();
    const { log } = await connectTried(cluster, { maxInFlightBytes: 64 * KIB * KIB });
    for (const id of [2, 3]) cluster.node(id).staging.isHeld = true;
    const received = cluster.node(2).staging.receivedBytes;
    const calls: Promise<unknown>[] = [];
    for (let i = 0; i < 10; i++) {
      calls.push(log.append(payloadOf(i)));
      await settleMicrotasks();
    }
    expect(cluster.node(2).staging.heldCount).toBe(10);
    for (let i = 0; i < 6; i++) calls.push(log.append(payloadOf(i, 1_000_000)));
    await settleMicrotasks();
    expect(cluster.node(2).staging.receivedBytes - received).toBeLessThanOrEqual(4 * KIB * KIB);
    for (let i = 0; i < 20; i++) {
      for (const id of [2, 3]) cluster.node(id).staging.answer(1);
      await settleMicrotasks();
    }
    await Promise.all(calls);
    expect(
      nodesOf(cluster)
        .slice(2)
        .every((nodes) => nodes === 0b110),
    ).toBe(true);
  });

  test('is made of no more than nodes have room for, while its appends are not settled', async () => {
    const cluster = uploadCluster();
    const { log } = await connectTried(cluster, { maxInFlightBytes: 64 * KIB * KIB });
    cluster.leader.hello = { ...cluster.leader.hello, windowBytes: 64 * KIB * KIB };
    cluster.leader.holdsAppends = true;
    const received = cluster.node(2).staging.receivedBytes;
    const calls = Array.from({ length: 10 }, (_, i) => log.append(payloadOf(i, 1_000_000)));
    for (let i = 0; i < 20; i++) await settleMicrotasks();
    expect(cluster.node(2).staging.receivedBytes - received).toBeLessThanOrEqual(8 * KIB * KIB);
    cluster.leader.holdsAppends = false;
    cluster.leader.connection.answerAppends();
    await Promise.all(calls);
    expect(cluster.node(2).staging.receivedBytes - received).toBe(10 * 1_000_012);
  });

  test('is made while the leader has as much as its window takes, one at a time', async () => {
    const cluster = uploadCluster();
    const { log } = await connectTried(cluster, { maxInFlightBytes: 64 * KIB * KIB });
    const largest = 4 * KIB * KIB - 12;
    cluster.leader.hello = { ...cluster.leader.hello, windowBytes: 4 * KIB * KIB };
    cluster.leader.holdsAppends = true;
    const { staging } = cluster.node(2);
    const received = staging.receivedBytes;
    const calls = Array.from({ length: 3 }, (_, i) => log.append(payloadOf(i, largest)));
    for (let i = 0; i < 20; i++) await settleMicrotasks();
    // The first one's append fills the window, the second one is there already, and the third would be more than nodes have room for.
    expect(appendsOf(cluster)).toHaveLength(3);
    expect(staging.receivedBytes - received).toBe(2 * (largest + 12));
    cluster.leader.connection.answerAppends();
    for (let i = 0; i < 20; i++) await settleMicrotasks();
    expect(appendsOf(cluster)).toHaveLength(4);
    expect(staging.receivedBytes - received).toBe(3 * (largest + 12));
    cluster.leader.holdsAppends = false;
    cluster.leader.connection.answerAppends();
    await Promise.all(calls);
    expect(nodesOf(cluster).slice(2)).toEqual([0b110, 0b110, 0b110]);
  });
});

describe('what an append means stays as it is', () => {
  test('a condition, and chains: each is sent in its turn, and fails as ever', async () => {
    const cluster = uploadCluster();
    const { log } = await connectTried(cluster);
    const { end } = await log.append(payloadOf(1), { expectedEnd: cluster.leader.end });
    const failure = await failureOf(log.append(payloadOf(2), { expectedEnd: 0 }));
    expect(failure).toMatchObject({ code: 'CONDITION_FAILED', details: { end } });
    const writer = log.writer({ expectedEnd: end });
    const calls = Array.from({ length: 20 }, (_, i) => writer.append(payloadOf(i, 40_000)));
    const other = log.append(payloadOf(3));
    await Promise.allSettled([...calls, other]);
    await writer.close();
    const uploaded = appendsOf(cluster).filter(({ upload }) => upload?.nodes === 0b110);
    expect(uploaded.some(({ flags }) => (flags & 4) !== 0)).toBe(true);
    expect(uploaded.some(({ flags }) => (flags & 2) !== 0)).toBe(true);
    const texts = cluster.leader.texts();
    // Links are there in order up to one, and none after it.
    const links = calls.map((_, i) => texts.indexOf(new TextDecoder().decode(payloadOf(i, 40_000)), 3));
    const done = links.filter((at) => at >= 0);
    expect(links.slice(0, done.length)).toEqual([...done].sort((a, b) => a - b));
  });

  test('an append that is tried again at the next leader has the same id and nodes, and is not uploaded again', async () => {
    vi.useRealTimers();
    const cluster = uploadCluster();
    const { log } = await connectTried(cluster);
    cluster.leader.holdsAppends = true;
    const append = log.append(payloadOf(3), { expectedEnd: cluster.leader.end });
    await settleMicrotasks();
    const first = lastOf(cluster);
    expect(first?.upload?.nodes).toBe(0b110);
    const received = [2, 3].map((id) => cluster.node(id).staging.receivedBytes);
    // The next leader says what it takes only after it was sent appends: it is known from the connection for uploads.
    cluster.node(2).onRequest = ({ opcode, b }, connection) => {
      if (opcode !== INTRODUCE) return false;
      connection.isIntroduced = true;
      connection.clientFeatures = b;
      return true;
    };
    cluster.kill(1);
    cluster.lead(2);
    await append;
    const second = lastOf(cluster);
    expect(cluster.node(2).appends).toHaveLength(1);
    expect(second?.upload).toEqual(first?.upload);
    expect(Buffer.compare(second?.body ?? Buffer.alloc(0), first?.body ?? Buffer.alloc(1))).toBe(0);
    expect([2, 3].map((id) => cluster.node(id).staging.receivedBytes)).toEqual(received);
  });

  test('an append that went without its upload is tried again without it, though followers have it by then', async () => {
    vi.useRealTimers();
    const cluster = uploadCluster();
    const { log } = await connect(cluster);
    await log.append(payloadOf(1));
    await settleMicrotasks();
    cluster.leader.holdsAppends = true;
    const append = log.append(payloadOf(2), { expectedEnd: cluster.leader.end });
    await settleMicrotasks();
    for (const id of [2, 3]) expect(cluster.node(id).staging.staged.size).toBe(1);
    cluster.kill(1);
    cluster.lead(2);
    await append;
    expect(nodesOf(cluster)).toEqual([undefined, undefined, undefined]);
  });

  test('an append whose signal is aborted while it is uploaded is not sent, and one beside it is sent without', async () => {
    const cluster = uploadCluster();
    const { log } = await connectTried(cluster);
    for (const id of [2, 3]) cluster.node(id).staging.isHeld = true;
    const controller = new AbortController();
    const aborted = failureOf(log.append(payloadOf(1), { signal: controller.signal }));
    const beside = log.append('beside');
    await settleMicrotasks();
    const count = appendsOf(cluster).length;
    controller.abort();
    expect(await aborted).toMatchObject({ code: 'ABORTED', outcome: 'failed' });
    await beside;
    expect(appendsOf(cluster)).toHaveLength(count + 1);
    expect(lastOf(cluster)?.upload).toBeUndefined();
    expect(cluster.leader.texts().at(-1)).toBe('beside');
    for (const { staging } of cluster.nodes) {
      staging.answer();
      staging.isHeld = false;
    }
    await log.append(payloadOf(4));
    expect(lastOf(cluster)?.upload?.nodes).toBe(0b110);
    expect(log.stats()).toMatchObject({ uploadedMessageCount: 1, uploadMissCount: 0, inFlightBytes: 0 });
  });
});
