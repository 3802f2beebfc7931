// Stops nodes in order, as SIGTERM does, where others only crash: in the time of faults with disks that fail meanwhile, and engines that fail
// and are opened again; at the end a leader while all is well. Has chance of its own, so that a world without it is what it would be without
// this file.

import { SLOT, WORD } from '../../src/memory/map.ts';
import type { StopReport } from '../../src/node/stop.ts';
import { Random } from '../assembly/random.ts';
import type { Process } from './process.ts';
import { planStrikes } from './strikes.ts';
import { promise } from './violation.ts';
import type { World } from './world.ts';

/** One seed in so many has stops, up to so many times in the time of faults. */
const ONE_IN = 4;
const MOST = 8;
/** An engine stops within 6 s, of its own clock. */
const STOPS_WITHIN_MS = 6_000;
/** Nobody campaigns on its own so soon after a leader was heard, in election timeouts. */
const ELECTED_WITHIN = 0.5;

export class Stops {
  readonly #world: World;
  readonly #random: Random;
  /** Whether this seed has any. Where it has, an engine whose disk fails ends itself, as it does in a program; elsewhere it is a crash. */
  readonly isOn: boolean;

  constructor(world: World) {
    this.#world = world;
    this.#random = new Random(world.seed ^ 0x57_0b_5e);
    this.isOn = world.seed % ONE_IN === 1;
  }

  /** Plans what is to come in the time of faults. */
  start(): void {
    if (this.isOn) planStrikes(this.#world, this.#random, MOST, () => this.#strike());
  }

  #strike(): void {
    const { nodes, leader, nemesis, trace, scheduler } = this.#world;
    const random = this.#random;
    if (!nemesis.strikes) return;
    const one = random.oneIn(3) ? undefined : leader;
    const victims = random.oneIn(8) ? nodes : [one ?? nodes[random.below(nodes.length)]];
    for (const victim of victims) {
      if (victim === undefined) continue;
      const fails = random.oneIn(3);
      trace.add(scheduler.nowMs, victim.id, fails ? '* stop, and its disk fails' : '* stop');
      if (fails) victim.disk.failIn(1 + random.below(random.pick(2, 6)), random.pick('EIO', 'ENOSPC'));
      if (!fails || !random.oneIn(4)) victim.process?.stop();
    }
  }

  /** An engine has stopped in order, and nothing was cut short: what it leaves behind. */
  check(process: Process, { uncommittedBytes }: StopReport): void {
    const { memory, engine, node } = process;
    const { tail, durable, commit } = memory;
    promise(
      durable === tail,
      'durability',
      () => `node ${node.id} stopped in order with a log up to ${tail}, but only ${durable} is on its disk`,
    );
    promise(
      uncommittedBytes === tail - commit,
      'honest receipts',
      () => `node ${node.id} says that ${uncommittedBytes} bytes are not committed`,
    );
    promise(
      node.disk.directFiles === 0,
      'durability',
      () => `node ${node.id} stopped in order, and leaves ${node.disk.directFiles} files open`,
    );
    let end = memory.word(WORD.BASE);
    for (let sealed = engine.segments.find(end); sealed !== undefined; sealed = engine.segments.find(end)) end = sealed.end;
    promise(
      memory.openSlot < 0 || end === memory.slotWord(memory.openSlot, SLOT.BASE) || end === tail,
      'durability',
      () => `node ${node.id} stopped in order, and the segment at ${end}, which is full, is not sealed`,
    );
    this.#world.checker.stopped(process);
  }

  /**
   * The leader of a cluster that is well is stopped. Returns whether another node led soon after it had ended, without having waited for
   * an election timeout; undefined where that was not tried.
   */
  async trial(run: (limitMs: number, isDone: () => boolean) => Promise<boolean>): Promise<boolean | undefined> {
    const { nodes, leader, profile } = this.#world;
    const process = leader?.process;
    if (!this.isOn || nodes.length < 3 || leader === undefined || process === undefined) return undefined;
    this.#world.trace.add(this.#world.scheduler.nowMs, leader.id, '* last stop');
    process.stop();
    const isOver = await run(STOPS_WITHIN_MS * profile.clockSpread, () => leader.process !== process);
    promise(isOver, 'progress', () => `all is well, and node ${leader.id} was told to stop, but has not ended in time`);
    return run(profile.electionTimeoutMs * ELECTED_WITHIN, () => this.#world.leader !== undefined);
  }
}
