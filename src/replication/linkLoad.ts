// Whether a leader's links to the others are what waits, so that it helps when clients put copies on followers themselves. What stands before a heartbeat
// in queues makes its round longer than the shortest one; the links wait when it does so for most of a second, while entries are under way. Once
// uploads take the load from them they wait no more: so what the links carried then is remembered, and it is over when less than that is appended.

import { LINK_QUEUED_MS, LINK_UNDER_WAY_BYTES } from '../core/uploadLimits.ts';
import { STATE } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { Leadership } from '../raft/leadership.ts';

const LOOK_MS = 100;
/** Looks that a mean goes over, roughly. */
const MEAN_LOOKS = 10;
/** It begins when the links wait in this share of the looks, and ends after so many looks, in a row, at which this share of their load then is not reached. */
const WAITING_SHARE = 0.5;
const LOAD_SHARE = 0.7;
const QUIET_LOOKS = 30;

export class LinkLoad {
  readonly #memory: TailMemory;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #tail = 0;
  #sentBytes = 0;
  /** Means: the share of looks at which a link waits; bytes a millisecond that the links were given, and that they would carry without uploads. */
  #waiting = 0;
  #sent = 0;
  #needed = 0;
  /** What they were given when they began to wait. */
  #capacity = 0;
  #quietLooks = 0;

  constructor(memory: TailMemory) {
    this.#memory = memory;
  }

  /** This node leads no longer. */
  clear(): void {
    this.#lookedMs = Number.NEGATIVE_INFINITY;
    this.#waiting = 0;
    this.#sent = 0;
    this.#needed = 0;
    this.#capacity = 0;
    this.#quietLooks = 0;
    this.#set(false);
  }

  /** To be called often; looks at the links now and then. */
  look({ peers }: Leadership, nowMs: number): void {
    const elapsedMs = nowMs - this.#lookedMs;
    if (elapsedMs < LOOK_MS) return;
    const { tail } = this.#memory;
    let [sentBytes, waits] = [0, false];
    for (const [node, { state, queuedMs, next, verified }] of peers) {
      sentBytes += this.#memory.peers.sentBytes(node);
      if (state === 'replicate' && queuedMs >= LINK_QUEUED_MS && next - verified >= LINK_UNDER_WAY_BYTES) waits = true;
    }
    if (elapsedMs !== Number.POSITIVE_INFINITY) {
      this.#waiting += (Number(waits) - this.#waiting) / MEAN_LOOKS;
      this.#sent += ((sentBytes - this.#sentBytes) / elapsedMs - this.#sent) / MEAN_LOOKS;
      this.#needed += (((tail - this.#tail) * peers.size) / elapsedMs - this.#needed) / MEAN_LOOKS;
      this.#decide();
    }
    this.#lookedMs = nowMs;
    this.#tail = tail;
    this.#sentBytes = sentBytes;
  }

  #decide(): void {
    const isOn = this.#memory.word32(STATE.LINKS_WAIT) !== 0;
    if (this.#waiting >= WAITING_SHARE) {
      if (!isOn) this.#capacity = this.#sent;
      this.#quietLooks = 0;
      this.#set(true);
      return;
    }
    this.#quietLooks = this.#needed >= LOAD_SHARE * this.#capacity ? 0 : this.#quietLooks + 1;
    if (isOn && this.#quietLooks >= QUIET_LOOKS) this.#set(false);
  }

  #set(doWait: boolean): void {
    this.#memory.setWord32(STATE.LINKS_WAIT, Number(doWait));
  }
}
