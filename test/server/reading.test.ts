import { describe, expect, test } from 'vitest';
import { KIND_NOOP, KIND_STATE } from '../../assembly/layout.ts';
import { MAX_READ_BYTES, SUBSCRIPTION_CHUNK_BYTES } from '../../src/core/servingLimits.ts';
import { READ } from '../../src/protocol/client.ts';
import { listSegments } from '../../src/storage/layout.ts';
import { NodeDisk } from '../../src/storage/nodeDisk.ts';
import { LOG_HEAD_BYTES, STATE_ENTRY_BYTES } from '../support/logHead.ts';
import { entryBytes, type LogEntry } from './support/entries.ts';
import { appendAll, connect, digestOf, eventually, makeDirectory, payloadOf, sharedNode, startNode, texts } from './support/fixture.ts';
import type { ProcessNode } from './support/processNode.ts';
import type { RawClient } from './support/rawClient.ts';
import { trimTo } from './support/trim.ts';

const SMALL_SEGMENTS = { segmentBytes: 65536, slots: 3 } as const;

const shared = sharedNode();
const sharedSmall = sharedNode(SMALL_SEGMENTS);

/** Where the log ends: what a test appends to a shared node begins there. */
async function endOf(client: RawClient): Promise<number> {
  return (await client.end()).commit;
}

function textsOf(entries: readonly LogEntry[]): string[] {
  return entries.filter(({ kind }) => kind === 0).map(({ payload }) => payload.toString());
}

/** The value of one metric without labels. */
async function metric(node: ProcessNode, name: string): Promise<number> {
  const text = await (await fetch(`${node.httpUrl}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
}

/** Appends numbered entries until the log has about `bytes`; returns the texts. */
async function fill(client: RawClient, bytes: number): Promise<string[]> {
  const batch = texts(100, 'x'.repeat(200));
  const count = Math.ceil(bytes / entryBytes(batch));
  await Promise.all(Array.from({ length: count }, () => client.append(batch)));
  return Array.from({ length: count }, () => batch.map(String)).flat();
}

describe('read', () => {
  test('a read takes whole entries up to its limit, and at least one', async () => {
    const client = await connect(shared());
    const from = await endOf(client);
    await client.append(texts(10)); // 10 entries of 19 bytes
    const lengths = [];
    for (const maxBytes of [1, 18, 19, 37, 38, 189, 190, 1000, 0]) lengths.push((await client.read(from, { maxBytes })).bytes);
    expect(lengths).toEqual([19, 19, 19, 19, 38, 171, 190, 190, 190]);
    expect((await client.read(0)).entries.slice(0, 2)).toMatchObject([
      { offset: 0, end: STATE_ENTRY_BYTES, term: 1, kind: KIND_STATE },
      { offset: STATE_ENTRY_BYTES, end: LOG_HEAD_BYTES, term: 1, kind: KIND_NOOP },
    ]);
  });

  test('a read at the end answers at once without a wait, and with one when entries come', async () => {
    const node = shared();
    const [reader, writer] = [await connect(node), await connect(node)];
    const from = await endOf(writer);
    expect(await reader.read(from)).toMatchObject({ from, commit: from, bytes: 0, entries: [] });
    const waiting = reader.read(from, { waitMs: 60_000 });
    // Answers of one connection to END and READ come in order unless the READ waits: this proves that it does.
    await reader.end();
    await writer.append(Buffer.from('awaited'));
    expect(textsOf((await waiting).entries)).toEqual(['awaited']);
  });

  test('a read whose wait runs out answers with no entries', async () => {
    const client = await connect(shared());
    const from = await endOf(client);
    expect(await client.read(from, { waitMs: 20 })).toMatchObject({ from, bytes: 0 });
    expect(client.errors).toEqual([]);
  });

  test('no answer exceeds maxReadBytes unless one entry does', async () => {
    const client = await connect(shared());
    const from = await endOf(client);
    const small = payloadOf(100_000, 1);
    await Promise.all(Array.from({ length: 30 }, () => client.append(small)));
    const large = await client.append(payloadOf(MAX_READ_BYTES + 5, 2));
    const { bytes } = await client.read(from, { maxBytes: 0xffff_ffff });
    expect(bytes).toBe(10 * 100_012);
    expect((await client.read(large.offset, { maxBytes: 1 })).bytes).toBe(MAX_READ_BYTES + 17);
  });

  test('reads see what is on disk only: every entry boundary, and nothing else, is an offset to read from', async () => {
    const node = await startNode(SMALL_SEGMENTS);
    const client = await connect(node);
    await fill(client, 600_000);
    const { commit } = await client.end();
    const all = await client.readAll(0, commit);
    const before = await metric(node, 'loglog_cold_reads_total');
    for (const [i, entry] of all.entries()) {
      if (i % 97 !== 0) continue;
      const { entries } = await client.read(entry.offset, { maxBytes: 1 });
      expect(entries).toEqual([entry]);
      for (const inside of [entry.offset + 1, entry.end - 1]) {
        const answer = { code: 'OFFSET_NOT_BOUNDARY', offset: entry.offset };
        await expect(client.read(inside)).rejects.toMatchObject({ answer });
      }
    }
    expect(await metric(node, 'loglog_cold_reads_total')).toBeGreaterThan(before + 20);
    const own = all.filter(({ kind }) => kind !== 0).map(({ kind }) => kind);
    expect(own.toSpliced(1, 1)).toEqual(listSegments(new NodeDisk(), node.data).map(() => KIND_STATE));
    expect(textsOf(all)).toHaveLength(all.length - own.length);
  });

  test('an entry larger than the limit is read from disk whole', async () => {
    const client = await connect(sharedSmall());
    const { maxPayloadBytes } = client.hello;
    const sizes = [maxPayloadBytes - 1000, 1, 30_000, 0, maxPayloadBytes];
    const receipts = await Promise.all(sizes.map((size, i) => client.append(payloadOf(size, i))));
    await fill(client, 400_000);
    for (const [i, size] of sizes.entries()) {
      const { entries } = await client.read(receipts[i]?.offset ?? 0, { maxBytes: 1 });
      expect(entries.map(({ payload }) => payload.equals(payloadOf(size, i)))).toEqual([true]);
    }
  });
});

describe('subscribe', () => {
  test('a subscription from the beginning, from the middle and from the end gives each entry once and in order', async () => {
    const node = shared();
    const [reader, writer] = [await connect(node), await connect(node)];
    const from = await endOf(writer);
    const old = await Promise.all(texts(50, 'old ').map((text) => writer.append(text)));
    const middle = old[20]?.end ?? 0;
    const { commit } = await writer.end();
    const subscriptions = [from, middle, commit].map((first) => reader.subscribe(first, 1 << 20));
    await subscriptions[1]?.until(commit);
    const last = (await Promise.all(texts(50, 'new ').map((text) => writer.append(text)))).at(-1)?.end ?? 0;
    await Promise.all(subscriptions.map((subscription) => subscription.until(last)));
    const expected = [...texts(50, 'old '), ...texts(50, 'new ')].map(String);
    expect(subscriptions.map(({ entries }) => textsOf(entries))).toEqual([expected, expected.slice(21), expected.slice(50)]);
  });

  test('catch-up passes into live without a gap or a repeat, over many segments, while appends run', async () => {
    const node = await startNode(SMALL_SEGMENTS);
    const [reader, writer] = [await connect(node), await connect(node)];
    await fill(writer, 1_000_000);
    let appending = true;
    const appends = (async () => {
      for (let i = 0; i < 20 || appending; i++) await Promise.all(texts(20, `${'y'.repeat(300)}${i}/`).map((text) => writer.append(text)));
    })();
    // A subscription fails by itself on a gap, a repeat, or a check that does not match its place.
    const subscriptions = [0, LOG_HEAD_BYTES].map((from) => reader.subscribe(from, 200_000, true));
    const live = Promise.all(subscriptions.map((subscription) => subscription.until(1_500_000)));
    await live;
    appending = false;
    await appends;
    const { commit } = await writer.end();
    await Promise.all(subscriptions.map((subscription) => subscription.until(commit)));
    const read = await writer.readAll(0, commit);
    expect(digestOf(subscriptions[0]?.entries ?? [])).toBe(digestOf(read));
    expect(digestOf(subscriptions[1]?.entries ?? [])).toBe(digestOf(read.slice(2)));
    expect(listSegments(new NodeDisk(), node.data).length).toBeGreaterThan(20);
    expect(await metric(node, 'loglog_cold_reads_total')).toBeGreaterThan(10);
  });

  test('credit is the most that is sent, except for the last entry that takes it below zero', async () => {
    const client = await connect(shared());
    const from = await endOf(client);
    await client.append(texts(10)); // entries of 19 bytes
    const subscription = client.subscribe(from, 40);
    await subscription.until(from + 57);
    await client.end();
    await client.read(from);
    // 38 fit into 40; 2 are left, which take one more entry.
    expect(subscription.receivedBytes).toBe(57);
    client.grant(subscription, 17);
    await client.end();
    expect(subscription.receivedBytes).toBe(57);
    client.grant(subscription, 1);
    await subscription.until(from + 76);
    client.grant(subscription, 1000);
    await subscription.until(from + 190);
    expect(textsOf(subscription.entries)).toEqual(texts(10).map(String));
  });

  test('a subscription without credit gets nothing until it has some', async () => {
    const client = await connect(shared());
    const subscription = client.subscribe(0, 0);
    await client.append(texts(3));
    await client.end();
    expect(subscription.messages).toBe(0);
    client.grant(subscription, 1);
    await subscription.until(STATE_ENTRY_BYTES);
    expect(subscription.next).toBe(STATE_ENTRY_BYTES);
  });

  test('what was received but is not committed is never sent', async () => {
    const node = shared();
    const [reader, writer] = [await connect(node), await connect(node)];
    const subscription = reader.subscribe(await endOf(reader), 1 << 30);
    let committed = 0;
    subscription.onData = () => {
      committed = Math.max(committed, subscription.next);
    };
    const receipts = await Promise.all(texts(500).map((text) => writer.append(text, { received: true })));
    const end = receipts.at(-1)?.end ?? 0;
    await subscription.until(end);
    const { log } = await node.status();
    expect(log.durable).toBeGreaterThanOrEqual(committed);
  });

  test('messages of a subscription stay within their bound while there is much to send', async () => {
    const client = await connect(shared());
    const from = await endOf(client);
    await Promise.all(Array.from({ length: 40 }, (_, i) => client.append(payloadOf(50_000, i))));
    const { commit } = await client.end();
    const subscription = client.subscribe(from, 1 << 30);
    await subscription.until(commit);
    expect(subscription.largestMessageBytes).toBeLessThanOrEqual(SUBSCRIPTION_CHUNK_BYTES);
  });

  test('cancel ends a subscription, is answered also for what is not open, and frees the id', async () => {
    const client = await connect(shared());
    const subscription = client.subscribe(await endOf(client), 1 << 20);
    const first = await client.append(Buffer.from('seen'));
    await subscription.until(first.end);
    await client.cancel(subscription.requestId);
    await client.append(Buffer.from('not seen'));
    expect(textsOf(subscription.entries)).toEqual(['seen']);
    await client.cancel(subscription.requestId);
    await client.cancel(4_000_000_000);
    // A READ that was cancelled is never answered.
    const waiting = client.newId();
    client.request(READ, waiting, { offset: subscription.next + 20, b: 60_000 });
    await client.cancel(waiting);
    await client.append(Buffer.from('not awaited'));
    expect(client.errors).toEqual([]);
  });

  test('two hundred and fifty subscriptions of one connection all get everything', async () => {
    const client = await connect(sharedSmall());
    const from = await endOf(client);
    await fill(client, 150_000);
    const subscriptions = Array.from({ length: 250 }, () => client.subscribe(from, 1 << 20, true));
    const { end } = await client.append(Buffer.from('last'));
    await Promise.all(subscriptions.map((subscription) => subscription.until(end)));
    for (const { entries } of subscriptions) expect(entries.at(-1)?.payload.toString()).toBe('last');
  });

  test('a reader that pauses and goes on gets the rest', async () => {
    const node = shared();
    const [reader, writer] = [await connect(node), await connect(node)];
    const from = await endOf(writer);
    await appendAll(writer, new Array<Buffer>(150).fill(payloadOf(100_000, 1)));
    const { commit } = await writer.end();
    const subscription = reader.subscribe(from, 0x7fff_ffff);
    subscription.keep = false;
    reader.socket.pause();
    await eventually(async () => (await node.status()).clients.sendBufferedBytes > 0, 'bytes wait for the reader');
    reader.socket.resume();
    await subscription.until(commit);
    await eventually(async () => (await node.status()).clients.sendBufferedBytes === 0, 'no bytes wait any more');
  });
});

test('a log that was trimmed serves from its start on, after restarts too', async () => {
  const data = makeDirectory();
  const first = await startNode({ ...SMALL_SEGMENTS, data });
  const client = await connect(first);
  await fill(client, 400_000);
  const { commit } = await client.end();
  const before = await client.readAll(0, commit);
  await first.stop();
  const start = trimTo(data, 200_000);
  for (let round = 0; round < 2; round++) {
    const node = await startNode({ ...SMALL_SEGMENTS, data });
    const reader = await connect(node);
    expect(reader.hello.start).toBe(start);
    expect(await reader.end()).toMatchObject({ start });
    const after = (await reader.readAll(start, commit)).filter(({ end }) => end <= commit);
    expect(digestOf(after)).toBe(digestOf(before.filter(({ offset }) => offset >= start)));
    await node.stop();
  }
});
