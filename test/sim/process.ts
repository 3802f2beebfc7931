// One life of a simulated node: the real tail memory, engine, raft host and storage, on simulated threads, clock, disk and network. What the
// engine stands on is in engineParts.ts and diskTasks.ts, what the raft thread stands on in raftParts.ts and links.ts.

import { HANG_ELECTIONS } from '../../src/core/limits.ts';
import { flagOf } from '../../src/core/options.ts';
import { SIGNAL, STATE } from '../../src/memory/map.ts';
import type { TailMemory } from '../../src/memory/tailMemory.ts';
import { Engine } from '../../src/node/engine.ts';
import type { EngineConfig } from '../../src/node/engineOptions.ts';
import { Failure } from '../../src/node/failure.ts';
import { RaftLink } from '../../src/node/raftLink.ts';
import { raftSetup } from '../../src/node/raftSetup.ts';
import { takeNodes } from '../../src/node/startup.ts';
import type { StopReport } from '../../src/node/stop.ts';
import type { NodeId, PeerMessage } from '../../src/raft/messages.ts';
import type { Replica } from '../../src/replication/replica.ts';
import type { StorageContext } from '../../src/storage/context.ts';
import { type Identity, readVote, removeTemporaries, type Vote } from '../../src/storage/dataDirectory.ts';
import { lookUp } from '../../src/storage/layout.ts';
import { type RecoveredLog, recover } from '../../src/storage/recovery.ts';
import type { ToRaft } from '../../src/threads/messages.ts';
import { RaftHost } from '../../src/threads/raftHost.ts';
import { clearShared } from '../crash/testNode.ts';
import { DiskTasks } from './diskTasks.ts';
import { SimDoor } from './door.ts';
import { configOf, SimChannel, SimLoop } from './engineParts.ts';
import { DIRECTORY } from './identity.ts';
import { SimLinks } from './links.ts';
import { raftPorts } from './raftParts.ts';
import { processOf } from './search.ts';
import { isSimulated } from './simDisk.ts';
import type { SimNode } from './simNode.ts';
import { Thread } from './thread.ts';
import { UploadsOfProcess } from './uploads.ts';
import { promise, Violation } from './violation.ts';
import { Watches } from './watches.ts';
import type { World } from './world.ts';

export class Process {
  readonly world: World;
  readonly node: SimNode;
  readonly id: NodeId;
  readonly memory: TailMemory;
  readonly recovered: RecoveredLog;
  readonly replica: Replica;
  readonly tasks: DiskTasks;
  readonly engine: Engine;
  readonly raftThread: Thread;
  readonly mainThread: Thread;
  readonly diskThread: Thread;
  readonly watches: Watches;
  readonly uploads: UploadsOfProcess;
  isAlive = true;
  /** Of a node alone there are none. */
  links: SimLinks | undefined;
  readonly #raft: RaftHost;
  readonly #loop: SimLoop;
  readonly #channel = new SimChannel(this);
  readonly #failure = new Failure();
  /** What was saved when it started. */
  readonly #vote: Vote;
  /** What was thrown where a promise or the engine has taken it. */
  #thrown: unknown;
  #isBegun = false;
  hasBegun = false;
  /** The engine stops, or has failed. */
  #isEnding = false;
  #hasEnded = false;
  #stopped: StopReport | undefined;
  readonly door = new SimDoor();
  #seenBeat = 0;
  /** Ends the clients' connections when the process dies. */
  readonly onDeath: (() => void)[] = [];
  /** Heartbeats of the raft thread that ticks have shown since the main thread has moved its word, each at least that much later. */
  ticksSinceBeat = 0;
  #countedMs = 0;
  /** What its core was seen to take itself for. */
  isSeenHung = false;

  /** Starts from what is on the node's disk. Throws what the real start would throw. */
  constructor(world: World, node: SimNode, identity: Identity, memory: TailMemory) {
    this.world = world;
    this.node = node;
    this.id = node.id;
    this.uploads = new UploadsOfProcess(node.id);
    const { disk } = node;
    this.memory = memory;
    // A new process has a memory of zeros.
    clearShared(memory.bytes, memory.map.slotAt(memory.map.shape.slots));
    const makeThread = (): Thread => new Thread(world.scheduler, ({ label, act, what }) => this.perform(label, act, what));
    this.raftThread = new Thread(world.scheduler, ({ label, act, what }) => this.perform(label, () => this.#onRaft(act), what));
    this.mainThread = makeThread();
    this.diskThread = makeThread();
    const context = { disk, directory: DIRECTORY, identity, memory, nowMs: () => node.wallMs() };
    this.#vote = readVote(disk, DIRECTORY);
    const found = recover(context, lookUp(context.disk, DIRECTORY));
    const peers = node.list.map((id) => ({ id, host: `node${id}`, port: 1, peerPort: 2 }));
    const given = { node: node.id, peers, callOf: flagOf };
    this.recovered = { ...found, identity: takeNodes(disk, DIRECTORY, found, given, { info: () => undefined }) };
    this.watches = new Watches(memory, () => this.hopMs());
    this.tasks = this.#makeTasks(context);
    for (const [signal, label] of [
      [SIGNAL.TAIL, 'log moved'],
      [SIGNAL.DURABLE, 'durable'],
    ] as const) {
      this.watches.add(signal, this.diskThread, label, () => this.tasks.wake());
    }
    const settings = world.settings(node, identity.instance, memory.map.shape.segmentBytes);
    const config = configOf(
      this.id,
      node.list,
      memory.map,
      settings.electionTimeoutMs,
      world.uploads.stagingOf(this.id),
      world.damages.scrubDays,
      world.sessions.bounds,
      node.isOpen,
      world.upgrades.autoFinalizeAfter,
    );
    const setup = raftSetup(disk, config, processOf(this.id), DIRECTORY, this.recovered, memory.shared);
    this.#raft = new RaftHost({
      setup: { ...setup, levels: world.levelsOf(node), directLog: undefined },
      settings,
      hang: { hangMs: HANG_ELECTIONS * settings.electionTimeoutMs, lookMs: settings.heartbeatMs },
      memory,
      ports: raftPorts(this, {
        makeLinks: (options) => {
          this.links = new SimLinks(this, options);
          return this.links;
        },
        tell: (message) => this.#channel.tell(message),
        ticked: () => this.#ticked(),
        ended: () => this.#channel.ended(),
      }),
    });
    this.replica = this.#raft.replica;
    const { voters } = this.replica.raft.members;
    if (voters.length === 1 && voters[0] === this.id) world.clocks.startedAlone(this.id);
    this.#loop = new SimLoop(this);
    this.engine = this.#makeEngine(config);
  }

  #makeTasks(context: StorageContext): DiskTasks {
    const { world, node } = this;
    return new DiskTasks(context, {
      later: (delayMs, label, act) => this.diskThread.post(delayMs, label, act),
      answer: (label, act) => this.settles(this.hopMs(), label, act),
      diskMs: () => node.diskMs(),
      freeBytes: () => world.fullDisks.freeOf(node),
      areAllocated: world.segmentSizes.areAllocated,
      examined: (request, found) => world.seals.found(this.id, request, world.damages.examined(this, request, found)),
      heals: (request, act) => world.damages.heals(this, request, act),
      isDamaged: (offset) => world.damages.isDamaged(this, offset),
      truncating: (offset) => world.checker.truncating(this, offset),
      emptying: (base) => world.checker.beginsAt(this, base),
      written: () => world.checker.after(this),
      opened: () => {
        if (this.replica.raft.role === 'leader') world.nemesis.rolled(node);
      },
    });
  }

  /** The node reports an error: that two nodes have folded different states of one log is none that may happen. */
  #isWrong(text: string): void {
    this.world.note(this.id, text);
    promise(!/the state of the log|sessions of producers/.test(text), 'log state', () => `node ${this.id}: ${text}`);
  }

  #makeEngine(config: EngineConfig): Engine {
    const { world, memory, node } = this;
    const engine = new Engine({
      config,
      processNumber: processOf(this.id),
      version: 'simulated',
      log: { info: () => undefined, warn: () => undefined, error: (text) => this.#isWrong(text) },
      directory: DIRECTORY,
      recovered: this.recovered,
      memory,
      failure: this.#failure,
      loop: this.#loop,
      beatMs: config.electionTimeoutMs / 4,
      retention: world.trims.retentionOf(config.electionTimeoutMs),
      tokenRequests: world.tokens.requestsOf(config.electionTimeoutMs),
      random: world.damages.random,
      scrubLookMs: config.electionTimeoutMs,
      newestLevel: world.levelsOf(node).highest,
      healMs: { answer: 2 * config.electionTimeoutMs, retry: 2 * config.electionTimeoutMs, wait: 10 * config.electionTimeoutMs },
      diskLookMs: world.fullDisks.isOn ? config.electionTimeoutMs : 0,
      tasks: this.tasks,
      discard: (spare) => {
        const path = `${DIRECTORY}/${spare}`;
        if (node.disk.list(DIRECTORY).includes(spare)) node.disk.remove(path);
      },
      startRaft: (events) => new RaftLink(this.#channel, events),
      close: () => {
        try {
          this.tasks.close();
          removeTemporaries(node.disk, DIRECTORY);
        } catch (thrown) {
          this.broke(thrown);
        }
        return Promise.resolve();
      },
      destroy: async () => this.diskThread.die(),
    });
    world.trims.watch(engine, this);
    world.tokens.watch(engine, this);
    engine.doors.add(this.door);
    void engine.ended.then(() => {
      this.#hasEnded = true;
    });
    return engine;
  }

  /** Does `act` on the raft thread. It dies alone of what its disk does, and the engine hears of that. */
  #onRaft(act: () => void): void {
    try {
      act();
    } catch (thrown) {
      if (!this.#endsItself || !isSimulated(thrown)) throw thrown;
      this.endRaft();
      this.#channel.failed(thrown);
    }
  }

  /** The raft thread ends where it stands. */
  endRaft(): void {
    this.raftThread.die();
    this.links?.end();
  }

  /** Whether an engine whose disk fails ends itself, and the process after it; elsewhere the process dies of it. */
  get #endsItself(): boolean {
    return this.hasBegun && this.world.stops.isOn;
  }

  /** Stops in order, as at SIGTERM. */
  stop(): void {
    this.mainThread.arrive('stop', () => {
      if (!this.hasBegun || this.#isEnding) return;
      this.#isEnding = true;
      const stopped = (report: StopReport): void => {
        this.#stopped = report;
      };
      // Where it fails, the engine ends.
      this.engine.stop().then(stopped, () => undefined);
      this.#settle();
    });
  }

  /** Lets the engine begin. */
  start(): void {
    const begins = (): void => {
      this.hasBegun = true;
      this.door.open();
    };
    // What goes wrong ends the process when the promises have had their say.
    this.engine.begin().then(begins, (thrown: unknown) => this.broke(thrown));
    this.#settle();
  }

  /** The engine has the log's end, and its raft thread starts. */
  begun(): void {
    this.#isBegun = true;
    this.world.checker.recovered(this, this.#vote);
    this.raftThread.post(0, 'start', () => {
      this.#raft.start().catch((thrown: unknown) => this.broke(thrown));
      this.#settle();
    });
  }

  /** The main thread has posted `message`. */
  handle(message: ToRaft): void {
    this.world.seals.told(this, message);
    this.#raft.handle(message);
  }

  /** Something was thrown where only a promise hears it. */
  broke(thrown: unknown): void {
    this.#thrown ??= thrown;
  }

  /** From one thread to another. */
  hopMs(): number {
    const { random } = this.world;
    return random.oneIn(50) ? random.below(20) : random.below(1000) / 2000;
  }

  /** Does `act`, which settles promises, on the main thread, and what follows of that. */
  settles(delayMs: number, label: string, act: () => void): void {
    this.mainThread.post(delayMs, label, () => {
      act();
      this.#settle();
    });
  }

  #settle(): void {
    this.world.scheduler.settle(() => {
      if (this.isAlive) this.#carefully(() => undefined);
    });
  }

  /** What a client's end of a connection sees, from within the engine: what is wrong with it ends the simulation, and not only the engine. */
  witness(look: () => void): void {
    try {
      look();
    } catch (thrown) {
      if (!(thrown instanceof Violation)) throw thrown;
      this.broke(thrown);
    }
  }

  /** The core has looked at its clock. */
  #ticked(): void {
    if (this.isAlive) this.world.checker.ticked(this);
    const localMs = this.node.localMs();
    if (localMs - this.#countedMs < this.replica.raft.settings.heartbeatMs) return;
    this.#countedMs = localMs;
    this.ticksSinceBeat += 1;
  }

  get identity(): Identity {
    return this.#raft.admission.identity;
  }

  get threads(): readonly Thread[] {
    return [this.raftThread, this.mainThread, this.diskThread];
  }

  /** Does `act` as one event of this process. Returns whether the process lives still. */
  perform(label: string, act: () => void, what?: PeerMessage | string): boolean {
    const { world } = this;
    world.trace.add(world.scheduler.nowMs, this.id, label, what, world.trace.keepsAll ? () => this.describe() : undefined);
    const lives = this.#carefully(act);
    // Promises begin and end an engine; while it runs, only answers of tasks and of the raft thread are some, and requests that wait for the commit.
    const areAwaited = world.trims.hasPolicies || world.sessions.isOn || world.consumers.isOn;
    if (lives && (!this.hasBegun || this.#isEnding || areAwaited)) this.#settle();
    return lives;
  }

  #carefully(act: () => void): boolean {
    try {
      act();
      this.#look();
      this.#lookForEnd();
    } catch (thrown) {
      if (thrown instanceof Violation) throw thrown;
      if (this.#thrown instanceof Violation) throw this.#thrown;
      this.node.processFailed(thrown);
    }
    if (!this.isAlive) return false;
    this.#loop.plan();
    this.watches.plan();
    if (!this.#isBegun) return true;
    this.world.checker.after(this);
    this.world.hangs.check(this);
    this.world.fullDisks.check(this);
    this.world.damages.look(this);
    return true;
  }

  /** Whether the engine has failed, or has ended. */
  #lookForEnd(): void {
    const { error } = this.#failure;
    if (error !== undefined && !(this.#endsItself && isSimulated(error))) throw error;
    this.#isEnding ||= error !== undefined;
    const report = this.#stopped;
    if (!this.#hasEnded && report === undefined) return;
    if (error === undefined && report?.cut.length === 0) this.world.stops.check(this, report);
    this.node.ended();
  }

  /** Counts how often the raft thread has ticked since the main thread's last sign of life. */
  #look(): void {
    const beat = this.memory.word32(STATE.BEAT);
    if (beat !== this.#seenBeat) this.ticksSinceBeat = 0;
    this.#seenBeat = beat;
    if (this.#thrown !== undefined) throw this.#thrown;
  }

  die(): void {
    this.isAlive = false;
    for (const thread of this.threads) thread.die();
    for (const end of this.onDeath) end();
    this.links?.end();
  }

  describe(): string {
    const { raft } = this.replica;
    const { memory } = this;
    return `${raft.role} t${raft.currentTerm} v${raft.votedFor} ${raft.standing} tail ${memory.tail} durable ${memory.durable} commit ${memory.commit}`;
  }
}
