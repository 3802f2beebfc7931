// Named consumers whose processes are killed again and again, while the log is appended to and its leader dies: none misses an entry. CONSUMER_KILLS=300 npx vitest run
// test/e2e/consumers.test.ts does it longer.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { until } from '../../src/cluster/until.ts';
import { startCluster } from '../../src/testing/testCluster.ts';
import { Random } from '../assembly/random.ts';

const SEED = Number(process.env.CONSUMER_SEED ?? 1);
const KILLS = Number(process.env.CONSUMER_KILLS ?? 8);
const NAMES = ['one', 'two', 'three', 'four', 'five'];
const READER = fileURLToPath(new URL('../../dist/test/e2e/consumerReader.js', import.meta.url));
const DEADLINE_MS = 120_000;

/** Processes of one name, one after the other, and what they said that they have handled. */
class Reader {
  readonly #name: string;
  readonly #urls: string;
  #process: ChildProcess | undefined;
  /** By process. */
  readonly handled: number[][] = [];
  errors = '';

  constructor(name: string, urls: readonly string[]) {
    this.#name = name;
    this.#urls = urls.join();
  }

  start(): void {
    const handled: number[] = [];
    this.handled.push(handled);
    const child = spawn(process.execPath, [READER, this.#name, this.#urls], { stdio: ['ignore', 'pipe', 'pipe'] });
    let rest = '';
    child.stdout.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split('\n');
      rest = lines.pop() ?? '';
      handled.push(...lines.map(Number));
    });
    child.stderr.on('data', (chunk: Buffer) => {
      this.errors += chunk.toString();
    });
    this.#process = child;
  }

  async kill(): Promise<void> {
    const child = this.#process;
    if (child === undefined) return;
    this.#process = undefined;
    // All that it said has come by then.
    const closed = once(child, 'close');
    child.kill('SIGKILL');
    await closed;
  }

  /** Numbers that were handled once or more often. */
  get count(): number {
    return new Set(this.handled.flat()).size;
  }
}

test(`no consumer misses an entry, whose process is killed ${KILLS} times in all, and the leader twice`, {
  timeout: 300_000 + KILLS * 5_000,
}, async () => {
  const random = new Random(SEED);
  const cluster = await startCluster({ nodes: 3, fsync: false, segmentBytes: 1 << 20, electionTimeoutMs: 1000 });
  onTestFinished(() => cluster.close());
  const log = await cluster.connect();
  // It looks into the log for what a killed leader did not answer.
  const writer = log.writer({ expectedEnd: (await log.end({ linearizable: true })).end });
  let appended = 0;
  const append = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i += 1) await writer.append(String(appended++));
  };
  const readers = NAMES.map((name) => new Reader(name, cluster.urls));
  onTestFinished(async () => void (await Promise.all(readers.map((reader) => reader.kill()))));
  for (const reader of readers) reader.start();
  const leaderDies = [Math.floor(KILLS / 3), Math.floor((2 * KILLS) / 3)];
  for (let kill = 0; kill < KILLS; kill += 1) {
    await append(1 + random.below(50));
    const reader = readers[random.below(readers.length)];
    const seen = reader?.handled.at(-1)?.length ?? 0;
    // Now in the midst of its work, now before it has begun.
    if (random.oneIn(2))
      await until(
        'a consumer to go on',
        async () => (reader?.handled.at(-1)?.length ?? 0) > seen || reader?.count === appended,
        DEADLINE_MS,
      );
    await reader?.kill();
    reader?.start();
    if (!leaderDies.includes(kill)) continue;
    const leader = await cluster.leader();
    await leader.kill();
    await append(5);
    await leader.start();
  }
  await append(10);
  for (const reader of readers) await until('all to be handled', async () => reader.count >= appended || reader.errors !== '', DEADLINE_MS);
  for (const reader of readers) {
    await reader.kill();
    expect(reader.errors).toBe('');
    let next = 0;
    for (const handled of reader.handled) {
      const [first = next] = handled;
      // At least once, in order: from what was not confirmed on, and nothing is passed over.
      expect(first).toBeLessThanOrEqual(next);
      expect(handled).toEqual(Array.from({ length: handled.length }, (_, i) => first + i));
      next = Math.max(next, first + handled.length);
    }
    expect(next).toBe(appended);
  }
  const consumers = await log.consumers();
  expect(consumers.map(({ name }) => name)).toEqual(NAMES.toSorted());
});
