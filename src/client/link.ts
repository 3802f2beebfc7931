// Keeps one connection alive: tries the addresses in turn, follows the leader, waits longer after each failure, and gives what is
// pending up after a time. The only place that decides when to connect.

import { LogError } from '../core/errors.ts';
import type { Hello } from '../protocol/client.ts';
import { type Connection, type ConnectionHandlers, dial } from './connection.ts';
import { closedError, type Settings } from './options.ts';
import type { OpenTransport } from './transport.ts';

/** What the link tells the client. */
export interface LinkHandlers extends ConnectionHandlers {
  connected(connection: Connection): void;
  /** No connection for the reconnect timeout: what waits for one must fail. */
  unreachable(error: LogError): void;
}

interface Waiter {
  resolve(connection: Connection): void;
  reject(error: LogError): void;
}

export class Link {
  readonly #open: OpenTransport;
  readonly #urls: readonly string[];
  readonly #settings: Settings;
  readonly #handlers: LinkHandlers;
  readonly #ended = new AbortController();
  #connection: Connection | undefined;
  #hello: Hello | undefined;
  #waiters: Waiter[] = [];
  #isReconnecting = false;
  /** Failed attempts and connections that did not last, in a row. */
  #failures = 0;
  #connectedAtMs = 0;
  #firstUrl = 0;

  constructor(open: OpenTransport, urls: readonly string[], settings: Settings, handlers: LinkHandlers) {
    this.#open = open;
    this.#urls = urls;
    this.#settings = settings;
    this.#handlers = handlers;
  }

  /** The live connection, if there is one. */
  get connection(): Connection | undefined {
    return this.#connection;
  }

  /** The greeting of the latest connection. */
  get hello(): Hello | undefined {
    return this.#connection?.hello ?? this.#hello;
  }

  /** Connects for the first time: each address once. Rejects UNREACHABLE. */
  async start(signal: AbortSignal | undefined): Promise<void> {
    const stop = (): void => this.#ended.abort();
    signal?.addEventListener('abort', stop);
    try {
      if (signal?.aborted) stop();
      this.#adopt(await this.#tryAll(this.#settings.connectTimeoutMs));
    } finally {
      signal?.removeEventListener('abort', stop);
    }
  }

  /** The live connection, waiting for one if need be. Rejects UNREACHABLE after the reconnect timeout, CLOSED after close. */
  connected(): Promise<Connection> {
    if (this.#ended.signal.aborted) return Promise.reject(closedError());
    if (this.#connection !== undefined) return Promise.resolve(this.#connection);
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      this.wake();
    });
  }

  /** Begins to reconnect unless connected or at it: after a timeout the link rests until it is needed again. */
  wake(): void {
    if (this.#connection !== undefined || this.#isReconnecting || this.#ended.signal.aborted) return;
    void this.#reconnect();
  }

  /** To be called by the handler of a lost connection, after it has taken note. */
  lost(connection: Connection): void {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    this.#hello = connection.hello;
    // A connection that breaks at once is as bad as none: the pauses must go on growing.
    if (performance.now() - this.#connectedAtMs > this.#settings.maxDelayMs) this.#failures = 0;
    this.wake();
  }

  /** Ends everything; resolves when the socket is closed. */
  async close(): Promise<void> {
    const connection = this.#connection;
    this.#ended.abort();
    this.#failWaiters(closedError());
    await connection?.close();
    this.#connection = undefined;
  }

  async #reconnect(): Promise<void> {
    this.#isReconnecting = true;
    const deadlineMs = performance.now() + this.#settings.timeoutMs;
    while (!this.#ended.signal.aborted) {
      await this.#pause();
      if (this.#ended.signal.aborted) break;
      const leftMs = Math.max(1, Math.ceil(deadlineMs - performance.now()));
      try {
        const connection = await this.#tryAll(Math.min(leftMs, this.#settings.connectTimeoutMs));
        this.#isReconnecting = false;
        this.#adopt(connection);
        return;
      } catch (thrown) {
        this.#failures += 1;
        if (performance.now() < deadlineMs) continue;
        this.#isReconnecting = false;
        const error = thrown instanceof LogError ? thrown : new LogError('UNREACHABLE', String(thrown));
        this.#failWaiters(error);
        this.#handlers.unreachable(error);
        return;
      }
    }
    this.#isReconnecting = false;
  }

  /** Waits before the next attempt: twice as long after each failure, and never in step with other clients. */
  #pause(): Promise<void> {
    const { minDelayMs, maxDelayMs } = this.#settings;
    const fullMs = Math.min(maxDelayMs, minDelayMs * 2 ** Math.min(this.#failures, 30));
    return new Promise((resolve) => {
      const { signal } = this.#ended;
      const finish = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', finish);
        resolve();
      };
      const timer = setTimeout(finish, fullMs * (0.5 + Math.random() / 2));
      signal.addEventListener('abort', finish);
    });
  }

  async #tryAll(timeoutMs: number): Promise<Connection> {
    const failures: string[] = [];
    for (let i = 0; i < this.#urls.length; i++) {
      const index = (this.#firstUrl + i) % this.#urls.length;
      const url = this.#urls[index];
      if (url === undefined || this.#ended.signal.aborted) break;
      try {
        const connection = await this.#dial(url, timeoutMs);
        this.#firstUrl = index;
        return await this.#followLeader(connection, timeoutMs);
      } catch (thrown) {
        failures.push(`${url}: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
      }
    }
    const sentence = `No LogLog server answers. ${failures.join('; ')}. Check that one is running there and that the address is right.`;
    throw new LogError('UNREACHABLE', sentence);
  }

  /** Exchanges a follower for the leader that it names. A follower is kept when its leader does not answer: it can be read from. */
  async #followLeader(follower: Connection, timeoutMs: number): Promise<Connection> {
    const { role, leader } = follower.hello;
    if (role === 'leader' || leader === '' || leader === follower.url) return follower;
    try {
      const connection = await this.#dial(leader, timeoutMs);
      follower.drop('the client goes to the leader');
      return connection;
    } catch {
      return follower;
    }
  }

  #dial(url: string, timeoutMs: number): Promise<Connection> {
    const clusterId = this.#connection?.hello.clusterId ?? this.#hello?.clusterId;
    return dial(url, { open: this.#open, handlers: this.#handlers, timeoutMs, clusterId, signal: this.#ended.signal });
  }

  #adopt(connection: Connection): void {
    this.#connection = connection;
    this.#hello = connection.hello;
    this.#connectedAtMs = performance.now();
    if (this.#ended.signal.aborted) {
      connection.drop('the client is closed');
      return;
    }
    if (connection.isLost) {
      this.#failures += 1;
      this.lost(connection);
      return;
    }
    this.#handlers.connected(connection);
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter.resolve(connection);
  }

  #failWaiters(error: LogError): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter.reject(error);
  }
}
