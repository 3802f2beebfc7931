// The way to the leader, where appends go: finds it among the addresses and the names that nodes give, follows it when it changes,
// waits longer after each failure, and gives what is pending up after a time.
//
//   seeking ──(found)──► connected ──(lost, or it no longer leads)──► seeking ──(timeout)──► resting ──(needed)──► seeking

import type { LogError } from '../../core/errors.ts';
import type { Watch } from '../events.ts';
import type { Settings } from '../options.ts';
import { attemptMs, Pause, pauseMs } from './backoff.ts';
import type { Connection } from './connection.ts';
import { type Connections, isHopeless, isOtherLog, noLeaderError, seen, unreachableError } from './connections.ts';
import { isTokenError } from './token.ts';

/** How long a leader of the past may take to answer what it has, once another node leads. */
const STALE_ANSWERS_MS = 500;

/** What the search tells the client. */
export interface LeaderHandlers {
  /** Appends go here from now on. */
  connected(connection: Connection): void;
  /** Appends no longer go there; it may still answer those that it has. */
  left(connection: Connection): void;
  /** No leader for the reconnect timeout: what waits for one must fail. */
  unreachable(error: LogError): void;
}

interface Waiter {
  resolve(connection: Connection): void;
  reject(error: LogError): void;
}

export class LeaderSearch {
  readonly #connections: Connections;
  readonly #settings: Settings;
  readonly #handlers: LeaderHandlers;
  readonly #watch: Watch;
  /** The leader's. */
  #connection: Connection | undefined;
  /** While there is no leader: a node that answers, which will say when there is one. */
  #scout: Connection | undefined;
  #waiters: Waiter[] = [];
  #isSeeking = false;
  #pause: Pause | undefined;
  /** A node told of a leader while the last search was under way: of one that was known, or of a newer one. */
  #hinted: 'known' | 'newer' | undefined;
  /** The highest term in which this client knew of a leader. */
  #leaderTerm = 0;
  /** The last search found that none will find anything. */
  #isHopeless = false;
  /** The leader that had no room for appends, until it acknowledges one: its loss, and that disks are full, are told once, however often it is tried again. */
  #roomless: { readonly nodeId: number; readonly term: number; readonly isFull: boolean } | undefined;
  /** The node that led last; 0: none did yet. */
  #lastLeaderId = 0;
  /** Searches without success, and leaders that did not last, in a row. */
  #failures = 0;
  #connectedAtMs = 0;
  #firstUrl = 0;
  #staleTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(connections: Connections, settings: Settings, handlers: LeaderHandlers, watch: Watch) {
    this.#watch = watch;
    this.#connections = connections;
    this.#settings = settings;
    this.#handlers = handlers;
  }

  /** The connection to the leader, if there is one. */
  get connection(): Connection | undefined {
    return this.#connection;
  }

  /**
   * Connects for the first time. Any node will do, but the leader is looked for. Rejects UNREACHABLE after the reconnect timeout, and at once
   * when what answers is no node of this log, or OTHER_CLUSTER.
   */
  async start(signal: AbortSignal | undefined): Promise<void> {
    const stop = (): void => this.#connections.stop();
    signal?.addEventListener('abort', stop);
    try {
      if (signal?.aborted) stop();
      const deadlineMs = performance.now() + this.#settings.timeoutMs;
      for (;;) {
        const error = await this.#search(attemptMs(deadlineMs, this.#settings));
        if (this.#connection !== undefined || this.#scout !== undefined) break;
        if (error === undefined || this.#connections.ended.aborted) throw this.#connections.overError();
        this.#failures += 1;
        if (this.#isHopeless || performance.now() >= deadlineMs) throw error;
        this.#watch.emit({ type: 'waiting', wants: 'leader', attempts: this.#failures, error });
        await this.#pauseUntil(deadlineMs);
      }
    } finally {
      signal?.removeEventListener('abort', stop);
    }
    this.#failures = 0;
    this.wake();
  }

  /** The connection to the leader, held for the caller. Rejects UNREACHABLE or NOT_LEADER after the reconnect timeout, CLOSED after close. */
  acquire(): Promise<Connection> {
    if (this.#connections.ended.aborted) return Promise.reject(this.#connections.overError());
    if (this.#connection?.isUsable) return Promise.resolve(this.#connection.hold());
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      this.wake();
    });
  }

  /** Begins to search unless connected or at it: after a timeout it rests until it is needed again. */
  wake(): void {
    if (this.#connection !== undefined || this.#isSeeking || this.#connections.ended.aborted) return;
    void this.#seek();
  }

  /** To be called when a connection is lost, after the appends have taken note. */
  lost(connection: Connection): void {
    if (this.#scout === connection) this.#scout = undefined;
    if (this.#connection === connection) this.#forget(connection);
  }

  /** A node refuses appends: it stops, no longer leads, or has no room for them now, and is then not to be asked again at once. `error`: what it said of one. */
  refused(connection: Connection, error?: LogError): void {
    // Neither a crowd nor a full disk is gone at once: pauses grow.
    const isRoomless = error?.code === 'OVERLOADED' || error?.code === 'DISK_FULL';
    if (isRoomless) connection.hasAppended = false;
    // What it said of itself last may be older than the refusal, or say nothing of it.
    if (connection.hello.role === 'leader') connection.isDeposed = true;
    if (this.#connection === connection) {
      this.#forget(connection);
      connection.release();
    }
    if (isRoomless) this.#noteRoomless(connection, error);
  }

  /** It has acknowledged an append. */
  accepted(connection: Connection): void {
    if (this.#roomless === undefined || connection !== this.#connection) return;
    this.#roomless = undefined;
    this.#watch.emit({ type: 'leader', ...seen(connection) });
  }

  #isRoomless({ hello }: Connection): boolean {
    return this.#roomless?.nodeId === hello.nodeId && this.#roomless.term === hello.term;
  }

  #noteRoomless(connection: Connection, error: LogError): void {
    const { nodeId, term } = connection.hello;
    const isFull = error.code === 'DISK_FULL';
    const wasFull = this.#isRoomless(connection) && this.#roomless?.isFull === true;
    this.#roomless = { nodeId, term, isFull: isFull || wasFull };
    if (isFull && !wasFull) this.#watch.emit({ type: 'diskFull', ...seen(connection), error });
  }

  /** A node said something new of itself. */
  greeted(connection: Connection): void {
    const leader = this.#connection;
    const { hello } = connection;
    const knowsLeader = connection.isLeader || hello.leader !== '';
    if (leader === undefined) {
      if (knowsLeader) this.#hint(hello.term);
    } else if (leader === connection) {
      if (!connection.isLeader) this.refused(connection);
    } else if (hello.term > leader.hello.term && knowsLeader && !leader.urls.has(this.#connections.addresses.of(hello.leader))) {
      this.#leaveStale(leader);
    }
  }

  /** A node does not answer. If it is the leader, it may be paused or cut off, and the others may have a new one. */
  suspect(connection: Connection): void {
    if (connection === this.#connection && this.#connections.addresses.hasOthers) void this.#askOthers(connection);
  }

  /** Nobody is waited for any more. `failure`: as for {@link Connections.stop}. */
  stop(failure?: LogError): void {
    clearTimeout(this.#staleTimer);
    this.#connections.stop(failure);
    this.#failWaiters(this.#connections.overError());
  }

  async #askOthers(leader: Connection): Promise<void> {
    const { term } = leader.hello;
    const { wanted, others } = await this.#connections.find({
      urls: this.#connections.addresses.all.filter((url) => !leader.urls.has(url)),
      isWanted: ({ isLeader, hello }) => hello.term > term && (isLeader || hello.leader !== ''),
      followsLeader: false,
      timeoutMs: this.#settings.connectTimeoutMs,
    });
    if (wanted !== undefined && this.#connection === leader && leader.hello.term === term) this.#leaveStale(leader);
    for (const other of [wanted, ...others]) other?.release();
  }

  /** Somebody else leads by now; the old leader may be cut off and never say so. It gets a moment to answer what it has. */
  #leaveStale(leader: Connection): void {
    this.refused(leader);
    clearTimeout(this.#staleTimer);
    this.#staleTimer = setTimeout(() => leader.drop('another node leads by now, and this one does not say so'), STALE_ANSWERS_MS);
  }

  #forget(connection: Connection): void {
    this.#connection = undefined;
    // A leader that goes at once and has done nothing is as bad as none: the pauses must go on growing.
    if (connection.hasAppended || performance.now() - this.#connectedAtMs > this.#settings.maxDelayMs) this.#failures = 0;
    else this.#failures += 1;
    if (!this.#connections.ended.aborted && !this.#isRoomless(connection)) this.#watch.emit({ type: 'leaderLost', ...seen(connection) });
    this.#handlers.left(connection);
    this.wake();
  }

  /** There may be a leader now: no pause if it was elected since, else a short one. */
  #hint(term: number): void {
    if (term > this.#leaderTerm) this.#hinted = 'newer';
    else this.#hinted ??= 'known';
    this.#leaderTerm = Math.max(this.#leaderTerm, term);
    this.#pause?.shorten(this.#hinted === 'newer' ? 0 : pauseMs(1, this.#settings));
  }

  async #seek(): Promise<void> {
    this.#isSeeking = true;
    const deadlineMs = performance.now() + this.#settings.timeoutMs;
    for (;;) {
      await this.#pauseUntil(deadlineMs);
      if (this.#connections.ended.aborted) break;
      const error = await this.#search(attemptMs(deadlineMs, this.#settings));
      if (error === undefined || this.#connections.ended.aborted) break;
      // Mirrors are not there to lead: who asks again is told again, at once.
      const isReadOnly = error.code === 'READ_ONLY';
      if (!isReadOnly) this.#failures += 1;
      // An address that is another cluster's now is so for good; one that is no node at the moment may be one again.
      if (performance.now() < deadlineMs && !isOtherLog(error) && !isReadOnly && !isTokenError(error.code)) {
        this.#watch.emit({ type: 'waiting', wants: 'leader', attempts: this.#failures, error });
        continue;
      }
      this.#watch.emit({ type: 'gaveUp', wants: 'leader', error });
      this.#failWaiters(error);
      this.#isSeeking = false;
      this.#handlers.unreachable(error);
      return;
    }
    this.#isSeeking = false;
    // The leader may have been lost again while it was being announced.
    if (this.#connection === undefined) this.wake();
  }

  /** Waits longer after each failure; never past the deadline, where there is one more attempt. */
  async #pauseUntil(deadlineMs: number): Promise<void> {
    const most = this.#hinted === 'newer' ? 0 : this.#hinted === 'known' ? 1 : this.#failures;
    const ms = pauseMs(Math.min(this.#failures, most), this.#settings);
    this.#pause = new Pause(Math.min(ms, deadlineMs - performance.now()), this.#connections.ended);
    await this.#pause.over;
    this.#pause = undefined;
    this.#hinted = undefined;
  }

  /** Tries every address once. Undefined when the leader was found; otherwise why not. */
  async #search(timeoutMs: number): Promise<LogError | undefined> {
    const { addresses, namedLeader } = this.#connections;
    const { given, told } = addresses;
    const inTurn = [...given.map((_, i) => given[(this.#firstUrl + i) % given.length] ?? ''), ...told];
    const found = await this.#connections.find({
      urls: namedLeader === '' ? inTurn : [namedLeader, ...inTurn],
      isWanted: (connection) => connection.isLeader,
      followsLeader: true,
      timeoutMs,
    });
    const { wanted, others } = found;
    this.#isHopeless = isHopeless(found);
    if (wanted?.isUsable && wanted.isLeader) {
      for (const other of others) other.release();
      this.#adopt(wanted);
      return undefined;
    }
    wanted?.release();
    this.#keepScout(others);
    return others.length > 0 || wanted !== undefined ? noLeaderError(found, addresses) : unreachableError(found.failures);
  }

  #adopt(connection: Connection): void {
    this.#connection = connection;
    this.#leaderTerm = Math.max(this.#leaderTerm, connection.hello.term);
    connection.hasAppended = false;
    this.#connectedAtMs = performance.now();
    const { given } = this.#connections.addresses;
    this.#firstUrl = Math.max(
      0,
      given.findIndex((url) => connection.urls.has(url)),
    );
    this.#scout?.release();
    this.#scout = undefined;
    const { nodeId } = connection.hello;
    if (this.#lastLeaderId !== 0 && this.#lastLeaderId !== nodeId) this.#watch.leaderChangeCount += 1;
    this.#lastLeaderId = nodeId;
    if (!this.#isRoomless(connection)) {
      this.#roomless = undefined;
      this.#watch.emit({ type: 'leader', ...seen(connection) });
    }
    this.#handlers.connected(connection);
    this.#serve(connection);
  }

  /** Of nodes that answered and do not lead, one is kept; the hold on each of them is ours. */
  #keepScout(others: readonly Connection[]): void {
    const scout = others.findLast(({ isUsable }) => isUsable);
    for (const other of others) if (other !== scout) other.release();
    if (scout === undefined) return;
    this.#scout?.release();
    this.#scout = scout;
  }

  #serve(connection: Connection): void {
    for (const waiter of this.#waiters.splice(0)) waiter.resolve(connection.hold());
  }

  #failWaiters(error: LogError): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter.reject(error);
  }
}
