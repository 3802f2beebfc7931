// Whoever breaks things in a simulation: one fault after the other, each for a while, and the mending of all at its end.

import type { NodeId } from '../../src/raft/messages.ts';
import type { Random } from '../assembly/random.ts';
import { chance, type Fault, type Profile } from './profile.ts';
import type { SimNode } from './simNode.ts';
import type { World } from './world.ts';

export class Nemesis {
  readonly #world: World;
  readonly #random: Random;
  readonly #profile: Profile;
  #isActive = true;
  #isSuspended = false;
  /** What is to be undone, and is not yet. */
  readonly #undo = new Set<() => void>();

  constructor(world: World) {
    this.#world = world;
    this.#random = world.random;
    this.#profile = world.profile;
  }

  start(): void {
    const { faultMs, faults } = this.#profile;
    if (!Number.isFinite(faultMs) || faults.length === 0) return;
    this.#planNext();
  }

  /** No new faults come. What is broken stays broken, until {@link heal}. */
  stop(): void {
    this.#isActive = false;
  }

  /** Mends everything, and does nothing until {@link resume}. */
  suspend(): void {
    this.#isSuspended = true;
    this.#undo.clear();
    this.heal(this.#world.nodes);
  }

  resume(): void {
    this.#isSuspended = false;
  }

  /** Whether faults come now. */
  get strikes(): boolean {
    return this.#isActive && !this.#isSuspended;
  }

  /** Mends all that is broken among `nodes`. */
  heal(nodes: readonly SimNode[]): void {
    const { network } = this.#world;
    // A writer that stands still is nothing that others could know of while the raft thread answers: a leader that hears a majority keeps
    // its office, although too few of it can write. It is the end of a process, not a fault to live with.
    for (const { process, isPaused } of this.#world.nodes) if (!isPaused) process?.diskThread.resume();
    for (const node of nodes) {
      node.isHeldDown = false;
      // A thread that waits for a disk for ever is not woken by another disk.
      if (node.disk.hungUntilMs === Number.POSITIVE_INFINITY) node.kill(false);
      if (node.isPaused) node.resume();
      for (const thread of node.process?.threads ?? []) thread.resume();
      node.disk.dieIn(0, false);
      node.disk.failIn(0, 'EIO');
      node.disk.failReadIn(0);
      node.disk.syncMs = this.#profile.syncMs;
      node.disk.hungUntilMs = 0;
      node.planStart(this.#random.below(50));
      for (const other of nodes) {
        if (other === node) continue;
        network.mend(node.id, other.id);
        network.link(node.id, other.id).extraDelayMs = 0;
      }
    }
  }

  /** A node was elected. It may not have its office for long. */
  elected(node: SimNode): void {
    const { scheduler } = this.#world;
    if (!this.strikes || !chance(this.#random, this.#profile.strikePercent)) return;
    const { maxDelayMs } = this.#profile.network;
    const { process } = node;
    scheduler.after((3 * maxDelayMs * this.#random.below(1000)) / 1000, () => {
      if (!this.strikes || node.process !== process) return;
      this.#strike(this.#random.pick('kill', 'power cut', 'isolation', 'isolation', 'one-way cut', 'pause'), node);
    });
  }

  /** A leader opens a segment. Not all others hear of it, and the leader and those that do may lose it with their power. */
  rolled(leader: SimNode): void {
    const { nodes, network, scheduler, trace } = this.#world;
    const others = nodes.filter((node) => node !== leader);
    if (!this.strikes || others.length === 0 || !chance(this.#random, this.#profile.rollStrikePercent)) return;
    trace.add(scheduler.nowMs, leader.id, '* lost segment');
    const unaware = this.#any(others);
    network.cut(leader.id, unaware.id);
    this.#later(() => network.mend(leader.id, unaware.id));
    const { syncMs, network: profile } = this.#profile;
    for (const node of nodes) {
      if (node === unaware || (node !== leader && this.#random.oneIn(3))) continue;
      const { process } = node;
      const withinMs = this.#random.pick(2 * syncMs, 4 * profile.maxDelayMs);
      scheduler.after((withinMs * this.#random.below(1000)) / 1000, () => {
        if (this.strikes && node.process === process) node.kill(true);
      });
    }
  }

  /** The leader's disk hangs for ever; all else about it is well, and it can talk to `others`. */
  hang(leader: SimNode, others: readonly SimNode[]): void {
    leader.disk.hungUntilMs = Number.POSITIVE_INFINITY;
    this.#reach(leader, others);
  }

  /** The leader's main thread hangs for ever; all else about it is well, and it can talk to `others`. */
  hangMain(leader: SimNode, others: readonly SimNode[]): void {
    this.#reach(leader, others);
    this.#world.hangs.hang(leader);
  }

  #reach(leader: SimNode, others: readonly SimNode[]): void {
    const { network } = this.#world;
    if (leader.isPaused) leader.resume();
    for (const thread of leader.process?.threads ?? []) thread.resume();
    for (const { id } of others) {
      for (const [from, to] of [
        [leader.id, id],
        [id, leader.id],
      ] as const) {
        network.mend(from, to);
        network.link(from, to).extraDelayMs = 0;
      }
    }
  }

  #planNext(): void {
    const { faultMs } = this.#profile;
    this.#world.scheduler.after((faultMs * (200 + this.#random.below(1600))) / 1000, () => {
      if (!this.#isActive) return;
      if (!this.#isSuspended) this.#strike(this.#draw(), this.#victim());
      this.#planNext();
    });
  }

  #draw(): Fault {
    const { faults } = this.#profile;
    let rest = this.#random.below(faults.reduce((sum, { weight }) => sum + weight, 0));
    for (const { fault, weight } of faults) {
      if (rest < weight) return fault;
      rest -= weight;
    }
    return 'kill';
  }

  /** A node, rather often the leader. */
  #victim(): SimNode {
    const { nodes, leader } = this.#world;
    if (leader !== undefined && chance(this.#random, this.#profile.leaderPercent)) return leader;
    return this.#any(nodes);
  }

  #any<T>(all: readonly T[]): T {
    const one = all[this.#random.below(all.length)];
    if (one === undefined) throw new Error('there is nothing to choose from');
    return one;
  }

  /** Undoes something after a while: mostly short, sometimes long. */
  #later(undo: () => void): void {
    const { electionTimeoutMs } = this.#profile;
    const once = (): void => {
      if (!this.#isActive || !this.#undo.delete(once)) return;
      undo();
    };
    this.#undo.add(once);
    const elections = this.#random.pick(1, 3, 3, 10);
    this.#world.scheduler.after((electionTimeoutMs * elections * this.#random.below(1000)) / 1000, once);
  }

  #strike(fault: Fault, victim: SimNode): void {
    const { random, trace, scheduler } = this.#world;
    trace.add(scheduler.nowMs, victim.id, `* ${fault}`);
    switch (fault) {
      case 'kill':
        victim.kill(false);
        break;
      case 'power cut':
        victim.kill(true);
        break;
      case 'power cut of all':
        for (const node of this.#world.nodes) node.kill(true);
        break;
      case 'death in a disk operation':
        victim.disk.dieIn(1 + random.below(random.pick(6, 30)), random.oneIn(2));
        break;
      case 'disk error':
        if (random.oneIn(3)) victim.disk.failReadIn(1 + random.below(3));
        else victim.disk.failIn(1 + random.below(6), random.pick('EIO', 'ENOSPC'));
        break;
      case 'slow disk':
        victim.disk.syncMs = this.#profile.electionTimeoutMs / random.pick(1, 2, 5);
        this.#later(() => {
          victim.disk.syncMs = this.#profile.syncMs;
        });
        break;
      case 'hung disk':
        victim.disk.hungUntilMs = scheduler.nowMs + this.#profile.electionTimeoutMs * random.below(12);
        break;
      case 'pause':
        this.#pause(victim);
        break;
      case 'stalled thread':
        this.#stallThread(victim);
        break;
      case 'wipe':
        if (this.#world.mayWipe(victim)) victim.wipe();
        break;
      case 'transfer': {
        const { leader } = this.#world;
        const process = leader?.process;
        // To whoever is named, whether or not it can take over; or to the one that is furthest.
        const to = victim === leader ? undefined : victim.id;
        process?.raftThread.post(0, 'transfer', () => process.replica.transfer(to));
        break;
      }
      case 'unheard successor':
        this.#cutOffAfterTransfer();
        break;
      case 'client death':
        this.#any(this.#world.clients).die();
        break;
      case 'cut clients':
        for (const client of this.#world.clients) if (random.oneIn(2)) client.disconnect('its connection was cut');
        break;
      default:
        this.#breakNetwork(fault, victim);
    }
  }

  /** The leader hands over, and does not hear that another node took over: it believes that it leads still. */
  #cutOffAfterTransfer(): void {
    const { random, scheduler, leader } = this.#world;
    const process = leader?.process;
    if (leader === undefined || process === undefined) return;
    process.raftThread.post(0, 'transfer', () => process.replica.transfer());
    const { minDelayMs, maxDelayMs } = this.#profile.network;
    scheduler.after(minDelayMs + (2 * maxDelayMs * random.below(1000)) / 1000, () => {
      if (this.strikes) this.#strike('isolation', leader);
    });
  }

  #pause(victim: SimNode): void {
    victim.pause();
    const { process } = victim;
    this.#later(() => {
      if (victim.process === process) victim.resume();
    });
  }

  #stallThread(victim: SimNode): void {
    const { process } = victim;
    if (process === undefined || victim.isPaused) return;
    const thread = this.#any(process.threads);
    thread.pause();
    this.#later(() => {
      if (victim.process === process && !victim.isPaused) thread.resume();
    });
  }

  #breakNetwork(fault: 'isolation' | 'one-way cut' | 'split' | 'clog' | 'reset', victim: SimNode): void {
    const { random, network } = this.#world;
    const ids = this.#world.nodes.map(({ id }) => id);
    const pairs = ids.flatMap((from) => ids.filter((to) => to !== from).map((to): [NodeId, NodeId] => [from, to]));
    let chosen: [NodeId, NodeId][];
    switch (fault) {
      case 'isolation':
        chosen = pairs.filter(([from, to]) => from === victim.id || to === victim.id);
        break;
      case 'one-way cut': {
        const isOutward = random.oneIn(2);
        const isAll = random.oneIn(2);
        chosen = pairs.filter(([from, to]) => (isOutward ? from : to) === victim.id && (isAll || random.oneIn(2)));
        break;
      }
      case 'split': {
        const side = new Set(ids.filter(() => random.oneIn(2)));
        const isPartial = random.oneIn(3);
        chosen = pairs.filter(([from, to]) => (isPartial ? random.oneIn(3) : side.has(from) !== side.has(to)));
        break;
      }
      default:
        chosen = pairs.filter(([from, to]) => (from === victim.id || to === victim.id) && random.oneIn(2));
    }
    if (fault === 'reset') {
      for (const [from, to] of chosen) network.reset(from, to);
      return;
    }
    const extraDelayMs = (this.#profile.electionTimeoutMs * random.below(1000)) / 500;
    for (const [from, to] of chosen) {
      if (fault === 'clog') network.link(from, to).extraDelayMs = extraDelayMs;
      else network.cut(from, to);
    }
    this.#later(() => {
      for (const [from, to] of chosen) {
        if (fault === 'clog') network.link(from, to).extraDelayMs = 0;
        else network.mend(from, to);
      }
    });
  }
}
