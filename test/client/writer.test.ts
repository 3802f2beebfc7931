import { describe, expect, test } from 'vitest';
import { LogError } from '../../src/core/errors.ts';
import { APPEND_CHAINED, APPEND_CONDITIONAL } from '../../src/protocol/client.ts';
import { failureOf } from './support/failure.ts';
import { settleMicrotasks } from './support/fakeServer.ts';
import { append, REFUSED } from './support/pipeline.ts';
import { cluster, connect, renewCluster, useCluster } from './support/testedCluster.ts';

useCluster();

describe('a writer', () => {
  test('pipelines its appends as one chain: a head, then links', async () => {
    const log = await connect();
    const { end } = await log.append('0');
    const writer = log.writer({ expectedEnd: end });
    expect(writer.end).toBe(end);
    const receipts = await Promise.all([writer.append('a'), writer.appendBatch(['b', 'cc']), writer.append(new Uint8Array(0))]);
    expect(receipts.map(({ offset }) => offset)).toEqual([end, end + 13, end + 40]);
    expect(receipts[1]).toMatchObject({ offsets: [end + 13, end + 26], level: 'committed', nodes: [1, 3] });
    expect(receipts[0]).toEqual({ term: 1, offset: end, end: end + 13, level: 'committed', nodes: [1, 3] });
    expect(writer.end).toBe(end + 52);
    const seen = cluster.leader.appends.slice(1).map(({ flags, offset, a, b }) => [flags, offset, a, b]);
    expect(seen).toEqual([
      [APPEND_CONDITIONAL, end, 1, 0],
      [APPEND_CHAINED, 0, 2, 0],
      [APPEND_CHAINED, 0, 1, 0],
    ]);
    expect(await append(writer, 'd')).toEqual(['done']);
    expect(cluster.leader.appends.at(-1)?.flags).toBe(APPEND_CHAINED);
    expect(cluster.leader.texts()).toEqual(['0', 'a', 'b', 'cc', '', 'd']);
  });

  test('appends of one tick share a link, which is one batch, and each has its own place', async () => {
    const log = await connect();
    const writer = log.writer({ expectedEnd: 0 });
    const receipts = await Promise.all([writer.append('a'), writer.append(''), writer.append('ccc')]);
    expect(receipts).toEqual([
      { term: 1, offset: 12, end: 25, level: 'committed', nodes: [1, 3] },
      { term: 1, offset: 25, end: 37, level: 'committed', nodes: [1, 3] },
      { term: 1, offset: 37, end: 52, level: 'committed', nodes: [1, 3] },
    ]);
    expect(cluster.leader.continuedTexts()).toEqual(['a', '']);
    // While one is in flight, and no more may be, what waits gathers as well, up to a bound; what was sent never grows.
    cluster.leader.holdsAppends = true;
    const sizes = Array.from({ length: 20 }, () => 10_000);
    const all = sizes.map((size) => writer.append(new Uint8Array(size)));
    await settleMicrotasks();
    all.push(writer.append('late'));
    cluster.leader.holdsAppends = false;
    cluster.leader.connection.answerAppends();
    await Promise.all(all);
    expect(cluster.leader.appends.slice(1).map(({ a }) => a)).toEqual([6, 6, 6, 2, 1]);
  });

  test('begins wherever there is no data at or after its expected end: on a fresh log, after elections, at a reading’s position', async () => {
    const log = await connect();
    expect(await append(log.writer({ expectedEnd: 0 }), 'first')).toEqual(['done']);
    cluster.lead(2);
    const reading = log.read();
    for await (const entry of reading) expect(entry.term).toBe(1);
    expect(await append(log.writer({ expectedEnd: reading.position }), 'second')).toEqual(['done']);
    cluster.lead(3);
    cluster.lead(1);
    expect(await append(log.writer({ expectedEnd: (await log.end()).end }), 'third')).toEqual(['done']);
    expect(cluster.leader.texts()).toEqual(['first', 'second', 'third']);
  });

  test('refused at its head it fails as a whole, says where, and stays refused', async () => {
    const log = await connect();
    const { end } = await log.append('0');
    await log.append('foreign');
    const writer = log.writer({ expectedEnd: end });
    const promises = ['a', 'b', 'c'].map((text) => failureOf(writer.appendBatch([text])));
    const errors = await Promise.all(promises);
    expect(errors.map(({ code, outcome }) => `${code} ${outcome}`)).toEqual(['CONDITION_FAILED failed', REFUSED, REFUSED]);
    expect(errors.map(({ details }) => details.chainEnd)).toEqual([end, end, end]);
    expect(errors[0]?.details.end).toBe(cluster.leader.end);
    const late = await failureOf(writer.append('d'));
    expect([late.code, late.outcome, late.details.chainEnd]).toEqual(['CHAIN_BROKEN', 'failed', end]);
    expect(late.message).toContain(`offset ${end}`);
    expect(cluster.leader.texts()).toEqual(['0', 'foreign']);
  });

  test('another’s entry of the same size between its appends breaks it there (W1 pipelines A, B, C; W2’s entry is at A’s place)', async () => {
    cluster.leader.holdsAppends = true;
    const log = await connect();
    const { connection } = cluster.leader;
    const writer = log.writer({ expectedEnd: 0 });
    const results = append(writer, 'A', 'B', 'C', 'D');
    await settleMicrotasks();
    connection.answerAppends(2);
    cluster.leader.add('X');
    connection.answerAppends();
    expect(await results).toEqual(['done', 'done', REFUSED, REFUSED]);
    expect(cluster.leader.texts()).toEqual(['A', 'B', 'X']);
    expect((await failureOf(writer.append('E'))).details.chainEnd).toBe(writer.end);
    expect(writer.end).toBe(12 + 26);
  });

  test('an append that is refused before it is sent ends it as well, and those before are done', async () => {
    const log = await connect();
    const writer = log.writer({ expectedEnd: 0 });
    const first = writer.append('a');
    await expect(writer.append(5 as unknown as string)).rejects.toThrow(TypeError);
    expect(await append(writer, 'b')).toEqual([REFUSED]);
    await first;
    const other = log.writer({ expectedEnd: writer.end });
    const fits = other.append('c');
    expect((await failureOf(other.append(new Uint8Array(16_777_216)))).code).toBe('ENTRY_TOO_LARGE');
    expect(await append(other, 'd')).toEqual([REFUSED]);
    await fits;
    await expect(log.writer({ expectedEnd: other.end }).appendBatch([])).rejects.toThrow(TypeError);
    expect(() => log.writer({ expectedEnd: -1 })).toThrow(RangeError);
    expect(() => log.writer({} as { expectedEnd: number })).toThrow(TypeError);
    expect(cluster.leader.texts()).toEqual(['a', 'c']);
  });

  test('too many bytes in its queue end it, surely, and what fits before is done', async () => {
    cluster.leader.holdsAppends = true;
    const log = await connect({ maxInFlightBytes: 64 * 1024, maxQueuedBytes: 40_000 });
    const writer = log.writer({ expectedEnd: 0 });
    const kept = [writer.append(new Uint8Array(60_000)), writer.append(new Uint8Array(30_000))];
    expect(writer.hasRoom).toBe(false);
    const error = await failureOf(writer.append(new Uint8Array(30_000)));
    expect([error.code, error.outcome]).toEqual(['QUEUE_FULL', 'failed']);
    expect(await append(writer, 'a')).toEqual([REFUSED]);
    cluster.leader.holdsAppends = false;
    cluster.leader.connection.answerAppends();
    await writer.ready();
    await Promise.all(kept);
    expect(cluster.leader.texts().map((text) => text.length)).toEqual([60_000, 30_000]);
  });

  test('payloads may be changed as soon as append returns', async () => {
    cluster.leader.holdsAppends = true;
    const log = await connect();
    const writer = log.writer({ expectedEnd: 0 });
    const payload = new Uint8Array(3);
    const promises = [1, 2, 3].map((value) => writer.appendBatch([payload.fill(value)]));
    payload.fill(99);
    await settleMicrotasks();
    // Also when they have to be sent again.
    cluster.leader.connection.kill();
    cluster.leader.holdsAppends = false;
    await Promise.all(promises);
    expect(cluster.leader.texts().map((text) => text.charCodeAt(0))).toEqual([1, 2, 3]);
  });

  test('close waits for what it has and takes no more; so does the client’s', async () => {
    cluster.leader.holdsAppends = true;
    const log = await connect();
    const writer = log.writer({ expectedEnd: 0 });
    const promise = writer.append('a');
    let isClosed = false;
    const closing = writer.close().then(() => {
      isClosed = true;
    });
    expect((await failureOf(writer.append('b'))).code).toBe('CLOSED');
    await settleMicrotasks();
    expect(isClosed).toBe(false);
    const other = log.writer({ expectedEnd: 25 });
    const closingClient = log.close();
    expect((await failureOf(other.append('c'))).code).toBe('CLOSED');
    expect(() => log.writer({ expectedEnd: 0 })).toThrow(LogError);
    cluster.leader.connection.kill();
    cluster.leader.holdsAppends = false;
    await closing;
    await closingClient;
    expect((await promise).end).toBe(25);
    {
      await using disposed = (await connect()).writer({ expectedEnd: 25 });
      void disposed.append('d');
    }
    expect(cluster.leader.texts()).toEqual(['a', 'd']);
  });
});

describe('writers that share a connection', () => {
  test('a conditional append between never makes a link one of another chain: the writer begins a new one', async () => {
    const log = await connect();
    const writer = log.writer({ expectedEnd: 0 });
    expect(await append(writer, 'a', 'b')).toEqual(['done', 'done']);
    // Succeeds, and its chain is the connection's newest: a link sent now would come after the foreign entry.
    await log.append('foreign', { expectedEnd: writer.end });
    expect(await append(writer, 'c', 'd')).toEqual(['CHAIN_BROKEN failed', REFUSED]);
    expect(cluster.leader.texts()).toEqual(['a', 'b', 'foreign']);
    const heads = cluster.leader.appends.map(({ flags }) => flags);
    expect(heads).toEqual([APPEND_CONDITIONAL, APPEND_CHAINED, APPEND_CONDITIONAL, APPEND_CONDITIONAL, APPEND_CHAINED]);
  });

  test('a conditional append that fails between costs the writer a new head, and nothing else', async () => {
    cluster.leader.holdsAppends = true;
    const log = await connect();
    const { connection } = cluster.leader;
    const writer = log.writer({ expectedEnd: 0 });
    const first = append(writer, 'a', 'b');
    await settleMicrotasks();
    const refused = failureOf(log.append('x', { expectedEnd: 0 }));
    const second = append(writer, 'c', 'd');
    await settleMicrotasks();
    expect(connection.unanswered.map(({ flags }) => flags)).toEqual([APPEND_CONDITIONAL, APPEND_CHAINED, APPEND_CONDITIONAL]);
    cluster.leader.holdsAppends = false;
    connection.answerAppends();
    expect(await first).toEqual(['done', 'done']);
    expect((await refused).code).toBe('CONDITION_FAILED');
    expect(await second).toEqual(['done', 'done']);
    expect(cluster.leader.texts()).toEqual(['a', 'b', 'c', 'd']);
  });

  test('a link that is not sent leaves no hole: those after it are not taken for it', async () => {
    cluster.leader.holdsAppends = true;
    cluster.leader.hello = { ...cluster.leader.hello, windowBytes: 64 * 1024 };
    const log = await connect();
    const writer = log.writer({ expectedEnd: 0 });
    const first = writer.append(new Uint8Array(70_000));
    const tooLarge = failureOf(writer.append(new Uint8Array(50_000)));
    const late = failureOf(writer.appendBatch(['late']));
    await settleMicrotasks();
    // Before it is sent, the limit falls.
    cluster.leader.say({ maxBatchBytes: 40_000 });
    await settleMicrotasks();
    cluster.leader.holdsAppends = false;
    cluster.leader.connection.answerAppends();
    await first;
    expect([(await tooLarge).code, (await late).code]).toEqual(['ENTRY_TOO_LARGE', 'CHAIN_BROKEN']);
    expect(cluster.leader.texts().map((text) => text.length)).toEqual([70_000]);
  });
});

describe('a writer of received appends', () => {
  test('asks for it, and goes on in the same term with the term in its new head', async () => {
    const log = await connect({ ack: 'received' });
    const writer = log.writer({ expectedEnd: 0 });
    expect(await append(writer, 'a', 'b')).toEqual(['done', 'done']);
    await failureOf(log.append('x', { expectedEnd: 0 }));
    expect(await append(writer, 'c')).toEqual(['done']);
    expect(cluster.leader.appends.map(({ flags, b }) => [flags, b])).toEqual([
      [3, 0],
      [5, 0],
      [3, 0],
      [3, 1],
    ]);
    expect(cluster.leader.appends.at(-1)?.offset).toBe(38);
  });

  test('is not resumed in another term: it fails and says up to where it is committed', async () => {
    for (let passed = 0; passed <= 3; passed++) {
      renewCluster();
      const log = await connect({ ack: 'received' });
      const writer = log.writer({ expectedEnd: 0 });
      expect(await append(writer, '0')).toEqual(['done']);
      const ends = [writer.end];
      cluster.lagging.add(2).add(3);
      for (const text of ['1', '2', '3']) {
        if (ends.length <= passed) cluster.lagging.clear();
        await writer.append(text);
        ends.push(writer.end);
        cluster.lagging.add(2).add(3);
      }
      cluster.leader.holdsAppends = true;
      const results = append(writer, '4', '5');
      await settleMicrotasks();
      cluster.kill(1);
      cluster.lagging.clear();
      cluster.lead(2);
      expect(await results).toEqual([REFUSED, REFUSED]);
      expect(writer.end).toBe(ends[passed]);
      expect((await failureOf(writer.append('6'))).details.chainEnd).toBe(ends[passed]);
      expect(cluster.leader.texts()).toEqual(['0', '1', '2', '3'].slice(0, passed + 1));
      await log.close();
    }
  });

  test('whose connection alone was lost goes on, and what was on its way is there once', async () => {
    cluster.leader.holdsAppends = true;
    const log = await connect();
    const writer = log.writer({ expectedEnd: 0, ack: 'received' });
    const results = append(writer, 'a', 'b', 'c');
    await settleMicrotasks();
    const { connection } = cluster.leader;
    connection.answerAppends(1);
    await settleMicrotasks();
    const [second] = connection.unanswered.splice(0);
    if (second !== undefined) cluster.leader.order(second.body, second.a);
    cluster.replicate();
    connection.kill();
    cluster.leader.holdsAppends = false;
    expect(await results).toEqual(['done', 'done', 'done']);
    expect(cluster.leader.texts()).toEqual(['a', 'b', 'c']);
  });
});
