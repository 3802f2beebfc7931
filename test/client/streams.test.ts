// Web streams: of entries that are written into a writer, and of those that are read.

import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { LogClient } from '../../src/client/client.ts';
import type { Entry } from '../../src/client/read/entries.ts';
import type { Writer } from '../../src/client/writer/writer.ts';
import { CANCEL, SUBSCRIBE } from '../../src/protocol/client.ts';
import { failureOf, thrownBy } from './support/failure.ts';
import { FakeCluster } from './support/fakeCluster.ts';
import { settleMicrotasks } from './support/fakeServer.ts';
import { cluster, connect, renewCluster, useCluster } from './support/testedCluster.ts';

useCluster();

describe('a writer’s Web stream', () => {
  test('writes each chunk as an entry, with back-pressure, and is closed when all is in the log', async () => {
    cluster.leader.holdsAppends = true;
    const log = await connect({ maxInFlightBytes: 64 * 1024 });
    const writer = log.writer({ expectedEnd: 0 });
    const texts = Array.from({ length: 2_000 }, (_, i) => `${i}${'x'.repeat(i % 200)}`);
    let taken = 0;
    const counted = new TransformStream<string, string>({
      transform: (text, controller) => {
        taken += 1;
        controller.enqueue(text);
      },
    });
    expect(writer.writable).toBe(writer.writable);
    const source = new ReadableStream<string>({
      start(controller) {
        for (const text of texts) controller.enqueue(text);
        controller.close();
      },
    });
    const piped = source.pipeThrough(counted).pipeTo(writer.writable);
    await vi.waitUntil(() => !writer.hasRoom, { timeout: 60_000 });
    await settleMicrotasks();
    // Nothing is answered, so nothing more is taken.
    const takenFirst = taken;
    await settleMicrotasks();
    expect([taken, taken < 1_000]).toEqual([takenFirst, true]);
    // All that fits 64 KiB is in two messages, of the first and of the others.
    expect(cluster.leader.appends.length).toBeLessThanOrEqual(2);
    cluster.answer();
    await piped;
    expect(cluster.leader.texts()).toEqual(texts);
    expect(thrownBy(() => writer.write('late'))).toBe('CLOSED');
  });

  test('fails with the error of the entry that is refused, and takes no more', async () => {
    const log = await connect();
    const writer = log.writer({ expectedEnd: 0 });
    await log.append('foreign');
    const stream = writer.writable.getWriter();
    await stream.write('a');
    expect((await failureOf(stream.close())).code).toBe('CONDITION_FAILED');
    expect((await failureOf(stream.closed)).code).toBe('CONDITION_FAILED');
    const other = log.writer({ expectedEnd: cluster.leader.end }).writable.getWriter();
    const refused = other.write(Object(5));
    other.closed.catch(() => undefined);
    await expect(refused).rejects.toThrow(TypeError);
    expect(cluster.leader.texts()).toEqual(['foreign']);
  });

  test('that is aborted closes its writer, and what was written is in the log', async () => {
    const log = await connect();
    const writer: Writer = log.writer({ expectedEnd: 0 });
    const stream = writer.writable.getWriter();
    await stream.write('a');
    await stream.abort(new Error('enough'));
    expect(thrownBy(() => writer.write('b'))).toBe('CLOSED');
    await writer.close();
    expect(cluster.leader.texts()).toEqual(['a']);
  });

  test('is aborted at once although the server hangs: while it waits for room, or for what is to be in the log', async () => {
    for (const isClosing of [false, true]) {
      renewCluster();
      cluster.leader.holdsAppends = true;
      const log = await connect({ maxInFlightBytes: 64 * 1024 });
      const writer = log.writer({ expectedEnd: 0 });
      const stream = writer.writable.getWriter();
      const written = stream.write(new Uint8Array(isClosing ? 10 : 70_000));
      const closing = isClosing ? stream.close() : undefined;
      await settleMicrotasks();
      expect(writer.hasRoom).toBe(isClosing);
      const reason = new Error('enough');
      const aborted = stream.abort(reason);
      const results = await Promise.allSettled([written, closing, stream.closed, aborted]);
      expect(results.slice(0, 3).map((result) => (result.status === 'rejected' ? result.reason : 'done'))).toEqual(
        isClosing ? ['done', reason, reason] : [reason, 'done', reason],
      );
      expect(thrownBy(() => writer.write('b'))).toBe('CLOSED');
      cluster.answer();
      await writer.close();
      expect(cluster.leader.texts()).toHaveLength(1);
      await log.close();
    }
  });

  test('fails at once, with what ended its writer, also where nobody writes', async () => {
    cluster.leader.holdsAppends = true;
    const log = await connect();
    const writer = log.writer({ expectedEnd: 0 });
    const stream = writer.writable.getWriter();
    await Promise.all([stream.write('a'), stream.write('b')]);
    await settleMicrotasks();
    cluster.leader.add('foreign');
    cluster.answer();
    const error = await failureOf(stream.closed);
    expect([error.code, error.details.chainEnd]).toEqual(['CONDITION_FAILED', 0]);
    expect([await failureOf(stream.write('c')), await failureOf(writer.flushed())]).toEqual([error, error]);
    expect(await failureOf(stream.close().catch(() => stream.closed))).toBe(error);
    // Also where its writer failed before there was a stream, and by another of its appends.
    const failed = log.writer({ expectedEnd: 0 });
    const cause = await failureOf(failed.append('d'));
    expect(await failureOf(failed.writable.getWriter().closed)).toBe(cause);
    const other = log.writer({ expectedEnd: cluster.leader.end });
    const { closed } = other.writable.getWriter();
    const refused = other.append(Object(5));
    await expect(refused).rejects.toThrow(TypeError);
    await expect(closed).rejects.toThrow('must be a Uint8Array');
  });
});

describe('a log’s Web stream', () => {
  const textOf = ({ payload }: Entry): string => Buffer.from(payload).toString();

  async function fill(log: LogClient, count: number): Promise<string[]> {
    const texts = Array.from({ length: count }, (_, i) => `entry ${i}`);
    await log.appendBatch(texts);
    return texts;
  }

  test('gives what is there, to its end, when it is not to follow', async () => {
    const log = await connect();
    const texts = await fill(log, 1_000);
    const seen: string[] = [];
    for await (const entry of log.readable({ follow: false })) seen.push(textOf(entry));
    expect(seen).toEqual(texts);
    const some: string[] = [];
    for await (const entry of log.readable({ follow: false, limit: 3 })) some.push(textOf(entry));
    expect(some).toEqual(texts.slice(0, 3));
  });

  test('follows the log, asks for nothing before it is read, and ends when it is cancelled', async () => {
    const log = await connect();
    const stream = log.readable();
    const reader = stream.getReader();
    await settleMicrotasks();
    const before = cluster.nodes.flatMap(({ requests }) => requests).length;
    const first = reader.read();
    await fill(log, 2);
    expect(textOf((await first).value ?? expect.fail('an entry'))).toBe('entry 0');
    expect(cluster.nodes.flatMap(({ requests }) => requests).length).toBeGreaterThan(before);
    expect(textOf((await reader.read()).value ?? expect.fail('an entry'))).toBe('entry 1');
    const waiting = reader.read();
    await log.append('later');
    expect(textOf((await waiting).value ?? expect.fail('an entry'))).toBe('later');
    const last = reader.read();
    const [subscribed] = cluster.requests(SUBSCRIBE);
    await reader.cancel();
    expect((await last).done).toBe(true);
    // The node is told: other requests of the kind only ask whether it is there.
    const isTold = (): boolean => cluster.requests(CANCEL).some(({ requestId }) => requestId === subscribed?.requestId);
    await vi.waitUntil(isTold, { timeout: 60_000 });
  });

  test('flows from one log into another', async () => {
    const log = await connect();
    const texts = await fill(log, 500);
    const to = new FakeCluster();
    const copy = await to.connect();
    onTestFinished(() => to.end());
    const payloads = new TransformStream<Entry, Uint8Array>({ transform: ({ payload }, controller) => controller.enqueue(payload) });
    await log
      .readable({ follow: false })
      .pipeThrough(payloads)
      .pipeTo(copy.writer({ expectedEnd: 0 }).writable);
    expect(to.leader.texts()).toEqual(texts);
  });

  test('fails as its reading does, and refuses options that nobody knows', async () => {
    const log = await connect();
    await fill(log, 2);
    const reader = log.readable({ from: 13, follow: false }).getReader();
    expect((await failureOf(reader.read())).code).toBe('OFFSET_NOT_BOUNDARY');
    expect(() => log.readable(Object({ folow: false }))).toThrow('follow');
    expect(() => log.readable(Object({ follow: 1 }))).toThrow(TypeError);
    expect(() => log.readable(Object({ follow: true, limit: 1 }))).toThrow(TypeError);
  });
});
