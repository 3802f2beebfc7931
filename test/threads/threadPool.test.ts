// Threads of a pool that end before they have begun. The threads' code is what the build made, so it is a process of its own that runs it.

import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { TailMemory } from '../../dist/src/memory/tailMemory.js';
import type { Identity } from '../../dist/src/storage/dataDirectory.js';
import { ThreadPool } from '../../dist/src/threads/threadPool.js';
import { temporaryDirectory } from '../support/server.ts';

const built = (path: string): string => JSON.stringify(new URL(`../../dist/src/${path}`, import.meta.url).href);

/** Starts a pool of four threads again and again, and ends each one a little later than the one before: the last when their code is loaded. */
const STARTS_AND_ENDS = `
  import { TailMemory } from ${built('memory/tailMemory.js')};
  import { ThreadPool } from ${built('threads/threadPool.js')};

  const { shared } = TailMemory.create({ segmentBytes: 65536, slots: 3 });
  const setup = { directory: '/nowhere', identity: {}, shared, fsync: false };
  const start = () => new ThreadPool(setup, { minThreads: 4, maxThreads: 4, keepsRunning: true, died: console.error, short: console.error });
  const whole = start();
  const begun = performance.now();
  // A task on each thread, which fails: all of them are loaded then.
  await Promise.allSettled(Array.from({ length: 4 }, () => whole.run('readCold', { range: { from: 0, to: 0, bases: [] }, buffer: 0 })));
  const loadMs = performance.now() - begun;
  await whole.close();
  const rounds = 8;
  for (let i = 1; i <= rounds; i += 1) {
    const pool = start();
    await new Promise((resolve) => setTimeout(resolve, (i / rounds) * loadMs));
    await pool.close();
  }
  console.log('all ended');
`;

/** Runs in every thread before anything else: says which ES modules it gets by require(). */
const TELL_REQUIRED = `
  const Module = require('node:module');
  const { _load } = Module;
  Module._load = function (file, ...rest) {
    if (/\\/dist\\/src\\/.*\\.m?js$/.test(file)) require('node:fs').writeSync(2, 'an ES module by require(): ' + file + '\\n');
    return _load.call(this, file, ...rest);
  };
`;

describe('a pool of threads', () => {
  // Few of these ends come while modules are linked, so it counts how they are linked as well.
  test('E1: may be closed at any time of its threads’ start', async () => {
    const preload = join(temporaryDirectory(), 'tellRequired.cjs');
    writeFileSync(preload, TELL_REQUIRED);
    const args = ['--require', preload, '--input-type=module', '-e', STARTS_AND_ENDS];
    // How it ended is told, too: a crash of Node says nothing else.
    const { code = 0, signal = null, stdout, stderr } = await promisify(execFile)(process.execPath, args).catch((failed) => failed);
    expect({ code, signal, stdout, stderr }).toEqual({ code: 0, signal: null, stdout: 'all ended\n', stderr: '' });
  });

  test('E60: keeps the process running until its threads have loaded and are ended', async () => {
    const program = `
      import { Worker } from 'node:worker_threads';
      import { loadedOrEnded } from ${built('threads/loading.js')};

      const thread = new Worker('setTimeout(() => require("node:worker_threads").parentPort.postMessage(1), 100)', { eval: true, execArgv: [] });
      // Node lets only the first listener keep the process running; piscina has one.
      thread.on('message', () => undefined);
      thread.unref();
      await loadedOrEnded(thread);
      await thread.terminate();
      console.log('ended');`;
    const args = ['--input-type=module', '-e', program];
    const { code = 0, stdout } = await promisify(execFile)(process.execPath, args).catch((failed) => failed);
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'ended\n' });
  });

  test('waits for its tasks when it is closed', async () => {
    const { shared } = TailMemory.create({ segmentBytes: 65_536, slots: 3 });
    const setup = { directory: temporaryDirectory(), identity: {} as Identity, shared, fsync: true, spin: 'auto' as const };
    const pool = new ThreadPool(setup, { minThreads: 1, maxThreads: 1, keepsRunning: true, died: () => undefined, short: () => undefined });
    const task = pool.run('allocate', { name: 'spare-1.tmp', bytes: 64 * 1024 * 1024 });
    await pool.close();
    await expect(task).resolves.toBe(true);
  });

  test('a task whose thread is ended rejects with a LogError', async () => {
    const { shared } = TailMemory.create({ segmentBytes: 65_536, slots: 3 });
    const setup = { directory: '/nowhere', identity: {} as Identity, shared, fsync: false, spin: 'off' as const };
    const pool = new ThreadPool(setup, { minThreads: 1, maxThreads: 1, keepsRunning: true, died: () => undefined, short: () => undefined });
    const task = pool.run('recover', {}).catch((thrown: unknown) => thrown);
    await pool.destroy();
    expect(await task).toMatchObject({ name: 'LogError', code: 'IO', message: /terminat/i });
  });
});
