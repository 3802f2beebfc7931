// Threads are ended once they have loaded. Node forgets a file that a thread's loader is just opening when the thread is ended: the descriptor
// stays open for as long as the process runs.

import type { Worker } from 'node:worker_threads';
import { THREAD_LOAD_MS } from '../core/limits.ts';

/**
 * Resolves when a thread that has said nothing yet says its first word, which each of ours does when it has loaded, or has ended, or has taken
 * THREAD_LOAD_MS: then it does not load at all. The process runs until then: whoever ends threads waits for this, and Node would leave in the midst of it.
 */
export function loadedOrEnded(thread: Worker): Promise<void> {
  return new Promise((resolve) => {
    const over = (): void => {
      clearTimeout(timer);
      thread.off('message', over);
      thread.off('exit', over);
      resolve();
    };
    const timer = setTimeout(over, THREAD_LOAD_MS);
    thread.ref();
    thread.on('message', over);
    thread.on('exit', over);
  });
}
