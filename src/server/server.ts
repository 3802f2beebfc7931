// A node that listens: an engine, and the clients' port before it, with WebSockets, HTTP, metrics and a guard over what all of them may take.

import type { Registry } from 'prom-client';
import { type Config, nothingDurable, ownPeer } from '../core/config.ts';
import { addressOf } from '../core/peers.ts';
import { WORD } from '../memory/map.ts';
import type { Door, Greeted } from '../node/door.ts';
import type { Engine } from '../node/engine.ts';
import type { EngineLog, EngineOptions } from '../node/engineOptions.ts';
import { startEngine } from '../node/startEngine.ts';
import { checkPort } from '../node/startup.ts';
import type { NodeStatus } from '../node/status.ts';
import type { StopReport } from '../node/stop.ts';
import { CLOSE_STOPPED } from '../protocol/client.ts';
import type { AcceptorName, MakeAcceptor } from './acceptor.ts';
import { loadAcceptor } from './acceptors/load.ts';
import { type ClientPlaces, placesForClients } from './descriptors.ts';
import { Doorkeeper, type Tokens } from './doorkeeper.ts';
import { Hosts } from './hosts.ts';
import { httpAnswers } from './http.ts';
import type { Incidents } from './incidents.ts';
import { isOriginAllowed, Listener } from './listener.ts';
import { MemoryGuard, processPorts, unfinishedBound, usedSharedBytes } from './memoryGuard.ts';
import { makeRegistry } from './metrics.ts';
import { Reception } from './reception.ts';
import { maxMessageBytes } from './requests.ts';
import { SegmentDownloads } from './segmentDownloads.ts';
import type { Session } from './session.ts';
import { budgetOf, type Inbox } from './turnBudget.ts';

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
}

export class LogServer implements Door {
  readonly engine: Engine;
  /** Rejects when the node can no longer go on: nothing is written or acknowledged after it (invariant 6). */
  readonly failed: Promise<never>;
  readonly #config: Config;
  readonly #log: EngineLog;
  readonly #reception: Reception;
  readonly #listener: Listener;
  readonly #memoryGuard: MemoryGuard<Inbox<Session>>;
  readonly downloads: SegmentDownloads;
  readonly #access: Doorkeeper;
  #registry: Registry | undefined;
  #port = 0;

  /** Starts an engine and listens. Throws a LogError that says what is wrong, and leaves nothing open then. */
  static async start({ config, log, signal, directLog, mirror, tokens }: ServerOptions): Promise<LogServer> {
    if (!config.fsync) log.warn(nothingDurable(config));
    const places = placesForClients(config, log);
    const makeAcceptor = await loadAcceptor(config.acceptor, (sentence) => log.info(sentence), config.callOf('acceptor'));
    const beforeChange = (): Promise<void> => checkPort(config.host, config.port, `; name another ${config.callOf('port')}`);
    const engine = await startEngine({ config, log, signal, directLog, mirror, beforeChange });
    try {
      const server = new LogServer(engine, config, log, places, makeAcceptor, tokens);
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
    log: EngineLog,
    places: ClientPlaces,
    makeAcceptor: MakeAcceptor,
    tokens: Tokens = engine.access,
  ) {
    this.engine = engine;
    this.failed = engine.failed;
    this.#config = config;
    this.#log = log;
    this.#reception = new Reception(engine);
    const { limits } = this.#reception;
    this.#access = new Doorkeeper(config.tokens, tokens, engine.loop);
    const listener = new Listener(
      {
        access: this.#access,
        host: config.host,
        port: config.port,
        portOption: config.callOf('port'),
        places,
        maxMessageBytes: maxMessageBytes(limits),
        budget: budgetOf(limits),
        allowedOrigins: listOf(config.allowOrigin),
        loop: engine.loop,
      },
      {
        opened: (session) => this.#reception.opened(session),
        message: (session, message) => this.#reception.message(session, new Uint8Array(message)),
        drained: (session) => this.#reception.drained(session),
        closed: (session) => this.#reception.closed(session),
        warn: (text) => this.#log.warn(text),
        broke: (thrown) => engine.broke(thrown),
      },
      makeAcceptor,
    );
    this.#listener = listener;
    const origins = listOf(config.allowOrigin);
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
      read: (range, wanted, isOver) => engine.readings.readCopy(range, wanted, () => isOver() || engine.appends.isDraining),
      budget: listener.sendBudget,
      turn: () => listener.turn,
      isOriginAllowed: (origin) => isOriginAllowed(origin, origins),
      after: (delayMs, run) => void engine.loop.after(delayMs, run, true),
      nowMs: () => engine.loop.nowMs(),
    });
    const { memory, recovered } = engine;
    const knownBytes = (): number => usedSharedBytes(memory, recovered.openBase ?? recovered.end) + listener.sendBudget.bufferedBytes;
    const ports = processPorts(engine.loop, () => listener.unfinishedBytes, knownBytes, {
      warn: (sentence) => log.warn(sentence),
      broke: (thrown) => engine.broke(thrown),
    });
    this.#memoryGuard = new MemoryGuard(unfinishedBound(), maxMessageBytes(limits), listener.inboxes, ports);
  }

  async #open(): Promise<void> {
    const { engine } = this;
    const { host, allowHost } = this.#config;
    const answers = httpAnswers({
      status: () => this.status(),
      notReady: () => {
        if (engine.appends.isDraining) return 'the node is shutting down';
        // It needs no leader: what it has, it serves.
        if (engine.mirror !== undefined) return undefined;
        return engine.cluster.leaderId === 0 ? engine.cluster.noLeaderSentence() : undefined;
      },
      hosts: new Hosts([host, ownPeer(this.#config)?.host ?? host, ...listOf(allowHost)]),
      registry: () => {
        this.#registry ??= makeRegistry(engine, this);
        return this.#registry;
      },
      turn: () => this.#listener.turn,
      downloads: this.downloads,
      access: this.#access,
      refused: () => this.incidents.closed('unauthenticated', 'a request over HTTP'),
    });
    engine.doors.add(this);
    this.#port = await this.#listener.listen(answers);
    // It may have failed meanwhile, and closed its doors before this one was open.
    if (engine.error !== undefined) throw engine.error;
    this.#memoryGuard.start();
  }

  get url(): string {
    return `ws://${addressOf(this.#config.host, this.#port)}`;
  }

  get acceptor(): AcceptorName {
    return this.#listener.acceptorName;
  }

  get connections(): number {
    return this.#listener.sessions.size;
  }

  get sendBufferedBytes(): number {
    return this.#listener.sendBudget.bufferedBytes;
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
    this.#memoryGuard.stop();
    this.#access.stop();
    this.#listener.close();
  }
}
