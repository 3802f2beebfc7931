// Named consumers: where they go on, what a commit keeps, and who has a name.

import fs, { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
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
  readonly saves: { readonly bookmark: string; readonly resolve: () => void; readonly reject: (thrown: unknown) => void }[] = [];

  async take(): ReturnType<PositionStore['take']> {
    const save = (bookmark: string): Promise<void> => new Promise((resolve, reject) => this.saves.push({ bookmark, resolve, reject }));
    return { bookmark: undefined, save };
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
    const late = await log.consumer({ name: 'late', store, last: 1 });
    expect(await take(entriesOf(late), 1)).toEqual(['c']);
    await late.close();
    const fresh = await log.consumer({ name: 'fresh', store, from: 'end' });
    const next = entriesOf(fresh).next();
    await settleMicrotasks();
    await fresh.commit();
    expect(fresh.committed).toBeUndefined();
    await log.append('d');
    expect(textOf((await next).value)).toBe('d');
    await fresh.close();
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

  test('commits nothing that was not handed out', async () => {
    await log.appendBatch(['a', 'b']);
    const consumer = await log.consumer({ name: 'n', store: fileStore(directory) });
    await expect(consumer.commit(12)).rejects.toThrow(RangeError);
    await take(entriesOf(consumer), 1);
    await expect(consumer.commit(38)).rejects.toThrow('before offset 25');
    await expect(consumer.commit(-1)).rejects.toThrow(RangeError);
    await consumer.commit(25);
    await consumer.close();
    expect((await failureOf(consumer.commit())).code).toBe('CLOSED');
    expect((await failureOf(entriesOf(consumer).next())).code).toBe('CLOSED');
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
    expect(consumer.committed).toBeUndefined();
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
  });
});

describe('a file store', () => {
  test('gives a name to one at a time: the one before can keep no more, and the position never falls', async () => {
    await log.appendBatch(['a', 'b', 'c']);
    const store = fileStore(directory);
    const first = await log.consumer({ name: 'n', store });
    const entries = entriesOf(first);
    await take(entries, 2);
    await first.commit(25);
    const second = await log.consumer({ name: 'n', store });
    expect(second.committed).toBe(25);
    expect((await failureOf(first.commit())).code).toBe('FENCED');
    expect((await failureOf(Promise.resolve(entries.next()))).code).toBe('FENCED');
    const others = entriesOf(second);
    expect(await take(others, 2)).toEqual(['b', 'c']);
    await second.commit();
    await second.close();
    expect((await log.consumer({ name: 'n', store })).committed).toBe(51);
    expect(readdirSync(directory)).toHaveLength(1);
  });

  test('of many that take one name at once, the last has it, and none loses what was kept', async () => {
    const store = fileStore(directory);
    const seed = await store.take('n');
    await seed.save(log.bookmark(12));
    const leases = await Promise.all(Array.from({ length: 20 }, () => store.take('n')));
    const saved = await Promise.allSettled(leases.map((lease, i) => lease.save(log.bookmark(100 + i))));
    expect(saved.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(leases.map(({ bookmark }) => bookmark)).toEqual(leases.map(() => log.bookmark(12)));
    const kept = saved.findIndex(({ status }) => status === 'fulfilled');
    expect((await store.take('n')).bookmark).toBe(log.bookmark(100 + kept));
  });

  test('a position that was kept in the moment of a change of hands is not lost', async () => {
    const store = fileStore(directory);
    for (let round = 0; round < 30; round++) {
      const lease = await store.take('n');
      let kept = Number(lease.bookmark?.split('@')[1] ?? 0);
      const save = async (): Promise<never> => {
        for (;;) {
          await lease.save(log.bookmark(kept + 1));
          kept += 1;
        }
      };
      const fenced = failureOf(save());
      // At another point of its saves each time.
      for (let turns = 0; turns < round; turns++) await new Promise((resolve) => setImmediate(resolve));
      const taken = await store.take('n');
      expect((await fenced).code).toBe('FENCED');
      expect(Number(taken.bookmark?.split('@')[1] ?? 0)).toBeGreaterThanOrEqual(kept);
    }
  });

  test('says FENCED of what was kept in a file that counts no more when it was in its place', async () => {
    const store = fileStore(directory);
    const lease = await store.take('n');
    const { rename } = fs.promises;
    onTestFinished(() => {
      fs.promises.rename = rename;
      syncBuiltinESMExports();
    });
    let taken: string | undefined = 'nothing';
    fs.promises.rename = async (from, to) => {
      fs.promises.rename = rename;
      syncBuiltinESMExports();
      taken = (await store.take('n')).bookmark;
      await rename(from, to);
    };
    syncBuiltinESMExports();
    expect((await failureOf(lease.save(log.bookmark(12)))).code).toBe('FENCED');
    expect(taken).toBeUndefined();
  });

  test('after a kill in the midst of a change of hands, the furthest position counts', async () => {
    const store = fileStore(directory);
    await store.take('n');
    const at = (epoch: number): string => join(directory, `n.${epoch}.position`);
    writeFileSync(at(3), `${log.bookmark(50)}\n`);
    writeFileSync(at(2), `${log.bookmark(70)}\n`);
    writeFileSync(at(4), '\n');
    expect((await store.take('n')).bookmark).toBe(log.bookmark(70));
    expect([readdirSync(directory), readFileSync(at(5), 'utf8')]).toEqual([['n.5.position'], `${log.bookmark(70)}\n`]);
  });

  test('says so when a file is no position, and a position of another log is refused', async () => {
    const store = fileStore(directory);
    writeFileSync(join(directory, 'n.1.position'), 'nonsense\n');
    const error = await failureOf(log.consumer({ name: 'n', store }));
    expect([error.code, error.message]).toEqual(['DAMAGE', expect.stringContaining('n.1.position')]);
    writeFileSync(join(directory, 'o.1.position'), `${'0'.repeat(32)}@12\n`);
    expect((await failureOf(log.consumer({ name: 'o', store }))).code).toBe('OTHER_CLUSTER');
  });
});
