// A node: the wiring of memory, pools, segments, appends, readings and the listener, and its life from recovery to a clean end.

import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import type { Logger } from 'pino';
import { KIND_NOOP } from '../../assembly/layout.ts';
import { assert } from '../core/assert.ts';
import { type Config, maxBatchBytes } from '../core/config.ts';
import type { LogError } from '../core/errors.ts';
import { DRAIN_TIMEOUT_MS, MAX_READ_BYTES } from '../core/limits.ts';
import { HotReader } from '../memory/hotReader.ts';
import { SIGNAL, WORD } from '../memory/map.ts';
import { Tail } from '../memory/tail.ts';
import { TailMemory } from '../memory/tailMemory.ts';
import { encodeHello, MESSAGE_HEADER_BYTES, PROTOCOL_VERSION } from '../protocol/client.ts';
import { advanceCommit } from '../raft/quorum.ts';
import { createIdentity, type Identity, readIdentity, readVote, removeTemporaries, writeVote } from '../storage/dataDirectory.ts';
import { lockDirectory } from '../storage/lock.ts';
import { NodeDisk } from '../storage/nodeDisk.ts';
import { largestUnsealedBytes, RECOVERY_SLOT, type RecoveredLog } from '../storage/recovery.ts';
import { Pools } from '../threads/pools.ts';
import { Appends } from './appends.ts';
import { clusterNodes } from './clusterStatus.ts';
import { type NodeStatus, serveHttp } from './http.ts';
import { Listener } from './listener.ts';
import { makeRegistry } from './metrics.ts';
import { Readings } from './reading.ts';
import { Requests } from './requests.ts';
import { Segments } from './segments.ts';
import type { Session } from './session.ts';
import { VERSION } from './version.ts';

const CLOSE_GOING_AWAY = 1001;

/** Room above the largest batch, so that a slightly too large one gets an answer that says so before uWS closes the connection. */
const MESSAGE_SLACK_BYTES = 64 * 1024;

/** Opens or makes the data directory; it is ours alone from here on. */
function openDirectory(directory: string): Identity {
  const disk = new NodeDisk();
  disk.makeDirectory(directory);
  // Before the lock, so that no file of ours appears in a directory of somebody else.
  readIdentity(disk, directory);
  lockDirectory(directory);
  return readIdentity(disk, directory) ?? createIdentity(disk, directory, randomBytes(24));
}

/** The one way for a node to end without being asked to. */
class Failure {
  fail: (error: LogError) => void = () => undefined;
  readonly failed = new Promise<never>((_, reject) => {
    this.fail = reject;
  });

  constructor() {
    // Who starts the node listens to `failed`; until then a rejection is not an unhandled one.
    this.failed.catch(() => undefined);
  }
}

export class LogNode {
  readonly directory: string;
  readonly identity: Identity;
  readonly recovered: RecoveredLog;
  /** Rejects when the node can no longer go on; the process must end then (invariant 6). */
  readonly failed: Promise<never>;
  readonly #config: Config;
  readonly #memory: TailMemory;
  readonly #pools: Pools;
  readonly #segments: Segments;
  readonly #tail: Tail;
  readonly #appends: Appends;
  readonly #readings: Readings;
  readonly #requests: Requests;
  readonly #listener: Listener;
  readonly #startedMs = Date.now();
  readonly #waiters: (() => void)[] = [];
  #port = 0;
  #stopped = false;

  /** Starts a node: recovers its log, begins a new term, listens. Throws a LogError that says what is wrong. */
  static async start(config: Config, log: Logger): Promise<LogNode> {
    const failure = new Failure();
    const directory = resolve(config.data);
    const identity = openDirectory(directory);
    const disk = new NodeDisk();
    const segmentBytes = Math.max(
      config.segmentBytes,
      Math.ceil(largestUnsealedBytes(disk, directory, config.segmentBytes) / 65536) * 65536,
    );
    const memory = TailMemory.create({ segmentBytes, slots: config.slots });
    const pools = new Pools({ directory, identity, shared: memory.shared }, failure.fail);
    let node: LogNode | undefined;
    try {
      const vote = readVote(disk, directory);
      const recovered = await Promise.race([pools.recover(), failure.failed]);
      const currentTerm = Math.max(vote.currentTerm, recovered.lastTerm) + 1;
      // A cluster of one elects itself: the term is durable before an entry carries it.
      writeVote(disk, directory, { currentTerm, votedFor: identity.nodeId });
      node = new LogNode(config, log, directory, identity, memory, pools, recovered, failure);
      await node.#beginTerm(currentTerm);
      return node;
    } catch (thrown) {
      if (node !== undefined) node.#stopped = true;
      // A writer that waits for appends would keep its thread, and so the end of its pool, waiting too.
      for (const signal of [SIGNAL.STOP, SIGNAL.TAIL, SIGNAL.DURABLE]) memory.raise(signal);
      await pools.close();
      throw thrown;
    }
  }

  private constructor(
    config: Config,
    log: Logger,
    directory: string,
    identity: Identity,
    memory: TailMemory,
    pools: Pools,
    recovered: RecoveredLog,
    failure: Failure,
  ) {
    this.#config = config;
    this.#memory = memory;
    this.#pools = pools;
    this.directory = directory;
    this.identity = identity;
    this.recovered = recovered;
    this.failed = failure.failed;
    this.#segments = new Segments(memory, pools, {
      sealed: () => {
        this.#appends.retryHeld();
        this.#progressed();
      },
      diskFull: (spare, error) => {
        const disk = new NodeDisk();
        if (disk.list(directory).includes(spare)) disk.remove(`${directory}/${spare}`);
        log.warn(`no room to prepare files for the next segments: ${error.message}`);
      },
      failed: failure.fail,
    });
    this.#tail = new Tail(memory, (slot) => this.#segments.open(slot, false));
    this.#appends = new Appends(memory, this.#tail, config.maxPayloadBytes, identity.nodeId);
    this.#readings = new Readings(memory, new HotReader(memory), this.#segments, pools, (error) => log.error(error.message));
    const limits = { windowBytes: config.windowBytes, maxBatchBytes: maxBatchBytes(config) };
    this.#requests = new Requests(memory, this.#appends, this.#readings, limits);
    this.#listener = new Listener(
      {
        host: config.host,
        port: config.port,
        maxConnections: config.maxConnections,
        maxMessageBytes: MESSAGE_HEADER_BYTES + limits.maxBatchBytes + MESSAGE_SLACK_BYTES,
        allowedOrigins: config.allowOrigin
          .split(',')
          .map((origin) => origin.trim())
          .filter((origin) => origin !== ''),
      },
      {
        opened: (session) => this.#greet(session),
        message: (session, message) => this.#requests.handle(session, message),
        drained: (session) => this.#readings.drained(session),
        closed: (session) => {
          for (const reading of session.readings.values()) this.#readings.drop(reading);
        },
      },
    );
  }

  /** Orders this term's no-op, waits until it is committed, and only then listens. */
  async #beginTerm(term: number): Promise<void> {
    const { start, end, openBase } = this.recovered;
    const memory = this.#memory;
    memory.setWord(WORD.START, start);
    memory.setWord(WORD.TERM, term);
    this.#appends.term = term;
    await this.#segments.start(this.recovered);
    this.#tail.start(end, openBase === undefined ? undefined : RECOVERY_SLOT);
    if (openBase !== undefined) this.#segments.open(RECOVERY_SLOT, true);
    const status = this.#tail.appendOwn(KIND_NOOP, term, Date.now());
    assert(status === 'ordered', 'a node starts with a free slot');
    memory.setWord(WORD.TERM_START_END, memory.tail);
    this.#tail.wake();
    void this.#followDurable();
    await Promise.race([this.#untilCommitted(memory.tail), this.failed]);
    serveHttp(this.#listener.app, {
      status: () => this.status(),
      isReady: () => !this.#requests.isDraining,
      registry: makeRegistry({
        memory,
        appends: this.#appends,
        readings: this.#readings,
        segments: this.#segments,
        sendBudget: this.#listener.sendBudget,
        connections: () => this.#listener.sessions.size,
      }),
    });
    this.#port = this.#listener.listen();
  }

  /** `ws://host:port` that clients connect to. */
  get url(): string {
    const { host } = this.#config;
    return `ws://${host.includes(':') ? `[${host}]` : host}:${this.#port}`;
  }

  /** What the node knows of itself, as /status shows it. */
  status(): NodeStatus {
    const memory = this.#memory;
    const start = memory.word(WORD.START);
    return {
      version: VERSION,
      clusterId: this.identity.clusterId,
      node: {
        id: this.identity.nodeId,
        role: 'leader',
        term: this.#appends.term,
        url: this.url,
        uptimeMs: Date.now() - this.#startedMs,
        leader: { id: this.identity.nodeId, url: this.url },
      },
      cluster: {
        nodes: clusterNodes(
          { id: this.identity.nodeId, url: this.url, durable: memory.durable, tail: memory.tail, isLeader: true },
          this.#config,
        ),
      },
      log: { start, commit: memory.commit, durable: memory.durable, tail: memory.tail },
      segments: { sealed: this.#segments.sealedCount, bytes: memory.tail - start },
      clients: {
        connections: this.#listener.sessions.size,
        heldAppendBytes: this.#appends.heldBytes,
        sendBufferedBytes: this.#listener.sendBudget.bufferedBytes,
      },
      appends: { ...this.#appends.counters },
      memory: { residentBytes: process.memoryUsage.rss() },
      limits: {
        maxPayloadBytes: this.#config.maxPayloadBytes,
        windowBytes: this.#config.windowBytes,
        maxBatchBytes: maxBatchBytes(this.#config),
      },
    };
  }

  /** Stops: takes no more appends, makes durable and answers what was accepted, closes the clients, ends the threads. */
  async stop(): Promise<void> {
    this.#requests.isDraining = true;
    this.#listener.stopListening();
    await Promise.race([this.#untilSettled(), this.failed]);
    await this.#listener.disconnect(CLOSE_GOING_AWAY, 'the node is shutting down', DRAIN_TIMEOUT_MS);
    this.#stopped = true;
    for (const signal of [SIGNAL.STOP, SIGNAL.TAIL, SIGNAL.DURABLE]) this.#memory.raise(signal);
    await Promise.race([this.#segments.stop(), this.failed]);
    this.#listener.close();
    await this.#pools.close();
    removeTemporaries(new NodeDisk(), this.directory);
  }

  /** Moves the commit whenever the durable end moved, and tells all who wait for it. One wake-up a sync, however many appends. */
  async #followDurable(): Promise<void> {
    const memory = this.#memory;
    while (!this.#stopped) {
      const seen = memory.signal(SIGNAL.DURABLE);
      const commit = advanceCommit(memory.commit, [memory.durable], memory.word(WORD.TERM_START_END));
      if (commit > memory.commit) {
        memory.setWord(WORD.COMMIT, commit);
        this.#appends.settle(performance.now());
        this.#readings.committed();
        this.#progressed();
      }
      await memory.wait(SIGNAL.DURABLE, seen);
    }
  }

  /** Resolves when the commit has moved or held appends were tried again. */
  #progress(): Promise<void> {
    return new Promise((wake) => this.#waiters.push(wake));
  }

  #progressed(): void {
    for (const wake of this.#waiters.splice(0)) wake();
  }

  async #untilCommitted(offset: number): Promise<void> {
    while (this.#memory.commit < offset) await this.#progress();
  }

  async #untilSettled(): Promise<void> {
    while (!this.#appends.isSettled) await this.#progress();
  }

  #greet(session: Session): void {
    const { windowBytes, maxPayloadBytes } = this.#config;
    session.send(
      encodeHello({
        protocolVersion: PROTOCOL_VERSION,
        role: 'leader',
        nodeId: this.identity.nodeId,
        clusterId: this.identity.clusterId,
        start: this.#memory.word(WORD.START),
        commit: this.#memory.commit,
        term: this.#appends.term,
        maxPayloadBytes,
        windowBytes,
        maxBatchBytes: maxBatchBytes(this.#config),
        maxReadBytes: MAX_READ_BYTES,
        leader: '',
      }),
    );
  }
}
