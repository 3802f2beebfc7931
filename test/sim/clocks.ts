// What the nodes of a simulation take for the time of the day. The clocks of a majority are seconds apart. One node's clock is wrong by years now and
// then, ahead or behind, while it runs or before it starts; in some simulations all are hours apart. It follows from the profile alone.

import type { NodeId } from '../../src/raft/messages.ts';
import type { Profile } from './profile.ts';

const EPOCH_MS = 1_700_000_000_000;
const SECOND_MS = 1_000;
const HOUR_MS = 3_600_000;
const YEARS_MS = 10 * 365 * 24 * HOUR_MS;
/** What a clock may be before those of a majority: the bound itself, and what passes between two answers. */
const AHEAD_MS = 60_000 + 10_000;
/** A clock is right, ahead, right and behind in turns of so many election timeouts. */
const TURN_ELECTIONS = 6;

export class Clocks {
  readonly #nodeCount: number;
  readonly #turnMs: number;
  readonly #wrong: NodeId;
  readonly #apartMs: number;
  readonly #nowMs: () => number;
  #bestMs = 0;
  /** Of nodes alone: the latest that a clock showed at a start, less the time then. */
  #aloneFromMs = Number.NEGATIVE_INFINITY;

  constructor({ nodeCount, chaosMs, electionTimeoutMs }: Profile, nowMs: () => number) {
    const variant = Math.round(chaosMs / electionTimeoutMs);
    this.#nodeCount = nodeCount;
    this.#nowMs = nowMs;
    this.#turnMs = TURN_ELECTIONS * electionTimeoutMs;
    this.#apartMs = variant % 5 === 4 ? HOUR_MS : 2 * SECOND_MS;
    this.#wrong = variant % 4 === 3 ? 0 : 1 + (variant % nodeCount);
  }

  /** Unix ms. */
  of(node: NodeId): number {
    const nowMs = this.#nowMs();
    const turn = Math.floor(nowMs / this.#turnMs) % 4;
    const isWrong = node === this.#wrong && turn % 2 === 1;
    return EPOCH_MS + (node - 2) * this.#apartMs + Math.floor(nowMs) + (isWrong ? (turn === 1 ? YEARS_MS : -YEARS_MS) : 0);
  }

  /** A process of `node`, which is alone, starts. */
  startedAlone(node: NodeId): void {
    this.#aloneFromMs = Math.max(this.#aloneFromMs, this.of(node) - this.#nowMs());
  }

  /**
   * The latest that the log's time may be: what the clocks of a majority of nodes have come to, or nearly; of a node alone, what its clock showed at one of its
   * starts, and the time since.
   */
  latestMs(): number {
    const shown = Array.from({ length: this.#nodeCount }, (_, i) => this.of(i + 1)).sort((a, b) => b - a);
    // A clock that leapt back was heard before that.
    if (this.#nodeCount > 1) this.#bestMs = Math.max(this.#bestMs, shown[Math.floor(this.#nodeCount / 2)] ?? 0);
    return Math.max(this.#bestMs, this.#aloneFromMs + this.#nowMs()) + AHEAD_MS;
  }
}
