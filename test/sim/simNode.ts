// A simulated node over all its lives: its disk and its clock stay, its processes come and go.

import { LogError } from '../../src/core/errors.ts';
import { flagOf } from '../../src/core/options.ts';
import { decodeIdentity } from '../../src/format/identity.ts';
import type { TailMemory } from '../../src/memory/tailMemory.ts';
import { checkLogMembership, checkMembership, fittingSegmentBytes } from '../../src/node/membership.ts';
import type { FoundCluster } from '../../src/peers/discovery.ts';
import type { NodeId } from '../../src/raft/messages.ts';
import { type Identity, readIdentity, saveNodes } from '../../src/storage/dataDirectory.ts';
import { IDENTITY_FILE } from '../../src/storage/names.ts';
import type { DiskImage } from '../crash/memoryDisk.ts';
import { covers } from './coverage.ts';
import { DIRECTORY, newIdentity } from './identity.ts';
import { SEGMENT_BYTES } from './payloads.ts';
import { Process } from './process.ts';
import { Search } from './search.ts';
import { LARGE_SEGMENT_BYTES } from './segmentSizes.ts';
import { isSimulated, ProcessDeath, SimDisk } from './simDisk.ts';
import type { Thread } from './thread.ts';
import { promise, Violation } from './violation.ts';
import type { World } from './world.ts';

const FOR_EVER_MS = 1e9;

/** What a log says of its nodes that has no level for that. */
const SAYS_NOTHING = { configurations: [], removed: [], isUnknown: false };

export class SimNode {
  readonly world: World;
  readonly id: NodeId;
  /** A memory with slots of so many bytes. */
  readonly #memoryOf: (segmentBytes: number) => TailMemory;
  readonly disk: SimDisk;
  process: Process | undefined;
  /** Looks for the cluster, while the disk is empty. */
  search: Search | undefined;
  /** The nodes that it is started with, as in `--peers`; only itself: alone. */
  list: readonly NodeId[] = [];
  /** As in `--segment-bytes`, from its next start on. */
  segmentBytes = SEGMENT_BYTES;
  /** The node is to stay down until somebody starts it. */
  isHeldDown = false;
  /** It has a list of itself alone, and others can reach it all the same. */
  isOpen = false;
  isPaused = false;
  /** How fast its clock goes. */
  #rate = 1;
  #bootMs = 0;
  #isStartPlanned = false;

  constructor(world: World, id: NodeId, memoryOf: (segmentBytes: number) => TailMemory) {
    this.world = world;
    this.id = id;
    this.#memoryOf = memoryOf;
    this.disk = new SimDisk(world.random);
  }

  /** The node's own clock. */
  localMs(): number {
    return (this.world.scheduler.nowMs - this.#bootMs) * this.#rate;
  }

  /** What it takes for the time of the day. */
  wallMs(): number {
    return this.world.clocks.of(this.id);
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
    if (this.#isStartPlanned || this.process !== undefined || this.search !== undefined) return;
    this.#isStartPlanned = true;
    this.world.scheduler.after(delayMs, () => {
      this.#isStartPlanned = false;
      if (this.process === undefined && this.search === undefined && !this.isHeldDown) this.#start();
    });
  }

  #start(): void {
    const { world, disk } = this;
    this.#rate = world.drawClockRate();
    this.#bootMs = world.scheduler.nowMs;
    this.isPaused = false;
    world.trace.add(world.scheduler.nowMs, this.id, 'starts');
    world.openDamages.starts(this);
    this.#carefully(() => {
      const identity = readIdentity(disk, DIRECTORY);
      if (identity !== undefined) this.#maybeRun(identity);
      else if (this.list.length === 1) this.#make(undefined);
      else this.#look();
    });
  }

  /** The directory is made as `loglog init` makes it. */
  initialize(): void {
    newIdentity(this.disk, this.id, undefined, this.list, this.world.random);
    this.world.oldCopies.begun(this);
  }

  /** Whether the node's directory has a list of nodes. */
  get hasList(): boolean {
    return this.process?.identity.nodes != null || this.#disksList() !== null;
  }

  /** It is the simulation that looks here, and not a process: what reads of the disk are to fail has no part in it. */
  #disksList(): readonly NodeId[] | null {
    const path = `${DIRECTORY}/${IDENTITY_FILE}`;
    const bytes = this.disk.visibleBytes(path);
    return bytes === undefined ? null : (decodeIdentity(bytes, path).nodes ?? null);
  }

  /** The size of segments that it has started with; undefined while it is down. */
  get runsWith(): number | undefined {
    return this.process?.memory.map.shape.segmentBytes ?? this.search?.segmentBytes;
  }

  #look(): void {
    this.search = new Search(this.world, this, (cluster) => {
      this.search = undefined;
      this.#carefully(() => this.#make(cluster));
    });
    this.search.start();
  }

  #make(cluster: FoundCluster | undefined): void {
    const list = cluster?.saysNodes === true ? null : this.#given;
    const identity = newIdentity(this.disk, this.id, cluster?.clusterId, list, this.world.random);
    if (cluster === undefined) this.world.oldCopies.begun(this);
    this.#run(identity, this.segmentBytes);
  }

  get #given(): readonly NodeId[] | null {
    return this.list.length === 1 ? null : this.list;
  }

  /** Starts with what is on the disk, unless that cannot be with what the node is given: then an operator has to think. */
  #maybeRun(identity: Identity): void {
    const { world, disk, segmentBytes } = this;
    const peers = this.list.map((id) => ({ id, host: `node${id}`, port: 1, peerPort: 2 }));
    const { slots } = world.profile;
    let fitting = segmentBytes;
    const isMember = this.#passes(
      () => {
        const given = { node: this.id, peers, callOf: flagOf };
        checkMembership(DIRECTORY, identity, given);
        if (!world.hasSets) checkLogMembership(DIRECTORY, { identity, nodes: SAYS_NOTHING, commit: 0 }, given);
      },
      () => world.operator.correct(this),
    );
    if (!isMember) return;
    const fits = this.#passes(
      () => {
        fitting = fittingSegmentBytes(disk, DIRECTORY, { peers, segmentBytes, slots, callOf: flagOf });
      },
      () => world.segmentSizes.refused(this),
    );
    // Where the log may say which nodes it has, that is recovered first.
    if (fits) this.#run(world.hasSets ? identity : saveNodes(disk, DIRECTORY, identity, this.#given), fitting);
    else promise(segmentBytes < LARGE_SEGMENT_BYTES, 'soundness', () => `node ${this.id} has a segment that is larger than any`);
  }

  /** Whether `check`, one of the real start's, refuses nothing; if it does, `mend` is called after a while. */
  #passes(check: () => void, mend: () => void): boolean {
    try {
      check();
      return true;
    } catch (thrown) {
      if (!(thrown instanceof LogError) || thrown.code !== 'USAGE') throw thrown;
      this.world.note(this.id, thrown.message);
      this.world.scheduler.after(this.world.drawDownMs(), mend);
      return false;
    }
  }

  #run(identity: Identity, segmentBytes: number): void {
    this.#passes(
      () => {
        this.process = new Process(this.world, this, identity, this.#memoryOf(segmentBytes));
      },
      () => this.world.operator.correct(this),
    );
    this.process?.start();
  }

  #carefully(act: () => void): void {
    try {
      act();
    } catch (thrown) {
      if (thrown instanceof Violation) throw thrown;
      this.processFailed(thrown);
    }
  }

  get threads(): readonly Thread[] {
    return this.process?.threads ?? (this.search === undefined ? [] : [this.search.thread]);
  }

  /** What was thrown in the process ends it, if it was meant to; otherwise it is a bug. */
  processFailed(thrown: unknown): void {
    if (thrown instanceof ProcessDeath) {
      this.kill(thrown.isPowerCut);
    } else if (isSimulated(thrown)) {
      this.kill(false);
    } else {
      const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
      throw new Violation('soundness', `node ${this.id} fails: ${text}`);
    }
  }

  /** The process has ended by itself, in order or because it failed. */
  ended(): void {
    this.kill(false, 'has ended');
  }

  /** The process dies; with the power, what was not synced may be lost. It is started again after a while. */
  kill(isPowerCut: boolean, what = isPowerCut ? 'loses power' : 'is killed'): void {
    const { process, world } = this;
    world.trace.add(world.scheduler.nowMs, this.id, what);
    this.process = undefined;
    if (process !== undefined) world.checker.dies(process);
    if (process?.hasBegun && process.engine.uploads.count > 0) covers('a node with uploads dies');
    process?.die();
    this.search?.end();
    this.search = undefined;
    this.disk.processDied(isPowerCut);
    this.planStart(world.drawDownMs());
  }

  /** The disk is lost, with everything on it. */
  wipe(): void {
    const { process } = this;
    if (process?.hasBegun && process.engine.uploads.count > 0) covers('a node with uploads is wiped');
    this.world.operator.diskLost(this);
    this.kill(false);
    this.world.trace.add(this.world.scheduler.nowMs, this.id, 'is wiped');
    this.disk.wipe();
    this.world.checker.wiped(this);
  }

  /** The disk is replaced by a copy of it from before. */
  restore(image: DiskImage): void {
    this.kill(false);
    this.world.trace.add(this.world.scheduler.nowMs, this.id, 'is restored from an old copy');
    this.disk.restore(image);
  }

  /** All threads stop; what comes meanwhile waits. */
  pause(): void {
    this.isPaused = true;
    for (const thread of this.threads) thread.pause();
  }

  resume(): void {
    this.isPaused = false;
    for (const thread of this.threads) thread.resume();
  }
}
