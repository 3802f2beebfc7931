// Whether the node at the other end of a connection is still there: a dead network says nothing, so silence is all that tells of it.

import type { Transport } from './transport.ts';

/** A silent connection is asked for a sign of life after one interval, and given up after this many. */
const MAX_SILENT_INTERVALS = 4;
/** Where there is no other node to go to, patience costs nothing. */
const SILENCE_INTERVAL_MS = 15_000;
/** Where there is one, and every byte that arrives is seen: a node that was paused or cut off is left after five seconds. */
const CLUSTER_SILENCE_INTERVAL_MS = 1_000;
/** The same where only whole messages are seen, of which a large one may take long. */
const CLUSTER_SILENCE_UNSEEN_INTERVAL_MS = 5_000;

/** What is told of the silence, and what it depends on. */
export interface SilenceOwner {
  /** Whether there are other nodes to go to. */
  hasOthers(): boolean;
  /** Asks for a sign of life. */
  ask(): void;
  /** The node was asked for one, and it may be that none comes. */
  silent(): void;
  /** None has come. */
  lost(reason: string): void;
}

export class Silence {
  readonly #transport: Transport;
  readonly #owner: SilenceOwner;
  #timer: ReturnType<typeof setInterval> | undefined;
  #intervalMs = 0;
  /** So many intervals it has lasted: whoever hears something sets it to 0. */
  intervals = 0;
  /** Bytes that the transport was given since the last look: whoever gives it some adds them. */
  givenBytes = 0;
  /** At the last look. */
  #bufferedBefore = 0;
  #receivedBefore = 0;

  constructor(transport: Transport, owner: SilenceOwner) {
    this.#transport = transport;
    this.#owner = owner;
  }

  /** How often silence is looked for depends on whether there is another node to go to. */
  look(): void {
    if (this.#transport.isInProcess === true) return;
    const clusterIntervalMs =
      this.#transport.receivedBytes() === undefined ? CLUSTER_SILENCE_UNSEEN_INTERVAL_MS : CLUSTER_SILENCE_INTERVAL_MS;
    const intervalMs = this.#owner.hasOthers() ? clusterIntervalMs : SILENCE_INTERVAL_MS;
    if (intervalMs === this.#intervalMs) return;
    clearInterval(this.#timer);
    this.#intervalMs = intervalMs;
    this.#timer = setInterval(() => this.#check(), intervalMs);
  }

  /** A dead network says nothing: an answer that does not come is the only sign of it. */
  #check(): void {
    const buffered = this.#transport.bufferedBytes();
    const received = this.#transport.receivedBytes() ?? 0;
    // A long upload is a sign of life although nothing comes back: of what waited to leave some has left, whatever came after it.
    const isLeaving = this.#bufferedBefore > 0 && this.#bufferedBefore + this.givenBytes > buffered;
    // And so is a part of a long answer.
    if (isLeaving || received !== this.#receivedBefore) this.intervals = 0;
    this.#bufferedBefore = buffered;
    this.#receivedBefore = received;
    this.givenBytes = 0;
    this.intervals += 1;
    if (this.intervals > MAX_SILENT_INTERVALS) {
      this.#owner.lost('it has been silent for too long, although it was asked for a sign of life');
    } else if (this.intervals > 1) {
      this.#owner.ask();
      // An idle connection is silent too, and answers; who is silent after that was asked once already.
      if (this.intervals > 2) this.#owner.silent();
    }
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
