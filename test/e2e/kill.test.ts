// Real processes that die: by kill -9 under load, by a full disk, by a disk that fails. What was acknowledged is there afterwards.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Random } from '../assembly/random.ts';
import { connect, makeDirectory, payloadOf, startNode } from '../server/support/fixture.ts';
import type { ProcessNode } from '../server/support/processNode.ts';
import { Closed, type RawClient, Refused } from '../server/support/rawClient.ts';

const SEED = Number(process.env.KILL_SEED ?? 1);
const ROUNDS = 8;

interface Acknowledged {
  readonly offset: number;
  readonly end: number;
  readonly term: number;
  readonly id: number;
  readonly bytes: number;
}

/** Whether an append failed because its node is gone, or has failed and says so before it goes. */
function isEndOfNode(thrown: unknown): boolean {
  return thrown instanceof Closed || (thrown instanceof Refused && thrown.code === 'SHUTTING_DOWN');
}

/** What all clients of a test sent, and what they were told. Each payload begins with its id, so that it is known wherever it turns up. */
class Ledger {
  readonly acknowledged: Acknowledged[] = [];
  sent = 0;

  payload(id: number, bytes: number): Buffer {
    const payload = payloadOf(bytes, id);
    payload.writeUInt32LE(id, 0);
    return payload;
  }

  /** Appends in batches until the connection ends, `inFlight` at a time. */
  async load(client: RawClient, random: Random, inFlight: number): Promise<void> {
    const one = async (): Promise<void> => {
      for (;;) {
        const sizes = Array.from({ length: 1 + random.below(8) }, () =>
          random.oneIn(8) ? 4 + random.below(12_000) : 4 + random.below(300),
        );
        const batch = sizes.map((bytes) => ({ id: this.sent++, bytes }));
        const { offset, term } = await client.append(batch.map(({ id, bytes }) => this.payload(id, bytes)));
        let at = offset;
        for (const { id, bytes } of batch) {
          this.acknowledged.push({ offset: at, end: at + bytes + 12, term, id, bytes });
          at += bytes + 12;
        }
      }
    };
    const ends = await Promise.allSettled(Array.from({ length: inFlight }, one));
    for (const end of ends) if (end.status === 'rejected' && !isEndOfNode(end.reason)) throw end.reason;
  }

  /** Reads the whole log: a valid chain, every acknowledged entry byte for byte at its offset, no payload twice, none that was never sent. */
  async verify(node: ProcessNode): Promise<void> {
    const client = await connect(node);
    const { start, commit } = await client.end();
    expect(start).toBe(0);
    const byOffset = new Map(this.acknowledged.map((entry) => [entry.offset, entry]));
    expect(byOffset.size).toBe(this.acknowledged.length);
    const ids = new Set<number>();
    await client.readAll(0, commit, (entry) => {
      if (entry.kind !== 0) return;
      const id = entry.payload.readUInt32LE(0);
      if (ids.has(id)) throw new Error(`entry ${id} is in the log twice, the second time at offset ${entry.offset}`);
      ids.add(id);
      if (!entry.payload.equals(this.payload(id, entry.payload.length)) || id >= this.sent) {
        throw new Error(`the entry at offset ${entry.offset} was never sent like that`);
      }
      const told = byOffset.get(entry.offset);
      if (told === undefined) return;
      if (told.id !== id || told.end !== entry.end || told.term !== entry.term) {
        throw new Error(
          `offset ${entry.offset} was acknowledged for entry ${told.id} of term ${told.term}, but has ${id} of term ${entry.term}`,
        );
      }
      byOffset.delete(entry.offset);
    });
    expect([...byOffset.values()]).toEqual([]);
    await client.close();
  }
}

/** Loads `node` with several connections; resolves when all have lost it. */
async function loadAll(node: ProcessNode, ledger: Ledger, random: Random, connections = 4): Promise<void> {
  const clients = await Promise.all(Array.from({ length: connections }, () => connect(node)));
  await Promise.all(clients.map((client, i) => ledger.load(client, random, 1 + i * 4)));
}

/** Mounts a small file system in memory on a new directory; skips the test, and says so, where that may not be done. */
function mountSmall(size: string, skip: () => never): string {
  const directory = makeDirectory();
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', directory]).status !== 0) {
    console.warn('NOT RUN: a full disk; a file system could not be mounted here (not root?)');
    skip();
  }
  onTestFinished(() => {
    spawnSync('umount', ['--lazy', directory]);
  });
  return directory;
}

/** Lines of the process's log that say why it ended. */
function fatalLines(node: ProcessNode): string[] {
  return node.stderr
    .split('\n')
    .filter((line) => line.includes('"level":60'))
    .map((line) => (JSON.parse(line) as { msg: string }).msg);
}

test(`kill -9 under load, ${ROUNDS} times: what was acknowledged is at its offset, byte for byte (seed ${SEED})`, async () => {
  const data = makeDirectory();
  const random = new Random(SEED);
  const ledger = new Ledger();
  for (let round = 1; round <= ROUNDS; round++) {
    const node = await startNode({ data, segmentBytes: round % 2 === 0 ? 65536 : 1 << 20, slots: 3 });
    await ledger.verify(node);
    expect((await node.status()).node.term).toBe(round);
    const goal = ledger.acknowledged.length + 200 + random.below(2500);
    const loading = loadAll(node, ledger, random);
    while (ledger.acknowledged.length < goal) await new Promise((resolve) => setTimeout(resolve, random.below(4)));
    await node.kill();
    await loading;
  }
  const last = await startNode({ data });
  await ledger.verify(last);
  expect(ledger.acknowledged.length).toBeGreaterThan(ROUNDS * 200);
});

describe('disk errors: the process ends with file and reason, and a restart loses nothing that was acknowledged', () => {
  test('a write that fails (a limit on the size of files)', async () => {
    const data = makeDirectory();
    const ledger = new Ledger();
    const node = await startNode({ data, segmentBytes: 1 << 20, slots: 3 });
    const loading = loadAll(node, ledger, new Random(SEED));
    while (ledger.acknowledged.length < 300) await new Promise((resolve) => setTimeout(resolve, 1));
    // From here on the kernel refuses writes beyond the first 8 KiB of a file; node ignores SIGXFSZ.
    execFileSync('prlimit', ['--pid', String(node.pid), '--fsize=8192']);
    await loading;
    expect(await node.exited).toEqual({ code: 1, signal: null });
    expect(fatalLines(node)).toHaveLength(1);
    expect(fatalLines(node)[0]).toMatch(/writing .*\.(segment|tmp) at byte \d+ failed/);
    await ledger.verify(await startNode({ data, segmentBytes: 1 << 20, slots: 3 }));
  });

  test('a disk that is full (a small file system in memory; needs root and mount)', async ({ skip }) => {
    // No room for another file: that does not show in what is free, so the node cannot take care of it.
    const directory = mountSmall('256m,nr_inodes=16', skip);
    const data = join(directory, 'data');
    mkdirSync(data);
    const ledger = new Ledger();
    const options = { data, segmentBytes: 1 << 20, slots: 3 };
    const node = await startNode(options);
    await loadAll(node, ledger, new Random(SEED));
    expect(await node.exited).toEqual({ code: 1, signal: null });
    expect(fatalLines(node)).toHaveLength(1);
    expect(fatalLines(node)[0]).toMatch(/\/data\/\S+ .*failed \((ENOSPC|SHORT_WRITE|short write)\).*make room/);
    expect(ledger.acknowledged.length).toBeGreaterThan(0);
    execFileSync('mount', ['-o', 'remount,nr_inodes=1000', directory]);
    const again = await startNode(options);
    await ledger.verify(again);
    const client = await connect(again);
    await client.append(Buffer.from('there is room again'));
    await again.stop();
  });

  test('a disk with no room for files ahead is no reason to end (needs root and mount)', async ({ skip }) => {
    const directory = mountSmall('2560k', skip);
    const node = await startNode({ data: join(directory, 'data'), segmentBytes: 1 << 20, slots: 3, diskCriticalBytes: 1 });
    await expect.poll(() => node.stderr).toContain('no files can be prepared for the next segments');
    const client = await connect(node);
    await client.append(Buffer.from('the open segment has room'));
    expect(await node.stop()).toEqual({ code: 0, signal: null });
    expect(fatalLines(node)).toEqual([]);
  });

  test('a disk that fills up and is emptied: appends are refused meanwhile, and nothing ends (needs root and mount)', async ({ skip }) => {
    const directory = mountSmall('64m', skip);
    const data = join(directory, 'data');
    const node = await startNode({ data, segmentBytes: 65_536, slots: 3, diskCriticalBytes: 1 << 23, diskLowBytes: 1 << 24 });
    const client = await connect(node);
    const { end } = await client.append(Buffer.from('one'));
    const filler = join(directory, 'filler');
    writeFileSync(filler, Buffer.alloc(60 << 20));
    await expect.poll(async () => (await node.status()).disk.level).toBe('critical');
    await expect(client.append(Buffer.from('refused'))).rejects.toThrow(/DISK_FULL/);
    expect((await node.status()).disk).toMatchObject({ whyRefused: expect.stringContaining('make room') });
    expect(await client.end()).toMatchObject({ commit: end });
    rmSync(filler);
    await expect.poll(async () => (await node.status()).disk.level).toBe('ok');
    expect(await client.append(Buffer.from('two'))).toMatchObject({ offset: end });
    expect(await node.stop()).toEqual({ code: 0, signal: null });
  });

  const strace = spawnSync('strace', ['-f', '-e', 'inject=fdatasync:error=EIO', '-e', 'trace=fdatasync', 'true']).status === 0;
  if (!strace) console.warn('NOT RUN: a failing fdatasync; strace is not installed, or may not trace here');

  test.runIf(strace).each([6, 15, 40])('fdatasync fails with EIO, the %ith time in its thread (strace)', async (when) => {
    const data = makeDirectory();
    const trace = join(makeDirectory(), 'trace');
    const ledger = new Ledger();
    const wrapper = ['strace', '-f', '-qq', '-o', trace, '-e', 'trace=fdatasync', '-e', `inject=fdatasync:error=EIO:when=${when}+`];
    const node = await startNode({ data, segmentBytes: 1 << 20, slots: 3, wrapper });
    await loadAll(node, ledger, new Random(SEED + when));
    expect((await node.exited).code).toBe(1);
    expect(fatalLines(node)).toHaveLength(1);
    expect(fatalLines(node)[0]).toMatch(/syncing \S+( at byte \d+)? failed \(EIO\)/);
    // No second try: no thread calls fdatasync again once one of its calls has failed.
    const failed = new Set<string>();
    for (const line of readFileSync(trace, 'utf8').split('\n')) {
      const thread = line.split(' ', 1)[0] ?? '';
      if (!line.includes('fdatasync')) continue;
      expect(failed.has(thread) ? line : '').toBe('');
      if (line.includes('INJECTED')) failed.add(thread);
    }
    expect(failed.size).toBeGreaterThan(0);
    await ledger.verify(await startNode({ data, segmentBytes: 1 << 20, slots: 3 }));
  });
});

describe('threads that die: the process ends and says so, and a restart loses nothing that was acknowledged (poolifier#3211)', () => {
  const preload = new URL('../../dist/test/e2e/dyingThread.js', import.meta.url).href;

  test.each([
    ['raft exit', /^the raft thread ended on its own/],
    ['raft throw', /this thread was told to die/],
    ['pool exit 40', /worker exited with code: 0/],
  ])('%s', async (how, reason) => {
    const data = makeDirectory();
    const ledger = new Ledger();
    const wrapper = ['env', `NODE_OPTIONS=--import=${preload}`, `DYING_THREAD=${how}`];
    const node = await startNode({ data, segmentBytes: 1 << 20, slots: 3, wrapper });
    const loading = loadAll(node, ledger, new Random(SEED));
    while (node.isRunning && ledger.acknowledged.length < 300) await new Promise((resolve) => setTimeout(resolve, 1));
    node.signal('SIGUSR2');
    await loading;
    expect(await node.exited).toEqual({ code: 1, signal: null });
    expect(fatalLines(node)).toHaveLength(1);
    expect(fatalLines(node)[0]).toMatch(reason);
    expect(ledger.acknowledged.length).toBeGreaterThan(0);
    await ledger.verify(await startNode({ data, segmentBytes: 1 << 20, slots: 3 }));
  });
});
