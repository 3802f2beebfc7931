// A piscina pool whose threads never keep the process running. Piscina lets only idle threads not do so, and a segment's writer is never idle.

import type { Piscina } from 'piscina';
import { assert } from '../core/assert.ts';

/** What piscina keeps of a thread; of its own kind, behind a symbol of its own (pinned: piscina 5.3.2, worker_pool/index.js). */
interface ThreadInfo {
  /** Lets the channel of its tasks keep the process running, as piscina does whenever it gives it a task. */
  ref(): ThreadInfo;
  unref(): ThreadInfo;
}

function infoOf(thread: object): ThreadInfo {
  const [symbol] = Object.getOwnPropertySymbols(thread).filter(({ description }) => description === 'Piscina.kWorkerData');
  assert(symbol !== undefined, 'piscina hands out its threads as it did');
  return (thread as Record<symbol, ThreadInfo>)[symbol] as ThreadInfo;
}

/** To be called as soon as the pool is there. */
export function unrefThreads(pool: Piscina): void {
  pool.on('workerCreate', (thread: object) => {
    const info = infoOf(thread);
    info.ref = () => info;
    info.unref();
  });
}
