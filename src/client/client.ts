// LogClient: what an application holds. It checks what it is given, and leaves the rest to what is in its core (clientCore.ts) and to the streams.

import type { LogError } from '../core/errors.ts';
import type { Hello } from '../protocol/greeting.ts';
import { AbortedError } from './aborts.ts';
import { LogAdministration } from './administration.ts';
import { type AppendCaller, operationOf, withSignal } from './append/clientAppend.ts';
import { batchBytesOf, tooLarge } from './append/message.ts';
import { type Payload, payloadOf, payloadsOf } from './append/payload.ts';
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
import { ClientCore } from './clientCore.ts';
import { ClosePatience, closedError, closeErrors } from './closing.ts';
import { isBoundary, placeNow } from './consumers/beginning.ts';
import { type Consumer, takeName } from './consumers/consumer.ts';
import { consumerAsk, nodeStore } from './consumers/nodeStore.ts';
import type { ClientStats } from './events.ts';
import { seen } from './nodes/connections.ts';
import type { LogEnd } from './nodes/questions.ts';
import type { EndQuestion } from './nodes/readNodes.ts';
import type { Platform } from './nodes/transport.ts';
import {
  APPEND_OPTIONS,
  CLOSE_OPTIONS,
  checkOptions,
  END_OPTIONS,
  READ_OPTIONS,
  READABLE_OPTIONS,
  SUBSCRIBE_OPTIONS,
  WRITER_OPTIONS,
} from './optionNames.ts';
import type {
  AppendOptions,
  BatchReceipt,
  CloseOptions,
  ConnectOptions,
  ConsumerOptions,
  EndOptions,
  ReadableOptions,
  ReadOptions,
  Receipt,
  SubscribeOptions,
  WriterOptions,
} from './options.ts';
import { type ClientParts, clientParts } from './parts.ts';
import { beginningSince } from './read/beginningSince.ts';
import { type CopyOptions, copyLog } from './read/copy.ts';
import type { Batch, Entry } from './read/entries.ts';
import { beginningOfLast } from './read/lastEntries.ts';
import { makeReading, type Reading } from './read/reading.ts';
import type { StreamPlan } from './read/streamPlan.ts';
import type { Asking } from './segments/source.ts';
import { readableOf } from './streams.ts';
import { checkTime, type Time } from './times.ts';
import { Writer } from './writer/writer.ts';

/** A read of few entries need not ask for megabytes: credit for each, grown by the usual replenishing. */
const CREDIT_BYTES_PER_ENTRY = 4096;

/** @internal Node's `inspect` and `console.log` call it. */
const INSPECT = Symbol.for('nodejs.util.inspect.custom');

/** A client of one log. Made by `connect`; safe to share by any number of concurrent callers. */
export class LogClient extends LogAdministration {
  readonly #core: ClientCore;
  #closing: Promise<void> | undefined;
  #patience: ClosePatience | undefined;

  /** @internal */
  protected constructor(parts: ClientParts) {
    const core = new ClientCore(parts);
    super(core);
    this.#core = core;
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
      await this.#core.leader.start(signal);
      this.#core.appender.adopt(this.hello);
    } catch (thrown) {
      await this.#core.disconnect(false);
      throw signal?.aborted ? new AbortedError('This connect', 'before a node had answered.', signal, 'failed') : thrown;
    }
  }

  /** @internal Ends it for good, at once: what was sent and has no answer is rejected with `unknown`, everything else, now and later, with `failure`. */
  protected fail(failure: LogError, unknown: LogError): void {
    this.#core.fail(failure, unknown);
  }

  /** What the leader said of itself, or while there is none, the node that spoke last. */
  get hello(): Hello {
    return this.#core.hello;
  }

  /** The id of the log's cluster, 32 hexadecimal digits. Another cluster's log has other entries at the same offsets. */
  get clusterId(): string {
    return this.#core.connections.clusterId;
  }

  /** @internal How nodes of this log are asked over HTTP. */
  get asking(): Asking {
    const { token, fetches } = this.#core.settings;
    return { token, fetch: fetches.nodes };
  }

  /** An offset of this log as text to keep, which `from`, `expectedEnd` and `atLeast` take, and refuse in another log. */
  bookmark(offset: number): string {
    return makeBookmark(this.#core.log, placeIn(this.#core.log, 'offset', offset));
  }

  /** What this client did and has to do, now. Made for each call: for a page or a metric, not for a loop. */
  stats(): ClientStats {
    const { leader, connections, watch, appender, readNodes } = this.#core;
    return {
      clusterId: this.clusterId,
      leader: leader.connection && seen(leader.connection),
      nodes: [...connections.live].map(seen),
      ...watch.counters,
      ...appender.load,
      observedCommit: readNodes.observed,
    };
  }

  /** @internal */
  [INSPECT](): string {
    const { isClosed, ...shown } = { isClosed: this.#closing !== undefined, ...this.stats() };
    return `LogClient ${isClosed ? '(closed) ' : ''}${JSON.stringify(shown, undefined, 2)}`;
  }

  /** Whether an append made now is buffered at once; if not, await {@link ready} first. */
  get hasRoom(): boolean {
    return this.#core.appender.hasRoom;
  }

  /**
   * Appends one entry: bytes, or a string as UTF-8; an empty payload is an entry too. The payload is copied before this
   * returns. Appends keep the order of their calls; those of one tick travel in one message.
   * Rejects with a LogError, whose `outcome` says whether the entry is certainly not in the log, or with a TypeError or
   * RangeError for arguments that cannot be meant.
   */
  append(payload: Payload, options?: AppendOptions): Promise<Receipt> {
    if (this.#core.tracing?.isOn !== true) return this.#append(payload, options);
    return this.#core.tracing.append({ clusterId: this.clusterId, entryCount: 1 }, () => this.#append(payload, options));
  }

  #append(payload: Payload, options: AppendOptions | undefined): Promise<Receipt> {
    const { appender, over } = this.#core;
    if (options === undefined && over === undefined) {
      if (payload instanceof Uint8Array) return appender.append(payload);
      if (typeof payload === 'string') return appender.append(payloadOf(payload));
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
    if (this.#core.tracing?.isOn !== true) return this.#appendBatch(payloads, options);
    const entryCount = Array.isArray(payloads) ? payloads.length : undefined;
    return this.#core.tracing.append({ clusterId: this.clusterId, entryCount }, () => this.#appendBatch(payloads, options));
  }

  #appendBatch(payloads: Iterable<Payload>, options: AppendOptions | undefined): Promise<BatchReceipt> {
    return new Promise((resolveBatch, reject) => {
      const list = payloadsOf(payloads);
      batchBytesOf(list, this.#core.limits());
      this.#submit(list, options === undefined ? {} : options, { what: 'This batch', resolve: () => {}, resolveBatch, reject });
    });
  }

  /**
   * Makes a {@link Writer}: pipelined appends that are in the log in order up to the first that is refused, and none after it, over changes of
   * leaders and connections. Throws TypeError or RangeError for options that cannot be meant.
   */
  writer(options: WriterOptions): Writer {
    checkOptions('A writer', options, WRITER_OPTIONS);
    this.#core.check();
    const { settings, log } = this.#core;
    return new Writer(this.#core.writerPort(), {
      expectedEnd: placeIn(log, 'expectedEnd', options.expectedEnd),
      expectedTerm: options.expectedTerm === undefined ? 0 : checkTerm('expectedTerm', options.expectedTerm),
      ack: options.ack === undefined ? settings.ack : checkAck(options.ack),
    });
  }

  /** Resolves as soon as an append is buffered at once; backpressure for a producer that does not await each append. */
  ready(): Promise<void> {
    return this.#core.appender.ready();
  }

  /**
   * Reads what is committed when the iteration begins, from `from` on, at most `limit` entries, or the `last` entries, then ends. Nothing is sent
   * before the iteration. Throws TypeError or RangeError at once for bad options; the iteration throws a LogError:
   * OFFSET_TRIMMED, OFFSET_BEYOND_END, OFFSET_NOT_BOUNDARY, DAMAGED, PROTOCOL, UNREACHABLE, BEHIND, ABORTED, CLOSED.
   */
  read(options: ReadOptions = {}): Reading {
    checkOptions('A read', options, READ_OPTIONS);
    const limit = options.limit === undefined ? Number.POSITIVE_INFINITY : checkInteger('limit', options.limit, 1, Number.MAX_SAFE_INTEGER);
    return makeReading(this.#core.readNodes, this.#core.workspace, {
      what: 'This read',
      from: this.#beginningOf(options),
      isBounded: true,
      limit,
      creditBytes: Math.min(DEFAULT_CREDIT_BYTES, Math.max(16, limit) * CREDIT_BYTES_PER_ENTRY),
      skipsTrimmed: false,
      atLeast: checkAtLeast(this.#core.log, options.atLeast),
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
    return makeReading(this.#core.readNodes, this.#core.workspace, {
      what: 'This subscription',
      from: this.#beginningOf(options),
      isBounded: false,
      limit: Number.POSITIVE_INFINITY,
      creditBytes: checkCredit(options.creditBytes),
      skipsTrimmed: checkOnTrimmed(options.onTrimmed) === 'skip',
      atLeast: checkAtLeast(this.#core.log, options.atLeast),
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
          this.#core.check();
        },
        subscribe: (beginning) => this.subscribe(beginning),
        bookmark: (offset) => this.bookmark(offset),
        end: () => this.end(),
        offsetOf: (bookmark) => placeIn(this.#core.log, 'the position that is kept', bookmark),
        placeNow: (beginning) => placeNow(this.#core.readNodes, this.#beginningOf(beginning)),
        isBoundary: (offset) => this.isBoundary(offset),
        store: nodeStore(consumerAsk(this.#core, this.#core.settings.timeoutMs)),
      },
      options,
    );
  }

  /** @internal See {@link LogAdministration}. */
  protected isBoundary(offset: number, signal?: AbortSignal): Promise<boolean> {
    return isBoundary(this.read({ from: offset, limit: 1, signal }));
  }

  /** @internal The bytes of the log, without end, for a copy of it. */
  copy(options: CopyOptions): AsyncIterableIterator<Batch> {
    return copyLog(this.#core.readNodes, this.#core.workspace, options);
  }

  /**
   * Where the log starts and is committed to, never less than this client wrote or saw. `linearizable`: counts every append acknowledged
   * to anyone before this call. Rejects UNREACHABLE, NOT_LEADER (linearizable, and no leader is heard), BEHIND (no node has `atLeast`),
   * TIMEOUT, CLOSED.
   */
  async end(options: EndOptions = {}): Promise<LogEnd> {
    const question = this.#endQuestion('end', options);
    this.#core.check();
    return this.#core.readNodes.end(question);
  }

  /**
   * The offset of the first entry that is not older than `time`, a Date or Unix milliseconds, by the log's own time: within a second, while the leader's clock
   * is right. The end where all are older, the start where none is. Of what is committed on the node that answers, as for {@link end}. Rejects as that, and
   * UNSUPPORTED for a log without times, DAMAGED; with TypeError or RangeError for what is no time.
   */
  async offsetAt(time: Time, options: EndOptions = {}): Promise<number> {
    const timeMs = checkTime('the time', time);
    const question = this.#endQuestion('offsetAt', options);
    this.#core.check();
    return this.#core.readNodes.find(timeMs, question);
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
      this.#patience ??= new ClosePatience(() => this.#core.watch.settledCount);
      if (timeoutMs !== undefined) this.#patience.limitTo(timeoutMs);
    } catch (thrown) {
      return Promise.reject(thrown);
    }
    this.#core.over ??= closedError();
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
      atLeast: checkAtLeast(this.#core.log, options.atLeast),
      timeoutMs: timeoutMs === undefined ? undefined : checkInteger('timeoutMs', timeoutMs, 1, MAX_TIMER_MS),
    };
  }

  /** Where a read or a subscription with these options begins. */
  #beginningOf(options: Pick<ReadOptions, 'from' | 'since' | 'last' | 'limit'>): StreamPlan['from'] {
    const { readNodes, workspace, log } = this.#core;
    const since = checkSince(options);
    if (since !== undefined) return beginningSince(readNodes, since);
    const last = checkLast(options);
    return last === undefined ? checkFrom(log, options.from) : beginningOfLast(readNodes, workspace, last);
  }

  async #close(patience: ClosePatience): Promise<void> {
    const drained = this.#core.drained();
    const inTime = (done: Promise<unknown>): Promise<boolean> => Promise.race([done.then(() => true), patience.over.then(() => false)]);
    const isInTime = await inTime(drained);
    if (!isInTime) this.#core.appender.giveUp(...closeErrors(patience.elapsedMs));
    // A goodbye takes a moment where the server hangs, and the time that was given holds for it, too.
    if (!isInTime || !(await inTime(this.#core.disconnect(false)))) await this.#core.disconnect(true);
    patience.stop();
    // Writers look into the log for what they lost, which fails at once now.
    await drained;
    this.#core.watch.emit({ type: 'closed' });
  }

  #submit(payloads: readonly Uint8Array[], options: AppendOptions, caller: AppendCaller): void {
    checkOptions('An append', options, APPEND_OPTIONS);
    this.#core.check();
    const { appender, settings, log } = this.#core;
    const operation = operationOf(payloads, options, caller, { ack: settings.ack, log });
    const signal = checkSignal(options.signal);
    if (signal === undefined) appender.submit(operation);
    else appender.submit(withSignal(operation, signal, caller.what, (given) => appender.abort(given, caller.what, signal)));
  }
}
