// The nodes of the log as this client knows them: its live connections, one for each node, shared by whoever needs it; and the search
// among addresses for a node that will do.

import { type ErrorCode, LogError } from '../../core/errors.ts';
import { NO_INSTANCE } from '../../core/ids.ts';
import { withoutSecrets } from '../../core/secrets.ts';
import { FEATURE_MIRROR, type Hello } from '../../protocol/greeting.ts';
import type { LogId } from '../bookmark.ts';
import { closedError } from '../closing.ts';
import type { NodeSeen, Watch } from '../events.ts';
import { Addresses } from './addresses.ts';
import type { Connection, ConnectionHandlers, Loss, Observed } from './connection.ts';
import { DialFailure, type DialOptions, dial, type FailureKind, otherCluster, otherGeneration } from './dial.ts';
import { isTokenOver, type TokenSource } from './token.ts';
import type { OpenTransport } from './transport.ts';

/** An address that has not answered for this long no longer holds up the next one. */
const HEAD_START_MS = 200;

/** Leaders that a search follows nodes to: those who name ever new ones must not keep it going. */
const MAX_LED = 32;

/** What a search brought. Every connection in it is held for the caller. */
export interface Found {
  /** The node that was looked for. */
  readonly wanted: Connection | undefined;
  /** Nodes that answered and are not it. */
  readonly others: readonly Connection[];
  /** Why the other addresses did not answer. */
  readonly failures: readonly Failure[];
}

/** Why an address did not bring a connection. */
export interface Failure {
  /** The address and the reason, for an error message. */
  readonly text: string;
  readonly kind: FailureKind;
  /** Of an `unauthenticated` one. */
  readonly code?: ErrorCode;
}

/** Which addresses to try for what. */
export interface Search {
  readonly urls: readonly string[];
  isWanted(connection: Connection): boolean;
  /** Also try the leader that a node names, before the addresses that are left. */
  readonly followsLeader: boolean;
  readonly timeoutMs: number;
}

/** What the nodes need of the client around them. */
export interface ConnectionsOwner {
  readonly handlers: ConnectionHandlers;
  readonly watch: Watch;
  readonly clusterId: string | undefined;
  readonly token: TokenSource | undefined;
  /** Bits of what the client understands besides. */
  readonly features: number;
  /** Whether addresses that nodes tell are used beside those that were given. */
  readonly discover: boolean;
}

export class Connections {
  readonly addresses: Addresses;
  readonly observed: Observed = { commit: 0 };
  readonly #open: OpenTransport;
  readonly #handlers: ConnectionHandlers;
  readonly #watch: Watch;
  readonly #clusterId: string | undefined;
  readonly #features: number;
  readonly #token: TokenSource | undefined;
  readonly #ended = new AbortController();
  readonly #live = new Set<Connection>();
  /** One attempt at an address serves all who want it. */
  readonly #dialing = new Map<string, Promise<Connection>>();
  #hello: Hello | undefined;
  /** Why nodes take the token no more that they had taken: who does not know it can only say that it is none. */
  #tokenEnding: ErrorCode = 'UNAUTHENTICATED';
  /** Generation of the log, once a node has said it. */
  #generation: string | undefined;
  #failure: LogError | undefined;

  /** `clusterId`: the only cluster that will do; undefined: the one that answers first. */
  constructor(open: OpenTransport, urls: readonly string[], { handlers, watch, clusterId, token, features, discover }: ConnectionsOwner) {
    this.#open = open;
    this.addresses = new Addresses(urls, discover);
    this.#handlers = handlers;
    this.#watch = watch;
    this.#clusterId = clusterId;
    this.#features = features;
    this.#token = token;
  }

  /** Aborted when the client is closed or its connect is given up. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  /** What any node said last of itself. */
  get hello(): Hello | undefined {
    return this.#hello;
  }

  /** The cluster that this client belongs to, once that is known. */
  get clusterId(): string {
    return this.#hello?.clusterId ?? this.#clusterId ?? '';
  }

  /** Which log it is. */
  get log(): LogId {
    return { clusterId: this.clusterId, generation: this.#generation };
  }

  /** How a node of this log is reached. */
  get dialOptions(): Omit<DialOptions, 'handlers' | 'features' | 'timeoutMs'> {
    return {
      open: this.#open,
      observed: this.observed,
      hasOthers: () => this.addresses.hasOthers,
      clusterId: this.#hello?.clusterId ?? this.#clusterId,
      token: this.#token,
      signal: this.ended,
    };
  }

  get live(): ReadonlySet<Connection> {
    return this.#live;
  }

  /** The address of the leader that the newest greeting of a live connection names, or an empty string. */
  get namedLeader(): string {
    let newest: Connection | undefined;
    for (const connection of this.#live) {
      const { hello } = connection;
      if (newest !== undefined && newest.hello.term >= hello.term) continue;
      if (connection.isLeader || (hello.role === 'follower' && hello.leader !== '')) newest = connection;
    }
    if (newest === undefined) return '';
    return newest.isLeader ? newest.url : this.addresses.of(newest.hello.leader);
  }

  /** Tries addresses until one leads to the wanted node. The next one begins when one failed, or has not answered for a moment. */
  async find({ urls, isWanted, followsLeader, timeoutMs }: Search): Promise<Found> {
    const queue = [...urls];
    const tried = new Set<string>();
    const others: Connection[] = [];
    const failures: Failure[] = [];
    let wanted: Connection | undefined;
    let isOver = false;
    let runningCount = 0;
    let ledCount = 0;
    let wake = (): void => {};
    const answered = (connection: Connection): void => {
      if (isOver || others.includes(connection) || wanted === connection) connection.release();
      else if (wanted === undefined && isWanted(connection)) wanted = connection;
      else others.push(connection);
      const { role, leader } = connection.hello;
      const url = this.addresses.of(leader);
      if (!followsLeader || role === 'leader' || url === '' || ledCount >= MAX_LED) return;
      if (!tried.has(url)) ledCount += 1;
      queue.unshift(url);
    };
    const attempt = async (url: string): Promise<void> => {
      runningCount += 1;
      try {
        answered(await this.#reach(url, timeoutMs));
      } catch (thrown) {
        const reason = thrown instanceof Error ? thrown.message : String(thrown);
        const { kind, code } = thrown instanceof DialFailure ? thrown : { kind: 'temporary' as const, code: 'UNREACHABLE' as const };
        const why = kind === 'unauthenticated' && code === 'UNAUTHENTICATED' ? this.#tokenEnding : code;
        failures.push({ text: `${withoutSecrets(url)}: ${withoutSecrets(reason)}`, kind, code: why });
      }
      runningCount -= 1;
      wake();
    };
    while (wanted === undefined && !this.ended.aborted && (queue.length > 0 || runningCount > 0)) {
      const url = queue.shift();
      if (url !== undefined && tried.has(url)) continue;
      let timer: ReturnType<typeof setTimeout> | undefined;
      const news = new Promise<void>((resolve) => {
        wake = resolve;
        if (queue.length > 0) timer = setTimeout(resolve, HEAD_START_MS);
      });
      if (url !== undefined) {
        tried.add(url);
        void attempt(url);
      }
      await news;
      clearTimeout(timer);
    }
    isOver = true;
    return { wanted, others, failures };
  }

  /** A connection is gone; to be called before anybody looks for another. */
  lost(connection: Connection, { reason, code, errorCode }: Loss): void {
    if (errorCode !== undefined && isTokenOver(errorCode)) this.#tokenEnding = errorCode;
    const wasLive = this.#live.delete(connection);
    this.#hello = connection.hello;
    if (!wasLive) return;
    const isByClient = connection.isClosing || this.ended.aborted;
    if (!isByClient) this.#watch.lossCount += 1;
    this.#watch.emit({ type: 'disconnected', ...seen(connection), reason, code, isByClient });
  }

  /** A node said something new of itself. */
  greeted(connection: Connection): void {
    const failure = this.#otherGeneration(connection);
    if (failure !== undefined) {
      connection.drop(failure.message);
      return;
    }
    this.#hello = connection.hello;
    // A mirror is no member of the cluster, and knows none.
    if (connection.hello.cluster !== undefined && !isMirror(connection)) this.addresses.learn(connection.hello.cluster);
  }

  /** Why a node's log is not this client's, although it is of the same cluster. A node that says no generation may be of any. */
  #otherGeneration({ hello }: Connection): DialFailure | undefined {
    const generation = hello.cluster?.generation ?? NO_INSTANCE;
    if (generation === NO_INSTANCE) return undefined;
    this.#generation ??= generation;
    return generation === this.#generation ? undefined : otherGeneration(generation, this.#generation);
  }

  /** What is to be said once it {@link ended}. */
  overError(): LogError {
    return this.#failure ?? closedError();
  }

  /** Gives up every attempt and every pause, now and later. `failure`: what is to be said of it, if it is not that the client was closed. */
  stop(failure?: LogError): void {
    this.#failure ??= failure;
    this.#ended.abort();
  }

  /** Ends everything; resolves when every socket is closed. `isHung`: without waiting for the other side. */
  async close(isHung: boolean): Promise<void> {
    this.stop();
    if (isHung) for (const connection of [...this.#live]) connection.drop('this client is closed');
    await Promise.all([...this.#live].map((connection) => connection.close()));
  }

  /** A live connection to the node at an address, or a new one; held for the caller. */
  async #reach(url: string, timeoutMs: number): Promise<Connection> {
    for (const connection of this.#live)
      if (connection.urls.has(url) && connection.isUsable && !connection.isDeposed) return connection.hold();
    let dialing = this.#dialing.get(url);
    if (dialing === undefined) {
      dialing = this.#dial(url, timeoutMs);
      this.#dialing.set(url, dialing);
      const done = (): boolean => this.#dialing.delete(url);
      dialing.then(done, done);
    }
    const connection = await dialing;
    if (!connection.isUsable) throw new Error('it broke as soon as it was there');
    return connection.hold();
  }

  async #dial(url: string, timeoutMs: number): Promise<Connection> {
    const connection = await dial(url, { ...this.dialOptions, handlers: this.#handlers, features: this.#features, timeoutMs });
    if (this.ended.aborted) connection.drop('the client is closed');
    const { clusterId } = connection.hello;
    // Two addresses of two clusters may have been dialed at once, before either had answered.
    if (this.#hello !== undefined && this.#hello.clusterId !== clusterId) {
      connection.drop('it belongs to another cluster');
      throw otherCluster(clusterId, this.#hello.clusterId);
    }
    // Nothing is asked of a node whose log may be another one.
    if (this.#generation !== undefined) await settledWithin(connection.introduced, timeoutMs);
    const failure = this.#otherGeneration(connection);
    if (failure !== undefined) {
      connection.drop(failure.message);
      throw failure;
    }
    const same = this.#sameNode(connection);
    if (same !== undefined) {
      connection.drop('there is a connection to this node already');
      same.urls.add(url);
      return same;
    }
    this.#hello = connection.hello;
    this.#tokenEnding = 'UNAUTHENTICATED';
    if (!connection.isLost) {
      this.#live.add(connection);
      this.#watch.connectCount += 1;
      this.#watch.emit({ type: 'connected', ...seen(connection) });
    }
    // Whoever asked for it may be gone by now.
    setTimeout(() => connection.closeUnused());
    return connection;
  }

  /** One node may be found under several addresses. What it says of itself must be the same, or one of the two is out of date. */
  #sameNode({ hello }: Connection): Connection | undefined {
    for (const other of this.#live) {
      const { nodeId, process, role, term } = other.hello;
      const isSame = nodeId === hello.nodeId && process === hello.process && role === hello.role && term === hello.term;
      if (isSame && other.isUsable && !other.isDeposed) return other;
    }
    return undefined;
  }
}

/** A node as events and statistics show it. */
export function seen({ url, hello }: Connection): NodeSeen {
  return { url: withoutSecrets(url), nodeId: hello.nodeId, role: hello.role, term: hello.term };
}

/** Whether a search brought nothing, and none will: every address was tried, and what is there is no node of this log. */
export function isHopeless({ wanted, others, failures }: Found): boolean {
  if (wanted !== undefined || others.length > 0 || failures.length === 0) return false;
  // All nodes agree about tokens: what one says of a token, those say that do not answer now.
  return failures.some(({ kind }) => kind === 'unauthenticated') || failures.every(({ kind }) => kind !== 'temporary');
}

/** The error of a search that brought nothing. */
export function unreachableError(failures: readonly Failure[]): LogError {
  const reasons = failures.map(({ text }) => text).join('; ');
  const refused = failures.find(({ kind }) => kind === 'unauthenticated');
  if (refused !== undefined) {
    const sentence = `No node takes what this client shows: ${reasons}. Ask for a token, or a certificate, that holds, with the scopes that are needed.`;
    return new LogError(refused.code ?? 'UNAUTHENTICATED', sentence);
  }
  if (failures.length > 0 && failures.every(({ kind }) => kind === 'otherGeneration')) {
    const sentence =
      `What answers is not the log that it was: ${reasons}. It was begun anew, from a backup or a mirror, so what was stored of it, such as offsets, receipts and ` +
      'bookmarks, means nothing here: make a new client, and begin anew.';
    return new LogError('GENERATION_CHANGED', sentence);
  }
  if (failures.length > 0 && failures.every(({ kind }) => kind === 'otherCluster' || kind === 'otherGeneration')) {
    const sentence = `What answers is not this log: ${reasons}. Check the address; what was stored of the other log, such as offsets, means nothing here.`;
    return new LogError('OTHER_CLUSTER', sentence);
  }
  if (failures.length > 0 && failures.every(({ kind }) => kind === 'certificate'))
    return new LogError('UNREACHABLE', `What answers cannot be believed to be this log: ${reasons}.`);
  const sentence = `No LogLog server answers. ${reasons}. Check that one is running there and that the address is right.`;
  return new LogError('UNREACHABLE', sentence);
}

/** Whether `error` says that what answers is another log, and will be. */
export function isOtherLog({ code }: LogError): boolean {
  return code === 'OTHER_CLUSTER' || code === 'GENERATION_CHANGED';
}

/** Resolves when `settles` does, or after `ms`. */
function settledWithin(settles: Promise<void>, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    void settles.then(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** What a node that does not lead says of who does, or of why nobody does. */
function wordOf(connection: Connection, addresses: Addresses): string {
  const { url, urls, hello } = connection;
  const at = [...new Set([url, ...urls])].map(withoutSecrets).sort().join(' and ');
  const who = urls.size > 1 ? `${at} lead to one process, node ${hello.nodeId}, which` : `node ${hello.nodeId} at ${at}`;
  if (isMirror(connection)) return `${who} says: ${hello.whyNoLeader}`;
  if (hello.leader !== '') {
    const isRefused = addresses.of(hello.leader) === '';
    const where = isRefused ? ', to which this client does not go from a wss:// address: that node must --advertise a wss:// one' : '';
    return `${who} names ${withoutSecrets(hello.leader)} as the leader${where}`;
  }
  return `${who} knows no leader: ${hello.whyNoLeader === '' ? 'an election may be under way' : hello.whyNoLeader}`;
}

/** Nodes that were found twice: two processes that say the same id. */
function twinsAmong(others: readonly Connection[]): string[] {
  const ids = others.map(({ hello }) => hello.nodeId);
  return [...new Set(ids.filter((id, i) => ids.indexOf(id) !== i))].map((id) => {
    const urls = others.filter(({ hello }) => hello.nodeId === id).map(({ url }) => withoutSecrets(url));
    return `two processes say that they are node ${id}, at ${urls.join(' and ')}: stop the one that does not belong there`;
  });
}

/** Whether a node is a mirror, which never leads. */
function isMirror({ hello }: Connection): boolean {
  return (hello.features & FEATURE_MIRROR) !== 0;
}

/** The error of a search for a leader among nodes that answer: what each of them says, and which addresses do not answer. */
export function noLeaderError({ others, failures }: Found, addresses: Addresses): LogError {
  const [mirror] = others;
  // Where a node of the cluster may answer later, it is waited for.
  if (mirror !== undefined && others.every(isMirror) && failures.length === 0) {
    return new LogError('READ_ONLY', `This log can only be read here: ${wordOf(mirror, addresses)}.`);
  }
  const isReached = (url: string): boolean => others.some(({ urls }) => urls.has(url));
  const isElsewhere = others.some(({ hello }) => hello.leader !== '' && !isReached(addresses.of(hello.leader)));
  const what = isElsewhere ? 'The leader cannot be reached from here' : 'No node that answers leads the log at the moment';
  const texts = failures.map(({ text }) => text);
  const sentence = `${what}: ${[...twinsAmong(others), ...others.map((other) => wordOf(other, addresses)), ...texts].join('; ')}.`;
  return new LogError('NOT_LEADER', sentence, {}, 'failed');
}
