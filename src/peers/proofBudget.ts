// How many connections may begin to prove themselves: each takes a millisecond of the thread that keeps the cluster together. Whoever comes from an address
// from which few come has its turn, however many others there are.

import { PEER_PROOF_ADDRESSES, PEER_PROOFS_AT_ONCE, PEER_PROOFS_PER_SECOND } from '../core/peerLimits.ts';

const WINDOW_MS = 1_000;

export class ProofBudget {
  #left = PEER_PROOFS_AT_ONCE;
  #atMs = Number.NEGATIVE_INFINITY;
  /** How many have begun of each address, in this second. */
  readonly #begun = new Map<string, number>();
  #sinceMs = Number.NEGATIVE_INFINITY;

  /** Whether one from `address` may begin now. */
  take(address: string, nowMs: number): boolean {
    this.#left = Math.min(PEER_PROOFS_AT_ONCE, this.#left + ((nowMs - this.#atMs) / 1_000) * PEER_PROOFS_PER_SECOND);
    this.#atMs = nowMs;
    if (nowMs - this.#sinceMs >= WINDOW_MS) {
      this.#begun.clear();
      this.#sinceMs = nowMs;
    }
    const begun = this.#begun.get(address) ?? 0;
    // With more addresses than a cluster has nodes there is nobody to be spared.
    const isSpared = begun < PEER_PROOFS_PER_SECOND / PEER_PROOF_ADDRESSES && this.#begun.size < PEER_PROOF_ADDRESSES;
    if (this.#left < 1 && !isSpared) return false;
    this.#left = Math.max(0, this.#left - 1);
    this.#begun.set(address, begun + 1);
    return true;
  }
}
