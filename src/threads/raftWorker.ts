// The raft thread as its starter sees it.

import { Worker } from 'node:worker_threads';
import { fromPlainError, toPlainError } from '../core/errors.ts';
import { QUIET_YOUNG_MB } from '../core/limits.ts';
import { loadedOrEnded } from './loading.ts';
import type { FromRaft, RaftChannel, RaftListener, RaftSetup, ToRaft } from './messages.ts';
import { threadFlags } from './threadFlags.ts';

export class RaftWorker implements RaftChannel {
  readonly #worker: Worker;
  /** It has loaded, or ended. */
  #isLoaded = false;
  readonly #keepsRunning: boolean;

  /** Starts the thread. `keepsRunning`: whether the process goes on running for it. */
  constructor(setup: RaftSetup, keepsRunning: boolean) {
    this.#keepsRunning = keepsRunning;
    this.#worker = new Worker(new URL('../program/raftThread.js', import.meta.url), {
      workerData: setup,
      name: 'raft',
      execArgv: threadFlags(),
      // One of a node alone has next to nothing to do.
      ...(setup.peers.length === 0 ? { resourceLimits: { maxYoungGenerationSizeMb: QUIET_YOUNG_MB } } : {}),
    });
  }

  listen(listener: RaftListener): void {
    for (const event of ['message', 'exit']) this.#worker.once(event, () => (this.#isLoaded = true));
    this.#worker.on('message', (message: FromRaft) => listener.message(message));
    this.#worker.on('error', (thrown: unknown) => listener.failed(fromPlainError(toPlainError(thrown))));
    this.#worker.on('exit', () => listener.ended());
    // Last: a listener for messages makes it keep the process running.
    if (!this.#keepsRunning) this.#worker.unref();
  }

  post(message: ToRaft): void {
    this.#worker.postMessage(message);
  }

  async terminate(): Promise<number> {
    if (!this.#isLoaded) await loadedOrEnded(this.#worker);
    return this.#worker.terminate();
  }
}
