// What the lanes of the nemesis share: when it is over, and whose turn a node is.

import type { ClusterNode } from '../../../src/cluster/clusterNode.ts';
import type { LocalCluster } from '../../../src/cluster/localCluster.ts';
import type { Random } from '../../assembly/random.ts';

/** One thing that goes wrong. */
export interface Fault {
  /** The kind, for counts. */
  readonly name: string;
  /** What happens, with the nodes concerned. */
  readonly sentence: string;
  /** Makes it happen, lets it last, and mends it. */
  happen(): Promise<void>;
}

/** One sequence of faults. */
export interface Lane {
  /** How long nothing happens before the next fault. */
  restMs(): number;
  /** Chooses a fault; undefined when the one chosen cannot be made now. */
  next(): Promise<Fault | undefined>;
}

export interface NemesisContext {
  readonly cluster: LocalCluster;
  readonly random: Random;
  readonly schedule: Schedule;
  readonly tell: (sentence: string) => void;
}

export class Schedule {
  #endsAtMs = 0;
  readonly #taken = new Set<ClusterNode>();
  #isSetTaken = false;

  endsAfter(ms: number): void {
    this.#endsAtMs = performance.now() + ms;
  }

  get isOver(): boolean {
    return performance.now() >= this.#endsAtMs;
  }

  /** When no more faults are begun, of `performance.now()`. */
  get endsAtMs(): number {
    return this.#endsAtMs;
  }

  /** Waits so long, but never beyond the end. */
  wait(ms: number): Promise<void> {
    const leftMs = this.#endsAtMs - performance.now();
    return new Promise((resolve) => setTimeout(resolve, Math.max(0, Math.min(ms, leftMs))));
  }

  isFree(node: ClusterNode): boolean {
    return !this.#taken.has(node);
  }

  /** Whether a lane changes the set of nodes, or relies on all of them having their disks, and counting. */
  get isSetTaken(): boolean {
    return this.#isSetTaken;
  }

  /** Does something during which no other lane may change who counts, or take a disk away. */
  async takeSet(action: () => Promise<void>): Promise<void> {
    this.#isSetTaken = true;
    try {
      await action();
    } finally {
      this.#isSetTaken = false;
    }
  }

  /** Does something to `nodes` that no other lane may disturb. */
  async take(nodes: readonly ClusterNode[], action: () => Promise<void>): Promise<void> {
    for (const node of nodes) this.#taken.add(node);
    try {
      await action();
    } finally {
      for (const node of nodes) this.#taken.delete(node);
    }
  }
}

/** One of a list of choices, each with its weight. */
export function choose<T>(random: Random, choices: readonly (readonly [weight: number, choice: T])[]): T {
  const total = choices.reduce((sum, [weight]) => sum + weight, 0);
  let left = random.below(total);
  for (const [weight, choice] of choices) {
    left -= weight;
    if (left < 0) return choice;
  }
  throw new TypeError('there is nothing to choose from');
}

/** Some of `items`, in any order. */
export function sample<T>(random: Random, items: readonly T[], count: number): T[] {
  const rest = [...items];
  return Array.from({ length: Math.min(count, rest.length) }, () => rest.splice(random.below(rest.length), 1)).flat();
}
