// Disks that lose something of the segment in which the log goes on, while their node is down: a bit, a page that comes back as zeros, or, in some seeds, one that
// cannot be read any more, a bit of the header where that does no harm, or the whole file. Only what the
// node must notice, because it is below a durable mark or below what was committed. Any number of nodes have such damage at once where it was committed, and
// never two at one place, so that there is always somebody to have it from, also without a leader. Answers to those who lack something are damaged on their way now
// and then. Has chance of its own, so that a world without it is what it would be without this file.

import { ENTRY_HEADER_BYTES, SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { viewOf } from '../../src/core/bytes.ts';
import { offsetOf, positionOf } from '../../src/core/position.ts';
import { readBound } from '../../src/format/commitBound.ts';
import { findMark } from '../../src/format/durableMark.ts';
import { entryBytesOf, kindSizeAt } from '../../src/format/entry.ts';
import { readIdentity, readVote } from '../../src/storage/dataDirectory.ts';
import { DIRECT_BYTES } from '../../src/storage/disk.ts';
import { baseOfName, indexName, segmentName } from '../../src/storage/names.ts';
import { Random } from '../assembly/random.ts';
import { DIRECTORY } from './identity.ts';
import { isContinued } from './payloads.ts';
import { drawsGrowth } from './sets.ts';
import type { SimNode } from './simNode.ts';
import type { World } from './world.ts';

/** Seeds with such damages, of sixteen in a row. */
const WITH_DAMAGES = [7, 9];
const IN_A_ROW = 16;
const FEWEST_NODES = 3;
/** One start in so many finds damage. */
const ONE_IN = 2;
/** A file that may go does so once in so many starts. */
const ONE_FILE_IN = 2;
/** Of a header page, what the header's check covers, and the check. */
const HEADER_BYTES = 48;

/** The segment in which a node's log goes on, as its file has it. */
interface OpenSegment {
  readonly path: string;
  readonly base: number;
  readonly bytes: Uint8Array;
  /** Damage before this log offset is noticed; before `bound` it was committed, as the disk says. */
  readonly vouched: number;
  readonly bound: number;
  /** What of it was committed, as files say that are left without it. */
  readonly boundElsewhere: number;
  /** File position of the page that says so. */
  readonly markPage: number;
  /** File position of the last mark, if there is one, and whether the log ends there. */
  readonly markAt: number | undefined;
  readonly isMarked: boolean;
}

/** What a disk is to lose: file positions [at, end). */
interface Loss {
  readonly at: number;
  readonly end: number;
  readonly lost: Lost;
  lose(): void;
}

/** What a node has lost: whole batches, in log offsets. */
interface Lost {
  readonly from: number;
  readonly to: number;
  /** All of it was committed, as its own disk says: others can give it without a leader. */
  readonly isCommitted: boolean;
}

export class OpenDamagesOfWorld {
  readonly #world: World;
  readonly #random: Random;
  /** For files that go: the other damage is what it would be without them. */
  readonly #fileRandom: Random;
  readonly isOn: boolean;
  /** Whether there are pages that cannot be read, headers with wrong bits, and files that go. */
  readonly #isHarsh: boolean;
  readonly #lost = new Map<SimNode, Lost>();
  #isEnded = false;

  constructor(world: World) {
    this.#world = world;
    this.#random = new Random(world.seed ^ 0x09e_da3a);
    this.#fileRandom = new Random(world.seed ^ 0x0f1_1e60);
    const draws = WITH_DAMAGES.includes(world.seed % IN_A_ROW) && !drawsGrowth(world.seed);
    this.isOn = draws && world.nodes.length >= FEWEST_NODES && !world.oldCopies.isOn;
    this.#isHarsh = Math.floor(world.seed / IN_A_ROW) % 2 === 1;
  }

  /** The time of faults is over. */
  stop(): void {
    this.#isEnded = true;
  }

  /** A node is about to start. */
  starts(node: SimNode): void {
    if (!this.isOn || this.#isEnded || !this.#world.isGrown || !this.#random.oneIn(ONE_IN)) return;
    if (this.#world.checker.standingOf(node.id) !== 'voter' || this.#lost.has(node)) return;
    // The error is for the node.
    if (node.disk.failsReads) return;
    const open = openSegmentOf(node);
    if (open === undefined || open.vouched <= open.base) return;
    if (this.#isHarsh && open.boundElsewhere > open.base && this.#fileRandom.oneIn(ONE_FILE_IN)) {
      this.#maybeLoseFile(node, open);
      return;
    }
    if (this.#isHarsh && open.isMarked && this.#random.oneIn(3)) {
      this.#note(node, 'damage in the header of the open segment');
      node.disk.flipBit(open.path, this.#random.below(HEADER_BYTES));
      return;
    }
    const { at, end, lost, lose } = this.#isHarsh && this.#random.oneIn(2) ? this.#unreadable(node, open) : this.#wrong(node, open);
    if (!this.#mayLose(node, lost)) return;
    this.#note(node, `damage in the open segment, [${lost.from}, ${lost.to}), bytes [${at}, ${end})`);
    this.#lost.set(node, lost);
    lose();
  }

  /** The file goes: how much there was of the log, only the leader knows. */
  #maybeLoseFile(node: SimNode, open: OpenSegment): void {
    const { path, bytes } = open;
    const lost = { ...lostOf(open, SEGMENT_HEADER_BYTES, bytes.length), isCommitted: false };
    if (!this.#mayLose(node, lost)) return;
    this.#note(node, `the open segment is gone, [${lost.from}, ${lost.to})`);
    this.#lost.set(node, lost);
    node.disk.loseFile(path);
  }

  #note(node: SimNode, what: string): void {
    const { trace, scheduler } = this.#world;
    trace.add(scheduler.nowMs, node.id, `* ${what}`);
  }

  /** A page that cannot be read any more: the one with the last mark, so that nothing says where the log ended, or one before it. */
  #unreadable(node: SimNode, open: OpenSegment): Loss {
    const { path, base, bytes, vouched, markAt, markPage } = open;
    const page = (position: number): number => position - (position % DIRECT_BYTES);
    const first = page(SEGMENT_HEADER_BYTES + this.#random.below(positionOf(vouched, base) - SEGMENT_HEADER_BYTES));
    const isLast = markAt === undefined || first >= markPage || this.#random.oneIn(3);
    const at = markAt !== undefined && isLast ? page(markAt) : first;
    const end = Math.min(bytes.length, at + DIRECT_BYTES);
    const lost = isLast ? { ...lostOf(open, at, bytes.length), isCommitted: false } : lostOf(open, at, end);
    const lose = (): void => {
      // What a power cut leaves of a page that was written anew, and not synced.
      node.disk.lose(path, at, new Uint8Array(end - at));
      node.disk.loseSector(path, at);
    };
    return { at, end, lost, lose };
  }

  /** A bit, or a page that comes back as zeros. */
  #wrong(node: SimNode, open: OpenSegment): Loss {
    const { path, base, bytes, vouched, markPage } = open;
    // Above what was committed only a leader can help.
    const first = open.bound < vouched && this.#random.oneIn(2) ? Math.max(open.bound, base) : base;
    const position = positionOf(first, base) + this.#random.below(vouched - first);
    const page = position - (position % DIRECT_BYTES);
    const isPage = page >= SEGMENT_HEADER_BYTES && page < markPage && this.#random.oneIn(2);
    const [at, end] = isPage ? [page, page + DIRECT_BYTES] : [position, position + 1];
    const lost = lostOf(open, at, end);
    const lose = (): void => {
      const bit = 1 << this.#random.below(8);
      node.disk.lose(path, at, isPage ? new Uint8Array(DIRECT_BYTES) : Uint8Array.of((bytes[at] ?? 0) ^ bit));
    };
    return { at, end, lost, lose };
  }

  /** Whether the node's disk has lost something since it counted last. */
  hasLost(node: SimNode): boolean {
    return this.#lost.has(node);
  }

  /** The node counts again: nothing is lost any more. */
  isWhole(node: SimNode): void {
    this.#lost.delete(node);
  }

  /** Whether somebody can give back all that is lost then. */
  #mayLose(node: SimNode, { from, to, isCommitted }: Lost): boolean {
    if (this.#world.hasSets && !this.#world.checker.isEnoughWithout(node.id)) return false;
    const { nodes, checker } = this.#world;
    const others = nodes.filter((other) => other !== node);
    const voters = others.filter((other) => checker.standingOf(other.id) === 'voter' && !this.#lost.has(other));
    // A leader gives what was not committed, as far as is known, too.
    if (voters.length * 2 > nodes.length && this.#lost.size === 0) return true;
    const isElsewhere = (other: SimNode): boolean => {
      const lost = this.#lost.get(other);
      if (lost === undefined) return voters.includes(other);
      // What has given up something has less than it had.
      return lost.isCommitted && (lost.to <= from || to <= lost.from) && !this.#hasGivenUp(other);
    };
    return isCommitted && others.every(isElsewhere);
  }

  #hasGivenUp({ disk }: SimNode): boolean {
    const identity = readIdentity(disk, DIRECTORY);
    return identity?.standing === 'damaged' && identity.beforeDamage === undefined;
  }

  /** What another node has sent, as it arrives. */
  arrives(body: readonly Uint8Array[]): readonly Uint8Array[] {
    if (!this.isOn || !this.#random.oneIn(6)) return body;
    const bytes = Uint8Array.from(Buffer.concat(body));
    const at = this.#random.below(Math.max(1, bytes.length));
    bytes[at] = (bytes[at] ?? 0) ^ (1 << this.#random.below(8));
    return [bytes];
  }
}

function openSegmentOf({ disk }: SimNode): OpenSegment | undefined {
  const identity = readIdentity(disk, DIRECTORY);
  const names = disk.list(DIRECTORY);
  const bases = names.flatMap((name) => baseOfName(name) ?? []).sort((a, b) => a - b);
  const base = bases.at(-1) ?? -1;
  if (identity === undefined || base < 0 || names.includes(indexName(base))) return undefined;
  const path = `${DIRECTORY}/${segmentName(base)}`;
  const bytes = disk.visibleBytes(path);
  if (bytes === undefined) return undefined;
  const mark = findMark(bytes.subarray(SEGMENT_HEADER_BYTES), base, identity.markSeed);
  const boundIn = (header: Uint8Array | undefined): number =>
    header === undefined ? 0 : readBound(header.subarray(0, SEGMENT_HEADER_BYTES), identity.markSeed);
  const voted = readVote(disk, DIRECTORY).commit;
  const before = bases.at(-2);
  const boundElsewhere = Math.max(voted, before === undefined ? 0 : boundIn(disk.visibleBytes(`${DIRECTORY}/${segmentName(before)}`)));
  const saved = Math.max(voted, boundIn(bytes));
  const bound = Math.max(saved, mark?.commit ?? 0);
  const at = mark === undefined || saved > mark.durable ? bytes.length : positionOf(mark.at, base);
  const markAt = mark && positionOf(mark.at, base);
  const isMarked = markAt !== undefined && batchesEndAt(bytes, markAt);
  const vouched = Math.max(bound, mark?.durable ?? 0);
  return { path, base, bytes, vouched, bound, boundElsewhere, markPage: at - (at % DIRECT_BYTES), markAt, isMarked };
}

/** Whether the entries of a segment, by their sizes, end with a batch at file position `end`. */
function batchesEndAt(bytes: Uint8Array, end: number): boolean {
  const view = viewOf(bytes);
  let position = SEGMENT_HEADER_BYTES;
  let isWhole = true;
  while (position + ENTRY_HEADER_BYTES <= end) {
    const kindSize = kindSizeAt(view, position);
    position += entryBytesOf(kindSize);
    isWhole = !isContinued(kindSize);
  }
  return position === end && isWhole;
}

/** The batches that hold file positions [at, end); with the state entry at a segment's head, where that is all there is of a term without its no-op. */
function lostOf({ base, bytes, vouched, bound }: OpenSegment, at: number, end: number): Lost {
  const view = viewOf(bytes);
  let from = base;
  let to = base;
  let headEnd = 0;
  for (let position = SEGMENT_HEADER_BYTES; position + ENTRY_HEADER_BYTES <= positionOf(vouched, base); ) {
    const kindSize = kindSizeAt(view, position);
    position += entryBytesOf(kindSize);
    if (isContinued(kindSize)) continue;
    to = offsetOf(position, base);
    headEnd ||= to;
    if (position >= end) break;
    if (position <= at) from = to;
  }
  return { from: from === headEnd ? base : from, to, isCommitted: to <= bound };
}
