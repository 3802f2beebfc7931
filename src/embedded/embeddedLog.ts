// A log inside a program: the client, over a pipe to an engine in the same process. It does what a client does, because it is one.

import { AbortedError } from '../client/aborts.ts';
import { LogClient } from '../client/client.ts';
import { NODE_LISTENERS, NODE_TRACING } from '../client/nodes/diagnostics.node.ts';
import type { OpenTransport, Platform } from '../client/nodes/transport.ts';
import type { CloseOptions } from '../client/options.ts';
import { type ClientParts, clientParts } from '../client/parts.ts';
import { nothingDurable, ownPeer } from '../core/config.ts';
import { LogError, toPlainError } from '../core/errors.ts';
import { clientUrlOf } from '../core/peers.ts';
import type { Engine } from '../node/engine.ts';
import { startEngine } from '../node/startEngine.ts';
import { EmbeddedDoor } from './embeddedDoor.ts';
import { KeepAlive } from './keepAlive.ts';
import { type OpenOptions, type OpenPlan, planOf } from './options.ts';

/** What Node calls to show an object. */
const INSPECT = Symbol.for('nodejs.util.inspect.custom');

/** A log in this process; made by {@link openLog}. All of a client's calls, and these. */
export class EmbeddedLog extends LogClient {
  /**
   * Resolves with the error when the log has failed, as when its disk has: nothing is written or acknowledged from then on, and every call
   * rejects with that error. Close it, see to the cause, and open it again. Never rejects; without a failure it never resolves.
   */
  readonly failed: Promise<LogError>;
  readonly #engine: Engine;
  readonly #keepAlive: KeepAlive;
  #ending: Promise<void> | undefined;

  /** @internal */
  constructor(parts: ClientParts, engine: Engine, keepAlive: KeepAlive) {
    super(parts);
    this.#engine = engine;
    this.#keepAlive = keepAlive;
    this.failed = new Promise((resolve) => {
      engine.failed.catch((thrown: unknown) => {
        const { code, message, details } = toPlainError(thrown);
        // What is asked of it from now on has no effect.
        const error = new LogError(code, message, details, 'failed', { cause: thrown });
        this.fail(error, underWay(error));
        resolve(error);
      });
    });
  }

  /** @internal */
  static async open(plan: OpenPlan): Promise<EmbeddedLog> {
    if (plan.signal?.aborted) throw gaveUp(plan.signal);
    const keepAlive = new KeepAlive();
    // Whatever this is doing, the program waits for it.
    keepAlive.hold(plan);
    let engine: Engine | undefined;
    try {
      engine = await openEngine(plan);
      const door = new EmbeddedDoor(engine, plan.log.warn, (session, isWaiting) =>
        isWaiting ? keepAlive.hold(session) : keepAlive.letGo(session),
      );
      const url = addressOf(plan, engine);
      const platform = await platformOf(door, engine, url, plan.settings.tls !== undefined);
      const log = new EmbeddedLog(await clientParts(platform, [url], plan.settings), engine, keepAlive);
      await log.start(plan.signal);
      if (plan.unref) keepAlive.letGo(plan);
      return log;
    } catch (thrown) {
      // The engine has failed, or was not waited for: what it has is not more than what a crash leaves.
      await engine?.abandon();
      keepAlive.end();
      throw plan.signal?.aborted ? gaveUp(plan.signal) : thrown;
    }
  }

  /** What `console.log` of it says. @internal */
  [INSPECT](): string {
    const { error, directory, memory } = this.#engine;
    const state = error?.message ?? (this.#ending === undefined ? undefined : 'closed');
    const parts = [`dir: ${JSON.stringify(directory)}`, `end: ${memory.commit}`];
    if (this.url !== undefined) parts.push(`url: '${this.url}'`);
    if (state !== undefined) parts.push(error === undefined ? state : `failed: ${JSON.stringify(state)}`);
    return `EmbeddedLog { ${parts.join(', ')} }`;
  }

  /** The directory that holds the log. */
  get dir(): string {
    return this.#engine.directory;
  }

  /** `ws://host:port` under which others reach the log; undefined where it does not listen. */
  get url(): string | undefined {
    return this.#engine.url || undefined;
  }

  /**
   * Waits until every append is settled, as a client does, then stops the node: what was ordered is made durable, others are told goodbye. The
   * directory may be opened again when it resolves. May be called again, and of a log that has failed. Rejects for options that cannot be meant only.
   */
  override async close(options: CloseOptions = {}): Promise<void> {
    await super.close(options);
    this.#ending ??= this.#end();
    await this.#ending;
  }

  async #end(): Promise<void> {
    this.#keepAlive.hold(this);
    try {
      // Where it fails meanwhile, `failed` says so.
      const report = await this.#engine.stop().catch(() => undefined);
      // Threads that did not end in time, as on a disk that does not answer, are ended as by a crash.
      if (report?.cut.includes('end')) await this.#engine.abandon();
      await this.#engine.ended;
    } finally {
      this.#keepAlive.end();
    }
  }
}

async function openEngine({ config: given, listens, mirror: source, settings, log, signal }: OpenPlan): Promise<Engine> {
  // What follows another log, and sockets, HTTP and metrics are loaded by those who need them.
  const { config, mirror } =
    source === undefined
      ? { config: given, mirror: undefined }
      : await (await import('../mirror/following.ts')).mirrorOf({ ...source, tls: settings.tls, signal }, given);
  if (listens) {
    const { LogServer } = await import('../server/server.ts');
    return (await LogServer.start({ config, log, signal, mirror })).engine;
  }
  if (!config.fsync) log.warn(nothingDurable(config));
  return startEngine({ config, log, signal, mirror, keepsRunning: false });
}

/** What the client knows this log by: an address where others reach it, too, if there is one that stays. */
function addressOf({ config }: OpenPlan, { directory }: Engine): string {
  const own = ownPeer(config);
  return own === undefined ? `embedded:${directory}` : clientUrlOf(own, config.tlsCert !== '');
}

/** Its own node is reached by the pipe, whatever it is called; other nodes, one of which may lead, by WebSocket. */
async function platformOf(door: EmbeddedDoor, engine: Engine, ownUrl: string, hasTls: boolean): Promise<Platform> {
  if (engine.staysAlone && !hasTls) return { open: door.open, listeners: NODE_LISTENERS, tracing: NODE_TRACING };
  const { NODE } = await import('../client/nodes/transport.node.ts');
  const besideThePipe = (open: OpenTransport): OpenTransport => {
    if (engine.staysAlone) return door.open;
    return (url, events, token) => {
      const isOwn = url === ownUrl || url === engine.url || url === engine.config.advertise;
      return isOwn ? door.open(url, events) : open(url, events, token);
    };
  };
  return {
    ...NODE,
    open: besideThePipe(NODE.open),
    secure: (tls) => {
      const secured = NODE.secure(tls);
      return { ...secured, open: besideThePipe(secured.open) };
    },
  };
}

function gaveUp(signal: AbortSignal): AbortedError {
  return new AbortedError('This openLog', 'before the log was open.', signal, 'failed');
}

/** For an append that was under way when the log failed. */
function underWay(error: LogError): LogError {
  const sentence = `The log has failed while this append was under way, so it may be in the log or not: ${error.message}`;
  return new LogError(error.code, sentence, error.details, 'unknown', { cause: error });
}

/**
 * Opens the log in a directory, in this process: without a socket, with all that a client of a server has. With `listen` it also serves others, with
 * `node` and `peers` it is a member of a cluster; while another node leads, appends go there. Several logs may be open in one process. It never
 * ends the process, handles no signal, and writes nothing to stdout and stderr.
 *
 * Rejects with a LogError: LOCKED where this process or another has the directory open, NOT_A_DATA_DIRECTORY, DAMAGE, NEWER_FORMAT, OLDER_FORMAT, PORT_IN_USE,
 * USAGE for options that do not fit the directory, IO; with an {@link AbortedError} by `options.signal`; with TypeError or RangeError for options that cannot be
 * meant.
 */
export async function openLog(options: OpenOptions): Promise<EmbeddedLog> {
  return EmbeddedLog.open(planOf(options));
}
