// The piscina pools: writers (one thread an open or closing segment), one allocator, cold readers. This file alone calls pool.run.

import { Piscina } from 'piscina';
import { fromPlainError, type LogError, toPlainError } from '../core/errors.ts';
import { COLD_READERS } from '../core/limits.ts';
import type { TaskName, TaskOutcome, Tasks, WorkerSetup } from './messages.ts';

/** Idle helper threads end after this long; a segment's writer never is idle. */
const IDLE_THREAD_MS = 10_000;

export class Pools {
  readonly #writers: Piscina;
  readonly #allocator: Piscina;
  readonly #readers: Piscina;

  /** `died` is told when a thread ends on an error outside of any task: the process must not go on without it. */
  constructor(setup: WorkerSetup, died: (error: LogError) => void) {
    // Writer tasks block for long: each needs a thread of its own, up to one a slot.
    // The next segment's writer waits in a thread that is there already: starting one takes longer than many appends.
    this.#writers = makePool(setup, 2, setup.shared.shape.slots, died);
    this.#allocator = makePool(setup, 0, 1, died);
    this.#readers = makePool(setup, 0, COLD_READERS, died);
  }

  /** Recovery runs where the first segment's writer will: on a writer thread. */
  recover(): Promise<Tasks['recover']['response']> {
    return call(this.#writers, 'recover', {});
  }

  allocate(request: Tasks['allocate']['request']): Promise<true> {
    return call(this.#allocator, 'allocate', request);
  }

  write(request: Tasks['write']['request']): Promise<Tasks['write']['response']> {
    return call(this.#writers, 'write', request);
  }

  /** A truncation runs on a writer thread too: no writer runs beside it. */
  truncate(request: Tasks['truncate']['request']): Promise<Tasks['truncate']['response']> {
    return call(this.#writers, 'truncate', request);
  }

  readCold(request: Tasks['readCold']['request']): Promise<number> {
    return call(this.#readers, 'readCold', request);
  }

  /** Ends all threads. Call it when all tasks have returned. */
  async close(): Promise<void> {
    await Promise.all([this.#writers, this.#allocator, this.#readers].map((pool) => pool.close({ force: true })));
  }
}

function makePool(setup: WorkerSetup, minThreads: number, maxThreads: number, died: (error: LogError) => void): Piscina {
  const pool = new Piscina({
    filename: new URL('./worker.js', import.meta.url).href,
    workerData: setup,
    minThreads,
    maxThreads,
    concurrentTasksPerWorker: 1,
    idleTimeout: IDLE_THREAD_MS,
    // An idle thread sleeps in Atomics.wait; our tasks leave nothing behind that would need its event loop.
    atomics: 'sync',
    recordTiming: false,
  });
  pool.on('error', (thrown: unknown) => died(fromPlainError(toPlainError(thrown))));
  return pool;
}

/** Runs one task. Rejects with the LogError that the task threw; when its thread dies, piscina rejects too. */
async function call<Name extends TaskName>(pool: Piscina, task: Name, request: Tasks[Name]['request']): Promise<Tasks[Name]['response']> {
  const outcome = (await pool.run({ task, request })) as TaskOutcome<Tasks[Name]['response']>;
  if (!outcome.ok) throw fromPlainError(outcome.error);
  return outcome.value;
}

/** The raft thread's own cold readers, which fetch what nodes that lag behind need. */
export class ColdPool {
  readonly #pool: Piscina;

  constructor(setup: WorkerSetup, maxThreads: number, died: (error: LogError) => void) {
    // Piscina hands on all of the setup: only what a worker needs.
    const { directory, identity, shared } = setup;
    this.#pool = makePool({ directory, identity, shared }, 0, maxThreads, died);
  }

  readCold(request: Tasks['readCold']['request']): Promise<number> {
    return call(this.#pool, 'readCold', request);
  }

  /** Ends all threads, once their tasks have returned. */
  async close(): Promise<void> {
    await this.#pool.close({ force: true });
  }
}
