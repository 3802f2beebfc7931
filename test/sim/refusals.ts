// Ports that refuse connections, and connections that are reset, while the processes behind them live: proxies that stop and start, firewalls that reject. Where
// nothing else is wrong, no leader may lose its office by that as long as a majority hears it. Has chance of its own, so that a world without it is what it
// would be without this file.

import type { NodeId } from '../../src/raft/messages.ts';
import { Random } from '../assembly/random.ts';
import type { SimNode } from './simNode.ts';
import { planStrikes } from './strikes.ts';
import { promise } from './violation.ts';
import type { World } from './world.ts';

/** One seed in so many has refusals in the time of faults, up to so many. */
const ONE_IN = 3;
const MOST = 6;
/** Up to so many election timeouts each time. */
const LONGEST = 4;
/** How often the connections of a leader are reset when all is well, and how long one follower cannot reach it, in election timeouts. */
const RESETS = 6;
const REFUSED = 3;

export class Refusals {
  readonly #world: World;
  readonly #random: Random;
  readonly #isOn: boolean;
  #isEnded = false;

  constructor(world: World) {
    this.#world = world;
    this.#random = new Random(world.seed ^ 0x2e_f0_5e);
    this.#isOn = world.seed % ONE_IN === ONE_IN - 1;
  }

  /** Plans what is to come in the time of faults. */
  start(): void {
    if (this.#isOn) planStrikes(this.#world, this.#random, MOST, () => this.#strike());
  }

  /** Every port answers again. */
  end(): void {
    this.#isEnded = true;
    const ids = this.#world.nodes.map(({ id }) => id);
    this.#refuse(this.#pairs(ids, ids), false);
  }

  /** The connections of a node, mostly the leader, are reset, and for a while some or all new ones are refused, in one direction or in both. */
  #strike(): void {
    if (this.#isEnded) return;
    const { nodes, leader, profile, scheduler, trace } = this.#world;
    const random = this.#random;
    const victim = (random.oneIn(3) ? undefined : leader) ?? nodes[random.below(nodes.length)];
    if (victim === undefined) return;
    trace.add(scheduler.nowMs, victim.id, '* refusals');
    const isAll = random.oneIn(2);
    const others = nodes.filter((node) => node !== victim && (isAll || random.oneIn(2))).map(({ id }) => id);
    const pairs = [...this.#pairs(others, [victim.id]), ...(random.oneIn(2) ? this.#pairs([victim.id], others) : [])];
    this.#refuse(pairs, true);
    this.#reset(victim.id, others);
    const forMs = (profile.electionTimeoutMs * random.pick(0.2, 1, LONGEST) * random.below(1000)) / 1000;
    scheduler.after(forMs, () => this.#refuse(pairs, false));
  }

  #pairs(from: readonly NodeId[], to: readonly NodeId[]): (readonly [NodeId, NodeId])[] {
    return from.flatMap((one) => to.filter((other) => other !== one).map((other) => [one, other] as const));
  }

  #refuse(pairs: readonly (readonly [NodeId, NodeId])[], isRefused: boolean): void {
    for (const [from, to] of pairs) this.#world.network.link(from, to).isRefused = isRefused;
  }

  #reset(victim: NodeId, others: readonly NodeId[]): void {
    for (const other of others) {
      this.#world.network.reset(victim, other);
      this.#world.network.reset(other, victim);
    }
  }

  /**
   * In a cluster that is well: the leader's connections are reset again and again, and answered when they are made anew; then a follower dies, and starts again;
   * then the leader and that follower refuse each other for long, while the rest hears it. `run` runs for so long, or until that is done.
   */
  async trial(run: (limitMs: number, isDone: () => boolean) => Promise<boolean>): Promise<void> {
    const { nodes, leader, profile, network } = this.#world;
    if (!this.#isOn || nodes.length < 3 || leader === undefined) return;
    const term = leader.process?.replica.raft.currentTerm;
    const timeoutMs = profile.electionTimeoutMs;
    const followers = nodes.filter((node) => node !== leader);
    const others = followers.map(({ id }) => id);
    const follower = followers[this.#random.below(followers.length)];
    if (follower === undefined || term === undefined) return;
    // On a slow network a leader that has to dial anew is silent for as long as one that is cut off.
    network.isQuick = true;
    await run(timeoutMs / 2, () => false);
    for (let left = RESETS; left > 0; left -= 1) {
      this.#reset(leader.id, others);
      await run((timeoutMs * (100 + this.#random.below(400))) / 1000, () => false);
    }
    this.#checkOffice(leader, term, 'its connections were reset, and its port has answered all the time');
    follower.kill(false);
    follower.isHeldDown = true;
    await run(timeoutMs, () => false);
    this.#checkOffice(leader, term, `node ${follower.id}, which followed it, has died`);
    follower.isHeldDown = false;
    follower.planStart(0);
    await run(REFUSED * timeoutMs, () => false);
    this.#checkOffice(leader, term, `node ${follower.id}, which follows it, has started again`);
    const pairs = [...this.#pairs([follower.id], [leader.id]), ...this.#pairs([leader.id], [follower.id])];
    this.#refuse(pairs, true);
    this.#reset(leader.id, [follower.id]);
    await run(REFUSED * timeoutMs * profile.clockSpread, () => false);
    this.#checkOffice(leader, term, `it and node ${follower.id} refused each other, and all others have heard it`);
    this.#refuse(pairs, false);
    await run(timeoutMs, () => false);
    this.#checkOffice(leader, term, `it and node ${follower.id} had refused each other, and talk again`);
    network.isQuick = false;
  }

  #checkOffice(leader: SimNode, term: number, what: string): void {
    const { nodes } = this.#world;
    const terms = nodes.flatMap(({ process }) => process?.replica.raft.currentTerm ?? []);
    promise(
      this.#world.leader === leader && terms.every((each) => each === term),
      'deaths',
      () => `node ${leader.id} led in term ${term}; ${what}; and now the nodes are in terms ${terms.join(', ')}`,
    );
  }
}
