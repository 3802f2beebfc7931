// Disks that lose what was on them: bits that flip in sealed segments and their indexes, and pages that cannot be read any more, on any nodes and at any
// places, but so that each segment is whole on one node at least. Answers of other nodes to those who heal are damaged on their way now and then. Has
// chance of its own, so that a world without it is what it would be without this file.

import { SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { positionOf } from '../../src/core/position.ts';
import type { Examined, ExamineRequest } from '../../src/storage/examiner.ts';
import type { HealAnswer, HealRequest } from '../../src/storage/healer.ts';
import { indexName, segmentName } from '../../src/storage/names.ts';
import { Random } from '../assembly/random.ts';
import { DIRECTORY } from './identity.ts';
import type { Process } from './process.ts';
import type { Profile } from './profile.ts';
import { drawsGrowth } from './sets.ts';
import type { SimNode } from './simNode.ts';
import { promise } from './violation.ts';
import type { World } from './world.ts';

/** Seeds with damages, of sixteen in a row; the first one has trims, too. */
const WITH_DAMAGES = [13, 15];
const IN_A_ROW = 16;
const FEWEST_NODES = 2;
/** Strikes at most. */
const MOST = 40;
const LARGEST_PAYLOAD_BYTES = 20_000;
const BUDGET_BYTES = 500_000;
const DAY_MS = 86_400_000;
/** Tours of the scrub while faults strike. */
const TOURS = 4;

/** Whether disks lose what they have in this seed, where there are others that keep it. */
export function hasDamages(seed: number): boolean {
  return WITH_DAMAGES.includes(seed % IN_A_ROW);
}

/** There is something to be lost: clients append some segments. */
export function profileFor(seed: number, profile: Profile): Profile {
  return hasDamages(seed) ? { ...profile, largestPayloadBytes: LARGEST_PAYLOAD_BYTES, budgetBytes: BUDGET_BYTES } : profile;
}

/** A piece of the log on disk. */
interface Place {
  readonly base: number;
  readonly end: number;
}

export class DamagesOfWorld {
  readonly #world: World;
  readonly #random: Random;
  /** Whether this seed has any. */
  readonly isOn: boolean;
  /** Damages that each process has told of. */
  readonly #told = new WeakMap<Process, { readonly found: number; readonly bases: ReadonlySet<number> }>();
  /** Whose disk has what it had lost. */
  #gaveBack: SimNode | undefined;

  constructor(world: World) {
    this.#world = world;
    this.#random = new Random(world.seed ^ 0x0d_a3_a6);
    this.isOn = hasDamages(world.seed) && world.nodes.length >= FEWEST_NODES && !world.oldCopies.isOn && !drawsGrowth(world.seed);
  }

  /** Days of a tour of the scrub. */
  get scrubDays(): number {
    return this.isOn ? this.#world.profile.chaosMs / TOURS / DAY_MS : 0;
  }

  readonly random = (): number => this.#random.u32() / 2 ** 32;

  start(): void {
    const { profile, scheduler } = this.#world;
    if (!this.isOn) return;
    for (let left = 1 + this.#random.below(MOST); left > 0; left -= 1) {
      scheduler.after((profile.chaosMs * (100 + this.#random.below(850))) / 1000, () => this.#strike());
    }
  }

  /** Whether the file of a segment has what is committed there, and its index what it had. */
  #isWhole(node: SimNode, { base, end }: Place): boolean {
    const { ledger } = this.#world.checker;
    const path = `${DIRECTORY}/${segmentName(base)}`;
    if (node.disk.hasBadPage(path)) return false;
    const bytes = node.disk.visibleBytes(path);
    return bytes?.length === positionOf(end, base) && ledger.isCommitted(base, bytes.subarray(SEGMENT_HEADER_BYTES));
  }

  /** The sealed segments of a node that nothing cuts any more: what follows them is durable, so its start does not read them; ascending. */
  #segmentsOf({ process }: SimNode): readonly Place[] {
    if (process === undefined || !process.hasBegun) return [];
    const { commitBound } = process.memory;
    return process.engine.segments.sealed.filter(({ end }) => end < commitBound);
  }

  #strike(): void {
    const { nodes, trace, scheduler } = this.#world;
    const node = nodes[this.#random.below(nodes.length)];
    const places = node === undefined ? [] : this.#segmentsOf(node);
    const place = places[this.#random.below(Math.max(1, places.length))];
    const kind = this.#random.below(5);
    const at = this.#random.u32();
    if (node === undefined || place === undefined || !this.#isWhole(node, place)) return;
    const { base, end } = place;
    const index = `${DIRECTORY}/${indexName(base)}`;
    // With its index, too, the start of a node is refused.
    if (node.disk.wasFlipped(index)) return;
    if (kind === 0) {
      const path = index;
      const bytes = node.disk.visibleBytes(path)?.length ?? 0;
      trace.add(scheduler.nowMs, node.id, `* damaged index ${base}`);
      if (bytes > 0) node.disk.flipBit(path, at % bytes);
      return;
    }
    const isSafe = nodes.some((other) => {
      const isThere = other !== node && this.#segmentsOf(other).some((each) => each.base === base && each.end === end);
      return isThere && this.#isWhole(other, place);
    });
    if (!isSafe) return;
    const path = `${DIRECTORY}/${segmentName(base)}`;
    trace.add(scheduler.nowMs, node.id, `* damage in ${base}`);
    if (kind === 1) node.disk.loseSector(path, at % positionOf(end, base));
    else node.disk.flipBit(path, SEGMENT_HEADER_BYTES + (at % (end - base)));
  }

  /** Whether no disk may be lost now: others need what it has. */
  get forbidsWipes(): boolean {
    return this.isOn && this.#world.nodes.some((node) => this.#segmentsOf(node).some((place) => !this.#isWhole(node, place)));
  }

  /** Whether what is at `offset` of a node's log is damaged on its disk. */
  isDamaged({ node, engine }: Process, offset: number): boolean {
    const segment = this.isOn ? engine.segments.find(offset) : undefined;
    if (segment === undefined) return false;
    return !this.#isWhole(node, segment) || node.disk.wasFlipped(`${DIRECTORY}/${indexName(segment.base)}`);
  }

  /** What a node has found in a segment. */
  examined(process: Process, { base, end }: ExamineRequest, found: Examined): Examined {
    const { node, engine } = process;
    if (this.isOn && found.outcome === 'damaged' && found.reason !== 'index' && engine.segments.find(base)?.end === end) {
      promise(!this.#isWhole(node, { base, end }), 'heals', () => `node ${node.id} takes a whole segment for damaged: ${found.sentence}`);
    }
    return found;
  }

  /** Something happened on a node: what it says to be damaged is. */
  look(process: Process): void {
    if (!this.isOn) return;
    const { node, engine } = process;
    const { damages } = engine;
    const { found } = damages.status;
    const told = this.#told.get(process);
    if (found === (told?.found ?? 0)) return;
    const { now } = damages;
    this.#told.set(process, { found, bases: new Set(now.map(({ base }) => base)) });
    for (const { base, damage } of now) {
      // It may have been healed since it was told first.
      if (told?.bases.has(base) === true) continue;
      const isRight = damage.reason === 'index' || this.isDamaged(process, base);
      promise(isRight, 'heals', () => `node ${node.id} says that a whole segment is damaged: ${damage.sentence}`);
    }
  }

  /** Carries out a step of a healing: only what is damaged is replaced, and only by what is committed there. */
  heals(process: Process, request: HealRequest, act: () => HealAnswer): HealAnswer {
    const { node } = process;
    if (request.step !== 'place') return act();
    const { segment } = request;
    const isNeeded = this.#gaveBack === node || !this.#isWhole(node, segment);
    promise(isNeeded, 'heals', () => `node ${node.id} replaces the segment at ${segment.base}, which is whole`);
    const answer = act();
    if (answer.outcome === 'done') {
      promise(
        this.#isWhole(node, segment),
        'heals',
        () => `node ${node.id} puts something else in place of the segment at ${segment.base}`,
      );
    }
    return answer;
  }

  /** A disk has what it had lost: a healing that was under way there may go on, with the same. */
  gaveBack(node: SimNode): void {
    this.#gaveBack = node;
  }

  /** What another node has sent to heal with, as it arrives. */
  arrives(body: readonly Uint8Array[]): readonly Uint8Array[] {
    if (!this.isOn || !this.#random.oneIn(6)) return body;
    const bytes = Uint8Array.from(Buffer.concat(body));
    const at = this.#random.below(Math.max(1, bytes.length));
    bytes[at] = (bytes[at] ?? 0) ^ (1 << this.#random.below(8));
    return [bytes];
  }

  /** Whether nothing is damaged any more. Indexes are looked at only when they are needed. */
  get areHealed(): boolean {
    return !this.isOn || this.#world.nodes.every((node) => this.#segmentsOf(node).every((place) => this.#isWhole(node, place)));
  }
}
