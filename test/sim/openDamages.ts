// Disks that lose something of the segment in which the log goes on, while their node is down: a bit, or a page that comes back as zeros. Only what the
// node must notice, because it is below a durable mark or below what was committed; and only where others have it. Has chance of its own, so that a
// world without it is what it would be without this file.

import { SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { positionOf } from '../../src/core/position.ts';
import { readBound } from '../../src/format/commitBound.ts';
import { findMark } from '../../src/format/durableMark.ts';
import { readIdentity, readVote } from '../../src/storage/dataDirectory.ts';
import { DIRECT_BYTES } from '../../src/storage/disk.ts';
import { baseOfName, indexName, segmentName } from '../../src/storage/names.ts';
import { Random } from '../assembly/random.ts';
import { DIRECTORY } from './identity.ts';
import type { SimNode } from './simNode.ts';
import type { World } from './world.ts';

/** Seeds with such damages, of sixteen in a row. */
const WITH_DAMAGES = [7, 9];
const IN_A_ROW = 16;
const FEWEST_NODES = 3;
/** One start in so many finds damage. */
const ONE_IN = 2;

/** The segment in which a node's log goes on, as its file has it. */
interface OpenSegment {
  readonly path: string;
  readonly base: number;
  readonly bytes: Uint8Array;
  /** Damage before this log offset is noticed. */
  readonly vouched: number;
  /** File position of the page that says so. */
  readonly markPage: number;
}

export class OpenDamagesOfWorld {
  readonly #world: World;
  readonly #random: Random;
  readonly isOn: boolean;

  constructor(world: World) {
    this.#world = world;
    this.#random = new Random(world.seed ^ 0x09e_da3a);
    this.isOn = WITH_DAMAGES.includes(world.seed % IN_A_ROW) && world.nodes.length >= FEWEST_NODES && !world.oldCopies.isOn;
  }

  /** A node is about to start. */
  starts(node: SimNode): void {
    if (!this.isOn || !this.#random.oneIn(ONE_IN) || !this.#areOthersWell(node)) return;
    const open = openSegmentOf(node);
    if (open === undefined || open.vouched <= open.base) return;
    const { trace, scheduler } = this.#world;
    const { path, base, bytes, vouched, markPage } = open;
    const position = SEGMENT_HEADER_BYTES + this.#random.below(positionOf(vouched, base) - SEGMENT_HEADER_BYTES);
    const page = position - (position % DIRECT_BYTES);
    trace.add(scheduler.nowMs, node.id, `* damage in the open segment ${base} at ${position}`);
    if (page < markPage && this.#random.oneIn(2)) node.disk.lose(path, page, bytes.slice(page, page + DIRECT_BYTES).fill(0));
    else node.disk.lose(path, position, Uint8Array.of((bytes[position] ?? 0) ^ (1 << this.#random.below(8))));
  }

  /** Whether the others are a majority that counts. */
  #areOthersWell(node: SimNode): boolean {
    const { nodes, checker, isGrown } = this.#world;
    const voters = nodes.filter((other) => other !== node && checker.standingOf(other.id) === 'voter');
    return isGrown && checker.standingOf(node.id) === 'voter' && voters.length * 2 > nodes.length;
  }
}

function openSegmentOf({ disk }: SimNode): OpenSegment | undefined {
  const identity = readIdentity(disk, DIRECTORY);
  const names = disk.list(DIRECTORY);
  const base = Math.max(-1, ...names.map((name) => baseOfName(name) ?? -1));
  if (identity === undefined || base < 0 || names.includes(indexName(base))) return undefined;
  const path = `${DIRECTORY}/${segmentName(base)}`;
  const bytes = disk.visibleBytes(path);
  if (bytes === undefined) return undefined;
  const mark = findMark(bytes.subarray(SEGMENT_HEADER_BYTES), base, identity.markSeed);
  const bound = Math.max(readVote(disk, DIRECTORY).commit, readBound(bytes.subarray(0, SEGMENT_HEADER_BYTES), identity.markSeed));
  const at = mark === undefined || bound > mark.durable ? bytes.length : positionOf(mark.at, base);
  return { path, base, bytes, vouched: Math.max(bound, mark?.durable ?? 0), markPage: at - (at % DIRECT_BYTES) };
}
