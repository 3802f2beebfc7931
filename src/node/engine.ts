// The engine of a node, from recovery to a clean end: the wiring of memory, pools, segments, appends, readings, ends and the raft thread. It
// knows callers (caller.ts) and doors (door.ts), and nothing of sockets. It never ends the process: where it can no longer go on it ends
// itself, once, and says so.

import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Cause } from '../core/causes.ts';
import { LogError } from '../core/errors.ts';
import { PROCESS_BYTES } from '../core/ids.ts';
import { STOP_ANSWER_MS, STOP_END_MS, STOP_QUIET_MS, STOP_SETTLE_MS } from '../core/limits.ts';
import { follow } from '../memory/follow.ts';
import { Gate } from '../memory/gate.ts';
import { HotReader } from '../memory/hotReader.ts';
import { SIGNAL, WORD } from '../memory/map.ts';
import { Tail } from '../memory/tail.ts';
import { TailMemory } from '../memory/tailMemory.ts';
import { LEVEL_VOLATILE } from '../protocol/client.ts';
import { type Identity, removeTemporaries } from '../storage/dataDirectory.ts';
import type { DirectoryLock } from '../storage/lock.ts';
import { NodeDisk } from '../storage/nodeDisk.ts';
import { RECOVERY_SLOT, type RecoveredLog } from '../storage/recovery.ts';
import type { DirectLog } from '../threads/hungMain.ts';
import { Pools } from '../threads/pools.ts';
import { Appends } from './appends.ts';
import type { Caller } from './caller.ts';
import { ClusterStatus } from './clusterStatus.ts';
import { CommitWatch } from './commitWatch.ts';
import type { Door, Greeted } from './door.ts';
import { Ends } from './ends.ts';
import type { EngineConfig, EngineLog, EngineOptions } from './engineOptions.ts';
import { Failure } from './failure.ts';
import { Pulse } from './pulse.ts';
import { RaftLink } from './raftLink.ts';
import { raftSetup } from './raftSetup.ts';
import { Readings } from './reading.ts';
import { Segments } from './segments.ts';
import { checkPeerPort, makeIdentity, openDirectory, takeDirectory, takeNodes } from './startup.ts';
import { type NodeStatus, statusOf } from './status.ts';
import { type StopReport, stopNode } from './stop.ts';

/** What an engine is made of before it runs. */
interface Parts {
  readonly config: EngineConfig;
  readonly processNumber: string;
  readonly log: EngineLog;
  readonly directLog: DirectLog | undefined;
  readonly directory: string;
  readonly lock: DirectoryLock;
  readonly memory: TailMemory;
  readonly pools: Pools;
  readonly recovered: RecoveredLog;
  readonly failure: Failure;
}

export class Engine {
  readonly config: EngineConfig;
  /** The number of this engine's life, which it tells nodes and clients: who answers at two addresses with one number is one engine. */
  readonly processNumber: string;
  readonly directory: string;
  readonly identity: Identity;
  readonly recovered: RecoveredLog;
  readonly startedMs = Date.now();
  readonly memory: TailMemory;
  readonly cluster: ClusterStatus;
  readonly segments: Segments;
  readonly appends: Appends;
  readonly readings: Readings;
  readonly ends: Ends;
  readonly pulse: Pulse;
  readonly doors = new Set<Door>();
  /** Rejects, with a LogError, when the engine can no longer go on (invariant 6): nothing is written or acknowledged after it. */
  readonly failed: Promise<never>;
  /** Resolves when the engine has stopped, or has failed, and all its threads have ended: its directory may be opened again. */
  readonly ended: Promise<void>;
  readonly #log: EngineLog;
  readonly #directLog: DirectLog | undefined;
  readonly #lock: DirectoryLock;
  readonly #failure: Failure;
  readonly #pools: Pools;
  readonly #tail: Tail;
  readonly #commitWatch: CommitWatch;
  readonly #waiters: (() => void)[] = [];
  #raft: RaftLink | undefined;
  /** Role, term and leader that clients were told last. */
  #toldRole = '';
  #isOver = false;
  #stopping: Promise<StopReport> | undefined;
  #abandoning: Promise<void> | undefined;
  #onEnded: () => void = () => undefined;

  /**
   * Starts an engine: finds its cluster, recovers its log, takes part; alone it resolves when its own term has begun, so that it can order. It
   * has no doors yet: {@link doors}. Throws a LogError that says what is wrong, and leaves nothing open then.
   */
  static async start({ config, log, signal, directLog, beforeChange }: EngineOptions): Promise<Engine> {
    const failure = new Failure();
    const processNumber = randomBytes(PROCESS_BYTES).toString('hex');
    const directory = resolve(config.data);
    const lock = takeDirectory(directory, config);
    let pools: Pools | undefined;
    let engine: Engine | undefined;
    try {
      const opened = openDirectory(directory, config, log);
      // Refused before anything is changed.
      const memory = TailMemory.create({ segmentBytes: opened.segmentBytes, slots: config.slots });
      await beforeChange?.();
      await checkPeerPort(config);
      const identity =
        opened.identity ?? (await makeIdentity(directory, config, processNumber, log, signal ?? new AbortController().signal));
      pools = new Pools(
        { directory, identity, shared: memory.shared, fsync: config.fsync },
        { died: failure.fail, short: ({ message }) => log.warn(`the node goes on with fewer threads: ${message}`) },
      );
      const found = await Promise.race([pools.recover(), failure.failed]);
      const recovered = { ...found, identity: takeNodes(directory, found.identity, config, log) };
      engine = new Engine({ config, processNumber, log, directLog, directory, lock, memory, pools, recovered, failure });
      await engine.#run();
      return engine;
    } catch (thrown) {
      if (engine !== undefined) await engine.abandon();
      else {
        await pools?.destroy();
        lock.release();
      }
      throw thrown;
    }
  }

  private constructor({ config, processNumber, log, directLog, directory, lock, memory, pools, recovered, failure }: Parts) {
    this.config = config;
    this.processNumber = processNumber;
    this.#log = log;
    this.#directLog = directLog;
    this.#lock = lock;
    this.#failure = failure;
    this.memory = memory;
    this.#pools = pools;
    this.directory = directory;
    this.identity = recovered.identity;
    this.recovered = recovered;
    this.failed = failure.failed;
    this.ended = new Promise((resolve) => {
      this.#onEnded = resolve;
    });
    this.segments = new Segments(memory, pools, {
      sealed: ({ base, end }) => {
        this.#raft?.sealed(base, end);
        this.appends.retryHeld();
        this.#progressed();
      },
      noSpare: (spare, error) => {
        rmSync(`${directory}/${spare}`, { force: true });
        log.warn(`no files can be prepared for the next segments: ${error.message}`);
      },
      failed: failure.fail,
    });
    this.#tail = new Tail(memory, (slot) => this.segments.open(slot, false));
    this.pulse = new Pulse(memory);
    this.cluster = new ClusterStatus(memory, config);
    const isAwaited = (): boolean =>
      this.appends.awaitsCommit || this.readings.awaitsCommit || this.ends.awaitsCommit || this.#waiters.length > 0;
    this.#commitWatch = new CommitWatch(memory, isAwaited, () => this.#carefully(() => this.#committed()));
    const awaitCommit = (): void => this.#commitWatch.need();
    this.appends = new Appends(memory, this.#tail, new Gate(memory), this.cluster, config.maxPayloadBytes, awaitCommit);
    if (!config.fsync) this.appends.committedLevel = LEVEL_VOLATILE;
    this.readings = new Readings({
      memory,
      hot: new HotReader(memory),
      segments: this.segments,
      pools,
      awaitCommit,
      beforeTurn: () => this.appends.endTurn(),
      reportDamage: (error) => log.error(error.message),
    });
    this.ends = new Ends(memory, this.isAlone, awaitCommit, {
      readIndex: async () => this.#raft?.readIndex(),
      whyNone: () => this.cluster.whyNoLeader,
    });
    failure.whenFailed((error) => {
      this.appends.fail(`this node has failed, and takes no more appends: ${error.message}`);
      // Not from within whoever failed: it may be in the middle of something with a door.
      queueMicrotask(() => void this.abandon());
    });
  }

  /** Takes part in the cluster; alone until the term has begun. */
  async #run(): Promise<void> {
    const { start, end, dataEnd, openBase } = this.recovered;
    const { memory } = this;
    memory.setWord(WORD.START, start);
    await this.segments.start(this.recovered);
    this.#tail.start(end, dataEnd, openBase === undefined ? undefined : RECOVERY_SLOT);
    if (openBase !== undefined) this.segments.open(RECOVERY_SLOT, true);
    this.pulse.start();
    const raft = this.#startRaft();
    this.#raft = raft;
    await Promise.race([raft.started, this.failed]);
    void this.#followRole();
    if (this.isAlone) await Promise.race([this.#until(() => memory.commit > end), this.failed]);
  }

  #startRaft(): RaftLink {
    return new RaftLink(
      { ...raftSetup(this.config, this.processNumber, this.directory, this.recovered, this.memory.shared), directLog: this.#directLog },
      {
        openSegment: (slot) => this.segments.open(slot, false),
        truncate: async (offset) => {
          const bytes = this.memory.tail - offset;
          await this.segments.truncate(offset);
          this.#log.info(
            `${bytes} bytes at the end of the log, from offset ${offset}, gave way to what the leader has; they were not committed`,
          );
        },
        failed: this.#failure.fail,
        causes: (causes, whyNoLeader) => this.#causesChanged(causes, whyNoLeader),
        advertised: (other, url) => this.#advertised(other, url),
        log: (level, text) => this.#log[level](text),
      },
    );
  }

  /** A cluster of one: its commit counts everything that it has acknowledged. */
  get isAlone(): boolean {
    return this.config.peers.length < 2;
  }

  /** Why the engine has failed; undefined while it has not. */
  get error(): LogError | undefined {
    return this.#failure.error;
  }

  /** `ws://host:port` that clients connect to; empty without a door that has one. */
  get url(): string {
    for (const { url } of this.doors) if (url !== '') return url;
    return '';
  }

  /** What the node knows of itself and its cluster, as /status shows it. */
  status(): NodeStatus {
    return statusOf(this);
  }

  /** A caller has room again. */
  drained(caller: Caller): void {
    this.readings.drained(caller);
  }

  /** A caller is gone: nothing more is done for it. What of it was ordered stays ordered. */
  closed(caller: Caller): void {
    this.readings.closed(caller);
    this.ends.closed(caller);
    this.appends.closed(caller);
  }

  /**
   * Stops within 6 s: takes no more appends, makes durable and answers what was ordered, hands leadership over, closes the clients, ends
   * the threads. Rejects when the engine fails meanwhile, or has failed. A second call has the outcome of the first.
   */
  stop(): Promise<StopReport> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<StopReport> {
    const undecidedBefore = this.appends.undecidedCount;
    const times = { settleMs: STOP_SETTLE_MS, answerMs: STOP_ANSWER_MS, endMs: STOP_END_MS, quietMs: STOP_QUIET_MS };
    const hasClients = (): boolean => [...this.doors].some(({ connections }) => connections > 0);
    const cut = await stopNode(
      {
        takeNoMore: () => {
          this.appends.drain();
          for (const door of this.doors) door.takeNoMore();
        },
        settled: () => this.#until(() => this.appends.isSettled),
        handOver: async () => (this.isAlone ? undefined : this.#raft?.transfer()),
        refusedAppends: () => (hasClients() ? this.appends.refusedWhileDraining : undefined),
        giveUp: () => this.appends.giveUp(),
        disconnect: async () => void (await Promise.all([...this.doors].map((door) => door.disconnect()))),
        endThreads: () => this.#endThreads(),
        failed: this.failed,
      },
      times,
    );
    const { commit, tail } = this.memory;
    return { cut, undecidedAppends: this.appends.undecidedCount - undecidedBefore, uncommittedBytes: tail - commit };
  }

  async #endThreads(): Promise<void> {
    await this.#raft?.stop();
    this.#endLoops();
    await this.segments.stop();
    for (const door of this.doors) door.close();
    await this.#pools.close();
    removeTemporaries(new NodeDisk(), this.directory);
    this.#lock.release();
    this.#onEnded();
  }

  /** Ends everything at once, as a crash would, but for the process. Resolves when its threads have ended. */
  abandon(): Promise<void> {
    this.#abandoning ??= this.#abandon();
    return this.#abandoning;
  }

  async #abandon(): Promise<void> {
    this.#endLoops();
    for (const door of this.doors) door.close();
    await Promise.all([this.#raft?.terminate(), this.#pools.destroy()]);
    this.#lock.release();
    this.#onEnded();
  }

  /** What waits on a word of the memory goes on, and ends; the pulse, too. */
  #endLoops(): void {
    this.#isOver = true;
    this.pulse.stop();
    for (const signal of [SIGNAL.STOP, SIGNAL.TAIL, SIGNAL.DURABLE, SIGNAL.COMMIT, SIGNAL.ROLE, SIGNAL.ORDERED]) this.memory.raise(signal);
  }

  /** Acts on what the raft thread says of this node's office, its term and its links. One wake-up for all that happened meanwhile. */
  #followRole(): Promise<void> {
    return follow(
      this.memory,
      SIGNAL.ROLE,
      () => this.#isOver,
      () => this.#carefully(() => this.#roleChanged()),
    );
  }

  /** A mistake in `act` ends the engine: nothing may go on as if it had not happened. */
  #carefully(act: () => void): void {
    try {
      if (this.#failure.error === undefined) act();
    } catch (thrown) {
      this.#failure.fail(
        thrown instanceof LogError ? thrown : new LogError('IO', thrown instanceof Error ? (thrown.stack ?? '') : String(thrown)),
      );
    }
  }

  /** The commit moved, or room was made for appends that are held. */
  #committed(): void {
    this.appends.settle(performance.now());
    this.readings.committed();
    this.ends.committed();
    this.#progressed();
  }

  #roleChanged(): void {
    this.appends.settle(performance.now());
    const role = this.cluster.roleText();
    if (role !== this.#toldRole) {
      const isFirst = this.#toldRole === '';
      this.#toldRole = role;
      this.ends.leaderChanged();
      if (!isFirst && !this.isAlone) this.#sayWhoLeads();
    }
    this.#progressed();
  }

  /** The raft thread says what keeps the nodes apart. Who waits for a leader hears why there is none. */
  #causesChanged(causes: readonly Cause[], whyNoLeader: string): void {
    const before = this.cluster.whyNoLeader;
    this.cluster.setCauses(causes, whyNoLeader);
    if (this.cluster.whyNoLeader !== before) this.#greetingChanged('all');
  }

  /** Who may have to go there hears where another node is reached. */
  #advertised(other: number, url: string): void {
    this.cluster.setAdvertised(other, url);
    this.#greetingChanged(this.cluster.leaderId === other ? 'all' : 'introduced');
  }

  /** Clients are greeted anew, so that those who append go where the leader is. */
  #sayWhoLeads(): void {
    this.#log.info(this.cluster.whoLeads());
    this.#greetingChanged('all');
  }

  #greetingChanged(whom: Greeted): void {
    for (const door of this.doors) door.greetingChanged(whom);
  }

  /** Resolves when the commit has moved or held appends were tried again. */
  #progress(): Promise<void> {
    return new Promise((wake) => {
      this.#waiters.push(wake);
      this.#commitWatch.need();
    });
  }

  #progressed(): void {
    for (const wake of this.#waiters.splice(0)) wake();
  }

  async #until(condition: () => boolean): Promise<void> {
    while (!condition()) await this.#progress();
  }
}
