// The thread of a ticker: given a beat, it sleeps from tick to tick, and posts those that somebody waits for. Ends when it is terminated.

import { parentPort } from 'node:worker_threads';
import { systemMs } from './systemClock.ts';

/** What the thread is given, once. */
export interface Beat {
  /** The first tick, by the system's clock, and the time between ticks. */
  readonly firstMs: number;
  readonly tickMs: number;
  /** 1: a tick is waited for; the thread makes it 0 and posts. */
  readonly isWaiting: Int32Array;
}

const pause = new Int32Array(new SharedArrayBuffer(4));

function run({ firstMs, tickMs, isWaiting }: Beat): never {
  for (let tick = 0; ; tick = Math.max(0, Math.floor((systemMs() - firstMs) / tickMs) + 1)) {
    for (;;) {
      const aheadMs = firstMs + tick * tickMs - systemMs();
      if (aheadMs <= 0) break;
      Atomics.wait(pause, 0, 0, aheadMs);
    }
    if (Atomics.compareExchange(isWaiting, 0, 1, 0) === 1) parentPort?.postMessage(0);
  }
}

parentPort?.once('message', run);
