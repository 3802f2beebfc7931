// A clock finer than a timer, whose millisecond would be most of a latency: a thread that sleeps until entries are due, and wakes this one.

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { type Clock, Schedule } from './schedule.ts';
import { systemMs } from './systemClock.ts';
import type { Beat } from './tickerThread.ts';

/** Ticks come no more often than this; what is due between two of them leaves with the second. */
const LEAST_TICK_MS = 0.25;
/** From the call that begins to the first due time. */
const START_DELAY_MS = 20;
/** A tick comes this much after a due time, so that rounding cannot put it before. */
const SAFE_MS = 0.01;

export class Ticker implements Clock {
  readonly #isWaiting = new Int32Array(new SharedArrayBuffer(4));
  #thread: Worker | undefined;
  #wake: (() => void) | undefined;

  now(): number {
    return performance.now();
  }

  /** Makes a schedule of `count` entries that begins soon, and ticks for it. */
  async begin(ratePerSecond: number, count: number): Promise<Schedule> {
    await this.end();
    this.#thread = new Worker(new URL('./tickerThread.js', import.meta.url));
    this.#thread.on('message', () => this.#wake?.());
    // It is there before anything is due.
    await once(this.#thread, 'online');
    const schedule = new Schedule(performance.now() + START_DELAY_MS, ratePerSecond, count);
    const entryMs = 1000 / ratePerSecond;
    const beat: Beat = {
      firstMs: schedule.startMs - performance.now() + systemMs() + SAFE_MS,
      tickMs: entryMs * Math.max(1, Math.ceil(LEAST_TICK_MS / entryMs)),
      isWaiting: this.#isWaiting,
    };
    this.#thread.postMessage(beat);
    return schedule;
  }

  async sleep(untilMs: number): Promise<void> {
    while (performance.now() < untilMs) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        Atomics.store(this.#isWaiting, 0, 1);
      });
    }
  }

  async end(): Promise<void> {
    await this.#thread?.terminate();
    this.#thread = undefined;
  }
}
