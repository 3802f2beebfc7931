// When the event loop writes an append to disk itself. One that is alone would else wait for two threads to wake, which takes as long as the disk. The loop
// stands still meanwhile, for everybody: so only while appends come one at a time, and not soon after a write that took long.

import { LogError } from '../core/errors.ts';
import { LONE_WRITE_REST, LONE_WRITE_SLOW_MS, MAX_LONE_WRITE_REST, MAX_LONE_WRITE_REST_MS } from '../core/limits.ts';
import type { DiskTasks } from '../storage/diskTasks.ts';
import type { Loop } from './loop.ts';

export interface LoneWritePorts {
  readonly tasks: Pick<DiskTasks, 'writeAtOnce'>;
  readonly loop: Pick<Loop, 'nowMs'>;
  /** The disk has failed: the engine must end (invariant 6). */
  failed(error: LogError): void;
}

export class LoneWrites {
  readonly #ports: LoneWritePorts;
  #restsUntilMs = Number.NEGATIVE_INFINITY;
  /** How long it rests after a slow write, in times that that took. */
  #rest = LONE_WRITE_REST;

  constructor(ports: LoneWritePorts) {
    this.#ports = ports;
  }

  /** Makes what was ordered durable. False: its writer is to be woken for that. */
  write(): boolean {
    const { tasks, loop } = this.#ports;
    const startedMs = loop.nowMs();
    if (startedMs < this.#restsUntilMs || !this.#tried(() => tasks.writeAtOnce())) return false;
    const nowMs = loop.nowMs();
    const tookMs = nowMs - startedMs;
    if (tookMs <= LONE_WRITE_SLOW_MS) {
      this.#rest = LONE_WRITE_REST;
      return true;
    }
    this.#restsUntilMs = nowMs + Math.min(this.#rest * tookMs, MAX_LONE_WRITE_REST_MS);
    this.#rest = Math.min(2 * this.#rest, MAX_LONE_WRITE_REST);
    return true;
  }

  #tried(write: () => boolean): boolean {
    try {
      return write();
    } catch (thrown) {
      if (!(thrown instanceof LogError)) throw thrown;
      this.#ports.failed(thrown);
      return false;
    }
  }
}
