// Starts the thread of test/support/memoryThread.ts from what the build made of it.

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { ThreadWork } from '../support/memoryThread.ts';

export interface Thread {
  /** Resolves when the thread runs. */
  readonly running: Promise<unknown>;
  /** Resolves when it has ended well, rejects when it threw. */
  readonly ended: Promise<unknown>;
}

export function startThread(work: ThreadWork): Thread {
  const worker = new Worker(new URL('../../dist/test/support/memoryThread.js', import.meta.url), { workerData: work });
  // A test that fails leaves it behind.
  worker.unref();
  return { running: once(worker, 'online'), ended: once(worker, 'exit') };
}
