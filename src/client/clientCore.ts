// What a client is inside: the connections, the search for the leader, the appender and the nodes that are read from, wired to each other once. What
// applications see of it is in client.ts and administration.ts.

import type { LogError } from '../core/errors.ts';
import { CLIENT_UPLOADS, type Hello } from '../protocol/greeting.ts';
import { Appender } from './append/appender.ts';
import type { AppenderOwner } from './append/appenderOwner.ts';
import { findCommittedEnd } from './append/committedEnd.ts';
import { findAppends, recheck } from './append/recheck.ts';
import type { AskLeaderPorts } from './askLeader.ts';
import type { LogId } from './bookmark.ts';
import { closedError } from './closing.ts';
import { Watch } from './events.ts';
import type { ConnectionHandlers } from './nodes/connection.ts';
import { Connections } from './nodes/connections.ts';
import { type LeaderHandlers, LeaderSearch } from './nodes/leaderSearch.ts';
import { ReadNodes } from './nodes/readNodes.ts';
import type { Tracing } from './nodes/transport.ts';
import type { Settings } from './options.ts';
import { type ClientParts, MIN_SLOTS } from './parts.ts';
import { Uploader, type UploaderOwner } from './uploads/uploader.ts';
import { SLOT_BYTES, type Workspace } from './wasm.ts';
import type { WriterPort } from './writer/writerPort.ts';

export class ClientCore {
  readonly settings: Settings;
  readonly tracing: Tracing | undefined;
  readonly workspace: Workspace;
  readonly watch: Watch;
  readonly appender: Appender;
  readonly connections: Connections;
  readonly leader: LeaderSearch;
  readonly readNodes: ReadNodes;
  /** How a question that only the leader answers is asked. */
  readonly asks: AskLeaderPorts;
  /** Why it takes nothing more; undefined while it does. */
  over: LogError | undefined;
  readonly #uploader: Uploader | undefined;
  /** Those with unsettled appends. */
  readonly #busyWriters = new Set<{ close(): Promise<void> }>();

  constructor({ platform: { open, listeners, tracing }, urls, settings, workspace }: ClientParts) {
    const watch = new Watch(settings.onEvent === undefined ? listeners : [settings.onEvent, ...listeners]);
    this.settings = settings;
    this.tracing = tracing;
    this.workspace = workspace;
    this.watch = watch;
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
    this.appender = appender;
    this.connections = connections;
    this.leader = leader;
    this.readNodes = readNodes;
    this.#uploader = uploader;
    this.asks = { leader, pause: (failures) => readNodes.pause(failures) };
  }

  /** Throws why it takes nothing more. */
  check(): void {
    if (this.over !== undefined) throw this.over;
  }

  /** What the leader said of itself, or while there is none, the node that spoke last. */
  get hello(): Hello {
    const hello = this.leader.connection?.hello ?? this.connections.hello;
    // `connect` gives a client out only after a greeting.
    if (hello === undefined) throw closedError();
    return hello;
  }

  /** Which log it is. */
  get log(): LogId {
    return this.connections.log;
  }

  /** The largest payload that the server takes, and the most bytes of entries that the server and this client's memory take at once. */
  limits(): { maxPayloadBytes: number; maxBatchBytes: number } {
    const { maxPayloadBytes, maxBatchBytes } = this.hello;
    return { maxPayloadBytes, maxBatchBytes: Math.min(maxBatchBytes, (MIN_SLOTS - 1) * SLOT_BYTES) };
  }

  /** What a writer needs. */
  writerPort(): WriterPort {
    const { appender, readNodes, workspace, watch } = this;
    const { maxInFlightBytes, maxQueuedBytes, timeoutMs, connectTimeoutMs } = this.settings;
    return {
      maxInFlightBytes,
      maxQueuedBytes,
      timeoutMs,
      lookTimeoutMs: connectTimeoutMs,
      limits: () => this.limits(),
      committed: () => readNodes.observed,
      isDurable: () => readNodes.isDurable,
      over: () => this.over,
      busy: (writer, isBusy) => void (isBusy ? this.#busyWriters.add(writer) : this.#busyWriters.delete(writer)),
      watch,
      submit: (operation) => appender.submit(operation),
      ready: () => appender.ready(),
      find: (question) => findAppends(readNodes, workspace, question),
      findCommittedEnd: (question) => findCommittedEnd(readNodes, workspace, question),
      pause: (failures) => readNodes.pause(failures),
    };
  }

  /** Resolves once every append is settled. */
  async drained(): Promise<void> {
    await Promise.all([...this.#busyWriters].map((writer) => writer.close()));
    await this.appender.drained();
  }

  /** Ends it at once: what was sent and has no answer is rejected with `unknown`, everything else, now and later, with `failure`. */
  fail(failure: LogError, unknown: LogError): void {
    if (this.over !== undefined) return;
    this.over = failure;
    this.appender.giveUp(unknown, failure);
    this.leader.stop(failure);
    this.#uploader?.close();
    void this.connections.close(true);
  }

  /** `isHung`: without waiting for nodes. */
  disconnect(isHung: boolean): Promise<void> {
    this.leader.stop();
    this.#uploader?.close();
    return this.connections.close(isHung);
  }
}
