// Log lines about what goes wrong again and again, many times a second: each cause is told once, and then at most once a minute.

import type { ReplicaPorts } from './ports.ts';

const SAY_AGAIN_MS = 60_000;

export class RareLog {
  readonly #ports: Pick<ReplicaPorts, 'log' | 'nowMs'>;
  /** When each cause was told last. There are few causes: one kind of trouble for each node. */
  readonly #saidAtMs = new Map<string, number>();

  constructor(ports: Pick<ReplicaPorts, 'log' | 'nowMs'>) {
    this.#ports = ports;
  }

  /** Logs `text`, unless `cause` was told within the last minute. */
  say(level: 'warn' | 'error', cause: string, text: string): void {
    const nowMs = this.#ports.nowMs();
    if (nowMs - (this.#saidAtMs.get(cause) ?? Number.NEGATIVE_INFINITY) < SAY_AGAIN_MS) return;
    this.#saidAtMs.set(cause, nowMs);
    this.#ports.log(level, text);
  }
}
