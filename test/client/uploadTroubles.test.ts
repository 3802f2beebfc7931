// Followers of which uploads go wrong: they leave, and no append waits for them.

import { describe, expect, test, vi } from 'vitest';
import type { LogClient } from '../../src/client/client.ts';
import type { ClientEvent } from '../../src/client/events.ts';
import { Pace } from '../../src/client/uploads/pace.ts';
import { Upload } from '../../src/client/uploads/upload.ts';
import { encodeUpload } from '../../src/protocol/uploads.ts';
import { type FakeCluster, urlOf } from './support/fakeCluster.ts';
import { settleMicrotasks } from './support/fakeServer.ts';
import { connectTried, followerOf, KIB, LARGE, lastOf, nodesOf, pass, payloadOf, uploadCluster, useFakeTime } from './support/uploading.ts';

useFakeTime();

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
