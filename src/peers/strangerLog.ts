// Connections that did not prove that they belong to the cluster: one line at first, and one a minute while more of them come, however many.

import { SAY_AGAIN_MS } from '../core/peerLimits.ts';

export class StrangerLog {
  readonly #log: (text: string) => void;
  #saidAtMs = Number.NEGATIVE_INFINITY;
  #unsaid = 0;

  constructor(log: (text: string) => void) {
    this.#log = log;
  }

  /** One came from `address`. */
  met(sentence: string, address: string): void {
    const nowMs = performance.now();
    if (nowMs - this.#saidAtMs < SAY_AGAIN_MS) {
      this.#unsaid += 1;
      return;
    }
    this.#saidAtMs = nowMs;
    const others = this.#unsaid === 0 ? '' : `; so did ${this.#unsaid} others before it`;
    this.#unsaid = 0;
    this.#log(`a connection from ${address} is refused (NOT_PROVEN): ${sentence}${others}`);
  }
}
