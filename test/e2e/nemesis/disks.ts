// Disks that take long, and one that is full for a while.

import type { ClusterNode } from '../../../src/cluster/clusterNode.ts';
import { SlowDisk, type SmallDisk } from '../disks.ts';
import { choose, type Fault, type Lane, type NemesisContext, sample } from './schedule.ts';

/** Room that is left on a disk that fills up: less than a node keeps. It takes no appends once it has looked, and dies when it rolls into it. */
const MAX_ROOM_BYTES = 1 << 20;
/** How long a node may go on with a full disk: what it prepared ahead may last. */
const FULL_DISK_MS = 4_000;
const LAST_WORDS_MS = 500;

export class DiskLane implements Lane {
  readonly #context: NemesisContext;
  readonly #smallDisk: SmallDisk | undefined;
  readonly #canSlow: boolean;

  constructor(context: NemesisContext, smallDisk: SmallDisk | undefined, canSlow: boolean) {
    this.#context = context;
    this.#smallDisk = smallDisk;
    this.#canSlow = canSlow;
  }

  restMs(): number {
    return 1_000 + this.#context.random.below(5_000);
  }

  async next(): Promise<Fault | undefined> {
    const { random, cluster, schedule } = this.#context;
    const kind = choose<'slow' | 'full'>(random, [
      [3, 'slow'],
      [1, 'full'],
    ]);
    const delayMs = 5 + random.below(random.oneIn(3) ? 600 : 60);
    const durationMs = 500 + random.below(3_000);
    const roomBytes = random.below(MAX_ROOM_BYTES);
    const [some] = sample(random, cluster.nodes, 1);
    if (kind === 'full') {
      const node = cluster.nodes.at(-1);
      const disk = this.#smallDisk;
      if (node === undefined || disk === undefined || !node.isRunning || node.isPaused || !schedule.isFree(node)) return undefined;
      return {
        name: 'full disk',
        sentence: `full disk: of node ${node.id}`,
        happen: () => schedule.take([node], () => this.#fill(node, disk, roomBytes)),
      };
    }
    const node = random.oneIn(2) ? await cluster.findLeader() : some;
    if (!this.#canSlow || node?.pid === undefined) return undefined;
    const { pid } = node;
    return {
      name: 'slow disk',
      sentence: `slow disk: each fdatasync of node ${node.id} takes ${delayMs} ms longer, for ${durationMs} ms`,
      happen: () => this.#slow(pid, delayMs, durationMs),
    };
  }

  async #slow(pid: number, delayMs: number, durationMs: number): Promise<void> {
    const slow = new SlowDisk(pid, delayMs);
    await this.#context.schedule.wait(durationMs);
    await slow.stop();
  }

  async #fill(node: ClusterNode, disk: SmallDisk, roomBytes: number): Promise<void> {
    node.excuse(/ENOSPC|SHORT_WRITE|short write/);
    disk.fill(roomBytes);
    await Promise.race([node.exited, this.#context.schedule.wait(FULL_DISK_MS)]);
    disk.empty();
    // A write that failed in the last moment still ends it.
    await Promise.race([node.exited, new Promise((resolve) => setTimeout(resolve, LAST_WORDS_MS))]);
    if (!node.isRunning) this.#context.tell(`node ${node.id} ended: ${node.lastWords()}`);
    node.start();
    await node.ready;
  }
}
