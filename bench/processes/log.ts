// A log under test, one node or a cluster: what scenarios that measure both alike see of it, and what was appended to it.

import { randomInt } from 'node:crypto';
import type { LaneRecord, LogTarget } from '../load/lane.ts';
import { processResident } from '../machine/proc.ts';
import { sumOf } from '../statistics.ts';
import type { NodeUnderTest } from './node.ts';

export interface LogUnderTest {
  /** Where all its data is; no other log's is there. */
  readonly directory: string;
  /** Where clients reach it; of a cluster all nodes. */
  readonly urls: readonly string[];
  /** Those that run. */
  readonly nodes: readonly NodeUnderTest[];
  /** Stops all nodes and starts them again on their data: what they held in memory is gone. */
  restart(): Promise<void>;
  /** Stops all nodes and removes their data. */
  remove(): Promise<void>;
}

/** CPU seconds of all nodes; undefined where the system does not tell. */
export function cpuSecondsOf({ nodes }: LogUnderTest): number | undefined {
  return sumOf(nodes.map((node) => node.cpuSeconds()));
}

/** Resident memory of all nodes together. */
export function residentBytesOf({ nodes }: LogUnderTest): number | undefined {
  return sumOf(nodes.map(({ pid }) => processResident(pid)?.now));
}

/** What was appended to one log, and by which lanes more can be. */
export class Written {
  readonly #seed = randomInt(2 ** 32);
  readonly #lanes: LaneRecord[] = [];
  #nextLane = 0;

  get lanes(): readonly LaneRecord[] {
    return [...this.#lanes];
  }

  /** The log at `url` for a load with `connections` that append. */
  target(url: string | readonly string[], connections: number): LogTarget {
    const firstLane = this.#nextLane;
    this.#nextLane += connections;
    return { url, seed: this.#seed, firstLane };
  }

  /** Keeps those of `lanes` that are of this log. Returns how many entries were appended. */
  keep(lanes: readonly LaneRecord[]): number {
    const own = lanes.filter(({ seed, sent }) => seed === this.#seed && sent > 0);
    this.#lanes.push(...own);
    return own.reduce((sum, { sent }) => sum + sent, 0);
  }
}
