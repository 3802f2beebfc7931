// Puts an old copy of a node's disk in place of the disk, where GUARANTEES says that it is noticed: a leader runs that has heard more from
// the node. Until the leader has noticed, nothing else goes wrong, and the node hears nobody but that leader: before it was noticed, an old
// copy may do harm, which no promise excludes. Has chance of its own, so that a world without it is what it would be without this file.

import { Random } from '../assembly/random.ts';
import type { DiskImage } from '../crash/memoryDisk.ts';
import { drawsGrowth } from './sets.ts';
import type { SimNode } from './simNode.ts';
import { promise } from './violation.ts';
import type { World } from './world.ts';

/** One seed in so many has an old copy in it. */
const ONE_IN = 4;
/** How long everything may take to be well before it is given up, and a leader to notice a node that runs, in election timeouts. */
const SETTLES_WITHIN = 10;
const NOTICES_WITHIN = 6;

/** A leader in one of its terms. */
interface Office {
  readonly node: SimNode;
  readonly term: number;
}

interface Copy {
  readonly victim: SimNode;
  readonly image: DiskImage;
  /** Where its log ends, at most. */
  readonly end: number;
}

export class OldCopies {
  readonly #world: World;
  readonly #random: Random;
  /** Whether this seed may have an old copy in it. */
  readonly isOn: boolean;
  #isEnded = false;
  /** The founder's disk from when it knew nobody. */
  #first: Copy | undefined;
  /** Node that runs on an old copy, which was not noticed yet. */
  #open: SimNode | undefined;

  constructor(world: World) {
    this.#world = world;
    this.#random = new Random(world.seed ^ 0x0c0_b1e5);
    this.isOn = this.#random.oneIn(ONE_IN) && world.nodes.length > 2 && !drawsGrowth(world.seed);
  }

  start(): void {
    const { chaosMs } = this.#world.profile;
    if (this.isOn) this.#world.scheduler.after((chaosMs * (100 + this.#random.below(300))) / 1000, () => this.#begin());
  }

  /** A cluster begins with the disk that `node` has now. */
  begun(node: SimNode): void {
    if (this.isOn) this.#first = { victim: node, image: node.disk.copy(), end: 0 };
  }

  /** The time of faults is over: what was not noticed by now is emptied, as an operator should have done. */
  stop(): void {
    this.#isEnded = true;
    if (this.#open !== undefined) this.#giveUp(this.#open);
  }

  #begin(): void {
    // To mend all would start nodes that are to join later.
    if (this.#isEnded || !this.#world.isGrown || this.#world.nodes.some(({ isHeldDown }) => isHeldDown)) return;
    this.#world.nemesis.suspend();
    this.#poll(SETTLES_WITHIN, () => {
      const copy = this.#chooseCopy();
      if (copy === undefined) return false;
      this.#poll(SETTLES_WITHIN, () => this.#maybeRestore(copy));
      return true;
    });
  }

  /** Looks again and again whether `isDone`; after so many election timeouts faults go on without an old copy. */
  #poll(elections: number, isDone: () => boolean): void {
    const { scheduler, profile, nemesis } = this.#world;
    const untilMs = scheduler.nowMs + elections * profile.electionTimeoutMs * profile.clockSpread;
    const look = (): void => {
      if (this.#isEnded || isDone()) return;
      if (scheduler.nowMs > untilMs) nemesis.resume();
      else scheduler.after(profile.electionTimeoutMs / 20, look);
    };
    look();
  }

  /** The leader, if all is well: all nodes run, count, and know of no later term. */
  get #office(): Office | undefined {
    const { leader, nodes } = this.#world;
    const raft = leader?.process?.replica.raft;
    if (leader === undefined || raft?.leadership === undefined) return undefined;
    const isWell = nodes.every(({ process, isPaused }) => {
      return (
        process !== undefined && !isPaused && process.identity.standing === 'voter' && process.replica.raft.currentTerm === raft.currentTerm
      );
    });
    return isWell ? { node: leader, term: raft.currentTerm } : undefined;
  }

  /** A copy of a disk as it is now, or that of the founder from before anybody joined it. */
  #chooseCopy(): Copy | undefined {
    const office = this.#office;
    if (office === undefined) return undefined;
    const others = this.#world.nodes.filter((node) => node !== office.node && this.#world.mayWipe(node));
    const founder = others.find(({ process }) => process?.identity.isFounder);
    if (founder !== undefined && founder === this.#first?.victim && this.#random.oneIn(2)) return this.#first;
    const victim = others[this.#random.below(others.length)];
    return victim?.process === undefined ? undefined : { victim, image: victim.disk.copy(), end: victim.process.memory.tail };
  }

  /** Puts the copy in place once the leader has heard of more than is in it. */
  #maybeRestore({ victim, image, end }: Copy): boolean {
    const office = this.#office;
    const match = office?.node.process?.replica.raft.leadership?.peers.get(victim.id)?.match ?? 0;
    if (office === undefined || office.node === victim || match <= end || !this.#world.mayWipe(victim)) return false;
    const { checker, network, nodes } = this.#world;
    this.#open = victim;
    victim.restore(image);
    checker.restored(victim);
    for (const { id } of nodes) {
      if (id === victim.id || id === office.node.id) continue;
      network.cut(victim.id, id);
      network.cut(id, victim.id);
    }
    this.#watch(victim, office);
    return true;
  }

  #watch(victim: SimNode, { node, term }: Office): void {
    const { scheduler, profile, checker, nemesis } = this.#world;
    let downMs = scheduler.nowMs;
    const look = (): void => {
      if (this.#isEnded) return;
      if (victim.process === undefined) downMs = scheduler.nowMs;
      const raft = node.process?.replica.raft;
      if (checker.standingOf(victim.id) === 'returned' && !checker.isOldCopy(victim.id)) {
        this.#mend(victim);
        if (victim !== this.#first?.victim) nemesis.resume();
        // Weeks later, when all is well, another node loses its disk: whom the founder knew must not matter any more.
        else this.#poll(2 * SETTLES_WITHIN, () => this.#maybeWipe(victim));
      } else if (raft?.role !== 'leader' || raft.currentTerm !== term) {
        // Nobody is left who is promised to know better.
        this.#giveUp(victim);
      } else {
        promise(
          scheduler.nowMs < downMs + NOTICES_WITHIN * profile.electionTimeoutMs * profile.clockSpread,
          'old copies',
          () => `node ${victim.id} runs on an old copy of its disk, and node ${node.id}, which leads and had heard more, does not notice`,
        );
        scheduler.after(profile.electionTimeoutMs / 20, look);
      }
    };
    look();
  }

  #giveUp(victim: SimNode): void {
    victim.wipe();
    this.#mend(victim);
    this.#world.nemesis.resume();
  }

  #maybeWipe(founder: SimNode): boolean {
    if (this.#office === undefined) return false;
    const others = this.#world.nodes.filter((node) => node !== founder && this.#world.mayWipe(node));
    others[this.#random.below(others.length)]?.wipe();
    this.#world.nemesis.resume();
    return true;
  }

  #mend(victim: SimNode): void {
    const { network, nodes } = this.#world;
    this.#open = undefined;
    for (const { id } of nodes) {
      if (id === victim.id) continue;
      network.mend(victim.id, id);
      network.mend(id, victim.id);
    }
  }
}
