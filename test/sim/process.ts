// One life of a simulated node: the real tail memory, engine, replica, admission and storage, on simulated threads, clock, disk and network.
// What stands here is the glue of src/threads/raftThread.ts and src/node/startEngine.ts; the engine's ports are in engineParts.ts and diskTasks.ts.

import { LogError } from '../../src/core/errors.ts';
import { COLD_READERS, HANG_ELECTIONS } from '../../src/core/limits.ts';
import { SIGNAL, STATE } from '../../src/memory/map.ts';
import { Tail } from '../../src/memory/tail.ts';
import type { TailMemory } from '../../src/memory/tailMemory.ts';
import { Engine } from '../../src/node/engine.ts';
import { Failure } from '../../src/node/failure.ts';
import { RaftLink } from '../../src/node/raftLink.ts';
import { faultOfWelcome, type Introduction, type Self } from '../../src/protocol/peerHandshake.ts';
import type { NodeId, PeerMessage } from '../../src/raft/messages.ts';
import { TermTable } from '../../src/raft/termTable.ts';
import { Admission } from '../../src/replication/admission.ts';
import type { ReplicaPorts } from '../../src/replication/ports.ts';
import { Replica } from '../../src/replication/replica.ts';
import type { StorageContext } from '../../src/storage/context.ts';
import { beforeStart, type Identity, readVote, saveKnown, saveStanding, type Vote, writeVote } from '../../src/storage/dataDirectory.ts';
import { type RecoveredLog, recover } from '../../src/storage/recovery.ts';
import { SegmentReader } from '../../src/storage/segmentReader.ts';
import { DiskTasks } from './diskTasks.ts';
import { configOf, SimChannel, SimLoop } from './engineParts.ts';
import { DIRECTORY } from './identity.ts';
import type { Endpoint } from './network.ts';
import type { Planned } from './scheduler.ts';
import { answerTo, processOf, type Welcome } from './search.ts';
import type { SimNode } from './simNode.ts';
import { Thread } from './thread.ts';
import { promise, Violation } from './violation.ts';
import type { World } from './world.ts';

/** A word that threads wait on, and who does what when it changes. */
interface Watch {
  readonly signal: number;
  readonly thread: Thread;
  readonly label: string;
  readonly act: () => void;
  /** Whether anybody waits on the word now. */
  readonly isOn: () => boolean;
  seen: number;
  isPlanned: boolean;
}

export class Process implements Endpoint {
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
  readonly context: StorageContext;
  isAlive = true;
  readonly #admission: Admission;
  readonly #feedReader: SegmentReader;
  readonly #watches: Watch[];
  readonly #loop: SimLoop;
  readonly #channel = new SimChannel(this, () => this.#hopMs());
  readonly #failure = new Failure();
  readonly #vote: Vote;
  /** What was thrown where a promise or the engine has taken it. */
  #thrown: unknown;
  #isBegun = false;
  /** The engine has begun: doors are open to clients from then on. */
  hasBegun = false;
  #seenBeat = 0;
  /** The raft thread waits for a truncation. */
  isTruncating = false;
  /** Ends the clients' connections when the process dies. */
  readonly onDeath: (() => void)[] = [];
  #timer: Planned | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
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
    const { disk } = node;
    this.memory = memory;
    // A new process has a memory of zeros.
    memory.bytes.fill(0, 0, memory.map.slotAt(memory.map.shape.slots));
    const makeThread = (): Thread => new Thread(world.scheduler, ({ label, act, what }) => this.perform(label, act, what));
    this.raftThread = makeThread();
    this.mainThread = makeThread();
    this.diskThread = makeThread();
    this.context = { disk, directory: DIRECTORY, identity, memory, nowMs: () => node.wallMs() };
    const vote = readVote(disk, DIRECTORY);
    this.#vote = vote;
    this.recovered = recover(this.context);
    this.#feedReader = new SegmentReader(disk, DIRECTORY, memory);
    const { start, end, commit, terms, sealed } = this.recovered;
    this.tasks = new DiskTasks(this.context, {
      later: (delayMs, label, act) => this.diskThread.post(delayMs, label, act),
      answer: (label, act) => this.settles(this.#hopMs(), label, act),
      diskMs: () => node.diskMs(),
      areAllocated: world.segmentSizes.areAllocated,
      truncating: (offset) => world.checker.truncating(this, offset),
      opened: () => {
        if (this.replica.raft.role === 'leader') world.nemesis.rolled(node);
      },
    });
    const settings = world.settings(node, identity.instance, memory.map.shape.segmentBytes);
    this.replica = new Replica({
      settings,
      state: { ...vote, standing: identity.standing, commit, log: new TermTable(start, end, terms, beforeStart(identity)) },
      memory,
      tail: new Tail(memory, (slot) => this.#channel.tell({ kind: 'openSegment', slot })),
      sealed,
      hangMs: HANG_ELECTIONS * settings.electionTimeoutMs,
      ports: this.#ports(),
    });
    this.#admission = this.#makeAdmission();
    this.#loop = new SimLoop(this, () => this.#hopMs());
    this.engine = new Engine({
      config: configOf(this.id, settings.nodes, memory.map, settings.electionTimeoutMs),
      processNumber: processOf(this.id),
      version: 'simulated',
      log: { info: () => undefined, warn: () => undefined, error: (text) => world.note(this.id, text) },
      directory: DIRECTORY,
      recovered: this.recovered,
      memory,
      failure: this.#failure,
      loop: this.#loop,
      beatMs: settings.electionTimeoutMs / 4,
      tasks: this.tasks,
      discard: (spare) => {
        const path = `${DIRECTORY}/${spare}`;
        if (disk.list(DIRECTORY).includes(spare)) disk.remove(path);
      },
      startRaft: (events) => new RaftLink(this.#channel, events),
      close: () => Promise.resolve(),
      destroy: () => Promise.resolve(),
    });
    this.#watches = this.#makeWatches();
  }

  /** Lets the engine begin. */
  start(): void {
    const begins = (): void => {
      this.hasBegun = true;
    };
    // What goes wrong ends the process when the promises have had their say.
    this.engine.begin().then(begins, (thrown: unknown) => {
      this.#thrown ??= thrown;
    });
    this.#settle();
  }

  /** The engine has the log's end, and its raft thread starts. */
  begun(): void {
    this.#isBegun = true;
    this.world.checker.recovered(this, this.#vote);
    this.raftThread.post(0, 'start', () => this.replica.start());
    // A node alone has no peer port.
    const { nodes } = this.replica.raft.settings;
    if (nodes.length === 1) return;
    this.world.network.join(this, nodes);
    const waitMs = this.node.virtualMs(this.#admission.waitMs);
    this.raftThread.post(waitMs, 'has waited for the others', () => this.#admission.waited());
  }

  /** Does `act`, which settles promises, on the main thread, and what follows of that. */
  settles(delayMs: number, label: string, act: () => void): void {
    this.mainThread.post(delayMs, label, () => {
      act();
      this.#settle();
    });
  }

  /** Wakes a part of the engine that waits for a word. Until it has begun, it is a promise that does. */
  woken(moved: () => void): void {
    moved();
    if (!this.hasBegun) this.#settle();
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
      this.#thrown ??= thrown;
    }
  }

  /** The raft thread has looked at its clock. */
  #ticked(): void {
    const localMs = this.node.localMs();
    if (localMs - this.#countedMs < this.replica.raft.settings.heartbeatMs) return;
    this.#countedMs = localMs;
    this.ticksSinceBeat += 1;
  }

  get thread(): Thread {
    return this.raftThread;
  }

  get identity(): Identity {
    return this.#admission.identity;
  }

  get threads(): readonly Thread[] {
    return [this.raftThread, this.mainThread, this.diskThread];
  }

  /** Does `act` as one event of this process. Returns whether the process lives still. */
  perform(label: string, act: () => void, what?: PeerMessage | string): boolean {
    const { world } = this;
    world.trace.add(world.scheduler.nowMs, this.id, label, what, world.trace.keepsAll ? () => this.describe() : undefined);
    return this.#carefully(act);
  }

  #carefully(act: () => void): boolean {
    try {
      act();
      this.#look();
      if (this.#failure.error !== undefined) throw this.#failure.error;
    } catch (thrown) {
      if (thrown instanceof Violation) throw thrown;
      if (this.#thrown instanceof Violation) throw this.#thrown;
      this.node.processFailed(thrown);
    }
    if (!this.isAlive) return false;
    this.#plan();
    if (!this.#isBegun) return true;
    this.world.checker.after(this);
    this.world.hangs.check(this);
    return true;
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
    if (this.#timer !== undefined) this.world.scheduler.cancel(this.#timer);
    for (const end of this.onDeath) end();
    this.world.network.leave(this, this.replica.raft.settings.nodes);
  }

  describe(): string {
    const { raft } = this.replica;
    const { memory } = this;
    return `${raft.role} t${raft.currentTerm} v${raft.votedFor} ${raft.standing} tail ${memory.tail} durable ${memory.durable} commit ${memory.commit}`;
  }

  greeting(to: NodeId): Introduction {
    const { standing, isFounder } = this.identity;
    return { ...this.#self(), from: this.id, to, standing, isFounder, term: this.replica.raft.currentTerm };
  }

  greeted(hello: Introduction): Welcome {
    return answerTo(hello, this.#self(), this.greeting(hello.from));
  }

  takes(welcome: Introduction, to: NodeId): boolean {
    return faultOfWelcome(welcome, this.#self(), to) === undefined && !this.#doubts(welcome);
  }

  #doubts(introduction: Introduction): boolean {
    return this.#admission.doubts(introduction) !== undefined;
  }

  #self(): Self {
    const { segmentBytes } = this.memory.map.shape;
    const { clusterId, instance } = this.identity;
    return {
      clusterId,
      id: this.id,
      instance,
      process: processOf(this.id),
      segmentBytes,
      isSynced: true,
      nodes: this.replica.raft.settings.nodes,
      advertise: '',
    };
  }

  received(from: NodeId, message: PeerMessage, body: readonly Uint8Array[]): void {
    this.world.checker.heard(this, from);
    this.replica.receive(from, message, body);
  }

  receiving(from: NodeId, message: PeerMessage): void {
    this.replica.receiving(from, message);
  }

  accepted(from: NodeId, hello: Introduction): Welcome {
    if (this.greeted(hello) === undefined || this.#doubts(hello)) return undefined;
    this.#admission.greeting(hello);
    const welcome = this.greeting(from);
    this.#admission.accepted(from, hello);
    return welcome;
  }

  connected(to: NodeId, welcome: Introduction): void {
    this.#admission.connected(to, welcome);
  }

  disconnected(to: NodeId): void {
    this.#admission.disconnected(to);
  }

  drained(): void {
    this.replica.drained();
  }

  #makeAdmission(): Admission {
    return new Admission(this.replica, this.recovered.identity, {
      saveKnown: (before, node, instance) => this.#saved(before, saveKnown(this.node.disk, DIRECTORY, before, node, instance)),
      saveStanding: (before, standing) => this.#saved(before, saveStanding(this.node.disk, DIRECTORY, before, standing)),
      send: (to, message) => this.world.network.send(this, to, message),
      advertised: () => undefined,
      log: () => undefined,
    });
  }

  /** Blocks the raft thread for as long as the disk took, if there was anything to do. */
  #saved(before: Identity, identity: Identity): Identity {
    if (identity !== before) this.raftThread.block(this.node.diskMs());
    return identity;
  }

  #ports(): ReplicaPorts {
    const { world, node } = this;
    return {
      nowMs: () => node.localMs(),
      wallMs: () => node.wallMs(),
      wakeAt: (atMs) => this.#wakeAt(atMs),
      canSend: (to) => world.network.canSend(this, to),
      send: (to, message, body, released) => world.network.send(this, to, message, body, released),
      cut: (from) => world.network.reset(from, this.id),
      saveVote: (vote) => {
        writeVote(node.disk, DIRECTORY, vote);
        world.checker.voted(this, vote);
        this.raftThread.block(node.diskMs());
      },
      saveStanding: (standing) => {
        promise(
          standing !== 'returned' || world.checker.isOldCopy(this.id),
          'old copies',
          () => `node ${this.id} is taken for an old copy, but its disk is what it was`,
        );
        promise(
          standing !== 'new' || !world.checker.hasLostDisk(this.id),
          'old copies',
          () => `node ${this.id} is taken for new, but it counted with a disk that it has lost`,
        );
        this.#admission.saveStanding(standing);
      },
      truncate: (offset) => {
        this.isTruncating = true;
        this.#channel.tell({ kind: 'truncate', offset });
      },
      readCold: (range, buffer, done) => {
        this.diskThread.post(node.diskMs(), 'read', () => {
          let result: number | LogError;
          try {
            result = this.#feedReader.read(range, COLD_READERS + buffer);
          } catch (thrown) {
            if (!(thrown instanceof LogError)) throw thrown;
            result = thrown;
          }
          this.raftThread.post(this.#hopMs(), 'was read', () => done(result));
        });
      },
      readIndexDone: (id, index) => this.#channel.tell({ kind: 'readIndexDone', id, index }),
      transferDone: (ok) => this.#channel.tell({ kind: 'transferDone', ok }),
      fatal: (error) => {
        throw new Violation('committed bytes', `node ${this.id} stops itself: ${error.message}`);
      },
      log: (level, text) => {
        if (level === 'error') world.note(this.id, text);
      },
    };
  }

  /** From one thread to another. */
  #hopMs(): number {
    const { random } = this.world;
    return random.oneIn(50) ? random.below(20) : random.below(1000) / 2000;
  }

  #wakeAt(atMs: number): void {
    if (this.#timer !== undefined && this.#timerAtMs <= atMs) return;
    if (this.#timer !== undefined) this.world.scheduler.cancel(this.#timer);
    this.#timerAtMs = atMs;
    // As timers are: in whole milliseconds, never early, and never at once.
    const waitMs = Math.max(1, Math.ceil(atMs - this.node.localMs()));
    this.#timer = this.world.scheduler.after(this.node.virtualMs(waitMs), () => {
      this.#timer = undefined;
      this.raftThread.arrive('tick', () => {
        this.replica.tick();
        this.#ticked();
        if (this.isAlive) this.world.checker.ticked(this);
      });
    });
  }

  #makeWatches(): Watch[] {
    const { raftThread, diskThread, replica, tasks, memory } = this;
    const watch = (signal: number, thread: Thread, label: string, act: () => void, isOn = (): boolean => true): Watch => {
      return { signal, thread, label, act, isOn, seen: 0, isPlanned: false };
    };
    return [
      watch(SIGNAL.TAIL, diskThread, 'log moved', () => tasks.wake()),
      watch(SIGNAL.DURABLE, diskThread, 'durable', () => tasks.wake()),
      watch(SIGNAL.ORDERED, raftThread, 'log moved', () => replica.logMoved()),
      // As in src/threads/raftThread.ts.
      watch(
        SIGNAL.DURABLE,
        raftThread,
        'durable',
        () => replica.durableMoved(),
        () => memory.word32(STATE.SOLE) === 0,
      ),
    ];
  }

  /** Wakes threads whose word has changed. */
  #plan(): void {
    this.#loop.plan();
    for (const watch of this.#watches) {
      if (watch.isPlanned || this.memory.signal(watch.signal) === watch.seen || !watch.isOn()) continue;
      watch.isPlanned = true;
      watch.thread.post(this.#hopMs(), watch.label, () => {
        watch.isPlanned = false;
        watch.seen = this.memory.signal(watch.signal);
        watch.act();
      });
    }
  }
}
