// One piscina pool. A thread that cannot be started, for want of descriptors or memory say, is not the end: the pool goes on with those that
// it has, and where it has none, what waits for one fails.

import { EventEmitter } from 'node:events';
import { Piscina } from 'piscina';
import { fromPlainError, LogError, toPlainError } from '../core/errors.ts';
import { IDLE_THREAD_MS, QUIET_YOUNG_MB } from '../core/limits.ts';
import { loadedOrEnded } from './loading.ts';
import type { TaskName, TaskOutcome, Tasks, WorkerSetup } from './messages.ts';
import { threadFlags } from './threadFlags.ts';
import { unrefThreads } from './unrefThreads.ts';

/** Our tasks return their errors: one with such a code comes from a thread that was being started. */
const START_FAILURES = ['ERR_WORKER_INIT_FAILED', 'EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN'];

function isStartFailure(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && START_FAILURES.includes(String(thrown.code));
}

export interface ThreadPoolOptions {
  readonly minThreads: number;
  readonly maxThreads: number;
  /** Whether its threads keep the process running while they have tasks. */
  readonly keepsRunning: boolean;
  /** A thread ended on an error outside of any task: the process must not go on without it. */
  readonly died: (error: LogError) => void;
  /** A thread could not be started; the pool goes on without it. */
  readonly short: (error: LogError) => void;
}

export class ThreadPool {
  readonly #pool: Piscina;
  readonly #options: ThreadPoolOptions;
  /** Takes tasks that no thread has begun out of the queue. */
  readonly #queue = new EventEmitter().setMaxListeners(0);
  /** The tasks that have not returned. */
  readonly #running = new Set<Promise<unknown>>();
  /** Ids of the threads that have loaded. */
  readonly #loaded = new Set<number>();
  #shortage = new LogError('IO', 'a thread cannot be started');

  constructor(setup: WorkerSetup, options: ThreadPoolOptions) {
    const { minThreads, maxThreads } = options;
    const execArgv = threadFlags();
    this.#options = options;
    this.#pool = new Piscina({
      filename: new URL('../program/poolThread.cjs', import.meta.url).href,
      workerData: setup,
      minThreads,
      maxThreads,
      ...(execArgv === undefined ? {} : { execArgv }),
      concurrentTasksPerWorker: 1,
      // A segment's writer never is idle.
      idleTimeout: IDLE_THREAD_MS,
      // An idle thread sleeps in Atomics.wait; our tasks leave nothing behind that would need its event loop.
      atomics: 'sync',
      recordTiming: false,
      // The log's bytes are in shared memory, and what a task leaves behind is little.
      resourceLimits: { maxYoungGenerationSizeMb: QUIET_YOUNG_MB },
    });
    this.#pool.on('message', (threadId: number) => this.#loaded.add(threadId));
    this.#pool.on('error', (thrown: unknown) => this.#threadFailed(thrown));
    if (!options.keepsRunning) unrefThreads(this.#pool);
  }

  /**
   * Runs one task. Rejects with the LogError that the task threw, or one that says that its thread ended. When no thread could be started
   * for it, it was not begun, and never will be.
   */
  async run<Name extends TaskName>(task: Name, request: Tasks[Name]['request']): Promise<Tasks[Name]['response']> {
    const running: Promise<TaskOutcome<Tasks[Name]['response']>> = this.#pool.run({ task, request }, { signal: this.#queue });
    this.#running.add(running);
    const outcome = await running
      .catch((thrown: unknown) => {
        throw thrown instanceof Error && thrown.name === 'AbortError' ? this.#shortage : fromPlainError(toPlainError(thrown));
      })
      .finally(() => this.#running.delete(running));
    if (!outcome.ok) throw fromPlainError(outcome.error);
    return outcome.value;
  }

  /** Ends all threads once all tasks have returned. Piscina's own `close` would keep the pool, and with it all shared memory, for 30 s more. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#running);
    await this.destroy();
  }

  /** Ends all threads at once, or as soon as they have loaded; what they do fails. */
  async destroy(): Promise<void> {
    await Promise.all(this.#pool.threads.filter(({ threadId }) => !this.#loaded.has(threadId)).map(loadedOrEnded));
    await this.#pool.destroy();
  }

  #threadFailed(thrown: unknown): void {
    const error = fromPlainError(toPlainError(thrown));
    if (!isStartFailure(thrown)) {
      this.#options.died(error);
      return;
    }
    this.#shortage = new LogError('IO', `a thread cannot be started: ${error.message}`, { ...error.details, isThreadMissing: true });
    this.#options.short(this.#shortage);
    // With no thread at all no task is running: aborting would end the thread of one that is.
    if (this.#pool.threads.length === 0) this.#queue.emit('abort');
  }
}
