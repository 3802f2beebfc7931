// A cluster inside a test: what a user's test does with it, and that nothing of it is left, however the test ends.

import { spawn } from 'node:child_process';
import { cpSync, existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { connect } from '../../src/client/index.ts';
import { CheckError, type LogClient, startCluster, type TestCluster } from '../../src/testing/index.ts';

const timeout = 240_000;
const WAIT = { timeout: 60_000, interval: 50 };

/** Whether a process runs. One whose starting thread is gone stays in the table of processes when it has ended, for want of somebody who asks for it. */
function isThere(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

async function texts(log: LogClient): Promise<string[]> {
  const all: string[] = [];
  for await (const { payload } of log.read()) all.push(Buffer.from(payload).toString());
  return all;
}

describe('a cluster inside a test', { timeout }, () => {
  test('takes appends, loses leaders, disks and links as it is told, goes on, and is gone with its block', async () => {
    const left: { pids: number[]; directory: string } = { pids: [], directory: '' };
    {
      await using cluster = await startCluster({ nodes: 3, electionTimeoutMs: 500 });
      left.directory = cluster.directory;
      left.pids = cluster.nodes.flatMap(({ pid }) => pid ?? []);
      expect(left.pids.filter(isThere)).toHaveLength(3);
      const log = await cluster.connect();
      await log.append('one');
      const first = await cluster.leader();
      await first.kill();
      expect([first.isRunning, first.pid]).toEqual([false, undefined]);
      await log.append('two', { expectedEnd: (await log.end()).end });
      const second = await cluster.leader({ not: first });
      await first.start();
      // Its client asks it for nothing meanwhile: an append that was ordered there could have been done or not.
      await cluster.partition([[second.id], ['clients', ...cluster.nodes.filter((node) => node !== second).map(({ id }) => id)]]);
      const third = await cluster.leader({ not: second });
      await log.append('three', { expectedEnd: (await log.end()).end });
      await cluster.heal();
      await third.pause();
      const fourth = await cluster.leader({ not: third });
      await log.append('four', { expectedEnd: (await log.end()).end });
      await third.resume();
      await cluster.converged();
      await fourth.wipe();
      expect(existsSync(fourth.data)).toBe(false);
      await log.append('five', { expectedEnd: (await log.end()).end });
      await fourth.restart();
      await cluster.converged();
      expect(await texts(log)).toEqual(['one', 'two', 'three', 'four', 'five']);
      const stranger = await connect(cluster.urls);
      await stranger.append('six, by a client that nobody watches');
      await stranger.close();
      expect((await log.end({ linearizable: true })).end).toBeGreaterThan(0);
      expect(await cluster.check()).toMatchObject({ entries: 6, appends: 5, acknowledged: 5, read: 5, compared: [1, 2, 3] });
      left.pids.push(...cluster.nodes.flatMap(({ pid }) => pid ?? []));
    }
    expect(left.pids.filter(isThere)).toEqual([]);
    expect(existsSync(left.directory)).toBe(false);
  });

  test('of one node, whose clients are cut off one way: what they send waits, and nothing is lost', async () => {
    await using cluster = await startCluster({ nodes: 1 });
    const log = await cluster.connect();
    const before = await log.append('before');
    await expect(cluster.leader({ timeout: 1 } as object)).rejects.toThrow('leader has no option "timeout"; did you mean timeoutMs?');
    await expect(cluster.check({ timeoutMs: -1 })).rejects.toThrow('timeoutMs must be a whole number from 0 to');
    await expect(cluster.slow(1, 'clients', { delay: 100 } as object)).rejects.toThrow('slow has no option "delay"; did you mean delayMs?');
    await cluster.cut(1, 'clients');
    const unheard = log.append('unheard');
    // The node has it, only its answer does not come.
    await expect.poll(async () => (await cluster.node(1).status())?.log.commit, WAIT).toBeGreaterThan(before.end);
    const isSettled = await Promise.race([unheard.then(() => true), new Promise((resolve) => setTimeout(resolve, 50, false))]);
    expect(isSettled).toBe(false);
    // What cuts no way that is slow leaves it so.
    await cluster.slow(1, 'clients', { delayMs: 300 });
    await cluster.partition([]);
    await unheard;
    const askedMs = performance.now();
    await log.end({ linearizable: true });
    // A timer may come a little early.
    expect(performance.now() - askedMs).toBeGreaterThan(290);
    await cluster.heal();
    expect(await texts(log)).toEqual(['before', 'unheard']);
    expect(await cluster.check()).toMatchObject({ entries: 2, read: 2 });
    // Its disk goes back in time.
    const [node] = cluster.nodes;
    if (node === undefined) throw new TypeError('there is one');
    await node.stop();
    const backup = `${node.data}-backup`;
    cpSync(node.data, backup, { recursive: true });
    await node.start();
    await log.append('lost');
    await node.kill();
    rmSync(node.data, { recursive: true });
    renameSync(backup, node.data);
    await node.start();
    const failure: unknown = await cluster.check().catch((thrown: unknown) => thrown);
    expect(failure).toBeInstanceOf(CheckError);
    expect(String(failure)).toMatch(/^CheckError: the cluster broke a promise:\n {2}lost: the append of entry 2 by client 1 .* is lost/);
  });

  test.each([
    [{ node: 3 }, TypeError, 'startCluster has no option "node"; did you mean nodes?'],
    [{ electionTimeout: 300 }, TypeError, 'startCluster has no option "electionTimeout"; did you mean electionTimeoutMs?'],
    [{ port: 7070 }, TypeError, 'startCluster has no option "port"'],
    [{ nodes: 0 }, RangeError, 'nodes must be a whole number from 1 to 7, not 0'],
    [{ nodes: '3' }, TypeError, 'nodes must be a number, not string'],
    [{ segmentBytes: 1000 }, Error, 'segmentBytes takes a whole number from 65536'],
  ])('%j is refused before anything is started', async (options, type, sentence) => {
    const refused = startCluster(options as Parameters<typeof startCluster>[0]);
    await expect(refused).rejects.toThrow(type);
    await expect(refused).rejects.toThrow(sentence);
  });
});

interface Leftovers {
  readonly pids: readonly number[];
  readonly directory: string;
}

const TESTING = fileURLToPath(new URL('../../dist/src/testing/index.js', import.meta.url));

/** The beginning of a program, a module or not: a cluster of one node, and `say`, which tells what it has made. */
const BEGIN = `
  const { startCluster } = await import(${JSON.stringify(TESTING)});
  const cluster = await startCluster({ nodes: 1 });
  const say = () => console.log(JSON.stringify({ pids: cluster.nodes.map(({ pid }) => pid), directory: cluster.directory }));
`;

interface Program {
  readonly said: Leftovers;
  readonly pid: number;
  readonly ended: Promise<number | null>;
}

/** Runs a module until it has said what it made. */
async function program(source: string): Promise<Program> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', source], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    void ended.then((code) => reject(new Error(`it ended with ${code}`)));
  });
  return { said: JSON.parse(line) as Leftovers, pid: child.pid ?? 0, ended };
}

async function nothingIsLeft({ pids, directory }: Leftovers): Promise<void> {
  expect(pids).toHaveLength(1);
  await expect.poll(() => pids.filter(isThere), WAIT).toEqual([]);
  await expect.poll(() => existsSync(directory), WAIT).toBe(false);
}

describe('a program with a cluster', { timeout }, () => {
  test('that is killed leaves no process and no file, though the node stood still', async () => {
    const { said, pid, ended } = await program(`${BEGIN} await cluster.node(1).pause(); say(); setInterval(() => undefined, 1000);`);
    expect([said.pids.every(isThere), existsSync(said.directory)]).toEqual([true, true]);
    process.kill(pid, 'SIGKILL');
    await ended;
    await nothingIsLeft(said);
  });

  test('that forgets to close it ends all the same, and leaves nothing', async () => {
    const { said, ended } = await program(`${BEGIN} const log = await cluster.connect(); await log.append('x'); await log.close(); say();`);
    expect(await ended).toBe(0);
    await nothingIsLeft(said);
  });

  test('that closes it is kept running by no timer of it', async () => {
    const { said, ended } = await program(`${BEGIN} await cluster.connect(); await cluster.close();
      console.log(JSON.stringify({ pids: process.getActiveResourcesInfo().filter((what) => what === 'Timeout'), directory: '' }));`);
    expect(said.pids).toEqual([]);
    expect(await ended).toBe(0);
  });

  test('whose thread with the cluster is ended leaves nothing of it, while it goes on', async () => {
    const thread = `${BEGIN.replace('console.log(', "(await import('node:worker_threads')).parentPort.postMessage(").replace('() =>', 'async () =>')} say();`;
    const { said, pid } = await program(`
      import { Worker } from 'node:worker_threads';
      const worker = new Worker(${JSON.stringify(thread)}, { eval: true });
      worker.once('message', (made) => { console.log(made); worker.terminate(); });
      setInterval(() => undefined, 1000);
    `);
    await nothingIsLeft(said);
    expect(isThere(pid)).toBe(true);
  });
});

test('a cluster in a directory of its own leaves it there, and does not take one that holds something', { timeout }, async () => {
  const { makeDirectory } = await import('../server/support/fixture.ts');
  const directory = makeDirectory();
  const cluster: TestCluster = await startCluster({ nodes: 1, directory });
  await cluster.close();
  await cluster.close();
  expect(existsSync(cluster.node(1).data)).toBe(true);
  await expect(startCluster({ nodes: 1, directory })).rejects.toThrow(/is not empty/);
});
