// The piscina pools: writers (one thread an open or closing segment), one allocator, cold readers. threadPool.ts alone calls pool.run.

import { statfs } from 'node:fs/promises';
import type { LogError } from '../core/errors.ts';
import { COLD_READERS } from '../core/limits.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { DiskTasks } from '../storage/diskTasks.ts';
import { LoneWriter } from '../storage/loneWriter.ts';
import { diskOf } from '../storage/unsyncedDisk.ts';
import type { Tasks, WorkerSetup } from './messages.ts';
import { ThreadPool } from './threadPool.ts';

/** What a node hears of its pools' threads. */
export interface PoolEvents {
  /** A thread ended on an error outside of any task: the process must not go on without it. */
  readonly died: (error: LogError) => void;
  /** A thread could not be started; its pool goes on without it. */
  readonly short: (error: LogError) => void;
}

export interface PoolOptions extends PoolEvents {
  /** Whether the threads keep the process running while they have tasks. Writers always have one. Default true. */
  readonly keepsRunning?: boolean | undefined;
}

/** Unix milliseconds, with fractions. */
const nowMs = (): number => performance.timeOrigin + performance.now();

export class Pools implements DiskTasks {
  readonly #writers: ThreadPool;
  readonly #allocator: ThreadPool;
  readonly #readers: ThreadPool;
  readonly #directory: string;
  readonly #loneWriter: LoneWriter;

  /** `memory` is this thread's view of what the threads share. */
  constructor(setup: WorkerSetup, memory: TailMemory, { keepsRunning = true, ...events }: PoolOptions) {
    const options = { keepsRunning, ...events };
    const { directory, identity, fsync } = setup;
    this.#directory = directory;
    this.#loneWriter = new LoneWriter({ disk: diskOf(fsync), directory, identity, memory, nowMs });
    // Writer tasks block for long: each needs a thread of its own, up to one a slot. With fewer, the oldest segments have them.
    // Where segments fill quickly the threads of those before are there for the next ones. Where they do not, a second thread would be 10 MB for nothing:
    // the first one has sealed its segment, and writes the next, long before another one has started.
    this.#writers = new ThreadPool(setup, { minThreads: 1, maxThreads: setup.shared.shape.slots, ...options });
    this.#allocator = new ThreadPool(setup, { minThreads: 0, maxThreads: 1, ...options });
    this.#readers = new ThreadPool(setup, { minThreads: 0, maxThreads: COLD_READERS, ...options });
  }

  /** Recovery runs where the first segment's writer will: on a writer thread. */
  recover(request: Tasks['recover']['request'] = {}): Promise<Tasks['recover']['response']> {
    return this.#writers.run('recover', request);
  }

  allocate(request: Tasks['allocate']['request']): Promise<true> {
    return this.#allocator.run('allocate', request);
  }

  write(request: Tasks['write']['request']): Promise<Tasks['write']['response']> {
    return this.#writers.run('write', request);
  }

  writeAtOnce(): boolean {
    return this.#loneWriter.write();
  }

  /** On a thread of Node's own: it is asked all the time, and a disk that hangs must not hold up those of the log. */
  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.#directory);
    return bavail * bsize;
  }

  /** A truncation runs on a writer thread too: no writer runs beside it. */
  truncate(request: Tasks['truncate']['request']): Promise<Tasks['truncate']['response']> {
    return this.#writers.run('truncate', request);
  }

  /** As a truncation. */
  empty(request: Tasks['empty']['request']): Promise<true> {
    return this.#writers.run('empty', request);
  }

  /** On the allocator's thread: both are of use to the log later, and no append waits for either. */
  remove(request: Tasks['remove']['request']): Promise<Tasks['remove']['response']> {
    return this.#allocator.run('remove', request);
  }

  /** On the allocator's thread, which is one: what an examination remembers from one piece to the next is there. */
  examine(request: Tasks['examine']['request']): Promise<Tasks['examine']['response']> {
    return this.#allocator.run('examine', request);
  }

  mend(request: Tasks['mend']['request']): Promise<Tasks['mend']['response']> {
    return this.#allocator.run('mend', request);
  }

  heal(request: Tasks['heal']['request']): Promise<Tasks['heal']['response']> {
    return this.#allocator.run('heal', request);
  }

  readScrub(): Promise<Tasks['readScrub']['response']> {
    return this.#allocator.run('readScrub', {});
  }

  readTokenRequest(): Promise<Tasks['readTokenRequest']['response']> {
    return this.#allocator.run('readTokenRequest', {});
  }

  removeTokenRequest(request: Tasks['removeTokenRequest']['request']): Promise<true> {
    return this.#allocator.run('removeTokenRequest', request);
  }

  saveScrub(request: Tasks['saveScrub']['request']): Promise<true> {
    return this.#allocator.run('saveScrub', request);
  }

  findTime(request: Tasks['findTime']['request']): Promise<Tasks['findTime']['response']> {
    return this.#readers.run('findTime', request);
  }

  findBatch(request: Tasks['findBatch']['request']): Promise<Tasks['findBatch']['response']> {
    return this.#readers.run('findBatch', request);
  }

  readCold(request: Tasks['readCold']['request']): Promise<number> {
    return this.#readers.run('readCold', request);
  }

  /** On the allocator's thread, as what it does for itself. */
  readSeals(request: Tasks['readSeals']['request']): Promise<Tasks['readSeals']['response']> {
    return this.#allocator.run('readSeals', request);
  }

  addSeals(request: Tasks['addSeals']['request']): Promise<number> {
    return this.#allocator.run('addSeals', request);
  }

  /** Ends all threads. Call it when all tasks have returned. */
  async close(): Promise<void> {
    await Promise.all([this.#writers, this.#allocator, this.#readers].map((pool) => pool.close()));
  }

  /** Ends all threads at once, whatever they do; their tasks fail. Resolves when they have ended: a call to the system is not cut short. */
  async destroy(): Promise<void> {
    await Promise.all([this.#writers, this.#allocator, this.#readers].map((pool) => pool.destroy()));
  }
}

/** The raft thread's own cold readers, which fetch what nodes that lag behind need. */
export class ColdPool {
  readonly #pool: ThreadPool;

  constructor(setup: WorkerSetup, maxThreads: number, events: PoolEvents) {
    // Piscina hands on all of the setup: only what a worker needs.
    const { directory, identity, shared, fsync, spin } = setup;
    this.#pool = new ThreadPool({ directory, identity, shared, fsync, spin }, { minThreads: 0, maxThreads, keepsRunning: true, ...events });
  }

  readCold(request: Tasks['readCold']['request']): Promise<number> {
    return this.#pool.run('readCold', request);
  }

  /** Ends all threads, once their tasks have returned. */
  async close(): Promise<void> {
    await this.#pool.close();
  }
}
