// A node that listens: an engine, and the clients' port before it, with WebSockets, HTTP, metrics and a guard over what all of them may take.

import type { Registry } from 'prom-client';
import { type Config, nothingDurable, ownPeer } from '../core/config.ts';
import { openSentence } from '../core/exposure.ts';
import { addressOf } from '../core/peers.ts';
import { WORD } from '../memory/map.ts';
import { FIRST_APPEND_SECONDS } from '../node/appendPorts.ts';
import type { CertificateStatus, Door, Greeted } from '../node/door.ts';
import type { Engine } from '../node/engine.ts';
import type { EngineLog, EngineOptions } from '../node/engineOptions.ts';
import { residentBytes } from '../node/residentBytes.ts';
import { startEngine } from '../node/startEngine.ts';
import { checkPort } from '../node/startup.ts';
import { FIRST_SYNC_SECONDS, type NodeStatus } from '../node/status.ts';
import type { StopReport } from '../node/stop.ts';
import { CLOSE_STOPPED } from '../protocol/client.ts';
import { type ListenerTls, watchedListenerTls } from '../tls/listenerTls.ts';
import type { WatchedFiles } from '../tls/watchedFiles.ts';
import type { AcceptorName, MakeAcceptor } from './acceptor.ts';
import { loadAcceptor } from './acceptors/load.ts';
import { Accounts } from './accounts.ts';
import { Audit } from './audit.ts';
import { ClientCertificates } from './clientCertificates.ts';
import { type ClientPlaces, placesForClients } from './descriptors.ts';
import { Doorkeeper, type Tokens } from './doorkeeper.ts';
import { EventLog } from './eventLog.ts';
import { History } from './history.ts';
import { Hosts } from './hosts.ts';
import { httpAnswers } from './http.ts';
import type { Inbox } from './inbox.ts';
import type { Incidents } from './incidents.ts';
import { Listener } from './listener.ts';
import { MemoryGuard, processPorts, unfinishedBound, usedSharedBytes } from './memoryGuard.ts';
import { makeRegistry } from './metrics.ts';
import { Origins } from './origins.ts';
import { Reception } from './reception.ts';
import { maxMessageBytes } from './requests.ts';
import { SegmentDownloads } from './segmentDownloads.ts';
import type { Session } from './session.ts';
import { budgetOf } from './turnBudget.ts';

/** The parts of a list with commas. */
function listOf(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

export interface ServerOptions extends Omit<EngineOptions, 'config' | 'beforeChange'> {
  readonly config: Config;
  /** For tests. Default: those of the log. */
  readonly tokens?: Tokens | undefined;
  /** For tests. How long who shows no token may stay, in milliseconds. Default AUTHENTICATION_MS. */
  readonly strangerMs?: number | undefined;
}

/** `config` with what is so: whether the node stands open where others reach it. Throws a LogError `USAGE` where it would, and was not to. */
function checkExposure(config: Config, isMirror: boolean, log: EngineLog): Config {
  const sentence = openSentence(config, isMirror);
  if (sentence !== '') log.warn(sentence);
  return { ...config, insecure: sentence !== '' };
}

/** The certificates of the port for clients, read now and whenever they change. Throws a LogError `USAGE` where they will not do. */
function readTls(config: Config, log: EngineLog, secure: (tls: ListenerTls) => void): WatchedFiles<ListenerTls> | undefined {
  if (config.tlsCert === '') return undefined;
  const called = config.callOf('tlsCert');
  const files = watchedListenerTls(config, {
    changed: (tls) => {
      secure(tls);
      log.info(`${called}: what has changed is in force for clients that connect from now on`);
    },
    refused: (sentence) => log.error(`${called}: what was in force stays so, because ${sentence}`),
  });
  for (const { use, notAfterMs } of files.value.expiries) {
    if (notAfterMs > Date.now()) continue;
    const what = use === 'node' ? config.tlsCert : config.tlsClientCa;
    log.error(`${called}: a certificate in ${what} has expired at ${new Date(notAfterMs).toISOString()}, and nobody takes it`);
  }
  return files;
}

export class LogServer implements Door {
  readonly engine: Engine;
  /** Rejects when the node can no longer go on: nothing is written or acknowledged after it (invariant 6). */
  readonly failed: Promise<never>;
  readonly #config: Config;
  readonly #log: EventLog;
  readonly #hosts: Hosts;
  readonly #origins: Origins;
  readonly #history: History;
  readonly #reception: Reception;
  readonly #listener: Listener;
  readonly #tls: WatchedFiles<ListenerTls> | undefined;
  readonly #memoryGuard: MemoryGuard<Inbox<Session>>;
  readonly downloads: SegmentDownloads;
  readonly audit: Audit;
  readonly #access: Doorkeeper;
  readonly #accounts: Accounts;
  #registry: Registry | undefined;
  #port = 0;

  /** Starts an engine and listens. Throws a LogError that says what is wrong, and leaves nothing open then. */
  static async start({ config: given, log: lines, signal, directLog, mirror, ...doors }: ServerOptions): Promise<LogServer> {
    const log = new EventLog(lines);
    const config = checkExposure(given, mirror !== undefined, log);
    if (!config.fsync) log.warn(nothingDurable(config));
    const places = placesForClients(config, log);
    let secure: (tls: ListenerTls) => void = () => undefined;
    const tls = readTls(config, log, (changed) => secure(changed));
    const makeAcceptor = await loadAcceptor(config.acceptor, (sentence) => log.info(sentence), config.callOf('acceptor'));
    const beforeChange = (): Promise<void> => checkPort(config.host, config.port, `; name another ${config.callOf('port')}`);
    const engine = await startEngine({ config, log, signal, directLog, mirror, beforeChange });
    try {
      const server = new LogServer(engine, config, log, places, makeAcceptor, tls, doors);
      secure = (changed) => server.#secure(changed);
      await server.#open();
      return server;
    } catch (thrown) {
      // Its doors with it.
      await engine.abandon();
      throw thrown;
    }
  }

  private constructor(
    engine: Engine,
    config: Config,
    log: EventLog,
    places: ClientPlaces,
    makeAcceptor: MakeAcceptor,
    tls: WatchedFiles<ListenerTls> | undefined,
    { tokens = engine.access, strangerMs }: Pick<ServerOptions, 'tokens' | 'strangerMs'>,
  ) {
    this.engine = engine;
    this.failed = engine.failed;
    this.#config = config;
    this.#log = log;
    this.audit = new Audit(log, () => engine.loop.nowMs());
    this.#reception = new Reception(engine, this.audit);
    this.#tls = tls;
    const { limits } = this.#reception;
    const certificates = tls === undefined ? undefined : new ClientCertificates(tls, () => engine.loop.wallMs());
    this.#access = new Doorkeeper(config.tokens || config.tlsClientCa !== '', tokens, engine.loop, certificates);
    this.#accounts = new Accounts(config.tokenQuotas, config.addressQuotas, () => engine.loop.nowMs());
    this.#hosts = new Hosts([config.host, ownPeer(config)?.host ?? config.host, ...listOf(config.allowHost)]);
    this.#origins = new Origins({
      listed: listOf(config.allowOrigin),
      hosts: this.#hosts,
      memberUrls: () => engine.cluster.nodes(this.url).map(({ url }) => url),
    });
    const listener = new Listener(
      {
        access: this.#access,
        accounts: this.#accounts,
        host: config.host,
        port: config.port,
        portOption: config.callOf('port'),
        places,
        maxMessageBytes: maxMessageBytes(limits),
        budget: budgetOf(limits),
        strangerMs,
        backlogBytes: () => engine.memory.tail - engine.memory.durable,
        origins: this.#origins,
        tls: this.#tls?.value,
        loop: engine.loop,
      },
      {
        came: () => this.#memoryGuard.came(),
        opened: (session) => this.#reception.opened(session),
        message: (session, message) => this.#reception.message(session, new Uint8Array(message)),
        drained: (session) => this.#reception.drained(session),
        closed: (session) => this.#reception.closed(session),
        warn: (line, what) => this.#log.warn(line, what),
        broke: (thrown) => engine.broke(thrown),
      },
      makeAcceptor,
    );
    this.#listener = listener;
    this.downloads = new SegmentDownloads({
      clusterId: engine.identity.clusterId,
      get generation() {
        return engine.cluster.generation;
      },
      bounds: () => ({ start: engine.memory.word(WORD.START), commit: engine.memory.commit }),
      sealed: () => engine.segments.sealed,
      digestOf: (segment) => engine.seals.digestOf(segment),
      ownDigestOf: (segment) => engine.seals.ownDigestOf(segment),
      isDifferent: ({ base }) => engine.seals.isDifferent(base),
      // While the node stops, its threads end.
      read: (range, wanted, isOver, party) =>
        engine.readings.diskReads.readCopy(range, wanted, () => isOver() || engine.appends.isDraining, party),
      budget: listener.sendBudget,
      turn: () => listener.turn,
      isOriginAllowed: (origin, host) => this.#origins.isAllowed(origin, host),
      after: (delayMs, run) => void engine.loop.after(delayMs, run, true),
      nowMs: () => engine.loop.nowMs(),
    });
    const { memory, recovered } = engine;
    const knownBytes = (): number =>
      usedSharedBytes(memory, recovered.openBase ?? recovered.end) + listener.sendBudget.bufferedBytes + listener.tlsBytes;
    const ports = processPorts(engine.loop, () => listener.unfinishedBytes, knownBytes, {
      warn: (sentence) => log.warn(sentence),
      broke: (thrown) => engine.broke(thrown),
    });
    this.#history = this.#remember();
    this.#memoryGuard = new MemoryGuard(unfinishedBound(), maxMessageBytes(limits), listener.inboxes, ports);
  }

  /** What is remembered of the node's last day. */
  #remember(): History {
    const { appends, disk, loop, memory } = this.engine;
    return new History({
      loop,
      firstAppendSeconds: FIRST_APPEND_SECONDS,
      firstSyncSeconds: FIRST_SYNC_SECONDS,
      measure: () => ({
        entries: appends.counters.entries,
        bytes: appends.counters.bytes,
        appendCounts: [...appends.latency.counts],
        syncCounts: memory.syncBuckets(),
        connections: this.connections,
        residentBytes: residentBytes(),
        roomBytes: disk.status.roomBytes ?? undefined,
      }),
    });
  }

  async #open(): Promise<void> {
    const { engine } = this;
    const answers = httpAnswers({
      status: () => this.status(),
      notReady: () => {
        if (engine.appends.isDraining) return 'the node is shutting down';
        // It needs no leader: what it has, it serves.
        if (engine.mirror !== undefined) return undefined;
        return engine.cluster.leaderId === 0 ? engine.cluster.noLeaderSentence() : undefined;
      },
      hosts: this.#hosts,
      origins: this.#origins,
      history: () => ({ spans: this.#history.spans(), events: this.#log.events }),
      registry: () => {
        this.#registry ??= makeRegistry(engine, this);
        return this.#registry;
      },
      turn: () => this.#listener.turn,
      downloads: this.downloads,
      access: this.#access,
      accounts: this.#accounts,
      refused: () => this.incidents.closed('unauthenticated', 'a request over HTTP'),
    });
    engine.doors.add(this);
    this.#port = await this.#listener.listen(answers);
    // It may have failed meanwhile, and closed its doors before this one was open.
    if (engine.error !== undefined) throw engine.error;
    this.#tls?.watch();
  }

  #secure(tls: ListenerTls): void {
    this.#listener.secure(tls);
    // What the rules allow may have changed for those who are there: they hear once the new ones are in force.
    this.engine.loop.afterTurn(() => this.#access.look());
  }

  /** Reads again what the node reads from files: certificates, keys, rules. */
  reload(): void {
    this.#tls?.reload();
    this.engine.reload();
  }

  get url(): string {
    return `${this.#tls === undefined ? 'ws' : 'wss'}://${addressOf(this.#config.host, this.#port)}`;
  }

  get acceptor(): AcceptorName {
    return this.#listener.acceptorName;
  }

  /** When what TLS here needs ends. */
  get certificates(): readonly CertificateStatus[] {
    const { value, fault = null } = this.#tls ?? { value: undefined };
    return (value?.expiries ?? []).map(({ use, notAfterMs }) => ({ use, notAfterMs, fault }));
  }

  get connections(): number {
    return this.#listener.sessions.size;
  }

  get sendBufferedBytes(): number {
    return this.#listener.sendBudget.bufferedBytes;
  }

  /** What came of what callers showed. */
  get authentications(): ReadonlyMap<string, { readonly count: number }> {
    return this.#access.counts;
  }

  /** What was closed and refused. */
  get incidents(): Incidents {
    return this.#listener.incidents;
  }

  /** What the node knows of itself and its cluster, as /status shows it. */
  status(): NodeStatus {
    return this.engine.status();
  }

  /** Stops the engine, which closes this door in its time: see {@link Engine.stop}. */
  stop(): Promise<StopReport> {
    return this.engine.stop();
  }

  greetingChanged(whom: Greeted): void {
    this.#reception.greetingChanged(this.#listener.sessions, whom);
  }

  takeNoMore(): void {
    this.#listener.stopListening();
  }

  disconnect(): Promise<void> {
    return this.#listener.disconnect(CLOSE_STOPPED, 'the node is shutting down');
  }

  close(): void {
    this.#tls?.close();
    this.#memoryGuard.stop();
    this.#history.stop();
    this.#access.stop();
    this.#listener.close();
  }
}
