// What was appended to one log, and by which lanes more can be.

import { randomInt } from 'node:crypto';
import type { LaneRecord } from './load/lane.ts';
import type { LogTarget, Target } from './load/target.ts';

export class Written {
  readonly #ringBytes: number;
  readonly #seed = randomInt(2 ** 32);
  readonly #lanes: LaneRecord[] = [];
  #nextLane = 0;

  /** `ringBytes`: size of the random bytes that the payloads of all connections of a load are cut from, together. */
  constructor(ringBytes: number) {
    this.#ringBytes = ringBytes;
  }

  get lanes(): readonly LaneRecord[] {
    return [...this.#lanes];
  }

  /** The log at `target` for a load with `connections` that append. */
  target(target: Target, connections: number): LogTarget {
    const firstLane = this.#nextLane;
    this.#nextLane += connections;
    // No connection overwrites a payload that another one has in flight.
    const ringBytes = Math.floor(this.#ringBytes / Math.max(1, connections));
    return { ...target, seed: this.#seed, firstLane, ringBytes };
  }

  /** Keeps those of `lanes` that are of this log. Returns how many entries were appended. */
  keep(lanes: readonly LaneRecord[]): number {
    const own = lanes.filter(({ seed, sent }) => seed === this.#seed && sent > 0);
    this.#lanes.push(...own);
    return own.reduce((sum, { sent }) => sum + sent, 0);
  }
}
