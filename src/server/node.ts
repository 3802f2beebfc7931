// A node: the wiring of memory, pools, segments, appends, readings and the listener, and its life from recovery to a clean end.

import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import type { Cause } from '../core/causes.ts';
import { type Config, maxBatchBytes, NOTHING_DURABLE, ownPeer } from '../core/config.ts';
import { LogError } from '../core/errors.ts';
import { PROCESS_BYTES } from '../core/ids.ts';
import { STOP_ANSWER_MS, STOP_END_MS, STOP_QUIET_MS, STOP_SETTLE_MS } from '../core/limits.ts';
import { addressOf } from '../core/peers.ts';
import { follow } from '../memory/follow.ts';
import { Gate } from '../memory/gate.ts';
import { HotReader } from '../memory/hotReader.ts';
import { SIGNAL, WORD } from '../memory/map.ts';
import { Tail } from '../memory/tail.ts';
import { TailMemory } from '../memory/tailMemory.ts';
import { Appends } from '../node/appends.ts';
import { ClusterStatus } from '../node/clusterStatus.ts';
import { CommitWatch } from '../node/commitWatch.ts';
import { Ends } from '../node/ends.ts';
import { Failure } from '../node/failure.ts';
import { Pulse } from '../node/pulse.ts';
import { RaftLink } from '../node/raftLink.ts';
import { raftSetup } from '../node/raftSetup.ts';
import { Readings } from '../node/reading.ts';
import { Segments } from '../node/segments.ts';
import { checkPorts, makeIdentity, openDirectory, takeNodes } from '../node/startup.ts';
import type { NodeStatus } from '../node/status.ts';
import { type StopReport, stopNode } from '../node/stop.ts';
import { LEVEL_VOLATILE } from '../protocol/client.ts';
import { type Identity, removeTemporaries } from '../storage/dataDirectory.ts';
import { NodeDisk } from '../storage/nodeDisk.ts';
import { RECOVERY_SLOT, type RecoveredLog } from '../storage/recovery.ts';
import type { DirectLog } from '../threads/hungMain.ts';
import { Pools } from '../threads/pools.ts';
import type { MakeAcceptor } from './acceptor.ts';
import { loadAcceptor } from './acceptors/load.ts';
import { type ClientPlaces, placesForClients } from './descriptors.ts';
import { Facts } from './facts.ts';
import { Hosts } from './hosts.ts';
import { httpAnswers } from './http.ts';
import { Listener } from './listener.ts';
import { MemoryGuard, processPorts, unfinishedBound, usedSharedBytes } from './memoryGuard.ts';
import { makeRegistry } from './metrics.ts';
import { maxMessageBytes, type RequestLimits, Requests } from './requests.ts';
import type { Session } from './session.ts';
import { budgetOf, type Inbox } from './turnBudget.ts';

/** The parts of a list with commas. */
function listOf(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

/** What a node is made of before it runs. */
interface Parts {
  readonly config: Config;
  /** The number of this process, which it tells nodes and clients. */
  readonly processNumber: string;
  readonly log: Logger;
  readonly directLog: DirectLog | undefined;
  readonly directory: string;
  readonly memory: TailMemory;
  readonly pools: Pools;
  readonly recovered: RecoveredLog;
  readonly failure: Failure;
  readonly places: ClientPlaces;
  readonly makeAcceptor: MakeAcceptor;
}

export class LogNode {
  readonly directory: string;
  readonly identity: Identity;
  readonly recovered: RecoveredLog;
  /** Rejects when the node can no longer go on; the process must end then (invariant 6). */
  readonly failed: Promise<never>;
  readonly #config: Config;
  readonly #processNumber: string;
  readonly #log: Logger;
  readonly #directLog: DirectLog | undefined;
  readonly #failure: Failure;
  readonly #memory: TailMemory;
  readonly #cluster: ClusterStatus;
  readonly #pools: Pools;
  readonly #segments: Segments;
  readonly #tail: Tail;
  readonly #appends: Appends;
  readonly #readings: Readings;
  readonly #ends: Ends;
  readonly #commitWatch: CommitWatch;
  readonly #requests: Requests;
  readonly #listener: Listener;
  readonly #facts: Facts;
  readonly #memoryGuard: MemoryGuard<Inbox<Session>>;
  readonly #waiters: (() => void)[] = [];
  readonly #pulse: Pulse;
  #raft: RaftLink | undefined;
  #registry: Registry | undefined;
  /** Role, term and leader that clients were told last. */
  #toldRole = '';
  #port = 0;
  #stopped = false;

  /**
   * Starts a node: finds its cluster, recovers its log, takes part, listens. Throws a LogError that says what is wrong. `signal` ends the wait for a cluster.
   * `directLog`: what `log` writes to, for what is to be said while the main thread hangs.
   */
  static async start(
    config: Config,
    log: Logger,
    signal: AbortSignal = new AbortController().signal,
    directLog?: DirectLog,
  ): Promise<LogNode> {
    const failure = new Failure();
    if (!config.fsync) log.warn(NOTHING_DURABLE);
    const places = placesForClients(config, log);
    const makeAcceptor = await loadAcceptor();
    const processNumber = randomBytes(PROCESS_BYTES).toString('hex');
    const directory = resolve(config.data);
    const opened = openDirectory(directory, config, log);
    // Refused before anything is changed.
    const memory = TailMemory.create({ segmentBytes: opened.segmentBytes, slots: config.slots });
    await checkPorts(config);
    const identity = opened.identity ?? (await makeIdentity(directory, config, processNumber, log, signal));
    const pools = new Pools(
      { directory, identity, shared: memory.shared, fsync: config.fsync },
      { died: failure.fail, short: ({ message }) => log.warn(`the node goes on with fewer threads: ${message}`) },
    );
    let node: LogNode | undefined;
    try {
      const found = await Promise.race([pools.recover(), failure.failed]);
      const recovered = { ...found, identity: takeNodes(directory, found.identity, config, log) };
      node = new LogNode({ config, processNumber, log, directLog, directory, memory, pools, recovered, failure, places, makeAcceptor });
      await node.#run();
      return node;
    } catch (thrown) {
      if (node !== undefined) node.#stopped = true;
      if (node !== undefined) node.#pulse.stop();
      if (node !== undefined) await node.#raft?.terminate();
      // A writer that waits for appends would keep its thread, and so the end of its pool, waiting too.
      for (const word of [SIGNAL.STOP, SIGNAL.TAIL, SIGNAL.DURABLE]) memory.raise(word);
      await pools.close();
      throw thrown;
    }
  }

  private constructor({
    config,
    processNumber,
    log,
    directLog,
    directory,
    memory,
    pools,
    recovered,
    failure,
    places,
    makeAcceptor,
  }: Parts) {
    this.#config = config;
    this.#processNumber = processNumber;
    this.#log = log;
    this.#directLog = directLog;
    this.#failure = failure;
    this.#memory = memory;
    this.#pools = pools;
    this.directory = directory;
    this.identity = recovered.identity;
    this.recovered = recovered;
    this.failed = failure.failed;
    this.#segments = new Segments(memory, pools, {
      sealed: ({ base, end }) => {
        this.#raft?.sealed(base, end);
        this.#appends.retryHeld();
        this.#progressed();
      },
      noSpare: (spare, error) => {
        rmSync(`${directory}/${spare}`, { force: true });
        log.warn(`no files can be prepared for the next segments: ${error.message}`);
      },
      failed: failure.fail,
    });
    this.#tail = new Tail(memory, (slot) => this.#segments.open(slot, false));
    this.#pulse = new Pulse(memory);
    this.#cluster = new ClusterStatus(memory, config);
    const isAwaited = (): boolean =>
      this.#appends.awaitsCommit || this.#readings.awaitsCommit || this.#ends.awaitsCommit || this.#waiters.length > 0;
    this.#commitWatch = new CommitWatch(memory, isAwaited, () => this.#carefully(() => this.#committed()));
    const awaitCommit = (): void => this.#commitWatch.need();
    this.#appends = new Appends(memory, this.#tail, new Gate(memory), this.#cluster, config.maxPayloadBytes, awaitCommit);
    if (!config.fsync) this.#appends.committedLevel = LEVEL_VOLATILE;
    this.#readings = new Readings({
      memory,
      hot: new HotReader(memory),
      segments: this.#segments,
      pools,
      awaitCommit,
      beforeTurn: () => this.#appends.endTurn(),
      reportDamage: (error) => log.error(error.message),
    });
    this.#ends = new Ends(memory, this.#isAlone, awaitCommit, {
      readIndex: async () => this.#raft?.readIndex(),
      whyNone: () => this.#cluster.whyNoLeader,
    });
    const limits = { windowBytes: config.windowBytes, maxBatchBytes: maxBatchBytes(config) };
    this.#requests = new Requests(memory, this.#appends, this.#readings, this.#ends, limits, (session) => this.#greet(session));
    const listener = this.#makeListener(limits, places, makeAcceptor);
    this.#listener = listener;
    this.#facts = new Facts({
      config,
      processNumber,
      clusterId: this.identity.clusterId,
      memory,
      cluster: this.#cluster,
      segments: this.#segments,
      appends: this.#appends,
      listener,
    });
    const knownBytes = (): number => usedSharedBytes(memory, recovered.openBase ?? recovered.end) + listener.sendBudget.bufferedBytes;
    const ports = processPorts(knownBytes, (sentence) => log.warn(sentence));
    this.#memoryGuard = new MemoryGuard(unfinishedBound(), maxMessageBytes(limits), listener.inboxes, ports);
  }

  #makeListener(limits: RequestLimits, places: ClientPlaces, makeAcceptor: MakeAcceptor): Listener {
    const { host, port, allowOrigin } = this.#config;
    return new Listener(
      {
        host,
        port,
        places,
        maxMessageBytes: maxMessageBytes(limits),
        budget: budgetOf(limits),
        allowedOrigins: listOf(allowOrigin),
      },
      {
        opened: (session) => this.#greet(session),
        message: (session, message) => this.#requests.handle(session, message),
        drained: (session) => this.#readings.drained(session),
        warn: (text) => this.#log.warn(text),
        closed: (session) => {
          this.#readings.closed(session);
          this.#ends.closed(session);
          this.#appends.closed(session);
        },
      },
      makeAcceptor,
    );
  }

  /** Takes part in the cluster, and listens: alone only when its own term has begun, with others at once. */
  async #run(): Promise<void> {
    const { start, end, dataEnd, openBase } = this.recovered;
    const { host, allowHost } = this.#config;
    const memory = this.#memory;
    memory.setWord(WORD.START, start);
    await this.#segments.start(this.recovered);
    this.#tail.start(end, dataEnd, openBase === undefined ? undefined : RECOVERY_SLOT);
    if (openBase !== undefined) this.#segments.open(RECOVERY_SLOT, true);
    this.#pulse.start();
    const raft = this.#startRaft();
    this.#raft = raft;
    await Promise.race([raft.started, this.failed]);
    void this.#followRole();
    if (this.#isAlone) await Promise.race([this.#until(() => memory.commit > end), this.failed]);
    const answers = httpAnswers({
      status: () => this.status(),
      notReady: () => {
        if (this.#requests.isDraining) return 'the node is shutting down';
        return this.#cluster.leaderId === 0 ? this.#cluster.noLeaderSentence() : undefined;
      },
      hosts: new Hosts([host, ownPeer(this.#config)?.host ?? host, ...listOf(allowHost)]),
      registry: () => {
        this.#registry ??= this.#makeRegistry();
        return this.#registry;
      },
      turn: () => this.#listener.turn,
    });
    this.#port = await this.#listener.listen(answers);
    this.#memoryGuard.start();
  }

  #makeRegistry(): Registry {
    return makeRegistry({
      memory: this.#memory,
      appends: this.#appends,
      readings: this.#readings,
      segments: this.#segments,
      pulse: this.#pulse,
      sendBudget: this.#listener.sendBudget,
      fsync: this.#config.fsync,
      incidents: this.#listener.incidents,
      connections: () => this.#listener.sessions.size,
      others: this.#cluster.others,
    });
  }

  #startRaft(): RaftLink {
    return new RaftLink(
      { ...raftSetup(this.#config, this.#processNumber, this.directory, this.recovered, this.#memory.shared), directLog: this.#directLog },
      {
        openSegment: (slot) => this.#segments.open(slot, false),
        truncate: async (offset) => {
          const bytes = this.#memory.tail - offset;
          await this.#segments.truncate(offset);
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

  get #isAlone(): boolean {
    return this.#config.peers.length < 2;
  }

  /** `ws://host:port` that clients connect to. */
  get url(): string {
    return `ws://${addressOf(this.#config.host, this.#port)}`;
  }

  /** What the node knows of itself and its cluster, as /status shows it. */
  status(): NodeStatus {
    return this.#facts.status(this.url);
  }

  /**
   * Stops within 6 s: takes no more appends, makes durable and answers what was ordered, hands leadership over, closes the clients, ends
   * the threads. Rejects when the node fails meanwhile.
   */
  async stop(): Promise<StopReport> {
    const undecidedBefore = this.#appends.undecidedCount;
    const times = { settleMs: STOP_SETTLE_MS, answerMs: STOP_ANSWER_MS, endMs: STOP_END_MS, quietMs: STOP_QUIET_MS };
    const cut = await stopNode(
      {
        takeNoMore: () => {
          this.#requests.isDraining = true;
          this.#listener.stopListening();
          this.#appends.refuseHeld();
        },
        settled: () => this.#until(() => this.#appends.isSettled),
        handOver: async () => (this.#isAlone ? undefined : this.#raft?.transfer()),
        refusedAppends: () => (this.#listener.sessions.size === 0 ? undefined : this.#requests.refusedWhileDraining),
        giveUp: () => this.#appends.giveUp(),
        disconnect: (code, reason) => this.#listener.disconnect(code, reason),
        endThreads: () => this.#endThreads(),
        failed: this.failed,
      },
      times,
    );
    const { commit, tail } = this.#memory;
    return { cut, undecidedAppends: this.#appends.undecidedCount - undecidedBefore, uncommittedBytes: tail - commit };
  }

  async #endThreads(): Promise<void> {
    await this.#raft?.stop();
    this.#pulse.stop();
    this.#memoryGuard.stop();
    this.#stopped = true;
    for (const signal of [SIGNAL.STOP, SIGNAL.TAIL, SIGNAL.DURABLE, SIGNAL.COMMIT, SIGNAL.ROLE, SIGNAL.ORDERED]) this.#memory.raise(signal);
    await this.#segments.stop();
    this.#listener.close();
    await this.#pools.close();
    removeTemporaries(new NodeDisk(), this.directory);
  }

  /** Acts on what the raft thread says of this node's office, its term and its links. One wake-up for all that happened meanwhile. */
  #followRole(): Promise<void> {
    return follow(
      this.#memory,
      SIGNAL.ROLE,
      () => this.#stopped,
      () => this.#carefully(() => this.#roleChanged()),
    );
  }

  /** A mistake in `act` ends the node: nothing may go on as if it had not happened. */
  #carefully(act: () => void): void {
    try {
      act();
    } catch (thrown) {
      this.#failure.fail(
        thrown instanceof LogError ? thrown : new LogError('IO', thrown instanceof Error ? (thrown.stack ?? '') : String(thrown)),
      );
    }
  }

  /** The commit moved, or room was made for appends that are held. */
  #committed(): void {
    this.#appends.settle(performance.now());
    this.#readings.committed();
    this.#ends.committed();
    this.#progressed();
  }

  #roleChanged(): void {
    this.#appends.settle(performance.now());
    const role = this.#cluster.roleText();
    if (role !== this.#toldRole) {
      const isFirst = this.#toldRole === '';
      this.#toldRole = role;
      this.#ends.leaderChanged();
      if (!isFirst && !this.#isAlone) this.#sayWhoLeads();
    }
    this.#progressed();
  }

  /** The raft thread says what keeps the nodes apart. Who waits for a leader hears why there is none. */
  #causesChanged(causes: readonly Cause[], whyNoLeader: string): void {
    const before = this.#cluster.whyNoLeader;
    this.#cluster.setCauses(causes, whyNoLeader);
    if (this.#cluster.whyNoLeader === before) return;
    for (const session of this.#listener.sessions) this.#greet(session);
  }

  /** Who may have to go there hears where another node is reached. */
  #advertised(other: number, url: string): void {
    this.#cluster.setAdvertised(other, url);
    for (const session of this.#listener.sessions) {
      if (session.introduction !== undefined || this.#cluster.leaderId === other) this.#greet(session);
    }
  }

  /** Clients are greeted anew, so that those who append go where the leader is. */
  #sayWhoLeads(): void {
    this.#log.info(this.#cluster.whoLeads());
    for (const session of this.#listener.sessions) this.#greet(session);
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

  #greet(session: Session): void {
    session.send(this.#facts.hello(session.introduction === undefined ? undefined : this.url));
  }
}
