// Entries without a promise for each, written into a writer.

import { describe, expect, test } from 'vitest';
import { failureOf, thrownBy } from './support/failure.ts';
import { settleMicrotasks } from './support/fakeServer.ts';
import { cluster, connect, useCluster } from './support/testedCluster.ts';

useCluster();

describe('what is written into a writer', () => {
  test('is in the log in the order of the calls, and a flush says where', async () => {
    const log = await connect();
    const { end } = await log.append('0');
    const writer = log.writer({ expectedEnd: end });
    expect(await writer.flushed()).toBeUndefined();
    expect(['a', 'bb', ''].map((text) => writer.write(text))).toEqual([true, true, true]);
    const range = { term: 1, offset: end, end: end + 39, count: 3, level: 'committed', nodes: [1, 3] };
    expect(await writer.flushed()).toEqual(range);
    expect(await writer.flushed()).toBeUndefined();
    expect(cluster.leader.appends).toHaveLength(2);
    expect([cluster.leader.texts(), writer.end]).toEqual([['0', 'a', 'bb', ''], end + 39]);
  });

  test('shares messages with appends, whose entries are not counted', async () => {
    const log = await connect();
    const writer = log.writer({ expectedEnd: 0 });
    writer.write('a');
    const first = writer.append('b');
    writer.write('c');
    const second = writer.append('d');
    const flushed = writer.flushed();
    // A later one is of the next flush, although it was made in the same tick.
    writer.write('e');
    const batch = writer.appendBatch(['f', 'g']);
    expect(await flushed).toMatchObject({ offset: 12, end: 12 + 39, count: 2 });
    expect([(await first).offset, (await second).offset, (await second).end]).toEqual([25, 51, 64]);
    expect(await writer.flushed()).toMatchObject({ offset: 64, end: 77, count: 1 });
    expect((await batch).offsets).toEqual([77, 90]);
    // The range begins with what was written, not with what shares its message.
    const before = writer.append('h');
    writer.write('i');
    writer.write('j');
    const after = writer.append('k');
    expect(await writer.flushed()).toMatchObject({ offset: 116, end: 142, count: 2 });
    expect([(await before).offset, (await after).end]).toEqual([103, 155]);
    expect(cluster.leader.texts()).toEqual([...'abcdefghijk']);
  });

  test('several flushes are answered in order, each with its own', async () => {
    cluster.leader.holdsAppends = true;
    const log = await connect();
    const writer = log.writer({ expectedEnd: 0 });
    writer.write('a');
    const flushes = [writer.flushed(), writer.flushed()];
    writer.write('b');
    flushes.push(writer.flushed());
    await settleMicrotasks();
    cluster.answer();
    const ranges = await Promise.all(flushes);
    expect(ranges.map((range) => range?.count)).toEqual([1, undefined, 1]);
    expect(ranges[2]).toMatchObject({ offset: 25, end: 38 });
  });

  test('waits for room: write says so, and a loop that does not look is refused in the end', async () => {
    cluster.leader.holdsAppends = true;
    const log = await connect({ maxInFlightBytes: 64 * 1024, maxQueuedBytes: 128 * 1024 });
    const writer = log.writer({ expectedEnd: 0 });
    let count = 1;
    for (; writer.write(new Uint8Array(10)); count += 1);
    // What each costs the heap counts beside its bytes.
    expect(count).toBeLessThan((64 + 128) * 4);
    expect(writer.hasRoom).toBe(false);
    let isReady = false;
    const ready = writer.ready().then(() => {
      isReady = true;
    });
    await settleMicrotasks();
    expect(isReady).toBe(false);
    const failed = thrownBy(() => {
      for (;;) {
        writer.write(new Uint8Array(10));
        count += 1;
      }
    });
    expect([failed, thrownBy(() => writer.write('a'))]).toEqual(['QUEUE_FULL', 'CHAIN_BROKEN']);
    cluster.answer();
    await ready;
    // All that was taken before is in the log.
    expect(await writer.flushed()).toMatchObject({ offset: 12, end: 12 + count * 22, count });
  });

  test('after another’s entry is not in the log: the flush rejects, says up to where all is, and so do those after it', async () => {
    cluster.leader.holdsAppends = true;
    const log = await connect();
    const { connection } = cluster.leader;
    const writer = log.writer({ expectedEnd: 0 });
    writer.write('A');
    const first = writer.flushed();
    writer.write('B');
    await settleMicrotasks();
    connection.answerAppends(1);
    cluster.leader.add('X');
    cluster.answer();
    expect(await first).toMatchObject({ count: 1 });
    const error = await failureOf(writer.flushed());
    expect([error.code, error.outcome, error.details.chainEnd]).toEqual(['CHAIN_BROKEN', 'failed', writer.end]);
    expect(thrownBy(() => writer.write('C'))).toBe('CHAIN_BROKEN');
    expect((await failureOf(writer.append('D'))).code).toBe('CHAIN_BROKEN');
    expect((await failureOf(writer.flushed())).code).toBe('CHAIN_BROKEN');
    expect([cluster.leader.texts(), writer.end]).toEqual([['A', 'X'], 25]);
  });

  test('a flush of appends alone says nothing where they are in the log, and rejects where they are not', async () => {
    const log = await connect();
    const writer = log.writer({ expectedEnd: 0 });
    const done = writer.append('a');
    expect(await writer.flushed()).toBeUndefined();
    await done;
    await log.append('X');
    const refused = failureOf(writer.append('b'));
    expect((await failureOf(writer.flushed())).code).toBe('CHAIN_BROKEN');
    expect(await failureOf(writer.flushed())).toBe(await refused);
    const batch = log.writer({ expectedEnd: 0 });
    const none = failureOf(batch.appendBatch(['c']));
    expect(await failureOf(batch.flushed())).toBe(await none);
  });

  test('goes on with the next leader, in one range', async () => {
    const log = await connect();
    const writer = log.writer({ expectedEnd: 0 });
    writer.write('a');
    await settleMicrotasks();
    cluster.leader.holdsAppends = true;
    writer.write('b');
    await settleMicrotasks();
    cluster.kill(1);
    cluster.lead(2);
    writer.write('c');
    const range = await writer.flushed();
    expect([range?.offset, range?.count, range?.term]).toEqual([12, 3, 2]);
    expect([cluster.leader.texts(), range?.end]).toEqual([['a', 'b', 'c'], cluster.leader.end]);
  });

  test('what is no payload, too large, or comes after close is thrown at once, and what was before is in the log', async () => {
    const log = await connect();
    const writer = log.writer({ expectedEnd: 0 });
    writer.write('a');
    expect(thrownBy(() => writer.write(Object(5)))).toBe('TypeError');
    expect(thrownBy(() => writer.write('b'))).toBe('CHAIN_BROKEN');
    expect(await writer.flushed()).toMatchObject({ count: 1 });
    const other = log.writer({ expectedEnd: writer.end });
    other.write('c');
    expect(thrownBy(() => other.write(new Uint8Array(16_777_216)))).toBe('ENTRY_TOO_LARGE');
    await other.close();
    expect(await other.flushed()).toMatchObject({ count: 1 });
    const closed = log.writer({ expectedEnd: other.end });
    await closed.close();
    expect([thrownBy(() => closed.write('d')), await closed.flushed()]).toEqual(['CLOSED', undefined]);
    expect(cluster.leader.texts()).toEqual(['a', 'c']);
  });

  test('the payload may be changed as soon as write returns, whatever it is', async () => {
    cluster.leader.holdsAppends = true;
    const log = await connect();
    const writer = log.writer({ expectedEnd: 0 });
    const batches: Promise<unknown>[] = [];
    // A Buffer's slice shares its bytes. Small ones are copied side by side, and these go over from one piece of memory to the next.
    const payloads = [new Uint8Array(3), Buffer.alloc(3), new Uint8Array(2_000), Buffer.alloc(2_000), Buffer.alloc(50_000)];
    for (const value of [1, 2, 3, 4, 5, 6]) {
      for (const payload of payloads) writer.write(payload.fill(value));
      batches.push(writer.appendBatch(payloads));
    }
    for (const payload of payloads) payload.fill(99);
    await settleMicrotasks();
    cluster.answer();
    await Promise.all([...batches, writer.flushed()]);
    const expected = [1, 2, 3, 4, 5, 6].flatMap((value) => [...payloads, ...payloads].map(({ length }) => [value, value, length]));
    expect(cluster.leader.texts().map((text) => [text.charCodeAt(0), text.charCodeAt(text.length - 1), text.length])).toEqual(expected);
  });

  test('text is there as UTF-8, whatever it is made of, and however long', async () => {
    const log = await connect();
    const writer = log.writer({ expectedEnd: 0 });
    const texts = [
      '',
      'a',
      'é',
      '漢字',
      '😀',
      'x'.repeat(5_000),
      '漢'.repeat(682),
      '漢'.repeat(683),
      ...Array.from({ length: 100 }, (_, i) => 'é'.repeat(i)),
    ];
    for (const text of texts) writer.write(text);
    await writer.flushed();
    expect(cluster.leader.texts()).toEqual(texts);
  });

  test('gathers while something is on its way, as long as nobody waits for it', async () => {
    cluster.leader.holdsAppends = true;
    const log = await connect();
    const writer = log.writer({ expectedEnd: 0 });
    const sizes = (): number[] => cluster.leader.appends.map(({ a }) => a);
    for (let i = 0; i < 100; i++) {
      writer.write(`${i}`);
      await settleMicrotasks();
    }
    // Each in a tick of its own: the first is sent at once.
    expect(sizes()).toEqual([1]);
    // What is full is sent, and what somebody waits for.
    for (let i = 0; i < 10; i++) {
      writer.write(new Uint8Array(10_000));
      await settleMicrotasks();
    }
    expect(sizes()).toEqual([1, 105]);
    const appended = writer.append('waits');
    await settleMicrotasks();
    expect(sizes()).toEqual([1, 105, 5]);
    writer.write('a');
    await settleMicrotasks();
    expect(sizes()).toEqual([1, 105, 5]);
    const flushed = writer.flushed();
    await settleMicrotasks();
    expect(sizes()).toEqual([1, 105, 5, 1]);
    writer.write('b');
    await settleMicrotasks();
    expect(sizes()).toEqual([1, 105, 5, 1]);
    const closed = writer.close();
    await settleMicrotasks();
    expect(sizes()).toEqual([1, 105, 5, 1, 1]);
    cluster.answer();
    await Promise.all([appended, flushed, closed]);
    expect(cluster.leader.texts()).toHaveLength(113);
  });

  test('of whatever is gathered goes when what was on its way is answered', async () => {
    cluster.leader.holdsAppends = true;
    const log = await connect();
    const writer = log.writer({ expectedEnd: 0 });
    for (let round = 1; round <= 3; round++) {
      for (const text of ['a', 'b', 'c']) {
        writer.write(text);
        await settleMicrotasks();
      }
      cluster.leader.connection.answerAppends();
      await settleMicrotasks();
    }
    expect(cluster.leader.appends.map(({ a }) => a)).toEqual([1, 2, 3, 3]);
    cluster.answer();
    expect(await writer.flushed()).toMatchObject({ count: 9 });
  });

  test('costs memory for each message, too, and that counts', async () => {
    cluster.leader.holdsAppends = true;
    const log = await connect({ maxInFlightBytes: 64 * 1024, maxQueuedBytes: 256 * 1024 });
    const writer = log.writer({ expectedEnd: 0 });
    let count = 0;
    // Each in a message of its own, of less than 32 bytes in the log.
    while (writer.hasRoom) {
      void writer.appendBatch(['x']).catch(() => undefined);
      writer.write('x');
      count += 1;
      await settleMicrotasks();
    }
    expect(count).toBeLessThan(((64 + 128) * 1024) / 2048 + 2);
    cluster.answer();
    await writer.flushed();
    expect(writer.hasRoom).toBe(true);
  });
});
