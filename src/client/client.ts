// LogClient: what an application holds. It checks what it is given, and leaves the rest to the appender, the search for the leader and the streams.

import type { LogError } from '../core/errors.ts';
import { MAX_NODE_ID } from '../core/limits.ts';
import { CLIENT_UPLOADS, type Hello } from '../protocol/greeting.ts';
import { AbortedError } from './aborts.ts';
import { Appender } from './append/appender.ts';
import type { AppenderOwner } from './append/appenderOwner.ts';
import { type AppendCaller, operationOf, withSignal } from './append/clientAppend.ts';
import { findCommittedEnd } from './append/committedEnd.ts';
import { batchBytesOf, tooLarge } from './append/message.ts';
import { type Payload, payloadOf, payloadsOf } from './append/payload.ts';
import { findAppends, recheck } from './append/recheck.ts';
import type { AskLeaderPorts } from './askLeader.ts';
import { makeBookmark, placeIn } from './bookmark.ts';
import {
  checkAck,
  checkAtLeast,
  checkBoolean,
  checkCatchUp,
  checkCredit,
  checkFrom,
  checkInteger,
  checkLast,
  checkOnTrimmed,
  checkSignal,
  checkSince,
  checkTerm,
  DEFAULT_CREDIT_BYTES,
  MAX_TIMER_MS,
  resolveSettings,
} from './checks.ts';
import { ClosePatience, closedError, closeErrors } from './closing.ts';
import { isBoundary, placeNow } from './consumers/beginning.ts';
import { type Consumer, checkName, takeName } from './consumers/consumer.ts';
import { type ConsumerAsk, changeConsumer, listConsumers, type NamedConsumer, nodeStore } from './consumers/nodeStore.ts';
import { type ClientStats, Watch } from './events.ts';
import { askLevel, type LogLevel } from './levels.ts';
import { checkId, checkMemberOptions, type LogMembers, type MembersChange, MemberWork } from './members.ts';
import type { ConnectionHandlers, LogEnd } from './nodes/connection.ts';
import { Connections, seen } from './nodes/connections.ts';
import { type LeaderHandlers, LeaderSearch } from './nodes/leaderSearch.ts';
import { type EndQuestion, ReadNodes } from './nodes/readNodes.ts';
import type { Platform, Tracing } from './nodes/transport.ts';
import {
  APPEND_OPTIONS,
  CLOSE_OPTIONS,
  CONSUMERS_OPTIONS,
  checkOptions,
  END_OPTIONS,
  FINALIZE_OPTIONS,
  LEVEL_OPTIONS,
  READ_OPTIONS,
  READABLE_OPTIONS,
  RESET_CONSUMER_OPTIONS,
  SUBSCRIBE_OPTIONS,
  TRANSFER_OPTIONS,
  TRIM_OPTIONS,
  WRITER_OPTIONS,
} from './optionNames.ts';
import type {
  AppendOptions,
  BatchReceipt,
  ChangeMembersOptions,
  CloseOptions,
  ConnectOptions,
  ConsumerOptions,
  ConsumersOptions,
  CreateTokenOptions,
  EndOptions,
  FinalizeOptions,
  LevelOptions,
  MemberAddress,
  MembersOptions,
  NewMember,
  ReadableOptions,
  ReadOptions,
  Receipt,
  ResetConsumerOptions,
  RetentionOptions,
  SetRetentionOptions,
  Settings,
  SubscribeOptions,
  TokenOptions,
  TransferOptions,
  TrimOptions,
  WriterOptions,
} from './options.ts';
import { type ClientParts, clientParts, MIN_SLOTS } from './parts.ts';
import type { StreamPlan } from './read/batchStream.ts';
import { type CopyOptions, copyLog } from './read/copy.ts';
import type { Batch, Entry } from './read/entries.ts';
import { beginningOfLast } from './read/lastEntries.ts';
import { makeReading, type Reading } from './read/reading.ts';
import { askRetention, type LogRetention, retentionQuestion, setRetentionQuestion } from './retention.ts';
import type { Asking } from './segments/source.ts';
import { readableOf } from './streams.ts';
import { beginningSince, checkTime, type Time } from './times.ts';
import { askTokens, givenTokenId, type LogToken, makeToken, type NewToken, shownToken, timeoutOf } from './tokens.ts';
import { type TransferResult, transferOffice } from './transfers.ts';
import { type TrimResult, trimLog } from './trims.ts';
import { Uploader, type UploaderOwner } from './uploads/uploader.ts';
import { SLOT_BYTES, type Workspace } from './wasm.ts';
import { Writer } from './writer/writer.ts';
import type { WriterPort } from './writer/writerPort.ts';

/** A read of few entries need not ask for megabytes: credit for each, grown by the usual replenishing. */
const CREDIT_BYTES_PER_ENTRY = 4096;

/** @internal Node's `inspect` and `console.log` call it. */
const INSPECT = Symbol.for('nodejs.util.inspect.custom');

/** A client of one log. Made by `connect`; safe to share by any number of concurrent callers. */
export class LogClient {
  readonly #settings: Settings;
  readonly #tracing: Tracing | undefined;
  readonly #workspace: Workspace;
  readonly #watch: Watch;
  readonly #appender: Appender;
  readonly #connections: Connections;
  readonly #leader: LeaderSearch;
  readonly #readNodes: ReadNodes;
  readonly #uploader: Uploader | undefined;
  /** Those with unsettled appends. */
  readonly #busyWriters = new Set<Pick<Writer, 'close'>>();
  /** Why it takes nothing more; undefined while it does. */
  #over: LogError | undefined;
  #closing: Promise<void> | undefined;
  #patience: ClosePatience | undefined;

  /** @internal */
  protected constructor({ platform: { open, listeners, tracing }, urls, settings, workspace }: ClientParts) {
    const watch = new Watch(settings.onEvent === undefined ? listeners : [settings.onEvent, ...listeners]);
    this.#settings = settings;
    this.#tracing = tracing;
    this.#workspace = workspace;
    this.#watch = watch;
    const handlers: ConnectionHandlers = {
      appended(connection, receipt) {
        const isOurs = appender.acknowledged(connection, receipt);
        if (isOurs) leader.accepted(connection);
        return isOurs;
      },
      appendsEnded: () => appender.settledSome(),
      appendFailed: (connection, requestId, error) => appender.refused(connection, requestId, error),
      uploaded: () => undefined,
      greeted(connection) {
        connections.greeted(connection);
        leader.greeted(connection);
      },
      silent: (connection) => leader.suspect(connection),
      lost(connection, loss) {
        connections.lost(connection, loss);
        appender.lost(connection, loss);
        leader.lost(connection);
        readNodes.lost(connection);
      },
    };
    const connections: Connections = new Connections(open, urls, {
      handlers,
      watch,
      clusterId: settings.clusterId,
      token: settings.token,
      features: settings.uploads === 'off' ? 0 : CLIENT_UPLOADS,
      discover: settings.discover,
    });
    const uploads: UploaderOwner = { leader: () => leader.connection?.hello, over: () => appender.settledSome() };
    const uploader = settings.uploads === 'off' ? undefined : new Uploader(connections, settings, watch, uploads);
    const owner: AppenderOwner = {
      wake: () => leader.wake(),
      refused: (connection, error) => leader.refused(connection, error),
      recheck: (message, refusal) => recheck(readNodes, workspace, message, refusal),
    };
    const appender = new Appender(workspace, settings, watch, owner, uploader);
    const appends: LeaderHandlers = {
      connected: (connection) => appender.connected(connection),
      left: (connection) => appender.left(connection),
      unreachable: (error) => appender.failUnsent(error),
    };
    const leader: LeaderSearch = new LeaderSearch(connections, settings, appends, watch);
    const readNodes = new ReadNodes(connections, leader, settings, watch);
    this.#appender = appender;
    this.#connections = connections;
    this.#leader = leader;
    this.#readNodes = readNodes;
    this.#uploader = uploader;
  }

  /** @internal Connects through the platform to the leader, or while there is none to any of `urls`. Applications call `connect` of the package's entry. */
  static async connect(platform: Platform, urls: readonly string[], options: ConnectOptions): Promise<LogClient> {
    const settings = resolveSettings(options);
    const signal = checkSignal(options.signal);
    const client = new LogClient(await clientParts(platform, urls, settings));
    await client.start(signal);
    return client;
  }

  /** @internal Finds a first node; to be called once, before anything else. Whatever it rejects with, nothing is left behind. */
  protected async start(signal: AbortSignal | undefined): Promise<void> {
    try {
      await this.#leader.start(signal);
      this.#appender.adopt(this.hello);
    } catch (thrown) {
      await this.#disconnect(false);
      throw signal?.aborted ? new AbortedError('This connect', 'before a node had answered.', signal, 'failed') : thrown;
    }
  }

  /** @internal Ends it for good, at once: what was sent and has no answer is rejected with `unknown`, everything else, now and later, with `failure`. */
  protected fail(failure: LogError, unknown: LogError): void {
    if (this.#over !== undefined) return;
    this.#over = failure;
    this.#appender.giveUp(unknown, failure);
    this.#leader.stop(failure);
    this.#uploader?.close();
    void this.#connections.close(true);
  }

  /** What the leader said of itself, or while there is none, the node that spoke last. */
  get hello(): Hello {
    const hello = this.#leader.connection?.hello ?? this.#connections.hello;
    // `connect` gives a client out only after a greeting.
    if (hello === undefined) throw closedError();
    return hello;
  }

  /** The id of the log's cluster, 32 hexadecimal digits. Another cluster's log has other entries at the same offsets. */
  get clusterId(): string {
    return this.#connections.clusterId;
  }

  /** @internal How nodes of this log are asked over HTTP. */
  get asking(): Asking {
    const { token, fetches } = this.#settings;
    return { token, fetch: fetches.nodes };
  }

  /** An offset of this log as text to keep, which `from`, `expectedEnd` and `atLeast` take, and refuse in another log. */
  bookmark(offset: number): string {
    return makeBookmark(this.#connections.log, placeIn(this.#connections.log, 'offset', offset));
  }

  /** What this client did and has to do, now. Made for each call: for a page or a metric, not for a loop. */
  stats(): ClientStats {
    const leader = this.#leader.connection;
    return {
      clusterId: this.clusterId,
      leader: leader && seen(leader),
      nodes: [...this.#connections.live].map(seen),
      ...this.#watch.counters,
      ...this.#appender.load,
      observedCommit: this.#readNodes.observed,
    };
  }

  /** @internal */
  [INSPECT](): string {
    const { isClosed, ...shown } = { isClosed: this.#closing !== undefined, ...this.stats() };
    return `LogClient ${isClosed ? '(closed) ' : ''}${JSON.stringify(shown, undefined, 2)}`;
  }

  /** Whether an append made now is buffered at once; if not, await {@link ready} first. */
  get hasRoom(): boolean {
    return this.#appender.hasRoom;
  }

  /**
   * Appends one entry: bytes, or a string as UTF-8; an empty payload is an entry too. The payload is copied before this
   * returns. Appends keep the order of their calls; those of one tick travel in one message.
   * Rejects with a LogError, whose `outcome` says whether the entry is certainly not in the log, or with a TypeError or
   * RangeError for arguments that cannot be meant.
   */
  append(payload: Payload, options?: AppendOptions): Promise<Receipt> {
    if (this.#tracing?.isOn !== true) return this.#append(payload, options);
    return this.#tracing.append({ clusterId: this.clusterId, entryCount: 1 }, () => this.#append(payload, options));
  }

  #append(payload: Payload, options: AppendOptions | undefined): Promise<Receipt> {
    if (options === undefined && this.#over === undefined) {
      if (payload instanceof Uint8Array) return this.#appender.append(payload);
      if (typeof payload === 'string') return this.#appender.append(payloadOf(payload));
    }
    return new Promise((resolve, reject) => {
      const bytes = payloadOf(payload);
      const { maxPayloadBytes } = this.hello;
      if (bytes.length > maxPayloadBytes) throw tooLarge(bytes.length, maxPayloadBytes);
      this.#submit([bytes], options === undefined ? {} : options, { what: 'This append', resolve, resolveBatch: undefined, reject });
    });
  }

  /**
   * Appends several entries in one message, next to each other: all of them or none, whatever crashes. Together, with 12 bytes each, they may
   * have `hello.maxBatchBytes`. Rejects like {@link append}.
   */
  appendBatch(payloads: Iterable<Payload>, options?: AppendOptions): Promise<BatchReceipt> {
    if (this.#tracing?.isOn !== true) return this.#appendBatch(payloads, options);
    const entryCount = Array.isArray(payloads) ? payloads.length : undefined;
    return this.#tracing.append({ clusterId: this.clusterId, entryCount }, () => this.#appendBatch(payloads, options));
  }

  #appendBatch(payloads: Iterable<Payload>, options: AppendOptions | undefined): Promise<BatchReceipt> {
    return new Promise((resolveBatch, reject) => {
      const list = payloadsOf(payloads);
      batchBytesOf(list, this.#limits());
      this.#submit(list, options === undefined ? {} : options, { what: 'This batch', resolve: () => {}, resolveBatch, reject });
    });
  }

  /**
   * Makes a {@link Writer}: pipelined appends that are in the log in order up to the first that is refused, and none after it, over changes of
   * leaders and connections. Throws TypeError or RangeError for options that cannot be meant.
   */
  writer(options: WriterOptions): Writer {
    checkOptions('A writer', options, WRITER_OPTIONS);
    if (this.#over !== undefined) throw this.#over;
    const { maxInFlightBytes, maxQueuedBytes, timeoutMs, connectTimeoutMs } = this.#settings;
    const readNodes = this.#readNodes;
    const port: WriterPort = {
      maxInFlightBytes,
      maxQueuedBytes,
      timeoutMs,
      lookTimeoutMs: connectTimeoutMs,
      limits: () => this.#limits(),
      committed: () => readNodes.observed,
      isDurable: () => readNodes.isDurable,
      over: () => this.#over,
      busy: (writer, isBusy) => void (isBusy ? this.#busyWriters.add(writer) : this.#busyWriters.delete(writer)),
      watch: this.#watch,
      submit: (operation) => this.#appender.submit(operation),
      ready: () => this.#appender.ready(),
      find: (question) => findAppends(readNodes, this.#workspace, question),
      findCommittedEnd: (question) => findCommittedEnd(readNodes, this.#workspace, question),
      pause: (failures) => readNodes.pause(failures),
    };
    return new Writer(port, {
      expectedEnd: placeIn(this.#connections.log, 'expectedEnd', options.expectedEnd),
      expectedTerm: options.expectedTerm === undefined ? 0 : checkTerm('expectedTerm', options.expectedTerm),
      ack: options.ack === undefined ? this.#settings.ack : checkAck(options.ack),
    });
  }

  /** Resolves as soon as an append is buffered at once; backpressure for a producer that does not await each append. */
  ready(): Promise<void> {
    return this.#appender.ready();
  }

  /**
   * Reads what is committed when the iteration begins, from `from` on, at most `limit` entries, or the `last` entries, then ends. Nothing is sent
   * before the iteration. Throws TypeError or RangeError at once for bad options; the iteration throws a LogError:
   * OFFSET_TRIMMED, OFFSET_BEYOND_END, OFFSET_NOT_BOUNDARY, DAMAGED, PROTOCOL, UNREACHABLE, BEHIND, ABORTED, CLOSED.
   */
  read(options: ReadOptions = {}): Reading {
    checkOptions('A read', options, READ_OPTIONS);
    const limit = options.limit === undefined ? Number.POSITIVE_INFINITY : checkInteger('limit', options.limit, 1, Number.MAX_SAFE_INTEGER);
    return makeReading(this.#readNodes, this.#workspace, {
      what: 'This read',
      from: this.#beginningOf(options),
      isBounded: true,
      limit,
      creditBytes: Math.min(DEFAULT_CREDIT_BYTES, Math.max(16, limit) * CREDIT_BYTES_PER_ENTRY),
      skipsTrimmed: false,
      atLeast: checkAtLeast(this.#connections.log, options.atLeast),
      catchUp: checkCatchUp(options.catchUp),
      signal: checkSignal(options.signal),
    });
  }

  /**
   * Follows the log from `from` on, or from the `last` entries on, without end: what is there, then what is committed as it comes, each entry once and in
   * order, over any number of connections and nodes. Ends by `break`, `return`, or its signal. Throws like {@link read}.
   */
  subscribe(options: SubscribeOptions = {}): Reading {
    checkOptions('A subscription', options, SUBSCRIBE_OPTIONS);
    return makeReading(this.#readNodes, this.#workspace, {
      what: 'This subscription',
      from: this.#beginningOf(options),
      isBounded: false,
      limit: Number.POSITIVE_INFINITY,
      creditBytes: checkCredit(options.creditBytes),
      skipsTrimmed: checkOnTrimmed(options.onTrimmed) === 'skip',
      atLeast: checkAtLeast(this.#connections.log, options.atLeast),
      catchUp: checkCatchUp(options.catchUp),
      signal: checkSignal(options.signal),
    });
  }

  /**
   * The entries of {@link subscribe}, or with `follow: false` those of {@link read}, as a Web stream, of which nothing is read before somebody asks for it. Throws
   * and fails as those do.
   */
  readable(options: ReadableOptions = {}): ReadableStream<Entry> {
    checkOptions('A readable stream', options, READABLE_OPTIONS);
    if (options.follow === false) {
      const { follow: _, ...bounded } = options;
      return readableOf(this.read(bounded));
    }
    const { follow = true, ...rest } = options;
    checkBoolean('follow', follow);
    return readableOf(this.subscribe(rest));
  }

  /**
   * Takes the name of a {@link Consumer}, and resolves when nobody else has it: entries from where the one before it left off. Rejects with TypeError or RangeError
   * for options that cannot be meant; OTHER_CLUSTER or GENERATION_CHANGED when its position is of another log; or with the store's error. Without a store the log's
   * nodes keep the position: then also like {@link retention}, and UNSUPPORTED for a log of a level that has no consumers, TOO_MANY_CONSUMERS.
   */
  consumer(options: ConsumerOptions): Promise<Consumer> {
    return takeName(
      {
        check: () => {
          if (this.#over !== undefined) throw this.#over;
        },
        subscribe: (beginning) => this.subscribe(beginning),
        bookmark: (offset) => this.bookmark(offset),
        end: () => this.end(),
        offsetOf: (bookmark) => placeIn(this.#connections.log, 'the position that is kept', bookmark),
        placeNow: (beginning) => placeNow(this.#readNodes, this.#beginningOf(beginning)),
        isBoundary: (offset) => isBoundary(this.read({ from: offset, limit: 1 })),
        store: nodeStore(this.#consumerAsk(this.#settings.timeoutMs)),
      },
      options,
    );
  }

  /** All consumers whose positions the log's nodes keep, as the leader has them committed, by name. Rejects like {@link retention}. */
  async consumers(options: ConsumersOptions = {}): Promise<readonly NamedConsumer[]> {
    return listConsumers(this.#askOfConsumers('consumers', options, CONSUMERS_OPTIONS));
  }

  /**
   * Lets a consumer go on at `to`, or, without that, begin as if nobody had had its name; whoever has the name now can commit no more. Resolves when that is
   * committed. Rejects like {@link retention}, OFFSET_BEYOND_END; OTHER_CLUSTER or GENERATION_CHANGED for a bookmark of another log.
   */
  async resetConsumer(name: string, options: ResetConsumerOptions = {}): Promise<void> {
    checkName(name);
    const ask = this.#askOfConsumers('resetConsumer', options, RESET_CONSUMER_OPTIONS);
    const position = options.to === undefined ? undefined : placeIn(this.#connections.log, 'to', options.to);
    await changeConsumer(ask, `the reset of consumer ${JSON.stringify(name)}`, { what: 'reset', name, position });
  }

  /** Forgets a consumer; whoever has its name can commit no more. Resolves when that is committed, to whether it was there. Rejects like {@link retention}. */
  async removeConsumer(name: string, options: ConsumersOptions = {}): Promise<boolean> {
    checkName(name);
    const ask = this.#askOfConsumers('removeConsumer', options, CONSUMERS_OPTIONS);
    return (await changeConsumer(ask, `the removal of consumer ${JSON.stringify(name)}`, { what: 'remove', name })).hasChanged;
  }

  #askOfConsumers(what: string, options: ConsumersOptions, known: readonly string[]): ConsumerAsk {
    checkOptions(what, options, known);
    const timeoutMs = checkInteger('timeoutMs', options.timeoutMs ?? this.#settings.timeoutMs, 1, MAX_TIMER_MS);
    if (this.#over !== undefined) throw this.#over;
    return this.#consumerAsk(timeoutMs);
  }

  #consumerAsk(timeoutMs: number): ConsumerAsk {
    const connections = this.#connections;
    return {
      ...this.#askPorts,
      timeoutMs,
      get log() {
        return connections.log;
      },
    };
  }

  /** @internal The bytes of the log, without end, for a copy of it. */
  copy(options: CopyOptions): AsyncIterableIterator<Batch> {
    return copyLog(this.#readNodes, this.#workspace, options);
  }

  /**
   * Where the log starts and is committed to, never less than this client wrote or saw. `linearizable`: counts every append acknowledged
   * to anyone before this call. Rejects UNREACHABLE, NOT_LEADER (linearizable, and no leader is heard), BEHIND (no node has `atLeast`),
   * TIMEOUT, CLOSED.
   */
  async end(options: EndOptions = {}): Promise<LogEnd> {
    const question = this.#endQuestion('end', options);
    if (this.#over !== undefined) throw this.#over;
    return this.#readNodes.end(question);
  }

  /**
   * The offset of the first entry that is not older than `time`, a Date or Unix milliseconds, by the log's own time: within a second, while the leader's clock
   * is right. The end where all are older, the start where none is. Of what is committed on the node that answers, as for {@link end}. Rejects as that, and
   * UNSUPPORTED for a log without times, DAMAGED; with TypeError or RangeError for what is no time.
   */
  async offsetAt(time: Time, options: EndOptions = {}): Promise<number> {
    const timeMs = checkTime('the time', time);
    const question = this.#endQuestion('offsetAt', options);
    if (this.#over !== undefined) throw this.#over;
    return this.#readNodes.find(timeMs, question);
  }

  /**
   * Removes the beginning of the log, for good, on all nodes: what is before `to`, or all but the last `keepBytes`. The log then starts at that place, rounded
   * down to the end of a batch; bytes on disks are freed by whole segments. Nothing where it starts there or later already. Rejects OFFSET_BEYOND_END,
   * UNSUPPORTED, DAMAGED, UNREACHABLE, NOT_LEADER, TIMEOUT, CLOSED.
   */
  async trim(options: TrimOptions): Promise<TrimResult> {
    checkOptions('trim', options, TRIM_OPTIONS);
    const { keepBytes, timeoutMs = this.#settings.timeoutMs, dryRun: isDryRun = false } = options;
    if ((options.to === undefined) === (keepBytes === undefined)) throw new TypeError('trim takes either to or keepBytes');
    checkBoolean('dryRun', isDryRun);
    checkInteger('timeoutMs', timeoutMs, 1, MAX_TIMER_MS);
    if (keepBytes !== undefined) checkInteger('keepBytes', keepBytes, 0, Number.MAX_SAFE_INTEGER);
    const given = options.to === undefined ? undefined : placeIn(this.#connections.log, 'to', options.to);
    if (this.#over !== undefined) throw this.#over;
    const to = given ?? Math.max(0, (await this.end({ linearizable: true, timeoutMs })).end - (keepBytes ?? 0));
    return trimLog(this.#askPorts, { to, isDryRun, timeoutMs });
  }

  /**
   * How much of the log is kept, as the leader has it committed, and what there is. Rejects UNREACHABLE, NOT_LEADER, TIMEOUT, CLOSED, and UNKNOWN_OPCODE
   * of a node that knows no retention.
   */
  async retention(options: RetentionOptions = {}): Promise<LogRetention> {
    const question = retentionQuestion(options, this.#settings.timeoutMs);
    if (this.#over !== undefined) throw this.#over;
    return askRetention(this.#askPorts, question);
  }

  /**
   * Says how much of the log is kept from now on, on all nodes; what is left out stays as it is. What is more, or older, goes for good, by whole segments,
   * soon after this, and whenever there is more again. Resolves when that is committed. Rejects like {@link retention}, and UNSUPPORTED for a log of level 0; with TypeError
   * or RangeError for what cannot be meant.
   */
  async setRetention(options: SetRetentionOptions): Promise<LogRetention> {
    const question = setRetentionQuestion(options, this.#settings.timeoutMs);
    if (this.#over !== undefined) throw this.#over;
    return askRetention(this.#askPorts, question);
  }

  /** All tokens of the log, as the leader has them committed, by id; those that expired less than a day ago, too. Rejects like {@link retention}. */
  async tokens(options: TokenOptions = {}): Promise<readonly LogToken[]> {
    const timeoutMs = timeoutOf('tokens', options, this.#settings.timeoutMs);
    if (this.#over !== undefined) throw this.#over;
    return (await askTokens(this.#askPorts, { change: undefined, timeoutMs })).tokens.map(shownToken);
  }

  /**
   * Makes a token, which nodes that are started with `--tokens` take. It is made here: the nodes are told its hash, and this answer is the only place where it
   * stands. Resolves when it is committed: every node takes it as soon as it has it. Rejects like {@link retention}, TOO_MANY_TOKENS, UNSUPPORTED for a log of
   * level 0; with TypeError or RangeError for what cannot be meant.
   */
  async createToken(options: CreateTokenOptions): Promise<NewToken> {
    const { timeoutMs: given, ...about } = options;
    const timeoutMs = timeoutOf('createToken', { timeoutMs: given }, this.#settings.timeoutMs);
    const { token, record } = await makeToken(about, Date.now());
    if (this.#over !== undefined) throw this.#over;
    await askTokens(this.#askPorts, { change: { what: 'put', record, isRequest: false }, timeoutMs });
    return { token, ...shownToken(record) };
  }

  /**
   * Revokes the token `id`, which may also be given as the token itself. Resolves when that is committed, to whether there was one: each node takes it no more
   * as soon as it has that, which is within a second where it hears its leader. Rejects like {@link retention}.
   */
  async revokeToken(id: string, options: TokenOptions = {}): Promise<boolean> {
    const timeoutMs = timeoutOf('revokeToken', options, this.#settings.timeoutMs);
    const given = givenTokenId(id);
    if (this.#over !== undefined) throw this.#over;
    return (await askTokens(this.#askPorts, { change: { what: 'remove', id: given }, timeoutMs })).hasChanged;
  }

  /** The log's level, and which level each node knows. Rejects like {@link retention}. */
  async level(options: LevelOptions = {}): Promise<LogLevel> {
    checkOptions('level', options, LEVEL_OPTIONS);
    return this.#askLevel(options, false);
  }

  /**
   * Raises the log's level to the newest one, once all nodes are there and know it; builds that do not know it cannot take part, nor read the log, from then on. Nothing
   * where it has that already. Rejects like {@link level}; TIMEOUT says who holds it back.
   */
  async finalizeUpgrade(options: FinalizeOptions = {}): Promise<LogLevel> {
    checkOptions('finalizeUpgrade', options, FINALIZE_OPTIONS);
    return this.#askLevel(options, true);
  }

  #askLevel({ timeoutMs = this.#settings.timeoutMs, onWaiting }: FinalizeOptions, isFinal: boolean): Promise<LogLevel> {
    checkInteger('timeoutMs', timeoutMs, 1, MAX_TIMER_MS);
    if (this.#over !== undefined) throw this.#over;
    return askLevel(this.#askPorts, { isFinal, timeoutMs, onWaiting });
  }

  /**
   * Lets another node lead: appends wait a moment, and none is lost. Resolves once it does. Rejects like {@link retention}; NOT_READY where that node cannot take over now, the
   * leader leads on; UNSUPPORTED where there is no such node.
   */
  async transfer(options: TransferOptions = {}): Promise<TransferResult> {
    checkOptions('transfer', options, TRANSFER_OPTIONS);
    const { to = 0, dryRun = false, timeoutMs = this.#settings.timeoutMs } = options;
    checkInteger('to', to, options.to === undefined ? 0 : 1, MAX_NODE_ID);
    checkInteger('timeoutMs', timeoutMs, 1, MAX_TIMER_MS);
    if (this.#over !== undefined) throw this.#over;
    return transferOffice(this.#askPorts, { to, isDryRun: dryRun, timeoutMs });
  }

  /** The nodes of the log, as the leader knows them. Rejects like {@link retention}, ABORTED. */
  async members(options: MembersOptions = {}): Promise<LogMembers> {
    return this.#memberWork('members', options).list();
  }

  /**
   * Adds a node, while it comes and is fed, and resolves when it is a voter; one that is to stay a learner, when it has what is committed. A node that is there already, at
   * that address, is waited for. Rejects like {@link members}, and LEVEL_TOO_LOW, ALREADY_MEMBER, MEMBER_REMOVED, UNSUPPORTED: it was not added.
   */
  async addMember(member: NewMember, options: ChangeMembersOptions = {}): Promise<MembersChange> {
    return this.#memberWork('addMember', options).add(member);
  }

  /**
   * Removes a node, for good: its directory never has a part in the log again. Resolves when that is committed. Rejects like {@link members}, and LEVEL_TOO_LOW,
   * UNKNOWN_MEMBER, NO_MAJORITY: it was not removed.
   */
  async removeMember(id: number, options: ChangeMembersOptions = {}): Promise<MembersChange> {
    return this.#memberWork('removeMember', options).remove(checkId('id', id));
  }

  /** Lets a learner that stays one become a voter, and resolves when it is one. Rejects like {@link removeMember}, and ALREADY_MEMBER. */
  async promoteMember(id: number, options: ChangeMembersOptions = {}): Promise<MembersChange> {
    return this.#memberWork('promoteMember', options).promote(checkId('id', id));
  }

  /** Lets a voter be fed only, from now on. Rejects like {@link removeMember}, and ALREADY_MEMBER. */
  async demoteMember(id: number, options: ChangeMembersOptions = {}): Promise<MembersChange> {
    return this.#memberWork('demoteMember', options).demote(checkId('id', id));
  }

  /**
   * Says where a node is reached from now on, as after it was started at another address. Resolves when that is committed. Rejects like {@link removeMember}, and
   * ALREADY_MEMBER: it is there already.
   */
  async moveMember(address: MemberAddress, options: ChangeMembersOptions = {}): Promise<MembersChange> {
    return this.#memberWork('moveMember', options).move(address);
  }

  /**
   * Adds a node, or promotes one that is there, and removes node `old` once that is a voter: two changes. Where node `old` is not there, the new one is a learner first, `old` is removed
   * once that has the log, and then it becomes a voter. Where a later one cannot be, the error says what was made. Rejects
   * like {@link addMember} and {@link removeMember}.
   */
  async replaceMember(old: number, member: NewMember | number, options: ChangeMembersOptions = {}): Promise<MembersChange> {
    const next = typeof member === 'number' ? checkId('member', member) : member;
    return this.#memberWork('replaceMember', options).replace(checkId('old', old), next);
  }

  #memberWork(what: string, options: ChangeMembersOptions | MembersOptions): MemberWork {
    checkMemberOptions(what, options);
    const work = new MemberWork(this.#askPorts, what, options, this.#settings.timeoutMs);
    if (this.#over !== undefined) throw this.#over;
    return work;
  }

  get #askPorts(): AskLeaderPorts {
    return { leader: this.#leader, pause: (failures) => this.#readNodes.pause(failures) };
  }

  /**
   * Sends what is buffered, waits until every append is settled, then disconnects; iterations end with CLOSED. A server that hangs is not waited
   * for for ever: see {@link CloseOptions}. May be called again, to wait less long, too. Rejects for options that cannot be meant only.
   */
  close(options: CloseOptions = {}): Promise<void> {
    try {
      checkOptions('close', options, CLOSE_OPTIONS);
      const { timeoutMs } = options;
      if (timeoutMs !== undefined) checkInteger('timeoutMs', timeoutMs, 0, MAX_TIMER_MS);
      this.#patience ??= new ClosePatience(() => this.#watch.settledCount);
      if (timeoutMs !== undefined) this.#patience.limitTo(timeoutMs);
    } catch (thrown) {
      return Promise.reject(thrown);
    }
    this.#over ??= closedError();
    this.#closing ??= this.#close(this.#patience);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #endQuestion(what: string, options: EndOptions): EndQuestion {
    checkOptions(what, options, END_OPTIONS);
    const { linearizable, timeoutMs } = options;
    return {
      linearizable: linearizable !== undefined && checkBoolean('linearizable', linearizable),
      atLeast: checkAtLeast(this.#connections.log, options.atLeast),
      timeoutMs: timeoutMs === undefined ? undefined : checkInteger('timeoutMs', timeoutMs, 1, MAX_TIMER_MS),
    };
  }

  /** Where a read or a subscription with these options begins. */
  #beginningOf(options: Pick<ReadOptions, 'from' | 'since' | 'last' | 'limit'>): StreamPlan['from'] {
    const since = checkSince(options);
    if (since !== undefined) return beginningSince(this.#readNodes, since);
    const last = checkLast(options);
    return last === undefined ? checkFrom(this.#connections.log, options.from) : beginningOfLast(this.#readNodes, this.#workspace, last);
  }

  /** The largest payload that the server takes, and the most bytes of entries that the server and this client's memory take at once. */
  #limits(): { maxPayloadBytes: number; maxBatchBytes: number } {
    const { maxPayloadBytes, maxBatchBytes } = this.hello;
    return { maxPayloadBytes, maxBatchBytes: Math.min(maxBatchBytes, (MIN_SLOTS - 1) * SLOT_BYTES) };
  }

  async #close(patience: ClosePatience): Promise<void> {
    const drained = this.#drained();
    const inTime = (done: Promise<unknown>): Promise<boolean> => Promise.race([done.then(() => true), patience.over.then(() => false)]);
    const isInTime = await inTime(drained);
    if (!isInTime) this.#appender.giveUp(...closeErrors(patience.elapsedMs));
    // A goodbye takes a moment where the server hangs, and the time that was given holds for it, too.
    if (!isInTime || !(await inTime(this.#disconnect(false)))) await this.#disconnect(true);
    patience.stop();
    // Writers look into the log for what they lost, which fails at once now.
    await drained;
    this.#watch.emit({ type: 'closed' });
  }

  async #drained(): Promise<void> {
    await Promise.all([...this.#busyWriters].map((writer) => writer.close()));
    await this.#appender.drained();
  }

  /** `isHung`: without waiting for nodes. */
  #disconnect(isHung: boolean): Promise<void> {
    this.#leader.stop();
    this.#uploader?.close();
    return this.#connections.close(isHung);
  }

  #submit(payloads: readonly Uint8Array[], options: AppendOptions, caller: AppendCaller): void {
    checkOptions('An append', options, APPEND_OPTIONS);
    if (this.#over !== undefined) throw this.#over;
    const operation = operationOf(payloads, options, caller, { ack: this.#settings.ack, log: this.#connections.log });
    const signal = checkSignal(options.signal);
    if (signal === undefined) this.#appender.submit(operation);
    else this.#appender.submit(withSignal(operation, signal, caller.what, (given) => this.#appender.abort(given, caller.what, signal)));
  }
}
