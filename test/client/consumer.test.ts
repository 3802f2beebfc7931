// Named consumers: where they go on, what a commit keeps, and who has a name.

import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { LogClient } from '../../src/client/client.ts';
import type { Consumer } from '../../src/client/consumers/consumer.ts';
import { fileStore } from '../../src/client/consumers/fileStore.node.ts';
import type { PositionStore } from '../../src/client/consumers/store.ts';
import type { Entry } from '../../src/client/read/entries.ts';
import { failureOf } from './support/failure.ts';
import { FakeCluster } from './support/fakeCluster.ts';
import { settleMicrotasks } from './support/fakeServer.ts';

let cluster: FakeCluster;
let log: LogClient;
let directory: string;

beforeEach(async () => {
  cluster = new FakeCluster();
  log = await cluster.connect();
  directory = mkdtempSync(join(tmpdir(), 'loglog-consumers-'));
});

afterEach(async () => {
  await log.close();
  rmSync(directory, { recursive: true, force: true });
});

/** The next `count` entries; the iteration goes on until it is left. */
async function take(entries: AsyncIterator<Entry>, count: number): Promise<string[]> {
  const texts: string[] = [];
  for (let i = 0; i < count; i++) texts.push(textOf((await entries.next()).value));
  return texts;
}

function textOf(entry: Entry | undefined): string {
  return entry === undefined ? 'the end' : Buffer.from(entry.payload).toString();
}

function entriesOf(consumer: Consumer): AsyncIterator<Entry> {
  return consumer[Symbol.asyncIterator]();
}

/** A store in memory whose saves a test answers. */
class HeldStore implements PositionStore {
  readonly bookmark: string;
  readonly saves: { readonly bookmark: string; readonly resolve: () => void; readonly reject: (thrown: unknown) => void }[] = [];

  constructor(offset = 12) {
    this.bookmark = log.bookmark(offset);
  }

  async take(): ReturnType<PositionStore['take']> {
    const save = (bookmark: string): Promise<void> => new Promise((resolve, reject) => this.saves.push({ bookmark, resolve, reject }));
    // Nothing of a name that has none is handed out before its beginning is kept.
    return { bookmark: this.bookmark, save };
  }
}

describe('a consumer', () => {
  test('goes on after what was committed, in another one of its name too', async () => {
    await log.appendBatch(['a', 'b', 'c', 'd']);
    const store = fileStore(join(directory, 'positions'));
    const first = await log.consumer({ name: 'billing', store });
    expect([first.committed, first.position]).toEqual([undefined, undefined]);
    await first.commit();
    const entries = entriesOf(first);
    expect(await take(entries, 3)).toEqual(['a', 'b', 'c']);
    await first.commit((await log.end()).end - 26);
    expect(first.committed).toBe(12 + 26);
    // A new iteration, and a new consumer, have again what was not committed.
    expect(await take(entriesOf(first), 1)).toEqual(['c']);
    await first.close();
    const second = await log.consumer({ name: 'billing', store, from: 'end' });
    const rest = entriesOf(second);
    expect(await take(rest, 1)).toEqual(['c']);
    await second.commit();
    expect(await take(rest, 1)).toEqual(['d']);
    await second.close();
    const other = await log.consumer({ name: 'mail/é', store });
    expect([(await log.consumer({ name: 'billing', store })).committed, other.committed]).toEqual([12 + 39, undefined]);
    expect(await take(entriesOf(other), 1)).toEqual(['a']);
    await other.close();
  });

  test('begins where its options say while its name has no position', async () => {
    await log.appendBatch(['a', 'b', 'c']);
    const store = fileStore(directory);
    const from = await log.consumer({ name: 'from', store, from: 25 });
    expect([await take(entriesOf(from), 1), from.committed, await from.lag()]).toEqual([['b'], 25, 26]);
    await from.close();
    const fresh = await log.consumer({ name: 'fresh', store, from: 'end' });
    const next = entriesOf(fresh).next();
    await fresh.commit();
    expect([fresh.committed, await fresh.lag()]).toEqual([51, 0]);
    await log.append('d');
    expect(textOf((await next).value)).toBe('d');
    await fresh.close();
  });

  test('begins once: what came since its name began is handed out, whoever has it, and whatever was committed', async () => {
    await log.appendBatch(['a', 'b', 'c']);
    const store = fileStore(directory);
    const late = await log.consumer({ name: 'late', store, last: 1 });
    const live = await log.consumer({ name: 'live', store, from: 'end' });
    expect(await take(entriesOf(late), 1)).toEqual(['c']);
    await log.append('d');
    // Also in the same process.
    expect(await take(entriesOf(late), 2)).toEqual(['c', 'd']);
    expect(await take(entriesOf(await log.consumer({ name: 'late', store, last: 1 })), 2)).toEqual(['c', 'd']);
    await live.close();
    expect(await take(entriesOf(await log.consumer({ name: 'live', store, from: 'end' })), 1)).toEqual(['d']);
  });

  test('begins once at the start, too: what is trimmed before it is handled is missed aloud', async () => {
    await log.appendBatch(['a', 'b', 'c']);
    const store = fileStore(directory);
    const first = await log.consumer({ name: 'n', store });
    expect([await take(entriesOf(first), 1), first.committed]).toEqual([['a'], 12]);
    await first.close();
    for (const node of cluster.nodes) node.start = 25;
    const second = await log.consumer({ name: 'n', store });
    expect((await failureOf(Promise.resolve(entriesOf(second).next()))).code).toBe('OFFSET_TRIMMED');
  });

  test('hands nothing out before it is kept where its name begins', async () => {
    await log.append('a');
    const store = new HeldStore();
    const consumer = await log.consumer({ name: 'n', store: { take: async () => ({ ...(await store.take()), bookmark: null }) } });
    const next = entriesOf(consumer).next();
    await vi.waitUntil(() => store.saves.length === 1, { timeout: 60_000 });
    await consumer.commit();
    expect([consumer.position, store.saves.length]).toEqual([undefined, 1]);
    store.saves[0]?.resolve();
    expect([textOf((await next).value), consumer.committed, consumer.position]).toEqual(['a', 12, 25]);
    await consumer.close();
    const other = await log.consumer({
      name: 'o',
      store: { take: async () => ({ bookmark: undefined, save: () => Promise.reject(new Error('full')) }) },
    });
    await expect(entriesOf(other).next()).rejects.toThrow('full');
    await expect(other.close()).rejects.toThrow('full');
  });

  test('gathers commits while one is on its way, and never goes back', async () => {
    await log.appendBatch([...'abcdefgh']);
    const store = new HeldStore();
    const consumer = await log.consumer({ name: 'n', store });
    const entries = entriesOf(consumer);
    const commits: Promise<void>[] = [];
    for (let i = 0; i < 8; i++) {
      const { value } = await entries.next();
      if (value !== undefined) commits.push(consumer.commit(value));
      await settleMicrotasks();
    }
    expect(store.saves).toHaveLength(1);
    store.saves[0]?.resolve();
    await commits[0];
    expect(consumer.committed).toBe(25);
    await settleMicrotasks();
    expect(store.saves.map(({ bookmark }) => Number(bookmark.split('@')[1]))).toEqual([25, 12 + 8 * 13]);
    store.saves[1]?.resolve();
    await Promise.all(commits);
    // What is committed already, and what comes before it, is kept.
    await consumer.commit(25);
    await consumer.commit();
    expect([store.saves.length, consumer.committed]).toEqual([2, 12 + 8 * 13]);
    expect(await consumer.lag()).toBe(0);
    await log.append('i');
    expect(await consumer.lag()).toBe(13);
    await consumer.close();
  });

  test('of commits that are gathered, the furthest is kept, in whichever order they were made', async () => {
    await log.appendBatch(['a', 'b']);
    const consumer = await log.consumer({ name: 'n', store: fileStore(directory) });
    await take(entriesOf(consumer), 2);
    await Promise.all([consumer.commit(38), consumer.commit(25)]);
    expect(consumer.committed).toBe(38);
    await consumer.close();
  });

  test('commits nothing that was not handed out, nor what is no end of an entry', async () => {
    await log.appendBatch(['a', 'b', 'c']);
    const consumer = await log.consumer({ name: 'n', store: fileStore(directory) });
    await expect(consumer.commit(12)).rejects.toThrow(RangeError);
    await take(entriesOf(consumer), 1);
    await expect(consumer.commit(38)).rejects.toThrow('before offset 25');
    await expect(consumer.commit(-1)).rejects.toThrow(RangeError);
    await expect(consumer.commit(13)).rejects.toThrow('inside an entry');
    for (const none of [null, 'x', {}, { nextOffset: '25' }])
      await expect(consumer.commit(Object(none) && none)).rejects.toThrow(TypeError);
    await consumer.commit(25);
    await take(entriesOf(consumer), 2);
    // The log is asked whether an entry ends there, and close waits for that, too.
    const last = consumer.commit(38);
    await consumer.close();
    expect(consumer.committed).toBe(38);
    await last;
    expect((await failureOf(consumer.commit())).code).toBe('CLOSED');
    expect((await failureOf(Promise.resolve(entriesOf(consumer).next()))).code).toBe('CLOSED');
  });

  test('a commit of nothing in particular is of what was handed out, not of what was asked for', async () => {
    await log.appendBatch(['a', 'b', 'c']);
    const consumer = await log.consumer({ name: 'n', store: fileStore(directory) });
    const entries = entriesOf(consumer);
    const asked = [entries.next(), entries.next(), entries.next()];
    await asked[0];
    await Promise.all([consumer.commit(), consumer.commit(12)]);
    expect(consumer.committed).toBe(25);
    expect(await Promise.all(asked.map(async (next) => textOf((await next).value)))).toEqual(['a', 'b', 'c']);
    await consumer.close();
  });

  test('what an iteration before has handed out can be committed in the next one', async () => {
    await log.appendBatch(['a', 'b', 'c']);
    const consumer = await log.consumer({ name: 'n', store: fileStore(directory) });
    await take(entriesOf(consumer), 2);
    await take(entriesOf(consumer), 1);
    expect(consumer.position).toBe(25);
    await expect(consumer.commit(51)).rejects.toThrow('before offset 38');
    await consumer.commit(38);
    expect(await take(entriesOf(consumer), 1)).toEqual(['c']);
    await consumer.close();
  });

  test('what nobody waits for does not end the process when it is refused', async () => {
    await log.appendBatch(['a', 'b']);
    const unhandled: unknown[] = [];
    const note = (thrown: unknown): void => void unhandled.push(thrown);
    process.on('unhandledRejection', note);
    onTestFinished(() => void process.off('unhandledRejection', note));
    const failing = { take: async () => ({ bookmark: null, save: () => Promise.reject(undefined) }) };
    const consumer = await log.consumer({ name: 'n', store: fileStore(directory) });
    void consumer.commit(12);
    await take(entriesOf(consumer), 1);
    void consumer.commit(13);
    void consumer.commit(99);
    void consumer.commit(Object('no place'));
    await consumer.close();
    void consumer.commit();
    const other = await log.consumer({ name: 'o', store: failing });
    // What is undefined is a failure as well.
    const results: PromiseSettledResult<unknown>[] = await Promise.allSettled([entriesOf(other).next()]);
    void other.commit();
    results.push(...(await Promise.allSettled([other.commit(12), other.close()])));
    expect(results).toEqual(results.map(() => ({ status: 'rejected', reason: undefined })));
    // Rejections are told after the microtasks of a turn.
    await new Promise((resolve) => setImmediate(resolve));
    expect(unhandled).toEqual([]);
  });

  test('close ends an iteration that waits, and keeps what was to be committed', async () => {
    await log.append('a');
    const store = new HeldStore();
    const consumer = await log.consumer({ name: 'n', store });
    const entries = entriesOf(consumer);
    await entries.next();
    const commit = consumer.commit();
    const waiting = entries.next();
    let isClosed = false;
    const closing = consumer.close().then(() => {
      isClosed = true;
    });
    expect((await waiting).done).toBe(true);
    await settleMicrotasks();
    expect(isClosed).toBe(false);
    store.saves[0]?.resolve();
    await Promise.all([commit, closing]);
  });

  test('has one iteration at a time: a new one ends the one before, also one that waits', async () => {
    await log.append('a');
    const consumer = await log.consumer({ name: 'n', store: fileStore(directory) });
    const entries = entriesOf(consumer);
    await take(entries, 1);
    const waiting = entries.next();
    expect(await take(entriesOf(consumer), 1)).toEqual(['a']);
    expect((await waiting).done).toBe(true);
    await consumer.close();
  });

  test('what cannot be kept ends it: the commit, those that wait, the iteration and close', async () => {
    await log.appendBatch(['a', 'b']);
    const store = new HeldStore();
    const consumer = await log.consumer({ name: 'n', store });
    const entries = entriesOf(consumer);
    await take(entries, 2);
    const commits = [consumer.commit(25), consumer.commit(25)];
    await settleMicrotasks();
    commits.push(consumer.commit(38));
    const waiting = entries.next();
    store.saves[0]?.reject(new Error('the disk is full'));
    const results = await Promise.allSettled([...commits, waiting]);
    results.push(...(await Promise.allSettled([consumer.commit(), entriesOf(consumer).next(), consumer.close()])));
    expect(results.map((result) => (result.status === 'rejected' ? result.reason.message : 'done'))).toEqual(
      results.map(() => 'the disk is full'),
    );
    expect(consumer.committed).toBe(12);
  });

  test('refuses what cannot be meant, before anybody loses the name', async () => {
    const store = fileStore(directory);
    const bad = [
      { name: '' },
      { name: 'x'.repeat(65) },
      { name: '\ud800' },
      { name: 5 },
      { store: {} },
      { from: -1 },
      { nmae: 'x' },
      { atLeast: 5 },
    ];
    for (const options of bad) await expect(log.consumer(Object({ name: 'n', store, ...options }))).rejects.toThrow(/^(?!.*internal)/);
    expect(readdirSync(directory)).toEqual([]);
    expect(() => fileStore('')).toThrow(TypeError);
    await expect(log.consumer({ name: 'n', store: { take: async () => Object({ bookmark: undefined }) } })).rejects.toThrow(TypeError);
  });

  test('takes no name where it could do nothing with it: closed, aborted, unreachable, of another log', async () => {
    const store = fileStore(directory);
    const held = await store.take('n');
    const codes = async (client: LogClient, options: object = {}): Promise<string> =>
      (await failureOf(client.consumer({ name: 'n', store, ...options }))).code;
    expect(await codes(log, { signal: AbortSignal.abort() })).toBe('ABORTED');
    await held.save(`${'0'.repeat(32)}@12`);
    expect(await codes(log)).toBe('OTHER_CLUSTER');
    await held.save(`${'0'.repeat(32)}@13`);
    // Nobody is asked in vain.
    const asked = vi.fn(async () => null);
    expect(await codes(log, { store: { take: asked, position: asked }, signal: AbortSignal.abort() })).toBe('ABORTED');
    expect(asked).not.toHaveBeenCalled();
    await store.reset('n');
    const next = await store.take('n');
    await log.close();
    expect([await codes(log), await codes(log, { last: 3 })]).toEqual(['CLOSED', 'CLOSED']);
    // Whoever has it still has it.
    await next.save(`${'0'.repeat(32)}@25`);
    // A store that does not tell beforehand refuses as well.
    const client = await cluster.connect();
    expect((await failureOf(client.consumer({ name: 'n', store: { take: (name) => store.take(name) } }))).code).toBe('OTHER_CLUSTER');
    await client.close();
  });

  test('is told of the one who has taken its name when it is to keep something, and its iteration as well', async () => {
    await log.appendBatch(['a', 'b', 'c']);
    const store = fileStore(directory);
    const first = await log.consumer({ name: 'n', store });
    const entries = entriesOf(first);
    await take(entries, 2);
    await first.commit(25);
    const second = await log.consumer({ name: 'n', store });
    expect(second.committed).toBe(25);
    // Nothing is to be kept.
    await first.commit(25);
    expect((await failureOf(first.commit())).code).toBe('FENCED');
    expect((await failureOf(Promise.resolve(entries.next()))).code).toBe('FENCED');
    expect((await failureOf(first.close())).code).toBe('FENCED');
    expect(await take(entriesOf(second), 2)).toEqual(['b', 'c']);
    await second.commit();
    await second.close();
    expect((await log.consumer({ name: 'n', store })).committed).toBe(51);
  });
});
