// Which appends are uploaded, to whom, and what becomes of uploads when the client ends.

import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { OpenTransport } from '../../src/client/nodes/transport.ts';
import { INTRODUCE } from '../../src/protocol/client.ts';
import { FEATURE_UPLOADS } from '../../src/protocol/greeting.ts';
import { failureOf } from './support/failure.ts';
import { urlOf } from './support/fakeCluster.ts';
import { settleMicrotasks } from './support/fakeServer.ts';
import { UPLOADS_HELP } from './support/fakeStaging.ts';
import { connect, connectTried, followerOf, lastOf, pass, payloadOf, uploadCluster, useFakeTime } from './support/uploading.ts';

useFakeTime();

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
