// Nodes that say nothing although they are sent something all the time: after an outage TCP alone may wait minutes before it tries again.

import type { NodeId } from '../raft/messages.ts';

export class SilenceWatch {
  readonly #silentMs: number;
  /** Nodes that were sent something since they were last heard: when first and when last, by `performance.now()`. */
  readonly #unanswered = new Map<NodeId, { firstMs: number; lastMs: number }>();

  constructor(silentMs: number) {
    this.#silentMs = silentMs;
  }

  heard(from: NodeId): void {
    this.#unanswered.delete(from);
  }

  /** Something was sent. Whether the node has been silent for too long; then it counts from anew. */
  sent(to: NodeId): boolean {
    const nowMs = performance.now();
    const unanswered = this.#unanswered.get(to);
    // After a pause on our side, silence says nothing about the other.
    if (unanswered === undefined || nowMs - unanswered.lastMs > this.#silentMs) {
      this.#unanswered.set(to, { firstMs: nowMs, lastMs: nowMs });
      return false;
    }
    unanswered.lastMs = nowMs;
    if (nowMs - unanswered.firstMs <= this.#silentMs) return false;
    this.#unanswered.delete(to);
    return true;
  }
}
