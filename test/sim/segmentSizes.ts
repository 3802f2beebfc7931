// An operator who gives the nodes another `--segment-bytes` between runs: a node alone may get any, the nodes of a cluster all get the same, at
// once or one after the other. Where the real start refuses the smaller one, all get the larger one again. Has chance of its own, so that a
// world without it is what it would be without this file.

import { Random } from '../assembly/random.ts';
import { SEGMENT_BYTES } from './payloads.ts';
import type { SimNode } from './simNode.ts';
import type { World } from './world.ts';

export const LARGE_SEGMENT_BYTES = 2 * SEGMENT_BYTES;

/** One seed in so many has sizes that change. */
const ONE_IN = 4;

export class SegmentSizes {
  readonly #world: World;
  readonly #random: Random;
  /** Whether sizes change in this seed. Not beside an old copy: its leader has to hear from it while nothing else goes wrong. */
  readonly isOn: boolean;
  /** Whether segments are made as large as they may become, as spare files are, or grow. Only the former always stand in the way of a smaller size. */
  readonly areAllocated: boolean;
  #isActive = true;
  /** What nodes get when they start. */
  #given: number;

  constructor(world: World) {
    this.#world = world;
    this.#random = new Random(world.seed ^ 0x5e6_b17e5);
    this.isOn = this.#random.oneIn(ONE_IN) && !world.oldCopies.isOn;
    this.areAllocated = this.isOn && this.#random.oneIn(2);
    this.#given = this.isOn ? this.#random.pick(SEGMENT_BYTES, LARGE_SEGMENT_BYTES) : SEGMENT_BYTES;
  }

  start(): void {
    for (const node of this.#world.allNodes) node.segmentBytes = this.#given;
    if (this.isOn) this.#planNext();
  }

  /** The size changes no more, and those who have started, or will, agree. */
  end(): void {
    this.#isActive = false;
    const { nodes } = this.#world;
    if (!this.isOn || nodes.length === 1) return;
    const isSettled = nodes.every(({ process }) => process?.memory.map.shape.segmentBytes === this.#given);
    // What is down may have segments that do not fit; the larger size is never refused.
    if (!isSettled) this.#give(LARGE_SEGMENT_BYTES, 0);
  }

  /** The node was refused at its start, because a segment of its cluster is larger. */
  refused(node: SimNode): void {
    if (this.#given !== LARGE_SEGMENT_BYTES) this.#give(LARGE_SEGMENT_BYTES, 0);
    if (node.process === undefined) node.kill(false);
  }

  #planNext(): void {
    const { scheduler, profile } = this.#world;
    scheduler.after((profile.chaosMs * (100 + this.#random.below(500))) / 1000, () => {
      if (!this.#isActive) return;
      const other = this.#given === SEGMENT_BYTES ? LARGE_SEGMENT_BYTES : SEGMENT_BYTES;
      this.#give(other, profile.electionTimeoutMs * this.#random.pick(0, 0, 2, 6));
      this.#planNext();
    });
  }

  /** Restarts all nodes, each at some time `withinMs`, that run with another size. */
  #give(segmentBytes: number, withinMs: number): void {
    const { scheduler, trace, allNodes } = this.#world;
    this.#given = segmentBytes;
    for (const node of allNodes) {
      trace.add(scheduler.nowMs, node.id, `* segments of ${segmentBytes} bytes`);
      node.segmentBytes = segmentBytes;
      scheduler.after((withinMs * this.#random.below(1000)) / 1000, () => {
        const isUp = node.process !== undefined || node.search !== undefined;
        if (isUp && node.runsWith !== segmentBytes && this.#given === segmentBytes) node.kill(false);
      });
    }
  }
}
