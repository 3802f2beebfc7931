// Stands main threads still, one or all at a time, the leader's above all: nobody of the cluster can see it but the raft threads of the same
// processes. Has chance of its own, so that a world without it is what it would be without this file.
//
// What is expected is counted here once more, and otherwise than the code counts: the ticks of a raft thread since the last beat of its main
// thread was performed.

import { Random } from '../assembly/random.ts';
import type { Process } from './process.ts';
import type { SimNode } from './simNode.ts';
import { planStrikes } from './strikes.ts';
import { promise } from './violation.ts';
import type { World } from './world.ts';

/** One seed in so many has main threads that hang in the time of faults, up to so many times. */
const ONE_IN = 4;
const MOST = 4;
/** Up to so many election timeouts each time. */
const LONGEST = 12;
/** Heartbeats that a hang takes at least, and those within which it must have been noticed: 30, more or less by how they are counted here: a turn that
 * messages bring counts there, and only ticks here. */
const HANG_BEATS = 20;
const NOTICED_BEATS = 40;
/** In how many election timeouts an office must have passed on: three until it is noticed, and what a hand-over and an election take. */
const HANDED_WITHIN = 20;
/** How long a cluster is looked at in which all hang. */
const ALL_HANG = 6;

export class Hangs {
  readonly #world: World;
  readonly #random: Random;
  readonly #isOn: boolean;
  #isEnded = false;
  #isStopped = false;

  constructor(world: World) {
    this.#world = world;
    this.#random = new Random(world.seed ^ 0x4a_6e_67);
    this.#isOn = world.seed % ONE_IN === ONE_IN - 1;
  }

  /** Plans what is to come in the time of faults. */
  start(): void {
    if (this.#isOn) planStrikes(this.#world, this.#random, MOST, () => this.#strike());
  }

  /** No thread is stopped any more in the time of faults. */
  stop(): void {
    this.#isStopped = true;
  }

  #strike(): void {
    if (this.#isStopped) return;
    const { nodes, leader, profile, scheduler } = this.#world;
    const random = this.#random;
    const one = random.oneIn(4) ? undefined : leader;
    const victims = random.oneIn(4) ? nodes : [one ?? nodes[random.below(nodes.length)]];
    for (const victim of victims) {
      if (victim === undefined) continue;
      const forMs = (profile.electionTimeoutMs * LONGEST * random.below(1000)) / 1000;
      this.hang(victim);
      scheduler.after(forMs, () => {
        if (!this.#isEnded) this.#answer(victim);
      });
    }
  }

  /** The node's main thread stands still until {@link Nemesis.heal}, if nothing ends that before. */
  hang(node: SimNode): void {
    this.#world.trace.add(this.#world.scheduler.nowMs, node.id, '* hang');
    node.process?.mainThread.pause();
  }

  #answer(node: SimNode): void {
    if (!node.isPaused) node.process?.mainThread.resume();
  }

  /** Whether the leader, when a majority without it is all that has to be well, is to hang. */
  get draws(): boolean {
    return this.#isOn && this.#random.oneIn(2);
  }

  /** In a cluster that is well, and may be so for `limitMs`: while all hang nothing changes, and one that answers leads soon. */
  async trial(run: (limitMs: number, isDone: () => boolean) => Promise<boolean>): Promise<void> {
    const { nodes, profile, leader } = this.#world;
    const process = leader?.process;
    this.#isEnded = true;
    if (!this.#isOn || nodes.length === 1 || leader === undefined || process === undefined) return;
    const timeoutMs = profile.electionTimeoutMs * profile.clockSpread;
    const { currentTerm } = process.replica.raft;
    const others = nodes.filter((node) => node !== leader);
    // The leader last: otherwise it may hand over to one that has not noticed yet that it hangs too.
    for (const node of others) this.hang(node);
    await run(ALL_HANG * timeoutMs, () => false);
    this.hang(leader);
    await run(ALL_HANG * timeoutMs, () => false);
    promise(
      this.#world.leader === leader && process.replica.raft.currentTerm === currentTerm,
      'office',
      () => `all nodes hang, and node ${leader.id} has given up its office although nobody could take it: nothing can be replicated`,
    );
    const next = others[this.#random.below(others.length)];
    if (next === undefined) return;
    this.#answer(next);
    promise(
      await run(HANDED_WITHIN * timeoutMs, () => this.#world.leader === next),
      'office',
      () => `node ${next.id} alone answers, but ${this.#world.leader === undefined ? 'nobody' : `node ${this.#world.leader.id}`} leads`,
    );
    for (const node of nodes) this.#answer(node);
  }

  /** Something happened in `process`. */
  check(process: Process): void {
    const { raft } = process.replica;
    const { ticksSinceBeat } = process;
    if (raft.isHung !== process.isSeenHung) {
      process.isSeenHung = raft.isHung;
      promise(
        !raft.isHung || ticksSinceBeat >= HANG_BEATS,
        'office',
        () => `node ${process.id} takes itself for hung after ${ticksSinceBeat} heartbeats without a sign of its main thread`,
      );
    }
    promise(
      raft.isHung || ticksSinceBeat <= NOTICED_BEATS || raft.members.isAlone,
      'office',
      () => `node ${process.id} has not noticed in ${ticksSinceBeat} heartbeats that its main thread hangs`,
    );
  }

  /** A node was elected. */
  elected(process: Process): void {
    promise(
      // A node alone has nobody who could take it.
      process.ticksSinceBeat <= NOTICED_BEATS || process.replica.raft.members.isAlone,
      'office',
      () => `node ${process.id} was elected, although its main thread hangs`,
    );
  }
}
