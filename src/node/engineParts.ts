// The parts of an engine, and the ties between them: each is given no more of the others than it needs. What an engine does with them, from its beginning to its end, is in
// engine.ts.

import { maxBatchBytes } from '../core/capacities.ts';
import type { LogError } from '../core/errors.ts';
import { LOG_LEVEL } from '../core/levels.ts';
import { SEAL_BUSY_BYTES } from '../core/limits.ts';
import { Gate } from '../memory/gate.ts';
import { HotReader } from '../memory/hotReader.ts';
import type { LogFold } from '../memory/logFold.ts';
import { STATE } from '../memory/map.ts';
import { Tail } from '../memory/tail.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import { LEVEL_COMMITTED, LEVEL_VOLATILE } from '../protocol/client.ts';
import type { Identity } from '../storage/dataDirectory.ts';
import type { RecoveredLog } from '../storage/recovery.ts';
import { Access } from './access.ts';
import { Appends } from './appends.ts';
import type { Appender } from './caller.ts';
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
import { Mending } from './mending.ts';
import { OwnEntries } from './ownEntries.ts';
import { Progress } from './progress.ts';
import { Pulse } from './pulse.ts';
import type { RaftPort } from './raftPort.ts';
import { Readings } from './reading.ts';
import { Retention } from './retention.ts';
import { RoleWatch } from './roleWatch.ts';
import { Scrub } from './scrub.ts';
import { Seals } from './seals.ts';
import { Segments } from './segments.ts';
import { Sessions } from './sessions.ts';
import { Times } from './times.ts';
import { TokenRequests } from './tokenRequests.ts';
import { Trims } from './trims.ts';
import { UploadHelp } from './uploadHelp.ts';
import { Uploads } from './uploads.ts';

export abstract class EngineParts {
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
  /** Office, term and links, as clients are told of them. */
  readonly role: RoleWatch;
  readonly progress: Progress;
  /** Takes part in the cluster; undefined before that. */
  raft: RaftPort | undefined;
  protected readonly ports: EnginePorts;
  protected readonly tail: Tail;
  /** Its threads end, and have ended soon. */
  protected isOver = false;
  readonly #commitWatch: CommitWatch;
  readonly #loneWrites: LoneWrites;

  protected constructor(ports: EnginePorts) {
    const { config, memory, loop, tasks, log, failure, recovered } = ports;
    this.ports = ports;
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
    this.progress = new Progress(() => this.#commitWatch.need());
    this.segments = new Segments(memory, tasks, {
      sealed: ({ base, end }) => {
        this.raft?.sealed(base, end);
        this.trims.sealed();
        this.retention.look();
        this.seals.look();
        this.appends.retryHeld();
        this.progress.moved();
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
    this.tail = new Tail(memory, (slot) => this.segments.open(slot, false), config.timeEntryMs);
    const random = ports.random ?? Math.random;
    const own = new OwnEntries({ memory, tail: this.tail, gate: new Gate(memory), wallMs: () => loop.wallMs(), random });
    const shared = {
      memory,
      loop,
      segments: this.segments,
      fold: this.tail.fold,
      own,
      refusal: () => this.appends.refusal,
      progress: () => this.progress.next(),
      log,
      broke: failure.broke,
    };
    this.trims = new Trims({
      ...shared,
      batchBefore: (offset) => this.readings.diskReads.batchBefore(offset),
      hasRoom: () => this.disk.level === 'ok',
      raft: () => this.raft,
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
      raft: () => this.raft,
      damaged: ({ base, end }, damage) => {
        this.damages.found(base, end, damage);
        void this.heals.at(base);
      },
    });
    this.levels = new Levels({ ...shared, newest: ports.newestLevel ?? LOG_LEVEL, cluster: this.cluster, config });
    this.access = new Access({ ...shared, awaitCommit: () => this.#commitWatch.need() });
    this.consumers = new Consumers({ ...shared, config });
    this.sessions = new Sessions({ ...shared, config });
    this.handover = new Handover({ ...shared, cluster: this.cluster, raft: () => this.raft });
    this.members = new Members({ ...shared, cluster: this.cluster, nodes: () => this.cluster.nodes(this.url), raft: () => this.raft });
    this.tokenRequests = new TokenRequests({
      ...shared,
      tasks,
      access: this.access,
      raft: () => this.raft,
      readOnly: ports.mirror?.refusal ?? '',
      times: ports.tokenRequests,
    });
    this.tail.fold.onSeal = (seal, by) => this.seals.met(seal, by);
    this.tail.fold.onAccess = (news, by) => this.access.met(news, by);
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
      this.progress.isAwaited;
    this.#commitWatch = new CommitWatch(memory, loop, isAwaited, () => this.#committed());
    const awaitCommit = (): void => this.#commitWatch.need();
    this.#loneWrites = new LoneWrites({ tasks, loop, failed: failure.fail });
    this.appends = new Appends({
      memory,
      tail: this.tail,
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
        diskReads: { readCopy: (...asked) => this.readings.diskReads.readCopy(...asked) },
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
    this.uploadHelp = new UploadHelp(memory, loop, () => this.greetingChanged('introduced'));
    this.uploads = new Uploads({
      loop,
      stagingBytes: config.peers.length === 0 ? 0 : config.stagingBytes,
      maxBatchBytes: maxBatchBytes(config),
      isDiskFull: () => this.disk.isCritical,
      staging: (shared) => this.raft?.staging(shared),
      staged: (rows) => this.raft?.staged(rows),
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
      raft: () => this.raft,
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
        raft: () => this.raft,
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
    this.times = new Times({ memory, hot: new HotReader(memory), segments: this.segments, diskReads: this.readings.diskReads, loop });
    this.retention = new Retention({ ...shared, times: this.times, trims: this.trims, config, ...ports.retention });
    const isAlone = (): boolean => this.isAlone;
    this.ends = new Ends({
      memory,
      loop,
      get isAlone() {
        return isAlone();
      },
      leader: { readIndex: async () => this.raft?.readIndex(), whyNone: () => this.cluster.whyNoLeader },
      awaitCommit,
      broke: failure.broke,
    });
    this.role = new RoleWatch({
      memory,
      loop,
      cluster,
      appends: this.appends,
      ends: this.ends,
      disk: this.disk,
      progress: this.progress,
      log,
      isMirror: mirror !== undefined,
      hasFailed: () => this.error !== undefined,
      greetingChanged: (whom) => this.greetingChanged(whom),
    });
  }

  /** The state of the log at its end. */
  get fold(): LogFold {
    return this.tail.fold;
  }

  /** Nobody else has a part in the log now, so that its commit counts everything that was acknowledged. Others may be about to come. */
  get isAlone(): boolean {
    return this.memory.word32(STATE.SOLE) !== 0 && this.mirror === undefined;
  }

  /** `ws://host:port` that clients connect to; empty without a door that has one. */
  get url(): string {
    for (const { url } of this.doors) if (url !== '') return url;
    return '';
  }

  /** Why the engine has failed; undefined while it has not. */
  get error(): LogError | undefined {
    return this.ports.failure.error;
  }

  /** What a greeting says of this node and its cluster has changed. */
  greetingChanged(whom: Greeted): void {
    for (const door of this.doors) door.greetingChanged(whom);
  }

  #ordered(caller: Appender, bytes: number, id: Uint8Array | undefined): void {
    if (!this.uploads.isOn) return;
    this.uploadHelp.appended(caller, bytes);
    if (id !== undefined) this.uploads.ordered(id);
  }

  /** The log ends at `end` again, and says more of itself than before its damage. */
  #mended(end: number): void {
    const { seal } = this.tail.fold;
    if (seal.end > 0) this.seals.met(seal, end);
    this.access.start(end);
    this.trims.look();
    this.seals.committed();
  }

  /** For an append that is alone: whoever sent it is likely to send the next one once it has its answer. */
  #writeAtOnce(): boolean {
    if (this.error !== undefined || this.isOver || !this.#loneWrites.write()) return false;
    this.#committed();
    const { tail } = this.memory;
    this.loop.stayAwake?.(() => this.memory.tail !== tail);
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
    this.progress.moved();
  }
}
