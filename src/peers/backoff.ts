// How long to wait before a node is dialed again.

import { PEER_BACKOFF_MAX_MS, PEER_BACKOFF_MIN_MS } from '../core/peerLimits.ts';

/** Doubles from PEER_BACKOFF_MIN_MS to PEER_BACKOFF_MAX_MS; up to half of each pause is left to chance. */
export class Backoff {
  #nextMs = PEER_BACKOFF_MIN_MS;

  /** The next pause, in milliseconds. */
  next(): number {
    const ms = this.#nextMs;
    this.#nextMs = Math.min(2 * ms, PEER_BACKOFF_MAX_MS);
    return ms * (0.5 + Math.random() / 2);
  }

  reset(): void {
    this.#nextMs = PEER_BACKOFF_MIN_MS;
  }
}
