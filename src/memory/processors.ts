// Whether more threads want to run than there are processors, of this process and of others.

import { readFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import type { SpinChoice } from '../core/options.ts';
import { Spin } from './spin.ts';
import type { TailMemory } from './tailMemory.ts';

/** So much of each look counts. */
const SHARE = 1 / 4;

/** Threads that run or want to, of the whole machine, whoever asks among them, by `file`; undefined where it is not there, or does not say. */
export function runnableThreads(file = '/proc/loadavg'): number | undefined {
  try {
    const [, count] = / (\d+)\/\d+ /.exec(readFileSync(file, 'latin1')) ?? [];
    return count === undefined ? undefined : Number(count);
  } catch {
    return undefined;
  }
}

/** The number of runnable threads at the looks of late. */
export class Crowd {
  readonly #processors: number;
  readonly #runnable: () => number | undefined;
  #mean = 0;

  /** `processors` of the whole machine. */
  constructor(processors: number = cpus().length, runnable: () => number | undefined = () => runnableThreads()) {
    this.#processors = processors;
    this.#runnable = runnable;
  }

  /** Looks once more. False where the system does not say. */
  isCrowded(): boolean {
    this.#mean += SHARE * ((this.#runnable() ?? 0) - this.#mean);
    // Half a thread comes and goes.
    return this.#mean > this.#processors + 0.5;
  }
}

/**
 * When a thread may spin, for `maxMs` at most; undefined: never, as with one processor. `looks`: it is one of those that look whether it is crowded; with
 * `on`, nobody minds that.
 */
export function spinOf(memory: TailMemory, choice: SpinChoice, maxMs: number, looks: boolean): Spin | undefined {
  if (choice === 'off' || availableParallelism() < 2) return undefined;
  const nowMs = (): number => performance.now();
  if (!looks || choice === 'on') return new Spin(memory, maxMs, { nowMs });
  const crowd = new Crowd();
  return new Spin(memory, maxMs, { nowMs, isCrowded: () => crowd.isCrowded() });
}
