// The options of openLog: those of a node, from the table in core/config.ts, those of a client, and its own.

import { fileURLToPath } from 'node:url';
import { checkBoolean, checkSignal, checkUrls, resolveSettings } from '../client/checks.ts';
import { describe } from '../client/describe.ts';
import { CONNECT_OPTIONS, checkOptions } from '../client/optionNames.ts';
import type { ConnectOptions, Settings } from '../client/options.ts';
import { type Config, configure } from '../core/config.ts';
import { asProperties } from '../core/giving.ts';
import { OPTIONS, type OptionName } from '../core/options.ts';
import type { EngineLog } from '../node/engineOptions.ts';
import { type LogTo, logTo } from './log.ts';

/** Bytes: a number, or a text with one of the units KiB, MiB and GiB, such as `64MiB`. */
export type Size = number | `${number}${'KiB' | 'MiB' | 'GiB'}`;

/** A duration: milliseconds, or a text with one of the units ms, s, m, h, d and w, such as `30d`. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd' | 'w'}`;

/** Where a log also serves others, by WebSocket and HTTP, as `loglog serve` does. */
export interface ListenOptions {
  /** Address to listen on. Default: that of this node's entry of `peers`, or 127.0.0.1. */
  readonly host?: string | undefined;
  /** Port for clients and HTTP, 0 to 65535; 0 takes any free one. Default: that of this node's entry of `peers`, or 7070. */
  readonly port?: number | undefined;
}

/** What a node is run with; `loglog serve --help` has the same as flags. */
export interface NodeOptions {
  /** Size of a segment file and of its image in memory: a multiple of 64 KiB, 64 KiB to 1 GiB. Default 32 MiB. A log keeps the size that it began with. */
  readonly segmentBytes?: Size | undefined;
  /** Segment images kept in memory, 3 to 64. Default 4. */
  readonly slots?: number | undefined;
  /** Whether writes are synced. False is for tests: a power cut can take back what was acknowledged, and receipts say `volatile`. Default true. */
  readonly fsync?: boolean | undefined;
  /** Whether threads, the program's own among them, look for the next step of an append that is alone for a moment before they sleep: `auto`, `on` or `off`. Default `auto`. */
  readonly spin?: 'auto' | 'on' | 'off' | undefined;
  /** For a log alone: its time goes by the machine's clock even where that leaps by more than 60 s while it is open, as after a sleep. Default false. */
  readonly trustClock?: boolean | undefined;
  /** Largest payload of one entry in bytes, 1 B to 16 MiB − 1 B. Default: that, or what a segment can hold. */
  readonly maxPayloadBytes?: Size | undefined;
  /** Bytes of entries that one connection may have unacknowledged, 64 KiB to 256 MiB. Default 4 MiB. */
  readonly windowBytes?: Size | undefined;
  /** With less room for the log on its disk, the node warns. Default 0: 8 segments, and at least 64 MiB more than `diskCriticalBytes`. */
  readonly diskLowBytes?: Size | undefined;
  /** With less room for the log on its disk, appends are refused with DISK_FULL until there is some again. Default 0: 2 segments and 64 MiB. */
  readonly diskCriticalBytes?: Size | undefined;
  /** Named consumers whose positions the log keeps, at most, 0 to 12,000, where a quarter of a segment has room for them. Default 4,096. */
  readonly maxConsumers?: number | undefined;
  /** In so many days the node reads all of its sealed segments once, to find what its disk has lost, 0 to 3650; 0: never. Default 7. */
  readonly scrubDays?: number | undefined;
  /** Bytes a second that it reads for that at most, 64 KiB to 1 GiB. Default 8 MiB. */
  readonly scrubRate?: Size | undefined;
  /** What a new log keeps, at most, 64 KiB or more: what is older goes by whole segments. A log that exists is told with `setRetention`. Default `none`: all. */
  readonly retentionBytes?: Size | 'none' | undefined;
  /** How long a new log keeps what is in it, by its own time, 1 s or more. A log that exists is told with `setRetention`. Default `none`: for good. */
  readonly retentionAge?: Duration | 'none' | undefined;
  /** Sessions of producers that the log may have, where there is room for as many, 1 to 6144. Default 4096. */
  readonly maxSessions?: number | undefined;
  /** For how long, by the log's time, a session of a producer may rest before it is forgotten, 1 minute or more. Default `7d`. */
  readonly sessionAge?: Duration | undefined;
  /** Where all nodes have been connected for so long, and know a newer level of the log, the one that leads raises it, 1 s or more. Default `none`: never. */
  readonly autoFinalizeAfter?: Duration | 'none' | undefined;
  /** Id of this node in its cluster, 1 to 32. Default 1. */
  readonly node?: number | undefined;
  /**
   * All nodes of the cluster, the same list on each: `1=HOST:PORT/PEERPORT,2=…`. This node listens at the addresses of its own entry, for clients
   * and for the other nodes, so that they and their clients reach it. Default: one node alone.
   */
  readonly peers?: string | undefined;
  /**
   * Where nodes of a running cluster listen for nodes, `HOST:PEERPORT,…`: this node asks there for its cluster and the other nodes, until its log says them; `peers` has
   * its own entry alone then. Default: `peers` are all that it is told.
   */
  readonly join?: string | undefined;
  /** Address to listen on for the other nodes. Default: that for clients. */
  readonly peerHost?: string | undefined;
  /**
   * File with the secret that all nodes prove to each other, which nobody else may read: 32 random bytes, in hexadecimal or base64, on a line; with two
   * lines both hold. Read again when it changes. Default: nothing is proven, and whoever reaches the peer port can speak as any node.
   */
  readonly peerSecretFile?: string | undefined;
  /** In place of a secret: files with the authorities, with this node's certificate, and with its key, all PEM. Read again when they change. */
  readonly peerCa?: string | undefined;
  readonly peerCert?: string | undefined;
  readonly peerKey?: string | undefined;
  /** Address under which clients of others reach this node, such as `wss://log.example.com`. Default: that of its entry of `peers`. */
  readonly advertise?: string | undefined;
  /** Milliseconds without a sign from its leader after which a node asks for an election, 50 to 60 000. Default 1000. */
  readonly electionTimeoutMs?: number | undefined;
  /** With `listen` or `peers`: files with the certificate of this node, and its key, in PEM: clients connect by TLS. Read anew when they change. Default: no TLS. */
  readonly tlsCert?: string | undefined;
  readonly tlsKey?: string | undefined;
  /** With `tlsCert`: a file with authorities whose certificates clients may show, and one that says what each may do; see `loglog serve --help`. */
  readonly tlsClientCa?: string | undefined;
  readonly tlsClientScopes?: string | undefined;
  /** With `listen` or `peers`: may stand open at an address that others than this machine reach. Default false. */
  readonly insecure?: boolean | undefined;
  /** With `listen` or `peers`: the WebSocket and HTTP library, `auto`, `uws` or `ws`; see `loglog serve --help`. Default `auto`. */
  readonly acceptor?: 'auto' | 'uws' | 'ws' | undefined;
  /** With `listen` or `peers`: clients connected at once, 1 to 1 000 000. Default 16 384. */
  readonly maxConnections?: number | undefined;
  /** With `listen` or `peers`: whether clients have to show a token; this program itself never has to. Default false. */
  readonly tokens?: boolean | undefined;
  /**
   * With `listen` or `peers`: what each token may use that has no quota of its own, such as `connections=100,requestsPerSecond=5000`; see
   * `loglog serve --help`. Default: no bound.
   */
  readonly tokenQuotas?: string | undefined;
  /** With `listen` or `peers`: the same for each address that clients come from. Default: no bound. */
  readonly addressQuotas?: string | undefined;
  /** With `listen` or `peers`: web origins whose pages may connect, comma-separated. Default: pages of loopback alone. */
  readonly allowOrigin?: string | undefined;
  /** With `listen` or `peers`: names under which /status and /metrics are served, comma-separated, besides addresses, loopback, and this machine's. */
  readonly allowHost?: string | undefined;
}

/** Of which log this one is a copy. */
export interface MirrorOptions {
  /** Addresses of its nodes, `ws://` or `wss://`. */
  readonly urls: string | readonly string[];
  /** Token that they are shown: a text, or a function that gives one for each connection. */
  readonly token?: ConnectOptions['token'];
}

export interface OpenOptions extends NodeOptions, Omit<ConnectOptions, 'uploads' | 'token'> {
  /** With `peers`: what the other nodes are shown where they ask for a token, as when one of them leads; this node itself asks its program for none. */
  readonly token?: ConnectOptions['token'];
  /** Directory that holds the log, a path or a `file:` URL; made if it does not exist. One log has it at a time. */
  readonly dir: string | URL;
  /** Also serves others. Default: nobody, unless it is one of `peers`. `{}` for the defaults of {@link ListenOptions}. */
  readonly listen?: ListenOptions | undefined;
  /**
   * The log is a read-only copy of the one at these addresses, which it follows byte for byte: reads are from its own disk, appends and trims reject READ_ONLY. The
   * directory is that of a mirror, or empty: then the source must answer. With `tls` it is reached by that. Default: it is a log of its own.
   */
  readonly mirror?: string | readonly string[] | MirrorOptions | undefined;
  /**
   * Whether the program may end although the log is not closed, once nothing is asked of it: no append, end or read waits for its answer. What
   * was acknowledged is there then. A subscription that waits for the log to grow does not keep the program running. Default true; with `listen`,
   * `peers` or `mirror` false, and true is refused: a log that serves others, or follows one, keeps the program running until it is closed.
   */
  readonly unref?: boolean | undefined;
  /** Where lines about the log go: a function, or a logger like pino's or `console`. Default: nowhere. */
  readonly log?: LogTo | undefined;
  /** Gives `openLog` up, as while it looks for its cluster; a log that is open is ended with `close`. */
  readonly signal?: AbortSignal | undefined;
}

/** Options of a node that have another name, or another place, in a program. */
const ELSEWHERE: Readonly<Partial<Record<OptionName, string>>> = {
  data: 'dir',
  host: 'listen.host',
  port: 'listen.port',
  logLevel: 'log, which is told the level of each line',
};

/** Names of other places, and what has their meaning here. */
const PLACES: Readonly<Record<string, string>> = {
  ...ELSEWHERE,
  directory: 'dir',
  path: 'dir',
  dataDir: 'dir',
  folder: 'dir',
  hostname: 'listen.host',
  url: 'connect(url), for a log that another process serves',
};

const NODE_OPTIONS = (Object.keys(OPTIONS) as OptionName[]).filter((name) => ELSEWHERE[name] === undefined);
const OWN_OPTIONS = ['dir', 'listen', 'mirror', 'unref', 'log'] as const satisfies (keyof OpenOptions)[];
const MIRROR_OPTIONS = ['urls', 'token'] as const satisfies (keyof MirrorOptions)[];
const LISTEN_OPTIONS = ['host', 'port'] as const satisfies (keyof ListenOptions)[];
/** An embedded log uploads nothing: its node is one of those that would get a copy. */
const CLIENT_OPTIONS = CONNECT_OPTIONS.filter((name) => name !== 'uploads');
const ALL_OPTIONS: readonly string[] = [...OWN_OPTIONS, ...NODE_OPTIONS, ...CLIENT_OPTIONS];
const BESIDE_LISTEN = Object.fromEntries(ALL_OPTIONS.map((name) => [name, `${name}, beside listen`]));

/** What is about those whom a log serves, and what is about the other nodes: without them it would have no effect. */
const SERVING_OPTIONS = [
  'acceptor',
  'maxConnections',
  'tokens',
  'tokenQuotas',
  'addressQuotas',
  'allowOrigin',
  'allowHost',
  'advertise',
  'tlsCert',
  'tlsKey',
  'tlsClientCa',
  'tlsClientScopes',
  'insecure',
] as const satisfies (keyof OpenOptions)[];
const PEER_OPTIONS = [
  'join',
  'peerHost',
  'electionTimeoutMs',
  'peerSecretFile',
  'peerCa',
  'peerCert',
  'peerKey',
  'token',
] as const satisfies (keyof OpenOptions)[];

/** What a mirror has no use for: it is no member of a cluster, orders nothing, and keeps what its source keeps, in segments as large. */
const NOT_OF_MIRRORS = [
  'node',
  'peers',
  'join',
  'segmentBytes',
  'maxPayloadBytes',
  'trustClock',
  'retentionBytes',
  'retentionAge',
  'maxConsumers',
  'maxSessions',
  'sessionAge',
  'autoFinalizeAfter',
] as const satisfies (keyof OpenOptions)[];

/** What about to be opened, checked. */
export interface OpenPlan {
  readonly config: Config;
  /** Whether it also serves others. */
  readonly listens: boolean;
  /** The nodes of the log that it is a copy of; undefined: it is none. */
  readonly mirror: (Pick<Settings, 'token'> & { readonly urls: readonly string[] }) | undefined;
  readonly settings: Settings;
  readonly unref: boolean;
  readonly signal: AbortSignal | undefined;
  readonly log: EngineLog;
}

function pathOfUrl(url: URL, wanted: string): string {
  try {
    return fileURLToPath(url);
  } catch (thrown) {
    // Another scheme, a host, an escaped slash.
    throw new TypeError(`${wanted}, not ${describe(url.href)}: ${String((thrown as Error).message)}`);
  }
}

function pathOf(dir: unknown): string {
  const wanted = 'dir must be the path of a directory, or a URL object with file:';
  const given = dir instanceof URL ? dir.href : dir;
  if (typeof given !== 'string') throw new TypeError(`${wanted}, not ${describe(dir)}`);
  if (given === '') throw new RangeError(`${wanted}, and is empty`);
  if ((!(dir instanceof URL) || dir.protocol !== 'file:') && /^[a-z][a-z0-9+.-]*:\/\//i.test(given)) {
    throw new TypeError(`${wanted}, not ${describe(given)}; a log that another process serves is reached with connect`);
  }
  const path = dir instanceof URL ? pathOfUrl(dir, wanted) : given;
  if (path.includes('\0')) throw new RangeError(`${wanted}, and no path has a NUL character, as ${JSON.stringify(path)} has`);
  return path;
}

/** Throws TypeError for an option that would have no effect: whoever gave it meant something that would not happen. */
function checkEffects(options: OpenOptions, listens: boolean, hasPeers: boolean): void {
  const given = (name: keyof OpenOptions): boolean => options[name] !== undefined;
  const notOfMirrors = options.mirror === undefined ? undefined : NOT_OF_MIRRORS.find(given);
  if (notOfMirrors !== undefined) throw new TypeError(`${notOfMirrors} has no effect with mirror, because its source decides that`);
  const unused = listens ? undefined : SERVING_OPTIONS.find(given);
  if (unused !== undefined) throw new TypeError(`${unused} has no effect without listen or peers, because nobody else is served then`);
  const alone = hasPeers ? undefined : PEER_OPTIONS.find(given);
  if (alone !== undefined) throw new TypeError(`${alone} has no effect without peers, because there are no other nodes then`);
  if ((listens || options.mirror !== undefined) && options.unref === true) {
    const sentence = 'a log that serves others, or follows another one, keeps the program running until it is closed';
    throw new TypeError(`unref cannot be true with listen, peers or mirror: ${sentence}`);
  }
}

/** The source of a mirror, checked. */
function sourceOf(given: OpenOptions['mirror']): OpenPlan['mirror'] {
  if (given === undefined) return undefined;
  const isList = typeof given === 'string' || Array.isArray(given);
  const options: MirrorOptions = isList ? { urls: given } : (given as MirrorOptions);
  checkOptions('openLog’s mirror', options, MIRROR_OPTIONS, { called: 'mirror' });
  const { token } = resolveSettings({ token: options.token });
  return { urls: checkUrls(options.urls), token };
}

/** Checks all options. Throws TypeError for one that is not known, with the nearest name, and TypeError or RangeError, which say what was expected, for a value. */
export function planOf(options: OpenOptions): OpenPlan {
  checkOptions('openLog', options, ALL_OPTIONS, { places: PLACES });
  const { listen, unref, log } = options;
  if (listen !== undefined) checkOptions('openLog’s listen', listen, LISTEN_OPTIONS, { called: 'listen', places: BESIDE_LISTEN });
  const node = Object.fromEntries(NODE_OPTIONS.map((name) => [name, options[name as keyof NodeOptions]]));
  const config = configure(
    { ...node, ...listen, data: pathOf(options.dir) },
    asProperties((name) => ELSEWHERE[name] ?? name),
  );
  const client = Object.fromEntries(CLIENT_OPTIONS.map((name) => [name, options[name]]));
  const hasPeers = config.peers.length > 0;
  const listens = listen !== undefined || hasPeers;
  const isUnref = unref === undefined || checkBoolean('unref', unref);
  checkEffects(options, listens, hasPeers);
  return {
    config,
    listens,
    mirror: sourceOf(options.mirror),
    settings: resolveSettings({ ...client, uploads: 'off' }),
    unref: isUnref && !listens && options.mirror === undefined,
    signal: checkSignal(options.signal),
    log: logTo(log),
  };
}
