// A cluster that is upgraded while it works: its nodes begin with a build that knows levels of the log up to the one before it says its nodes, get a newer one, one after the
// other, and somebody asks the leader again and again to raise the level, some of whom do not wait for the last node; or the nodes are to do it automatically. Has chance of its own, so that a world without it is what it would be without it.

import { LEVELS, type LevelRange, MEMBERS_LEVEL } from '../../src/core/levels.ts';
import { WORD } from '../../src/memory/map.ts';
import type { NodeId } from '../../src/raft/messages.ts';
import { Random } from '../assembly/random.ts';
import { covers } from './coverage.ts';
import { SETS_FROM } from './sets.ts';
import type { SimNode } from './simNode.ts';
import type { World } from './world.ts';

/** What a build of before knows. */
export const OLDER_LEVELS: LevelRange = { ...LEVELS, highest: MEMBERS_LEVEL - 1 };

/** Of so many seeds one is upgraded. */
const UPGRADED = 8;
const WHICH = 5;

export class Upgrades {
  readonly #world: World;
  readonly #random: Random;
  readonly isOn: boolean;
  /** Nobody asks: the level is raised when all nodes have known it for so many election timeouts. */
  readonly #autoElections: number;
  /** Nodes that have the newer build. */
  readonly #newer = new Set<NodeId>();
  #isEnding = false;

  constructor(world: World) {
    this.#world = world;
    this.#random = new Random(world.seed ^ 0x1e7e_15);
    const { nodeCount, growsLater } = world.profile;
    this.isOn = world.seed >= SETS_FROM && world.seed % UPGRADED === WHICH && world.saysNodes && nodeCount > 1 && !growsLater;
    this.#autoElections = this.#random.oneIn(3) ? 1 + this.#random.below(4) : 0;
  }

  /** As in `--auto-finalize-after`, in milliseconds: 0, not. */
  get autoFinalizeAfter(): number {
    return this.isOn ? this.#autoElections * this.#world.profile.electionTimeoutMs : 0;
  }

  /** Levels that the build of a node knows. */
  levelsOf(node: SimNode): LevelRange {
    return this.isOn && !this.#newer.has(node.id) ? OLDER_LEVELS : LEVELS;
  }

  start(): void {
    if (this.isOn) this.#plan();
  }

  /** What is left to do is done soon. */
  end(): void {
    this.#isEnding = true;
  }

  #plan(): void {
    const { scheduler, profile } = this.#world;
    const elections = this.#isEnding ? 1 : 0.5 + this.#random.below(3);
    scheduler.after(elections * profile.electionTimeoutMs, () => {
      if (this.#step()) this.#plan();
    });
  }

  /** Whether there is more to do. */
  #step(): boolean {
    const { allNodes, nodes, checker } = this.#world;
    // A log that a newer build begins is one that says its nodes from the start.
    if (checker.ledger.end === 0) return true;
    const older = allNodes.filter(({ id }) => !this.#newer.has(id));
    for (const node of this.#isEnding ? older : older.slice(0, 1)) {
      this.#newer.add(node.id);
      node.kill(false);
    }
    if (older.length > 0) {
      // Before all have the newer build, nothing may come of it.
      if (this.#random.oneIn(2)) {
        covers('a level is asked for that a node does not know');
        this.#ask();
      }
      return true;
    }
    if (nodes.every(({ process }) => process !== undefined && process.memory.word(WORD.LOG_LEVEL) >= MEMBERS_LEVEL)) {
      covers(this.#isEnding ? 'a level is raised once all is well' : 'a level is raised amid faults');
      if (this.#autoElections > 0) covers('a level is raised automatically');
      return false;
    }
    if (this.#autoElections === 0) this.#ask();
    return true;
  }

  #ask(): void {
    const { leader, trace, scheduler, profile, nodes } = this.#world;
    const process = leader?.process;
    if (leader === undefined || process === undefined) return;
    trace.add(scheduler.nowMs, leader.id, '* finalize');
    process.settles(0, 'finalize', () => {
      process.engine.levels.request(true).then(
        () => undefined,
        () => undefined,
      );
    });
    // Between any two steps of it.
    if (!this.#isEnding && nodes.length >= 3 && this.#random.oneIn(3))
      scheduler.after(this.#random.below(1 + profile.electionTimeoutMs / 4), () => leader.kill(false));
  }
}
