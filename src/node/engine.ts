// The engine of a node, from recovery to a clean end: the wiring of memory, segments, appends, readings, ends and the raft thread. It stands on
// ports (enginePorts.ts), knows callers (caller.ts) and doors (door.ts), and nothing of sockets. It never ends the process: where it can no
// longer go on it ends itself, once, and says so.

import { maxBatchBytes, stateCapacityBytes } from '../core/capacities.ts';
import type { Cause } from '../core/causes.ts';
import { LogError } from '../core/errors.ts';
import { LOG_LEVEL } from '../core/levels.ts';
import { SEAL_BUSY_BYTES, STOP_ANSWER_MS, STOP_END_MS, STOP_QUIET_MS, STOP_SETTLE_MS } from '../core/limits.ts';
import type { NodesView } from '../core/members.ts';
import { Gate } from '../memory/gate.ts';
import { HotReader } from '../memory/hotReader.ts';
import type { LogFold } from '../memory/logFold.ts';
import { SIGNAL, STATE, WORD } from '../memory/map.ts';
import { Tail } from '../memory/tail.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import { LEVEL_COMMITTED, LEVEL_VOLATILE } from '../protocol/client.ts';
import type { Identity } from '../storage/dataDirectory.ts';
import { type OpenDamage, RECOVERY_SLOT } from '../storage/openSegment.ts';
import type { RecoveredLog } from '../storage/recovery.ts';
import { Access } from './access.ts';
import { Appends } from './appends.ts';
import type { Appender, Caller } from './caller.ts';
import { ClusterStatus } from './clusterStatus.ts';
import { CommitWatch } from './commitWatch.ts';
import { Consumers } from './consumers.ts';
import { Damages } from './damages.ts';
import { DiskRoom } from './diskRoom.ts';
import type { Door, Greeted } from './door.ts';
import { Ends } from './ends.ts';
import type { EngineConfig } from './engineOptions.ts';
import type { EnginePorts } from './enginePorts.ts';
import { Handover } from './handover.ts';
import { Heals, SOURCE } from './heals.ts';
import { Levels } from './levels.ts';
import { LoneWrites } from './loneWrites.ts';
import type { Loop } from './loop.ts';
import { Members } from './members.ts';
import { startsAlone } from './membership.ts';
import { Mending } from './mending.ts';
import { OwnEntries } from './ownEntries.ts';
import type { PeerFiles } from './peerFiles.ts';
import { Pulse } from './pulse.ts';
import type { RaftPort } from './raftPort.ts';
import { Readings } from './reading.ts';
import { Retention } from './retention.ts';
import { Scrub } from './scrub.ts';
import { Seals } from './seals.ts';
import { Segments } from './segments.ts';
import { Sessions } from './sessions.ts';
import { type NodeStatus, statusOf } from './status.ts';
import { type StopReport, stopNode } from './stop.ts';
import { Times } from './times.ts';
import { TokenRequests } from './tokenRequests.ts';
import { Trims } from './trims.ts';
import { UploadHelp } from './uploadHelp.ts';
import { Uploads } from './uploads.ts';

export class Engine {
  readonly config: EngineConfig;
  /** The number of this engine's life, which it tells nodes and clients: who answers at two addresses with one number is one engine. */
  readonly processNumber: string;
  readonly directory: string;
  readonly identity: Identity;
  readonly recovered: RecoveredLog;
  /** Of the program. */
  readonly version: string;
  readonly fileSystem: string | null;
  /** Unix milliseconds. */
  readonly startedMs: number;
  readonly memory: TailMemory;
  readonly cluster: ClusterStatus;
  readonly segments: Segments;
  readonly trims: Trims;
  readonly retention: Retention;
  readonly seals: Seals;
  readonly levels: Levels;
  /** The tokens. */
  readonly access: Access;
  /** Named consumers, whose positions the log keeps. */
  readonly consumers: Consumers;
  readonly handover: Handover;
  readonly members: Members;
  /** Of producers. */
  readonly sessions: Sessions;
  readonly tokenRequests: TokenRequests;
  readonly times: Times;
  readonly damages: Damages;
  readonly heals: Heals;
  readonly mending: Mending;
  readonly scrub: Scrub;
  readonly disk: DiskRoom;
  readonly appends: Appends;
  readonly readings: Readings;
  readonly ends: Ends;
  readonly uploads: Uploads;
  readonly uploadHelp: UploadHelp;
  /** Of a mirror. */
  readonly mirror: EnginePorts['mirror'];
  readonly pulse: Pulse;
  readonly doors = new Set<Door>();
  readonly loop: Loop;
  /** Rejects, with a LogError, when the engine can no longer go on (invariant 6): nothing is written or acknowledged after it. */
  readonly failed: Promise<never>;
  /** Resolves when the engine has stopped, or has failed, and all its threads have ended: its directory may be opened again. */
  readonly ended: Promise<void>;
  readonly #ports: EnginePorts;
  readonly #tail: Tail;
  readonly #commitWatch: CommitWatch;
  readonly #loneWrites: LoneWrites;
  readonly #waiters: (() => void)[] = [];
  #raft: RaftPort | undefined;
  /** Role, term and leader that clients were told last. */
  #toldRole = '';
  /** Terms in which a leader was heard of, and the last one of them. */
  elections = 0;
  #leaderTerm = 0;
  #isOver = false;
  #stopping: Promise<StopReport> | undefined;
  #abandoning: Promise<void> | undefined;
  #onEnded: () => void = () => undefined;

  /** An engine on `ports`; {@link begin} lets it run. Starting one on the real ones: startEngine.ts. */
  constructor(ports: EnginePorts) {
    const { config, memory, loop, tasks, log, failure, recovered } = ports;
    this.#ports = ports;
    this.loop = loop;
    this.config = config;
    this.processNumber = ports.processNumber;
    this.version = ports.version;
    this.fileSystem = ports.fileSystem ?? null;
    this.startedMs = loop.wallMs();
    this.memory = memory;
    this.directory = ports.directory;
    this.identity = recovered.identity;
    this.recovered = recovered;
    this.failed = failure.failed;
    this.ended = new Promise((resolve) => {
      this.#onEnded = resolve;
    });
    this.segments = new Segments(memory, tasks, {
      sealed: ({ base, end }) => {
        this.#raft?.sealed(base, end);
        this.trims.sealed();
        this.retention.look();
        this.seals.look();
        this.appends.retryHeld();
        this.#progressed();
      },
      noSpare: (spare, error) => {
        ports.discard(spare);
        log.warn(`no files can be prepared for the next segments: ${error.message}`);
      },
      opened: () => this.disk.opened(),
      mayAllocate: () => this.disk.mayAllocate(),
      // Of a task, or of what follows when it has ended.
      failed: failure.broke,
    });
    this.damages = new Damages(this.segments, log);
    this.#tail = new Tail(memory, (slot) => this.segments.open(slot, false), config.timeEntryMs);
    const random = ports.random ?? Math.random;
    const own = new OwnEntries({ memory, tail: this.#tail, gate: new Gate(memory), wallMs: () => loop.wallMs(), random });
    const shared = {
      memory,
      loop,
      segments: this.segments,
      fold: this.#tail.fold,
      own,
      refusal: () => this.appends.refusal,
      progress: () => this.#progress(),
      log,
      broke: failure.broke,
    };
    this.trims = new Trims({
      ...shared,
      batchBefore: (offset) => this.readings.batchBefore(offset),
      hasRoom: () => this.disk.level === 'ok',
      raft: () => this.#raft,
    });
    this.mirror = ports.mirror;
    this.cluster = new ClusterStatus(memory, config, ports.mirror);
    // Which nodes there are may change at any time.
    const { cluster, mirror } = this;
    this.seals = new Seals({
      ...shared,
      tasks,
      self: config.node,
      get others() {
        return cluster.otherVoters;
      },
      bytesPerSecond: config.sealBytesPerSecond,
      isBusy: () => this.appends.heldBytes > 0 || memory.tail - memory.durable > SEAL_BUSY_BYTES,
      raft: () => this.#raft,
      damaged: ({ base, end }, damage) => {
        this.damages.found(base, end, damage);
        void this.heals.at(base);
      },
    });
    this.levels = new Levels({ ...shared, newest: ports.newestLevel ?? LOG_LEVEL, cluster: this.cluster, config });
    this.access = new Access({ ...shared, awaitCommit: () => this.#commitWatch.need() });
    this.consumers = new Consumers({ ...shared, config });
    this.sessions = new Sessions({ ...shared, config });
    this.handover = new Handover({ ...shared, cluster: this.cluster, raft: () => this.#raft });
    this.members = new Members({ ...shared, cluster: this.cluster, nodes: () => this.cluster.nodes(this.url), raft: () => this.#raft });
    this.tokenRequests = new TokenRequests({
      ...shared,
      tasks,
      access: this.access,
      raft: () => this.#raft,
      readOnly: ports.mirror?.refusal ?? '',
      times: ports.tokenRequests,
    });
    this.#tail.fold.onSeal = (seal, by) => this.seals.met(seal, by);
    this.#tail.fold.onAccess = (news, by) => this.access.met(news, by);
    const beat = (): void => {
      this.trims.look();
      this.seals.look();
      this.levels.look();
      this.access.look();
      this.sessions.look();
    };
    this.pulse = new Pulse(memory, loop, beat, ports.beatMs);
    const isAwaited = (): boolean =>
      this.appends.awaitsCommit ||
      this.readings.awaitsCommit ||
      this.ends.awaitsCommit ||
      this.access.awaitsCommit ||
      this.#waiters.length > 0;
    this.#commitWatch = new CommitWatch(memory, loop, isAwaited, () => this.#committed());
    const awaitCommit = (): void => this.#commitWatch.need();
    this.#loneWrites = new LoneWrites({ tasks, loop, failed: failure.fail });
    this.appends = new Appends({
      memory,
      tail: this.#tail,
      gate: new Gate(memory),
      cluster: this.cluster,
      loop,
      maxPayloadBytes: config.maxPayloadBytes,
      committedLevel: config.fsync ? LEVEL_COMMITTED : LEVEL_VOLATILE,
      awaitCommit,
      ordered: (caller, bytes, id) => this.#ordered(caller, bytes, id),
      writeAtOnce: () => this.#writeAtOnce(),
      repeats: {
        hot: new HotReader(memory),
        segments: this.segments,
        readings: { readCopy: (...asked) => this.readings.readCopy(...asked) },
        broke: failure.broke,
      },
    });
    this.disk = new DiskRoom({
      memory,
      loop,
      bounds: config,
      log,
      segments: this.segments,
      get others() {
        return cluster.otherVoters;
      },
      lookMs: ports.diskLookMs,
      freeBytes: () => tasks.freeBytes(),
      discard: ports.discard,
      refuse: (sentence) => this.appends.refuseAll(sentence),
    });
    this.uploadHelp = new UploadHelp(memory, loop, () => this.#greetingChanged('introduced'));
    this.uploads = new Uploads({
      loop,
      stagingBytes: config.peers.length === 0 ? 0 : config.stagingBytes,
      maxBatchBytes: maxBatchBytes(config),
      isDiskFull: () => this.disk.isCritical,
      staging: (shared) => this.#raft?.staging(shared),
      staged: (rows) => this.#raft?.staged(rows),
    });
    this.readings = new Readings({
      memory,
      hot: new HotReader(memory),
      segments: this.segments,
      tasks,
      loop,
      timeBefore: (caller, offset, isOver) => this.times.before(caller, offset, isOver),
      awaitCommit,
      beforeTurn: () => this.appends.endTurn(),
      heal: (offset) => this.heals.within(offset),
      isDifferent: (base) => this.seals.isDifferent(base),
      reportDamage: (error) => log.error(error.message),
      broke: failure.broke,
    });
    this.heals = new Heals({
      memory,
      loop,
      tasks,
      segments: this.segments,
      damages: this.damages,
      get others() {
        return mirror === undefined ? cluster.others : [SOURCE];
      },
      raft: () => this.#raft,
      hasRoom: () => this.disk.mayAllocate(),
      isBusy: () => false,
      sealOf: (segment) => this.seals.digestOf(segment),
      healed: (base) => this.seals.healed(base),
      times: ports.healMs,
      log,
      broke: failure.broke,
    });
    this.mending = new Mending(
      {
        memory,
        loop,
        tasks,
        segments: this.segments,
        heals: this.heals,
        get others() {
          return cluster.others;
        },
        raft: () => this.#raft,
        hasLeader: () => this.cluster.leaderId !== 0,
        mended: (end) => this.#mended(end),
        times: ports.healMs,
        log,
        broke: failure.broke,
      },
      recovered,
    );
    this.scrub = new Scrub({
      memory,
      loop,
      tasks,
      segments: this.segments,
      damages: this.damages,
      days: config.scrubDays,
      bytesPerSecond: config.scrubRate,
      random,
      lookMs: ports.scrubLookMs,
      isBusy: () => this.appends.heldBytes > 0,
      damaged: ({ base }) => void this.heals.at(base),
      whole: (segment, found) => this.seals.examined(segment, found),
      toured: () => this.heals.toured(),
      log,
      broke: failure.broke,
    });
    this.times = new Times({ memory, hot: new HotReader(memory), segments: this.segments, readings: this.readings, loop });
    this.retention = new Retention({ ...shared, times: this.times, trims: this.trims, config, ...ports.retention });
    const isAlone = (): boolean => this.isAlone;
    this.ends = new Ends({
      memory,
      loop,
      get isAlone() {
        return isAlone();
      },
      leader: { readIndex: async () => this.#raft?.readIndex(), whyNone: () => this.cluster.whyNoLeader },
      awaitCommit,
      broke: failure.broke,
    });
    failure.whenFailed((error) => {
      // Not from within whoever failed: it may be in the middle of something with a door.
      loop.afterTurn(() => void this.abandon());
      this.appends.fail(`this node has failed, and takes no more appends: ${error.message}`);
    });
  }

  /** Takes over the log's end and takes part in the cluster; alone it resolves when its own term has begun. Rejects when it fails meanwhile. */
  async begin(): Promise<void> {
    const { start, end, dataEnd, openBase, damage } = this.recovered;
    const { memory } = this;
    memory.setWord(WORD.BASE, start);
    // Or more than where data ends before it, which is not known here: who reads from there on has all of it.
    memory.setWord(WORD.START_DATA_END, start);
    memory.setWord(WORD.START, start);
    if (damage !== undefined) this.#ports.log.error(damagedSentence(damage));
    this.#refuseLargeState();
    await this.disk.start();
    await this.segments.start(this.recovered);
    // Whoever failed meanwhile had no raft thread to end, and the directory may be another's by now.
    if (this.error !== undefined) throw this.error;
    this.#tail.start(end, dataEnd, openBase === undefined ? undefined : RECOVERY_SLOT);
    if (openBase !== undefined) this.segments.open(RECOVERY_SLOT, true);
    this.pulse.start();
    this.retention.start();
    // Before the raft thread has the log's end.
    this.access.start(end);
    this.#raft = this.#startRaft();
    const { peerFiles } = this.#ports;
    if (peerFiles !== undefined) peerFiles.changed = (proof) => this.#raft?.prove(proof);
    this.trims.look();
    this.scrub.start();
    this.seals.start(this.#tail.fold.seal, end);
    await Promise.race([this.#raft.started, this.failed]);
    this.#followRole();
    this.mending.start(this.recovered);
    if (this.mirror === undefined && startsAlone(this.recovered)) await Promise.race([this.#until(() => memory.commit > end), this.failed]);
    this.tokenRequests.start();
  }

  /** Segments that are smaller than those that the log was made with may have no room for its state. */
  #refuseLargeState(): void {
    const { stateEntryBytes, level } = this.#tail.fold;
    const { segmentBytes, callOf } = this.config;
    if (level === 0 || stateEntryBytes <= stateCapacityBytes(this.memory.map.shape.segmentBytes)) return;
    const sentence = `the state of this log, which each segment begins with, has ${stateEntryBytes} bytes, mostly of tokens and consumers: more than a quarter of a segment with ${callOf('segmentBytes')} ${segmentBytes}`;
    throw new LogError('USAGE', `${sentence}; nothing was changed: start it as before, or revoke tokens and remove consumers first`);
  }

  #startRaft(): RaftPort {
    const { log, failure } = this.#ports;
    return this.#ports.startRaft({
      openSegment: (slot) => this.segments.open(slot, false),
      truncate: async (offset) => {
        const bytes = this.memory.tail - offset;
        const isDamaged = this.memory.word32(STATE.DAMAGED) !== 0;
        this.mending.stop();
        this.seals.cut(offset);
        await this.segments.truncate(offset);
        // The raft thread does not go on before it hears that this is done.
        this.access.start(offset);
        if (isDamaged) log.info(`what this node's disk had from offset ${offset} on was damaged: the leader sends it again`);
        else
          log.info(`${bytes} bytes at the end of the log, from offset ${offset}, gave way to what the leader has; they were not committed`);
      },
      beginAt: async (base) => {
        this.mending.stop();
        this.trims.beginAt(base);
        this.seals.cut(0);
        await this.segments.beginAt(base);
        this.access.dropped();
        log.info(`this node lacked entries that the others have trimmed: its log begins at offset ${base} from now on`);
      },
      placed: (row, isPlaced) => this.uploads.placed(row, isPlaced),
      announced: () => this.uploads.announced(),
      seal: (seal, by) => {
        this.seals.met(seal, by);
        this.seals.committed();
      },
      access: (news, by) => {
        this.access.met(news, by);
        this.access.committed();
      },
      askedAccess: (other, change) => this.tokenRequests.asked(other, change),
      digest: (other, seal) => this.seals.reported(other, seal),
      damaged: (offset) => void this.heals.at(offset),
      failed: failure.fail,
      causes: (causes, whyNoLeader) => this.#causesChanged(causes, whyNoLeader),
      advertised: (other, url) => this.#advertised(other, url),
      nodes: (view) => this.#nodesChanged(view),
      log: (level, text) => log[level](text),
    });
  }

  /** The log ends at `end` again, and says more of itself than before its damage. */
  #mended(end: number): void {
    const { seal } = this.#tail.fold;
    if (seal.end > 0) this.seals.met(seal, end);
    this.access.start(end);
    this.trims.look();
    this.seals.committed();
  }

  #ordered(caller: Appender, bytes: number, id: Uint8Array | undefined): void {
    if (!this.uploads.isOn) return;
    this.uploadHelp.appended(caller, bytes);
    if (id !== undefined) this.uploads.ordered(id);
  }

  /** The state of the log at its end. */
  get fold(): LogFold {
    return this.#tail.fold;
  }

  /** Nobody else has a part in the log now, so that its commit counts everything that was acknowledged. Others may be about to come. */
  get isAlone(): boolean {
    return this.memory.word32(STATE.SOLE) !== 0 && this.mirror === undefined;
  }

  /** Nobody else comes to have a part in the log while this engine runs: it has no address for other nodes. */
  get staysAlone(): boolean {
    return this.config.peers.length === 0 && this.mirror === undefined;
  }

  /** Why the engine has failed; undefined while it has not. */
  get error(): LogError | undefined {
    return this.#ports.failure.error;
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

  /** Fails the engine for what was thrown where nothing was to be, as by a door: nothing may go on as if it had not happened. */
  broke(thrown: unknown): void {
    this.#ports.failure.broke(thrown);
  }

  /** What nodes prove themselves by to each other: when its certificates end, and why newer files are not taken; undefined: nothing is asked for. */
  get peerFiles(): Pick<PeerFiles, 'certificates' | 'fault'> | undefined {
    return this.#ports.peerFiles;
  }

  /** Reads again the files that may change while it runs. What cannot be used leaves in force what was there before, and is logged. */
  reload(): void {
    this.#ports.peerFiles?.reload();
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
    this.uploads.closed(caller);
  }

  /**
   * Resolves once every append has its answer and, while this node leads, all that it ordered is committed, what was only received, too; or when
   * the engine ends before that.
   */
  settled(): Promise<void> {
    return this.#until(() => this.appends.isSettled || this.#isOver);
  }

  /**
   * Stops within 6 s: takes no more appends, makes durable and answers what was ordered, hands leadership over, closes the clients, ends
   * the threads. Rejects when the engine fails meanwhile, or has failed. A second call has the outcome of the first.
   */
  stop(): Promise<StopReport> {
    this.#stopping ??= this.#stop().catch((thrown: unknown) => {
      // A failure already, or a step that threw: no directory is kept for an engine that does not end.
      this.broke(thrown);
      throw this.error ?? thrown;
    });
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
        settled: () => this.settled(),
        handOver: async () => (this.cluster.others.length === 0 ? undefined : this.#raft?.transfer()),
        refusedAppends: () => (hasClients() ? this.appends.refusedWhileDraining : undefined),
        giveUp: () => this.appends.giveUp(),
        disconnect: async () => void (await Promise.all([...this.doors].map((door) => door.disconnect()))),
        endThreads: () => this.#endThreads(),
        failed: this.failed,
      },
      times,
      this.loop,
    );
    const { commit, tail } = this.memory;
    return { cut, undecidedAppends: this.appends.undecidedCount - undecidedBefore, uncommittedBytes: tail - commit };
  }

  /** Each of its waits may be the one in which the engine fails, or is abandoned: that ends everything then, and this does no more. */
  async #endThreads(): Promise<void> {
    await this.#raft?.stop();
    if (this.#isAbandoned) return this.abandon();
    this.#endLoops();
    await this.segments.stop();
    if (this.#isAbandoned) return this.abandon();
    for (const door of this.doors) door.close();
    await this.#ports.close();
    if (this.#isAbandoned) return this.abandon();
    this.#onEnded();
  }

  get #isAbandoned(): boolean {
    return this.#abandoning !== undefined || this.error !== undefined;
  }

  /**
   * Ends everything at once, as a crash would, but for the process. Resolves when its threads have ended: a call to the system is not cut
   * short. Never rejects: what one of its steps throws is a failure, and keeps no other step from being done.
   */
  abandon(): Promise<void> {
    this.#abandoning ??= this.#abandon();
    return this.#abandoning;
  }

  async #abandon(): Promise<void> {
    const doors = [...this.doors].map((door) => () => door.close());
    const steps: (() => Promise<void> | undefined | void)[] = [
      () => this.#endLoops(),
      ...doors,
      () => this.#raft?.terminate(),
      () => this.#ports.destroy(),
    ];
    for (const step of steps) {
      try {
        const ending = step();
        if (ending !== undefined) await ending;
      } catch (thrown) {
        this.broke(thrown);
      }
    }
    this.#onEnded();
  }

  /** What waits on a word of the memory goes on, and ends; the pulse, too, and whoever waits for progress. */
  #endLoops(): void {
    this.#isOver = true;
    this.pulse.stop();
    this.disk.stop();
    this.trims.stop();
    this.scrub.stop();
    this.retention.stop();
    this.seals.stop();
    this.heals.stop();
    this.mending.stop();
    this.levels.stop();
    this.members.stop();
    this.access.stop();
    this.consumers.stop();
    this.sessions.stop();
    this.tokenRequests.stop();
    for (const signal of [SIGNAL.STOP, SIGNAL.TAIL, SIGNAL.DURABLE, SIGNAL.COMMIT, SIGNAL.ROLE, SIGNAL.ORDERED]) this.memory.raise(signal);
    this.#progressed();
  }

  /** Acts on what the raft thread says of this node's office, its term and its links. One wake-up for all that happened meanwhile. */
  readonly #followRole = (): void => {
    if (this.#isOver) return;
    const seen = this.memory.signal(SIGNAL.ROLE);
    if (this.error === undefined) this.#roleChanged();
    this.loop.wait(SIGNAL.ROLE, seen, this.#followRole);
  };

  /** For an append that is alone: whoever sent it is likely to send the next one once it has its answer. */
  #writeAtOnce(): boolean {
    if (this.error !== undefined || !this.#loneWrites.write()) return false;
    this.#committed();
    const { tail } = this.#ports.memory;
    this.loop.stayAwake?.(() => this.#ports.memory.tail !== tail);
    return true;
  }

  /** The commit moved, or room was made for appends that are held. */
  #committed(): void {
    if (this.error !== undefined) return;
    this.trims.look();
    this.seals.committed();
    this.access.committed();
    this.levels.look();
    this.appends.settle(this.loop.nowMs());
    this.readings.committed();
    this.ends.committed();
    this.#progressed();
  }

  #roleChanged(): void {
    this.disk.nodesChanged();
    this.appends.settle(this.loop.nowMs());
    const role = this.cluster.roleText();
    if (role !== this.#toldRole) {
      this.#heardOfLeader();
      const isFirst = this.#toldRole === '';
      this.#toldRole = role;
      this.ends.leaderChanged();
      if (this.mirror !== undefined) this.#greetingChanged('all');
      else if (!isFirst && this.cluster.others.length > 0) this.#sayWhoLeads();
    }
    this.#progressed();
  }

  #heardOfLeader(): void {
    const term = this.memory.word(WORD.TERM);
    if (this.cluster.leaderId === 0 || term === this.#leaderTerm) return;
    this.#leaderTerm = term;
    this.elections += 1;
  }

  /** The raft thread says what keeps the nodes apart. Who waits for a leader hears why there is none. */
  #causesChanged(causes: readonly Cause[], whyNoLeader: string): void {
    const before = this.cluster.whyNoLeader;
    this.cluster.setCauses(causes, whyNoLeader);
    if (this.cluster.whyNoLeader !== before) this.#greetingChanged('all');
  }

  /** Whoever may have to go there hears where another node is reached. */
  #advertised(other: number, url: string): void {
    if (!this.cluster.setAdvertised(other, url)) return;
    this.#greetingChanged(this.cluster.leaderId === other ? 'all' : 'introduced');
  }

  /** The log says other nodes, or what it says is committed now. */
  #nodesChanged(view: NodesView): void {
    if (this.cluster.setNodes(view)) this.#greetingChanged('introduced');
    this.#progressed();
  }

  /** Clients are greeted anew, so that those who append go where the leader is. */
  #sayWhoLeads(): void {
    this.#ports.log.info(this.cluster.whoLeads());
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

/** What an operator is told of a node that starts without a part of what its disk had. */
function damagedSentence({ sentence, from, bound, durable, hasKnownEnd }: OpenDamage): string {
  const had = hasKnownEnd ? `at least what is before ${durable}` : 'an unknown part';
  return (
    `${sentence}. This node lacks the log from offset ${from} on, of which it had ${had}, committed up to ${Math.max(from, bound)}: ` +
    'it votes for nobody and does not count until it has all of that again from the others; nothing of its file was changed'
  );
}
