// The way to nodes that are read from: any of them will do that has what the reader must see, a follower rather than the leader, and
// each client begins at another one. A node that is behind, damaged or gone is left for the next.

import { LogError } from '../../core/errors.ts';
import { MAX_WAIT_MS } from '../../core/servingLimits.ts';
import type { LogId } from '../bookmark.ts';
import type { Watch } from '../events.ts';
import type { Settings } from '../options.ts';
import type { Asking } from '../segments/source.ts';
import { attemptMs, Pause, pauseMs } from './backoff.ts';
import type { Connection } from './connection.ts';
import { type Connections, type Failure, isOtherLog, unreachableError } from './connections.ts';
import type { LeaderSearch } from './leaderSearch.ts';
import type { EndRequest, LogEnd } from './questions.ts';
import { isTokenError, isTokenOver } from './token.ts';

/** How long a node may take to catch up while there are others that may have it already. */
const BEHIND_WAIT_MS = 1_000;

/** How long a node that was left is not preferred. */
const LEFT_FOR_MS = 10_000;

/** What `end` asks of whichever node answers. */
export interface EndQuestion {
  readonly linearizable: boolean;
  readonly atLeast: number;
  /** Longest time for the answer, in milliseconds; undefined: as long as it takes to find a node. */
  readonly timeoutMs: number | undefined;
}

export interface EndAnswer {
  readonly end: LogEnd;
  /**
   * The node was in this term, or a later one, when it was asked: then no leader of an earlier term can have answered a linearizable
   * question. The term in the answer itself may be younger than what it says of the log.
   */
  readonly atTerm: number;
}

/** Whether a node's refusal says something about that node only, so that another one, or the same one later, may do better. */
export function isNodesOwn({ code }: LogError): boolean {
  return isTokenOver(code) || code === 'BEHIND' || code === 'NOT_LEADER' || code === 'SHUTTING_DOWN' || code === 'OVERLOADED';
}

export class ReadNodes {
  readonly #connections: Connections;
  readonly #leader: LeaderSearch;
  readonly #settings: Settings;
  readonly #watch: Watch;
  #current: Connection | undefined;
  #picking: Promise<Connection> | undefined;
  /** The addresses that were given, in an order of this client's own, so that clients spread over the nodes. */
  readonly #order: readonly string[];
  /** Addresses of nodes that were left, the last one last, and when that is forgotten, of `performance.now()`. */
  readonly #left = new Map<string, number>();
  /** Searches without success, and nodes that did not last, in a row. */
  #failures = 0;
  #chosenAtMs = 0;

  constructor(connections: Connections, leader: LeaderSearch, settings: Settings, watch: Watch) {
    this.#watch = watch;
    this.#connections = connections;
    this.#leader = leader;
    this.#settings = settings;
    const keys = new Map(connections.addresses.given.map((url) => [url, Math.random()]));
    this.#order = [...keys.keys()].sort((a, b) => (keys.get(a) ?? 0) - (keys.get(b) ?? 0));
  }

  /** What the node that greeted last says of what it acknowledges. All nodes of a cluster say the same. */
  get isDurable(): boolean {
    return this.#connections.hello?.isDurable ?? true;
  }

  /** Whether there may be a node beside the one that was tried. */
  get hasOthers(): boolean {
    return this.#settings.reads === 'any' && this.#connections.addresses.hasOthers;
  }

  /** Longest time that one node is given to catch up, of what is left, in milliseconds. */
  waitMs(leftMs: number): number {
    return Math.max(1, Math.min(this.hasOthers ? BEHIND_WAIT_MS : MAX_WAIT_MS, Math.ceil(leftMs)));
  }

  /** What every read must see: the client's own committed appends, and all that it was ever shown. */
  get observed(): number {
    return this.#connections.observed.commit;
  }

  /** What counts, and tells events. */
  get watch(): Watch {
    return this.#watch;
  }

  /** How the host of an address is asked over HTTP: a node with what this client shows to nodes, others without. */
  askingAt(url: string): Asking {
    const { token, fetches } = this.#settings;
    return this.#connections.addresses.isNode(url) ? { token, fetch: fetches.nodes } : { token: undefined, fetch: fetches.others };
  }

  /** Of the log that is read. */
  get clusterId(): string {
    return this.#connections.clusterId;
  }

  /** Of the log, 16 hexadecimal digits; undefined where no node has said it. */
  get generation(): string | undefined {
    return this.#connections.hello?.cluster?.generation;
  }

  /** Which log is read. */
  get log(): LogId {
    return this.#connections.log;
  }

  /** How long nodes may refuse before it is taken for an answer, in milliseconds. */
  get timeoutMs(): number {
    return this.#settings.timeoutMs;
  }

  /** How long the log may be asked at least what became of an append, in milliseconds. */
  get lookTimeoutMs(): number {
    return this.#settings.connectTimeoutMs;
  }

  /** A node to read from, at one of the addresses that this client was given, held for the caller. Rejects UNREACHABLE after the reconnect timeout, CLOSED after close. */
  async acquire(): Promise<Connection> {
    if (this.#settings.reads === 'leader') return this.#leader.acquire();
    for (;;) {
      if (this.#connections.ended.aborted) throw this.#connections.overError();
      if (this.#current?.isUsable) return this.#current.hold();
      this.#picking ??= this.#pick().finally(() => {
        this.#picking = undefined;
      });
      await this.#picking;
    }
  }

  /**
   * The node that can tell what is beyond the end of the whole log, held for the caller: the leader, or for a client that was given one
   * address that node, which asks the leader when the question is linearizable.
   */
  authority(): Promise<Connection> {
    const isOneNode = this.#settings.reads === 'any' && this.#connections.addresses.given.length === 1;
    return isOneNode ? this.acquire() : this.#leader.acquire();
  }

  /** A node did not do; others come first next time. Where there is none, the caller must pause before it tries again. */
  leave(connection: Connection): void {
    if (this.#current !== connection) return;
    for (const url of this.#connections.addresses.all) {
      if (!connection.urls.has(url)) continue;
      this.#left.delete(url);
      this.#left.set(url, performance.now() + LEFT_FOR_MS);
    }
    this.#current = undefined;
    connection.release();
  }

  lost(connection: Connection): void {
    if (this.#current !== connection) return;
    this.#current = undefined;
    // A node that breaks at once is as bad as none: the pauses must go on growing.
    if (performance.now() - this.#chosenAtMs > this.#settings.maxDelayMs) this.#failures = 0;
    else this.#failures += 1;
  }

  /** Waits between two attempts of the same undertaking that began at `sinceMs`: longer after each failure. */
  pause(failures: number, sinceMs = performance.now()): Promise<void> {
    return new Pause(pauseMs(failures, this.#settings) - (performance.now() - sinceMs), this.#connections.ended).over;
  }

  /** Asks for the log's bounds until a node answers. Rejects BEHIND, NOT_LEADER, UNREACHABLE, TIMEOUT, CLOSED. */
  async end(question: EndQuestion): Promise<LogEnd> {
    return (await this.ask(question)).end;
  }

  /** The same, and what is known of the term of the answer. */
  ask(question: EndQuestion): Promise<EndAnswer> {
    return this.#ask(question, async (connection, request) => {
      const atTerm = connection.hello.term;
      const end = await connection.questions.end(request);
      return end && { end, atTerm };
    });
  }

  /** Asks for the first entry that is not older than `timeMs` until a node answers that has what `question` wants. Rejects as {@link end}, and UNSUPPORTED, DAMAGED. */
  find(timeMs: number, question: EndQuestion): Promise<number> {
    return this.#ask(
      question,
      async (connection, request) => (await connection.questions.end(request)) && connection.questions.find(timeMs),
    );
  }

  #ask<T>(question: EndQuestion, ask: Ask<T>): Promise<T> {
    const { timeoutMs } = question;
    const state: EndState = { deadlineMs: performance.now() + (timeoutMs ?? this.#settings.timeoutMs), isOver: false, error: undefined };
    if (timeoutMs === undefined) return this.#askUntil(question, ask, state);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        state.isOver = true;
        reject(state.error ?? new LogError('TIMEOUT', `No node told the end of the log within ${timeoutMs} ms.`, {}, 'failed'));
      }, timeoutMs);
      this.#askUntil(question, ask, state)
        .then(resolve, reject)
        .finally(() => clearTimeout(timer));
    });
  }

  async #askUntil<T>({ linearizable, atLeast }: EndQuestion, ask: Ask<T>, state: EndState): Promise<T> {
    for (let failures = 0; ; failures++) {
      const sinceMs = performance.now();
      const connection = await this.acquire();
      try {
        const request: EndRequest = {
          linearizable,
          atLeast: Math.max(atLeast, this.observed),
          waitMs: this.waitMs(state.deadlineMs - sinceMs),
        };
        const answer = await ask(connection, request);
        if (answer !== undefined) return answer;
      } catch (thrown) {
        if (!(thrown instanceof LogError) || !isNodesOwn(thrown)) throw thrown;
        state.error = thrown;
        this.leave(connection);
        if (state.isOver || performance.now() >= state.deadlineMs) throw thrown;
      } finally {
        connection.release();
      }
      await this.pause(failures, sinceMs);
      if (state.isOver) throw state.error ?? this.#connections.overError();
    }
  }

  /** Finds a node, which becomes the current one. */
  async #pick(): Promise<Connection> {
    const { ended } = this.#connections;
    const deadlineMs = performance.now() + this.#settings.timeoutMs;
    for (;;) {
      await new Pause(Math.min(pauseMs(this.#failures, this.#settings), deadlineMs - performance.now()), ended).over;
      if (ended.aborted) throw this.#connections.overError();
      for (const [url, untilMs] of this.#left) if (untilMs < performance.now()) this.#left.delete(url);
      const { chosen, failures } = await this.#choose(attemptMs(deadlineMs, this.#settings));
      if (chosen !== undefined) {
        this.#current = chosen;
        this.#chosenAtMs = performance.now();
        return chosen;
      }
      if (ended.aborted) throw this.#connections.overError();
      this.#failures += 1;
      const error = unreachableError(failures);
      if (performance.now() >= deadlineMs || isOtherLog(error) || isTokenError(error.code)) {
        this.#watch.emit({ type: 'gaveUp', wants: 'reader', error });
        throw error;
      }
      this.#watch.emit({ type: 'waiting', wants: 'reader', attempts: this.#failures, error });
    }
  }

  /** A node among the addresses that were given, or where there is none that will do, among those that nodes tell; held for the caller. */
  async #choose(timeoutMs: number): Promise<{ readonly chosen: Connection | undefined; readonly failures: readonly Failure[] }> {
    const left = [...this.#left.keys()];
    const wasLeft = ({ urls: known }: Connection): boolean => left.some((url) => known.has(url));
    // The leader is spared where a follower answers; nodes that were left come last, whatever they are.
    const leader = this.#leader.connection;
    const rank = (url: string): number => (left.includes(url) ? 1 + left.indexOf(url) : leader?.urls.has(url) ? 0 : -1);
    const usable: Connection[] = [];
    const failures: Failure[] = [];
    let chosen: Connection | undefined;
    for (const urls of [this.#order, this.#connections.addresses.told]) {
      const found = await this.#connections.find({
        urls: [...urls].sort((a, b) => rank(a) - rank(b)),
        isWanted: (connection) => !connection.isLeader && !wasLeft(connection),
        followsLeader: false,
        timeoutMs,
      });
      for (const one of [found.wanted, ...found.others])
        if (one?.isUsable) usable.push(one);
        else one?.release();
      failures.push(...found.failures);
      chosen = usable.find((one) => one.isUsable && !wasLeft(one));
      if (chosen !== undefined) break;
    }
    chosen ??= usable.find(({ isUsable }) => isUsable);
    let isKept = false;
    for (const one of usable) {
      if (one === chosen && !isKept) isKept = true;
      else one.release();
    }
    return { chosen, failures };
  }
}

/** Asks a node; undefined: the connection was lost before the answer. */
type Ask<T> = (connection: Connection, request: EndRequest) => Promise<T | undefined>;

interface EndState {
  readonly deadlineMs: number;
  isOver: boolean;
  error: LogError | undefined;
}
