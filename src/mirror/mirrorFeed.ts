// What a mirror has in place of a raft thread: it follows the log of its source, over any number of connections and nodes, and puts what comes at the
// end of its own. It looks at each node first: the same cluster and generation, an end that is not lower, the same last entry. Where that is not so
// it stops the mirror: what is here is never cut.
//
//   connecting ──► looking at a node ──► following ──(lost, or not the log)──► waiting, longer each time ──► connecting
//                       └──(another log)──► failed          └──(trimmed beyond the end)──► beginning anew ──► following

import { setTimeout as sleep } from 'node:timers/promises';
import { BatchJoiner } from '../backup/batches.ts';
import { connect, type LogClient, type TlsSource, type TokenSource } from '../client/index.ts';
import type { Connection } from '../client/nodes/connection.ts';
import { entryAt } from '../client/read/copy.ts';
import type { Batch } from '../client/read/entries.ts';
import { SegmentSource } from '../client/segments/source.ts';
import { MIRROR_ASK_MS, MIRROR_RETRY_MAX_MS, MIRROR_RETRY_MS, MIRROR_SEARCH_MS } from '../core/clientLimits.ts';
import { LogError } from '../core/errors.ts';
import { NO_INSTANCE } from '../core/ids.ts';
import { DISK_LOOK_MS } from '../core/limits.ts';
import type { ChangeOutcome } from '../core/memberChanges.ts';
import { withoutSecrets } from '../core/secrets.ts';
import { DISK_CRITICAL, STATE, WORD } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { MirrorParts, MirrorStatus } from '../node/mirrorPort.ts';
import type { FetchAnswer, RaftEvents, RaftPort } from '../node/raftPort.ts';
import { headState, MirrorLog, notTheLog } from './mirrorLog.ts';
import { MirrorProgress } from './progress.ts';
import { SourceFetch } from './sourceFetch.ts';

export interface FeedOptions {
  /** Nodes of the source. */
  readonly urls: readonly string[];
  /** What they are shown; undefined: nothing. */
  readonly token: TokenSource | undefined;
  readonly tls: TlsSource | undefined;
  readonly clusterId: string;
  readonly parts: MirrorParts;
  readonly events: RaftEvents;
  /** See MIRROR_STUCK_MS. */
  readonly stuckMs: number;
}

/** What the source has acknowledged to anyone by now; undefined where it cannot be asked. */
async function endOf(client: LogClient): Promise<number | undefined> {
  try {
    return (await client.end({ linearizable: true, timeoutMs: MIRROR_ASK_MS })).end;
  } catch (thrown) {
    if (thrown instanceof LogError) return undefined;
    throw thrown;
  }
}

/** Waits, or less long if `signal` is aborted. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return sleep(ms, undefined, { signal }).catch(() => undefined);
}

/** What no other node and no later moment makes good. */
const FATAL = ['OTHER_CLUSTER', 'NEWER_FORMAT', 'USAGE', 'DAMAGE', 'IO'];

export class MirrorFeed implements RaftPort {
  readonly started = Promise.resolve();
  readonly #urls: readonly string[];
  readonly #token: TokenSource | undefined;
  readonly #tls: TlsSource | undefined;
  readonly #clusterId: string;
  readonly #stuckMs: number;
  readonly #memory: TailMemory;
  readonly #log: MirrorLog;
  readonly #events: RaftEvents;
  readonly #progress: MirrorProgress;
  readonly #fetches: SourceFetch;
  readonly #ended = new AbortController();
  readonly #done: Promise<void>;
  #client: LogClient | undefined;
  /** The node that was looked at last. */
  #node: Connection | undefined;
  /** Where the log is to begin anew; undefined: it goes on. */
  #anew: number | undefined;
  #failures = 0;
  #wake: () => void = () => undefined;

  constructor({ urls, token, tls, clusterId, parts, events, stuckMs }: FeedOptions) {
    this.#token = token;
    this.#tls = tls;
    const { memory } = parts;
    this.#urls = urls;
    this.#clusterId = clusterId;
    this.#stuckMs = stuckMs;
    this.#memory = memory;
    this.#events = events;
    this.#log = new MirrorLog(parts, events);
    this.#fetches = new SourceFetch({
      memory,
      client: () => this.#client,
      generation: () => this.generation,
      ended: this.#ended.signal,
    });
    this.#progress = new MirrorProgress(urls, {
      end: () => memory.commit,
      ageMs: () => (this.#log.timeMs === 0 ? undefined : Math.max(0, Date.now() - this.#log.timeMs)),
      nowMs: () => performance.now(),
      wallMs: () => Date.now(),
      log: (level, text) => events.log(level, text),
    });
    this.#done = this.#run().catch((thrown: unknown) =>
      events.failed(thrown instanceof LogError ? thrown : new LogError('IO', String(thrown))),
    );
  }

  /** A mirror whose open segment is damaged does not start. */
  mending(): void {}

  mended(): void {}

  /** Sealed segments are healed from the source. */
  fetch(_node: number, from: number, end: number): Promise<FetchAnswer> {
    return this.#fetches.fetch(from, end);
  }

  get status(): MirrorStatus {
    return this.#progress.status;
  }

  /** Of the source's log; zeros while it is not known. */
  get generation(): string {
    return this.#log.source.generation;
  }

  /** A slot may be free. */
  sealed(): void {
    this.#wake();
  }

  trim(base: number): Promise<void> {
    this.#log.trim(base);
    return Promise.resolve();
  }

  removed(base: number): void {
    this.#log.removed(base);
  }

  staging(): void {
    // A mirror takes no uploads.
  }

  staged(): void {
    // Nor are any staged.
  }

  askAccess(): void {
    // Nor does anybody lead whom it could ask.
  }

  digest(): void {
    // The source has its own, and the log says what they have found.
  }

  different(): void {
    // It feeds no other node.
  }

  /** What the source has acknowledged to anyone by now. */
  async readIndex(): Promise<number | undefined> {
    return this.#client && endOf(this.#client);
  }

  /** It has no other nodes. */
  prove(): void {}

  transfer(): Promise<boolean> {
    return Promise.resolve(true);
  }

  changeNodes(): Promise<ChangeOutcome> {
    return Promise.resolve({ refusal: { code: 'NOT_LEADER', sentence: 'a mirror has no nodes' } });
  }

  async stop(): Promise<void> {
    this.#ended.abort();
    this.#wake();
    await this.#done;
    await this.#client?.close({ timeoutMs: 0 });
  }

  terminate(): Promise<void> {
    return this.stop();
  }

  get #isOver(): boolean {
    return this.#ended.signal.aborted;
  }

  async #run(): Promise<void> {
    while (!this.#isOver) {
      try {
        this.#client ??= await this.#connect();
        await this.#followWatched(this.#client);
      } catch (thrown) {
        if (this.#isOver) return;
        if (!(thrown instanceof LogError)) throw thrown;
        if (!this.#isTrimmed(thrown)) await this.#failed(thrown);
      }
    }
  }

  #connect(): Promise<LogClient> {
    return connect([...this.#urls], {
      clusterId: this.#clusterId,
      token: this.#token,
      tls: this.#tls,
      uploads: 'off',
      reconnect: { timeoutMs: MIRROR_SEARCH_MS },
      signal: this.#ended.signal,
      onEvent: (event) => {
        if (event.type === 'disconnected' && this.#node?.isLost === true && !this.#isOver)
          this.#progress.away(`${event.url}: ${event.reason}`);
      },
    });
  }

  /** Whether all that is to come next was trimmed on the source before it was here: then the log begins anew where the source's does. */
  #isTrimmed({ code, details }: LogError): boolean {
    const { start } = details;
    if (code !== 'OFFSET_TRIMMED' || start === undefined || start <= this.#log.end || start === this.#anew) return false;
    this.#anew = start;
    return true;
  }

  async #failed(error: LogError): Promise<void> {
    if (FATAL.includes(error.code)) throw error;
    this.#node = undefined;
    this.#progress.away(error.message);
    // Another client begins at another node.
    const client = this.#client;
    this.#client = undefined;
    await client?.close({ timeoutMs: 0 });
    const waitMs = Math.min(MIRROR_RETRY_MAX_MS, MIRROR_RETRY_MS * 2 ** this.#failures);
    this.#failures += 1;
    await this.#pause(waitMs);
  }

  /** Waits, or less long when {@link sealed} or {@link stop} is called. */
  #pause(ms: number): Promise<void> {
    if (this.#isOver) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#wake(), ms);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = () => undefined;
        resolve();
      };
    });
  }

  /** Follows until that fails, or the node sends nothing although the source has more: one that is cut off from the others does not know it. */
  async #followWatched(client: LogClient): Promise<void> {
    const over = new AbortController();
    const watch = this.#watch(client, over.signal).catch((thrown: unknown) => {
      over.abort();
      throw thrown;
    });
    const following = this.#follow(client, AbortSignal.any([this.#ended.signal, over.signal])).finally(() => over.abort());
    await Promise.all([watch, following]);
  }

  async #watch(client: LogClient, over: AbortSignal): Promise<void> {
    let movedMs = performance.now();
    let { end } = this.#log;
    while (!over.aborted && !this.#isOver) {
      await pause(this.#stuckMs / 6, AbortSignal.any([this.#ended.signal, over]));
      const told = over.aborted ? undefined : await endOf(client);
      if (told !== undefined) this.#told(told);
      const isWaiting = told === undefined || told <= this.#log.end || this.#memory.word32(STATE.DISK_LEVEL) === DISK_CRITICAL;
      if (isWaiting || this.#log.end !== end) movedMs = performance.now();
      end = this.#log.end;
      if (performance.now() - movedMs < this.#stuckMs) continue;
      const sentence = `The source has its log up to offset ${told}, and sends nothing from offset ${end} on. Another node is asked.`;
      throw new LogError('BEHIND', sentence, { end });
    }
  }

  async #follow(client: LogClient, signal: AbortSignal): Promise<void> {
    const joiner = new BatchJoiner();
    let received = this.#anew ?? this.#log.end;
    const batches = client.copy({
      from: received,
      catchUp: this.#urls.map((url) => new SegmentSource(url)),
      signal,
      admit: (node) => this.#admit(node),
    });
    for await (const batch of batches) {
      if (this.#anew !== undefined) await this.#beginAnew(this.#anew, batch);
      this.#told(Math.max(batch.commit, this.#node?.commit ?? 0));
      received = batch.nextOffset;
      await this.#store(joiner.push(batch.bytes));
      const held = received - this.#log.end;
      if (held > this.#memory.map.shape.segmentBytes) throw notTheLog(this.#log.end, 'is a batch that is larger than a segment');
    }
  }

  /** Looks at a node before anything is taken of it. */
  async #admit(node: Connection): Promise<void> {
    const end = await node.questions.end({ linearizable: true, atLeast: 0, waitMs: 0 });
    // Lost: another one is looked for.
    if (end === undefined) return;
    const { generation, segmentBytes = 0 } = node.hello.cluster ?? {};
    const { source, end: ownEnd } = this.#log;
    if (end.end < ownEnd) throw this.#other(node, `its log ends at offset ${end.end}, and this mirror has it up to ${ownEnd}`);
    if (generation !== undefined && generation !== NO_INSTANCE) {
      if (source.generation === NO_INSTANCE) this.#log.saveSource({ generation });
      else if (source.generation !== generation) {
        throw this.#other(
          node,
          `its log is of generation ${generation}, and this is a mirror of generation ${source.generation}: it was restored from a backup since, or promoted`,
        );
      }
    }
    if (segmentBytes > this.#memory.map.shape.segmentBytes) {
      this.#log.saveSource({ segmentBytes });
      const sentence = `the segments of the source at ${withoutSecrets(node.url)} have room for ${segmentBytes} bytes by now`;
      throw new LogError(
        'USAGE',
        `${sentence}, and this mirror's for ${this.#memory.map.shape.segmentBytes}: start it again, and they are as large here`,
      );
    }
    if (this.#anew === undefined) await this.#compareLast(node);
    this.#node = node;
    this.#progress.connected(node.url, end.end);
    this.#told(end.end);
  }

  /** Throws unless the last entry is the same there, as far as it is kept. */
  async #compareLast(node: Connection): Promise<void> {
    const last = this.#log.lastEntry();
    if (last === undefined) return;
    let found: Uint8Array | undefined;
    try {
      found = await entryAt(node, last.offset);
    } catch (thrown) {
      if (thrown instanceof LogError && thrown.code === 'OFFSET_TRIMMED') return;
      if (thrown instanceof LogError && thrown.code === 'OFFSET_NOT_BOUNDARY') found = new Uint8Array(0);
      else throw thrown;
    }
    if (found === undefined || (found.length === last.bytes.length && found.every((byte, i) => byte === last.bytes[i]))) return;
    throw this.#other(node, `its entry at offset ${last.offset} is not the one that is here`);
  }

  #other(node: Connection, what: string): LogError {
    const sentence = `the source at ${withoutSecrets(node.url)} has not the log that this mirror has: ${what}`;
    return new LogError(
      'OTHER_CLUSTER',
      `${sentence}; nothing was changed. Begin another mirror in a new directory, or make this one a log of its own with loglog promote`,
    );
  }

  /** Drops the log, which the source has trimmed past its end, and begins it anew at `base`, where `batch` begins. */
  async #beginAnew(base: number, batch: Batch): Promise<void> {
    const { end } = this.#log;
    const state = batch.offset === base ? headState(batch.bytes) : undefined;
    if (state === undefined || state.before.term === 0) {
      const sentence = `the source's log begins at offset ${base} without a state entry: it was trimmed as a log of level 0`;
      throw new LogError('USAGE', `${sentence}, and cannot be mirrored before what is kept of it begins with one`);
    }
    if (end > 0) {
      this.#events.log(
        'warn',
        `the source trimmed its log up to offset ${base}, and this mirror had it up to ${end}: it lacks what was between, and begins anew at ${base}`,
      );
    }
    this.#log.emptying(base, state.before);
    await this.#events.beginAt(base);
    this.#log.emptied(base, state.before);
    this.#anew = undefined;
  }

  /** The source has so much committed. While that is far away, no files are made ahead. */
  #told(commit: number): void {
    this.#memory.setWord(WORD.TOLD_COMMIT, commit);
    this.#memory.heardLeader(commit);
    this.#progress.told(commit);
  }

  /** Stores whole batches, all of them, as there is room. */
  async #store(bytes: Uint8Array): Promise<void> {
    let at = 0;
    while (at < bytes.length && !this.#isOver) {
      if (this.#memory.word32(STATE.DISK_LEVEL) === DISK_CRITICAL) {
        this.#progress.paused('the disk is full: this mirror takes nothing of its source until there is room');
        await this.#pause(DISK_LOOK_MS);
        continue;
      }
      const stored = this.#log.store(at === 0 ? bytes : bytes.subarray(at));
      at += stored.bytes;
      if (stored.bytes > 0) this.#failures = 0;
      if (stored.why instanceof LogError) throw stored.why;
      if (stored.why === 'full') await this.#pause(DISK_LOOK_MS);
    }
    this.#progress.paused(undefined);
    this.#progress.moved();
  }
}
