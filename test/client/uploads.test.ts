// Copies of large appends that a client puts on followers. What an append means never changes by it, and nobody waits for a follower that is not well.

import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { LogClient } from '../../src/client/client.ts';
import type { ClientEvent } from '../../src/client/events.ts';
import type { OpenTransport } from '../../src/client/nodes/transport.ts';
import type { ConnectOptions } from '../../src/client/options.ts';
import { Follower, type FollowerOwner } from '../../src/client/uploads/follower.ts';
import { Pace } from '../../src/client/uploads/pace.ts';
import { Upload } from '../../src/client/uploads/upload.ts';
import { APPEND, INTRODUCE } from '../../src/protocol/client.ts';
import { FEATURE_UPLOADS } from '../../src/protocol/greeting.ts';
import { encodeUpload } from '../../src/protocol/uploads.ts';
import { failureOf } from './support/failure.ts';
import { FakeCluster, urlOf } from './support/fakeCluster.ts';
import type { SeenRequest } from './support/fakeServer.ts';
import { settleMicrotasks } from './support/fakeServer.ts';
import { keyOf, UPLOADS_HELP } from './support/fakeStaging.ts';

const KIB = 1024;
const LARGE = 20 * KIB;

/** A payload of its own. */
function payloadOf(number: number, bytes = LARGE): Uint8Array {
  return new Uint8Array(bytes).fill(number % 251);
}

/** A cluster whose nodes take uploads, of which the leader says that they help. */
function uploadCluster(count = 3, uploadFeatures = UPLOADS_HELP): FakeCluster {
  const cluster = new FakeCluster(count);
  for (const [i, node] of cluster.nodes.entries()) {
    node.hello = { ...node.hello, features: 2, process: `${i + 1}`.repeat(16) };
    node.uploadFeatures = uploadFeatures;
    const members = cluster.urls.map((url, i) => ({ id: i + 1, url }));
    node.toldToIntroduced = { generation: '0'.repeat(16), leaderId: 1, members, segmentBytes: 0 };
  }
  return cluster;
}

interface Uploading {
  readonly log: LogClient;
  readonly events: ClientEvent[];
}

async function connect(cluster: FakeCluster, options: ConnectOptions = {}): Promise<Uploading> {
  const events: ClientEvent[] = [];
  const log = await cluster.connect({ onEvent: (event) => void events.push(event), ...options }, [urlOf(1)]);
  onTestFinished(() => log.close());
  await settleMicrotasks();
  return { log, events };
}

/** A client that has tried the followers: the first append dials them, the second one is their trial. */
async function connectTried(cluster: FakeCluster, options: ConnectOptions = {}): Promise<Uploading> {
  const uploading = await connect(cluster, options);
  for (let i = 0; i < 2; i++) {
    await uploading.log.append(payloadOf(i));
    await settleMicrotasks();
  }
  return uploading;
}

/** Node 2 as a follower, without a client around it. */
function followerOf(open: OpenTransport, owner: Partial<FollowerOwner> = {}): Follower {
  const { signal } = new AbortController();
  const follower = new Follower(2, urlOf(2), {
    dialOptions: () => ({ open, observed: { commit: 0 }, hasOthers: () => false, timeoutMs: 1000, clusterId: undefined, signal }),
    answered: () => undefined,
    trusted: () => undefined,
    left: () => undefined,
    ...owner,
  });
  onTestFinished(() => follower.close(false));
  return follower;
}

/** The APPENDs that nodes were sent; for each upload, what it names is there, byte for byte. */
function appendsOf(cluster: FakeCluster): SeenRequest[] {
  const appends = cluster.requests(APPEND);
  for (const { upload, body } of appends) {
    for (let bit = 0; upload !== undefined && bit < 32; bit++) {
      const staged = ((upload.nodes >>> bit) & 1) === 1 ? cluster.node(bit + 1).staging.staged.get(keyOf(upload.id)) : body;
      expect(Buffer.compare(body, staged ?? Buffer.alloc(0))).toBe(0);
    }
  }
  return appends;
}

/** Whom each APPEND names. */
function nodesOf(cluster: FakeCluster): (number | undefined)[] {
  return appendsOf(cluster).map(({ upload }) => upload?.nodes);
}

function lastOf(cluster: FakeCluster): SeenRequest | undefined {
  return appendsOf(cluster).at(-1);
}

// Time passes when a test says so: a follower is slow by its word alone.
beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] }));
afterEach(() => void vi.useRealTimers());

async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

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

describe('a follower that is not well leaves, and the append is not held up', () => {
  /** Sends one large append, and returns how long it took and whom it named. */
  async function appendOnce(cluster: FakeCluster, log: LogClient, advanceMs = 0): Promise<number | undefined> {
    let isDone = false;
    const append = log.append(payloadOf(9)).then(() => {
      isDone = true;
    });
    await settleMicrotasks();
    if (advanceMs > 0) {
      await pass(advanceMs - 1);
      await settleMicrotasks();
      expect(isDone).toBe(false);
      await pass(2);
      await settleMicrotasks();
    }
    expect(isDone).toBe(true);
    await append;
    return lastOf(cluster)?.upload?.nodes;
  }

  const lossesIn = (events: readonly ClientEvent[]): unknown[] =>
    events.flatMap((event) => (event.type === 'uploadsLost' ? [[event.nodeId, event.reason, event.retryMs]] : []));

  test('that is slower than the others is waited for 500 ms, and for none of the next, is tried beside them after a rest, and comes back', async () => {
    const cluster = uploadCluster();
    const { log, events } = await connectTried(cluster);
    const { staging } = cluster.node(3);
    staging.isHeld = true;
    expect(await appendOnce(cluster, log, 500)).toBe(0b010);
    expect(lossesIn(events)).toEqual([[3, 'it was slower than an upload waits', 1000]]);
    const dialed = cluster.dialed.length;
    expect(await appendOnce(cluster, log)).toBe(0b010);
    await pass(990);
    expect(await appendOnce(cluster, log)).toBe(0b010);
    expect(cluster.dialed).toHaveLength(dialed);
    await pass(20);
    const received = staging.receivedBytes;
    // Dialed, tried, and on trial: none of them is waited for.
    for (let i = 0; i < 3; i++) expect(await appendOnce(cluster, log)).toBe(0b010);
    expect(cluster.dialed).toHaveLength(dialed + 1);
    expect(staging.receivedBytes - received).toBe(LARGE + 12);
    staging.isHeld = false;
    staging.answer();
    await settleMicrotasks();
    expect(await appendOnce(cluster, log)).toBe(0b110);
    expect(events.at(-1)).toEqual({ type: 'uploads', url: urlOf(3), nodeId: 3 });
    expect(log.stats()).toMatchObject({ uploadMissCount: 1 });
  });

  test('rests for 1 s, then twice as long each time, up to 30 s; after a long time that it was well for 1 s again', async () => {
    const cluster = uploadCluster();
    const rests: number[] = [];
    const node = cluster.node(2);
    const follower = followerOf(cluster.open, {
      answered: (_follower, upload) => upload.release(),
      left: (_follower, _pending, { retryMs }) => void rests.push(retryMs),
    });
    const meet = async (): Promise<void> => {
      await pass(rests.at(-1) ?? 0);
      follower.meet(performance.now());
      await settleMicrotasks();
    };
    cluster.kill(2);
    for (let i = 0; i < 7; i++) await meet();
    expect(rests).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
    cluster.revive(2);
    await meet();
    const upload = new Upload(1, new Uint8Array(100), { over: () => undefined, isKnown: () => false, released: () => undefined });
    follower.expect(upload, performance.now());
    follower.send(encodeUpload(1, upload.id, 0, 100, upload.entries));
    await pass(120_000);
    node.connection.kill();
    expect(rests.at(-1)).toBe(1000);
  });

  test('that was closed for good is not dialed any more', async () => {
    const cluster = uploadCluster();
    const follower = followerOf(cluster.open);
    follower.close(true);
    follower.meet(0);
    await settleMicrotasks();
    expect(cluster.dialed).toEqual([urlOf(2)]);
    follower.close(false);
    follower.meet(0);
    await settleMicrotasks();
    expect(cluster.dialed).toEqual([urlOf(2)]);
    expect(cluster.node(2).connections.map(({ isOpen }) => isOpen)).toEqual([false]);
  });

  test('has three times as long as the fastest took', async () => {
    const cluster = uploadCluster();
    const { log } = await connectTried(cluster);
    for (const id of [2, 3]) cluster.node(id).staging.isHeld = true;
    const append = log.append(payloadOf(1));
    await settleMicrotasks();
    await pass(60);
    cluster.node(2).staging.answer();
    await settleMicrotasks();
    await pass(179);
    cluster.node(3).staging.answer();
    await append;
    expect(lastOf(cluster)?.upload?.nodes).toBe(0b110);
  });

  test('has as long as its uploads take as a rule, so many times, where those to the fastest take some time, too (E71)', async () => {
    const cluster = uploadCluster();
    const { log, events } = await connectTried(cluster);
    const [two, three] = [cluster.node(2).staging, cluster.node(3).staging];
    for (const staging of [two, three]) staging.isHeld = true;
    /** Node 2 answers an upload after `firstMs`, node 3 so much later, if at all. Returns how long the append took, and whom it named. */
    const appendOnce = async (firstMs: number, laterMs: number): Promise<unknown[]> => {
      const beganMs = performance.now();
      let tookMs = 0;
      const append = log.append(payloadOf(1, 100_000)).then(() => {
        tookMs = performance.now() - beganMs;
      });
      await settleMicrotasks();
      await pass(firstMs);
      two.answer();
      await settleMicrotasks();
      await pass(laterMs);
      if (laterMs < 5000) three.answer();
      await append;
      return [lastOf(cluster)?.upload?.nodes, Math.round(tookMs)];
    };
    for (let i = 0; i < 24; i++) expect(await appendOnce(250, 250)).toEqual([0b110, 500]);
    // Later than twice what they all take as a rule, and than three times the first answer.
    expect(await appendOnce(250, 900)).toEqual([0b110, 1150]);
    for (let i = 0; i < 24; i++) expect(await appendOnce(250, 250)).toEqual([0b110, 500]);
    // One that stops is left: here after four times what the fastest takes.
    const [nodes, tookMs] = await appendOnce(250, 5000);
    expect(nodes).toBe(0b010);
    expect(tookMs).toBeGreaterThan(1200);
    expect(tookMs).toBeLessThan(1300);
    expect(lossesIn(events)).toHaveLength(1);
  });

  test('that becomes slower and slower is left when it takes many times as long as the others (E71)', async () => {
    const [fast, slow] = [new Pace(), new Pace()];
    let laterMs = 100;
    while (laterMs <= slow.lagMs(200, 1e6, fast.msPerByte)) {
      fast.answered(1e6, 200);
      slow.answered(1e6, 200 + laterMs);
      laterMs *= 1.01;
    }
    expect(laterMs).toBeGreaterThan(700);
    expect(laterMs).toBeLessThan(900);
    // Nothing is measured, or it took no time.
    expect(new Pace().lagMs(0, 1e6, 0)).toBe(500);
    expect(new Pace().lagMs(60, 1e6, Number.POSITIVE_INFINITY)).toBe(500);
  });

  test('whose answer has arrived while this process stood still is not slow', async () => {
    const cluster = uploadCluster();
    const { log, events } = await connectTried(cluster);
    for (const id of [2, 3]) cluster.node(id).staging.isHeld = true;
    const calls = [1, 2, 3].map((i) => log.append(payloadOf(i, 200_000)));
    await settleMicrotasks();
    for (const id of [2, 3]) cluster.node(id).staging.answer();
    // The timer is first, what is in the sockets comes after it.
    vi.advanceTimersByTime(1_000);
    await settleMicrotasks();
    await pass(2);
    await Promise.all(calls);
    expect(nodesOf(cluster).slice(2)).toEqual([0b110, 0b110, 0b110]);
    expect(lossesIn(events)).toEqual([]);
  });

  test('together with all others holds up one append for a bounded time', async () => {
    const cluster = uploadCluster();
    const { log, events } = await connectTried(cluster);
    for (const id of [2, 3]) cluster.node(id).staging.isHeld = true;
    const calls = [1, 2, 3].map((i) => log.append(payloadOf(i, 200_000)));
    await settleMicrotasks();
    await pass(1_002);
    await Promise.all(calls);
    expect(nodesOf(cluster).slice(2)).toEqual([undefined, undefined, undefined]);
    expect(await appendOnce(cluster, log)).toBeUndefined();
    expect(lossesIn(events)).toHaveLength(2);
    expect(log.stats()).toMatchObject({ uploadedMessageCount: 0, uploadMissCount: 6 });
  });

  test('that refuses, lies, or is cut off is left at once', async () => {
    for (const fault of ['refuses', 'lies', 'is cut off', 'takes no more'] as const) {
      const cluster = uploadCluster();
      const { log, events } = await connectTried(cluster);
      const node = cluster.node(3);
      if (fault === 'refuses') node.staging.refusal = 'OVERLOADED';
      if (fault === 'lies') node.staging.extraBytes = 1;
      if (fault === 'is cut off') node.staging.isHeld = true;
      if (fault === 'takes no more') node.uploadFeatures = 0;
      if (fault === 'takes no more') node.say({});
      const append = log.append(payloadOf(1));
      await settleMicrotasks();
      if (fault === 'is cut off') node.connection.kill('the cable was pulled');
      await append;
      expect(lastOf(cluster)?.upload?.nodes, fault).toBe(0b010);
      expect(lossesIn(events), fault).toHaveLength(1);
      expect(await appendOnce(cluster, log)).toBe(0b010);
      expect(log.stats().nodes.map(({ nodeId }) => nodeId)).toEqual([1]);
      await log.close();
    }
  });

  test('that cannot be reached, is another node or of another cluster, or knows nothing of uploads, is never waited for and nobody is told', async () => {
    for (const fault of ['refuses', 'is silent', 'is another node', 'is of another cluster', 'is old', 'is off'] as const) {
      const cluster = uploadCluster();
      const node = cluster.node(3);
      if (fault === 'refuses') cluster.kill(3);
      if (fault === 'is silent') node.onGreeting = () => new Uint8Array(0);
      if (fault === 'is another node') node.greetings.set(urlOf(3), { nodeId: 2 });
      if (fault === 'is of another cluster') node.greetings.set(urlOf(3), { clusterId: 'f'.repeat(32) });
      if (fault === 'is old') node.hello = { ...node.hello, features: 0 };
      if (fault === 'is off') node.uploadFeatures = 0;
      const { log, events } = await connectTried(cluster);
      for (let i = 0; i < 3; i++) expect(await appendOnce(cluster, log), fault).toBe(0b010);
      expect(node.staging.receivedBytes, fault).toBe(0);
      expect(cluster.dialed.filter((url) => url === urlOf(3))).toHaveLength(1);
      await pass(6_100);
      expect(await appendOnce(cluster, log), fault).toBe(0b010);
      expect(cluster.dialed.filter((url) => url === urlOf(3)).length, fault).toBeGreaterThanOrEqual(fault === 'is silent' ? 1 : 2);
      expect(events.map(({ type }) => type)).toEqual(['connected', 'leader', 'uploads']);
      expect(log.stats()).toMatchObject({ connectCount: 1, lossCount: 0, uploadMissCount: 0 });
      await log.close();
    }
  });

  test('that never reads has at most 4 MiB in its socket, however much is appended and aborted', async () => {
    const cluster = uploadCluster(2);
    const { log } = await connectTried(cluster);
    const { staging } = cluster.node(2);
    staging.isHeld = true;
    let before = staging.receivedBytes;
    for (let i = 0; i < 30; i++) {
      const controller = new AbortController();
      const append = log.append(payloadOf(i, 500_000), { signal: controller.signal });
      const settled = append.catch(() => undefined);
      await settleMicrotasks();
      controller.abort();
      await settled;
      expect(staging.receivedBytes - before).toBeLessThanOrEqual(4 * KIB * KIB);
    }
    expect(cluster.node(2).connections[0]?.isOpen).toBe(false);
    before = staging.receivedBytes;
    for (let i = 0; i < 20; i++) expect(await appendOnce(cluster, log)).toBeUndefined();
    expect(staging.receivedBytes).toBe(before);
  });
});

describe('uploads are made', () => {
  test('with auto while the leader says that they help, with on while it takes them, with off never', async () => {
    for (const [uploads, features, isUploaded] of [
      ['auto', UPLOADS_HELP, true],
      ['auto', FEATURE_UPLOADS, false],
      ['auto', 0, false],
      [undefined, UPLOADS_HELP, true],
      ['on', FEATURE_UPLOADS, true],
      ['on', UPLOADS_HELP & ~FEATURE_UPLOADS, false],
      ['off', UPLOADS_HELP, false],
    ] as const) {
      const cluster = uploadCluster();
      cluster.leader.uploadFeatures = features;
      const { log } = await connectTried(cluster, { uploads });
      await log.append(payloadOf(1));
      expect(lastOf(cluster)?.upload?.nodes, `${uploads} ${features}`).toBe(isUploaded ? 0b110 : undefined);
      expect(cluster.dialed).toHaveLength(isUploaded ? 3 : 1);
      expect(cluster.leader.requests.find(({ opcode }) => opcode === INTRODUCE)?.b).toBe(uploads === 'off' ? 0 : 1);
      await log.close();
    }
    await expect(uploadCluster().connect({ uploads: true } as object)).rejects.toThrow(
      /^uploads must be 'auto', 'on' or 'off', not boolean true/,
    );
  });

  test('no more as soon as the leader says that they do not help, and again when they do; their connections close after 30 s', async () => {
    const cluster = uploadCluster();
    const { log, events } = await connectTried(cluster);
    const tell = async (uploadFeatures: number): Promise<void> => {
      cluster.leader.uploadFeatures = uploadFeatures;
      cluster.leader.say({});
      await settleMicrotasks();
    };
    await tell(FEATURE_UPLOADS);
    await log.append(payloadOf(1));
    expect(lastOf(cluster)?.upload).toBeUndefined();
    await tell(UPLOADS_HELP);
    await log.append(payloadOf(2));
    expect(lastOf(cluster)?.upload?.nodes).toBe(0b110);
    const open = (): boolean[] => [2, 3].map((id) => cluster.node(id).connection.isOpen);
    await pass(29_000);
    await settleMicrotasks();
    expect(open()).toEqual([true, true]);
    await pass(2_000);
    await settleMicrotasks();
    expect(open()).toEqual([false, false]);
    for (let i = 0; i < 3; i++) {
      await log.append(payloadOf(i));
      await settleMicrotasks();
    }
    expect(lastOf(cluster)?.upload?.nodes).toBe(0b110);
    expect(events.some(({ type }) => type === 'uploadsLost')).toBe(false);
  });

  test('E35: a connection that comes after its follower was left for idleness is closed at once', async () => {
    const cluster = uploadCluster();
    const node = cluster.node(2);
    const greetings: (() => void)[] = [];
    const open: OpenTransport = (url, events) =>
      cluster.open(url, { ...events, message: (bytes) => void greetings.push(() => events.message(bytes)) });
    const follower = followerOf(open);
    const greet = async (): Promise<void> => {
      await settleMicrotasks();
      for (const deliver of greetings.splice(0)) deliver();
      await settleMicrotasks();
    };
    follower.meet(performance.now());
    follower.close(true);
    await greet();
    expect(node.connection.isOpen).toBe(false);
    // One that is needed again by then is kept.
    follower.meet(performance.now());
    follower.close(true);
    follower.meet(performance.now());
    await greet();
    expect([node.connection.isOpen, node.connections.length]).toEqual([true, 2]);
  });

  test('to the followers of the leader that leads: to the one that led, not to the one that does', async () => {
    const cluster = uploadCluster();
    const { log } = await connectTried(cluster);
    cluster.lead(3);
    await settleMicrotasks();
    for (let i = 0; i < 4; i++) {
      await log.append(payloadOf(i));
      await settleMicrotasks();
      await pass(10);
    }
    expect(lastOf(cluster)?.upload?.nodes).toBe(0b011);
  });

  test('with discover: false to given addresses only', async () => {
    const cluster = uploadCluster();
    const log = await cluster.connect({ discover: false }, [urlOf(1), urlOf(2)]);
    onTestFinished(() => log.close());
    for (let i = 0; i < 3; i++) {
      await settleMicrotasks();
      await log.append(payloadOf(i));
    }
    expect(lastOf(cluster)?.upload?.nodes).toBe(0b010);
    expect(cluster.dialed).not.toContain(urlOf(3));
  });
});

describe('when the client ends', () => {
  test('close waits for uploads as for all that is appended, and leaves no connection and no timer', async () => {
    const cluster = uploadCluster();
    const { log } = await connectTried(cluster);
    for (const id of [2, 3]) cluster.node(id).staging.isHeld = true;
    const append = log.append(payloadOf(1));
    await settleMicrotasks();
    const closed = log.close();
    for (const id of [2, 3]) cluster.node(id).staging.answer();
    await append;
    await closed;
    expect(lastOf(cluster)?.upload?.nodes).toBe(0b110);
    expect(cluster.nodes.flatMap(({ connections }) => connections).some(({ isOpen }) => isOpen)).toBe(false);
    await pass(10);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('a close whose time is over gives up what is uploaded: it was not sent', async () => {
    const cluster = uploadCluster();
    const { log } = await connectTried(cluster);
    for (const id of [2, 3]) cluster.node(id).staging.isHeld = true;
    const failure = failureOf(log.append(payloadOf(1)));
    await settleMicrotasks();
    await log.close({ timeoutMs: 0 });
    expect(await failure).toMatchObject({ code: 'TIMEOUT', outcome: 'failed' });
    expect(log.stats()).toMatchObject({ inFlightAppendCount: 0, inFlightBytes: 0 });
    expect(cluster.nodes.flatMap(({ connections }) => connections).some(({ isOpen }) => isOpen)).toBe(false);
    await pass(10);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('nothing rejects that nobody handles', async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', note);
    onTestFinished(() => void process.off('unhandledRejection', note));
    const cluster = uploadCluster();
    const { log } = await connectTried(cluster);
    for (const id of [2, 3]) cluster.node(id).staging.isHeld = true;
    const failure = failureOf(log.append(payloadOf(1)));
    await settleMicrotasks();
    for (const id of [2, 3, 1]) cluster.kill(id);
    await log.close({ timeoutMs: 0 });
    await failure;
    const other = await connect(uploadCluster());
    void other.log.append(payloadOf(1));
    await other.log.close();
    await settleMicrotasks();
    expect(unhandled).toEqual([]);
  });
});
