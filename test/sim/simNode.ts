// A simulated node over all its lives: its disk and its clock stay, its processes come and go.

import type { TailMemory } from '../../src/memory/tailMemory.ts';
import type { NodeId } from '../../src/raft/messages.ts';
import { readIdentity, readVote } from '../../src/storage/dataDirectory.ts';
import { DIRECTORY, newIdentity } from './identity.ts';
import { Process } from './process.ts';
import { isSimulated, ProcessDeath, SimDisk } from './simDisk.ts';
import { Violation } from './violation.ts';
import type { World } from './world.ts';

const EPOCH_MS = 1_700_000_000_000;
const SEARCH_MS = 100;
const FOR_EVER_MS = 1e9;

export class SimNode {
  readonly world: World;
  readonly id: NodeId;
  readonly memory: TailMemory;
  readonly disk: SimDisk;
  process: Process | undefined;
  /** The node is to stay down until somebody starts it. */
  isHeldDown = false;
  isPaused = false;
  /** How fast its clock goes. */
  #rate = 1;
  #bootMs = 0;
  #isStartPlanned = false;

  constructor(world: World, id: NodeId, memory: TailMemory) {
    this.world = world;
    this.id = id;
    this.memory = memory;
    this.disk = new SimDisk(world.random);
  }

  /** The node's own clock. */
  localMs(): number {
    return (this.world.scheduler.nowMs - this.#bootMs) * this.#rate;
  }

  wallMs(): number {
    return EPOCH_MS + Math.floor(this.world.scheduler.nowMs);
  }

  /** How long `localMs` of the node's clock take. */
  virtualMs(localMs: number): number {
    return localMs / this.#rate;
  }

  /** How long the disk takes for the next operation. */
  diskMs(): number {
    const { syncMs, hungUntilMs } = this.disk;
    const { random, scheduler } = this.world;
    const ownMs = (syncMs * (1 + random.below(1000))) / 1000;
    // For ever is longer than any simulation.
    return Math.max(0, Math.min(hungUntilMs, FOR_EVER_MS) - scheduler.nowMs) + (random.oneIn(30) ? 8 * ownMs : ownMs);
  }

  /** Starts a process soon, unless one runs or is about to. */
  planStart(delayMs: number): void {
    if (this.#isStartPlanned || this.process !== undefined) return;
    this.#isStartPlanned = true;
    this.world.scheduler.after(delayMs, () => {
      this.#isStartPlanned = false;
      if (this.process === undefined && !this.isHeldDown) this.#start();
    });
  }

  #start(): void {
    const { world, disk } = this;
    this.#rate = world.drawClockRate();
    this.#bootMs = world.scheduler.nowMs;
    this.isPaused = false;
    world.trace.add(world.scheduler.nowMs, this.id, 'starts');
    try {
      let identity = readIdentity(disk, DIRECTORY);
      if (identity === undefined) {
        const clusterId = world.findCluster(this);
        if (clusterId === undefined && !world.mayFound(this)) {
          this.planStart(SEARCH_MS);
          return;
        }
        identity = newIdentity(disk, this.id, clusterId, world.random);
        world.hasFounded = true;
      }
      const vote = readVote(disk, DIRECTORY);
      const process = new Process(world, this, identity);
      this.process = process;
      world.checker.recovered(process, vote);
      process.start();
    } catch (thrown) {
      if (thrown instanceof Violation) throw thrown;
      this.processFailed(thrown);
    }
  }

  /** What was thrown in the process ends it, if it was meant to; otherwise it is a bug. */
  processFailed(thrown: unknown): void {
    if (thrown instanceof ProcessDeath) {
      this.kill(thrown.isPowerCut);
    } else if (isSimulated(thrown)) {
      // A disk that failed may have lost anything that was not synced; one that is merely full has not.
      this.kill(thrown.details.errno === 'EIO');
    } else {
      const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
      throw new Violation('soundness', `node ${this.id} fails: ${text}`);
    }
  }

  /** The process dies; with the power, what was not synced may be lost. It is started again after a while. */
  kill(isPowerCut: boolean): void {
    const { process, world } = this;
    world.trace.add(world.scheduler.nowMs, this.id, isPowerCut ? 'loses power' : 'is killed');
    this.process = undefined;
    process?.die();
    this.disk.processDied(isPowerCut);
    this.planStart(world.drawDownMs());
  }

  /** The disk is lost, with everything on it. */
  wipe(): void {
    this.kill(false);
    this.world.trace.add(this.world.scheduler.nowMs, this.id, 'is wiped');
    this.disk.wipe();
    this.world.checker.wiped(this);
  }

  /** All threads stop; what comes meanwhile waits. */
  pause(): void {
    this.isPaused = true;
    for (const thread of this.process?.threads ?? []) thread.pause();
  }

  resume(): void {
    this.isPaused = false;
    for (const thread of this.process?.threads ?? []) thread.resume();
  }
}
