// Disks that fill up and have room again, at different times on different nodes: in the time of faults, and in a trial when all is well. Only what
// the system says is free changes; writes fail by the nemesis' hand. Has chance of its own, so that a world without it is what it would be
// without this file.

import { DISK_CRITICAL, STATE } from '../../src/memory/map.ts';
import { Random } from '../assembly/random.ts';
import type { Process } from './process.ts';
import { drawsGrowth } from './sets.ts';
import type { SimNode } from './simNode.ts';
import { promise } from './violation.ts';
import type { World } from './world.ts';

/** One seed in so many has disks that fill up, up to so many times in the time of faults. */
const ONE_IN = 4;
const MOST = 12;
const MIB = 2 ** 20;
/** Of the default bounds, without what files made ahead and those that grow have to do with it: they are small here. */
const FREE = { none: 0, belowCritical: 120 * MIB, aboveCritical: 140 * MIB, low: 200 * MIB, much: 2048 * MIB } as const;
/** Time for a node to look, and to tell its leader, in election timeouts of the slowest clock. */
export const NOTICED_ELECTIONS = 4;
const HOVERS = 8;

/** What was seen of a process last. */
interface Seen {
  wasCritical: boolean;
  entries: number;
  flips: number;
}

export class FullDisks {
  readonly #world: World;
  readonly #random: Random;
  /** Whether this seed has any. */
  readonly isOn: boolean;
  #isOver = false;
  readonly #free = new Map<SimNode, number>();
  readonly #seen = new WeakMap<Process, Seen>();

  constructor(world: World) {
    this.#world = world;
    this.#random = new Random(world.seed ^ 0xd1_5c_f0);
    this.isOn = world.seed % ONE_IN === 2 && !drawsGrowth(world.seed);
  }

  /** What the system says is free on the disk of `node`. */
  freeOf(node: SimNode): number {
    return this.#free.get(node) ?? FREE.much;
  }

  /** Plans what is to come in the time of faults. */
  start(): void {
    const { profile, scheduler } = this.#world;
    if (!this.isOn) return;
    for (let left = 1 + this.#random.below(MOST); left > 0; left -= 1) {
      scheduler.after((profile.chaosMs * this.#random.below(1000)) / 1000, () => this.#strike());
    }
  }

  /** All have room again, and none fills up any more but in the trial. */
  end(): void {
    this.#isOver = true;
    this.#free.clear();
  }

  #strike(): void {
    const { nodes, leader, nemesis, trace, scheduler, profile } = this.#world;
    const random = this.#random;
    if (!nemesis.strikes) return;
    const one = random.oneIn(2) ? leader : nodes[random.below(nodes.length)];
    const victims = random.oneIn(4) ? nodes : [one ?? nodes[0]];
    for (const victim of victims) {
      if (victim === undefined) continue;
      const free = random.pick(FREE.none, FREE.none, FREE.belowCritical, FREE.aboveCritical, FREE.low);
      trace.add(scheduler.nowMs, victim.id, `* ${free} bytes free`);
      this.#free.set(victim, free);
      scheduler.after(profile.electionTimeoutMs * random.pick(1, 3, 10), () => {
        if (!this.#isOver) this.#free.delete(victim);
      });
    }
  }

  /** After each event of a process: it orders nothing of clients while its disk is critical. */
  check(process: Process): void {
    if (!this.isOn) return;
    const isCritical = process.memory.word32(STATE.DISK_LEVEL) === DISK_CRITICAL;
    const { entries } = process.engine.appends.counters;
    const seen = this.#seen.get(process) ?? { wasCritical: isCritical, entries, flips: 0 };
    this.#seen.set(process, seen);
    promise(
      !seen.wasCritical || !isCritical || entries === seen.entries,
      'full disks',
      () => `node ${process.id} has ordered ${entries - seen.entries} entries of clients while its disk was critical`,
    );
    if (isCritical !== seen.wasCritical) seen.flips += 1;
    seen.wasCritical = isCritical;
    seen.entries = entries;
  }

  /** All is well. Disks hover at the bound, and then those of so many fill up that no majority has room; `probe` appends at a node. */
  async trial(runFor: (ms: number) => Promise<void>, probe: (node: SimNode) => void): Promise<void> {
    const { nodes, leader, profile } = this.#world;
    const process = leader?.process;
    if (!this.isOn || leader === undefined || process === undefined) return;
    const noticed = (): Promise<void> => runFor(NOTICED_ELECTIONS * profile.electionTimeoutMs * profile.clockSpread);
    const refuses = async (node: SimNode, whose: string): Promise<void> => {
      await noticed();
      const before = node.process;
      const entries = before?.engine.appends.counters.entries ?? 0;
      probe(node);
      await noticed();
      const ordered = (before?.engine.appends.counters.entries ?? 0) - entries;
      promise(
        node.process !== before || ordered === 0,
        'full disks',
        () => `node ${node.id} has ordered an entry, but the disks of ${whose} are full`,
      );
    };
    this.#free.set(leader, FREE.belowCritical);
    await refuses(leader, `node ${leader.id}`);
    // The others have room: where they are a majority, one of them leads.
    const isMajority = (nodes.length - 1) * 2 > nodes.length;
    await noticed();
    const successor = this.#world.leader;
    promise(!isMajority || successor !== leader, 'full disks', () => `node ${leader.id} leads with a full disk, and the others have room`);
    const flips = this.#seen.get(process)?.flips ?? 0;
    for (let i = 0; i < HOVERS; i += 1) {
      this.#free.set(leader, i % 2 === 0 ? FREE.aboveCritical : FREE.belowCritical);
      await noticed();
    }
    const more = (this.#seen.get(process)?.flips ?? 0) - flips;
    promise(
      leader.process !== process || more === 0,
      'full disks',
      () => `the disk of node ${leader.id} was critical and hovered at the bound, and its level changed ${more} times`,
    );
    const { leader: last } = this.#world;
    promise(
      !isMajority || successor === undefined || last === successor,
      'full disks',
      () => `node ${successor?.id} led with room when the disk of node ${leader.id} hovered at the bound, and then node ${last?.id} did`,
    );
    this.end();
    await noticed();
    const now = this.#world.leader;
    if (now === undefined) return;
    const others = nodes.filter((node) => node !== now).slice(0, nodes.length - Math.floor(nodes.length / 2));
    if (others.length > 0 && nodes.length - others.length <= Math.floor(nodes.length / 2)) {
      for (const node of others) this.#free.set(node, FREE.none);
      await refuses(now, `nodes ${others.map(({ id }) => id).join(', ')}`);
    }
    this.end();
    await noticed();
  }
}
