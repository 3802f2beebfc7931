// All options of a node: name, unit, default, range and sentence, once. The help text, the documents and the checks come from here.

import { MAX_PAYLOAD_BYTES } from '../../assembly/layout.ts';
import {
  DISK_CRITICAL_BYTES,
  DISK_CRITICAL_SEGMENTS,
  DISK_LOW_SEGMENTS,
  MAX_CLUSTER_NODES,
  MAX_LOG_OFFSET,
  MAX_NODE_ID,
  MAX_SESSIONS_BYTES,
  MIN_AUTO_FINALIZE_MS,
  MIN_RETENTION_AGE_MS,
  MIN_RETENTION_BYTES,
  MIN_SESSION_AGE_MS,
  SESSION_ROW_BYTES,
} from './limits.ts';

const MIB = 1024 * 1024;
/** More than any disk has. */
const MAX_DISK_BYTES = 2 ** 50;

export interface NumberOption {
  readonly kind: 'number';
  readonly unit: string;
  readonly default: number;
  readonly min: number;
  readonly max: number;
  /** The default, 0, is no bound, and `none` says so. */
  readonly mayBeNone?: true;
  readonly sentence: string;
}

export interface TextOption {
  readonly kind: 'text';
  /** It names a file or a directory. */
  readonly isPath?: true;
  /** It may be written as a list, where lists can be written: its parts have commas between them. */
  readonly isList?: true;
  readonly default: string;
  readonly sentence: string;
}

/** An option with a few values, the first of which is the default. */
export interface ChoiceOption {
  readonly kind: 'choice';
  readonly default: string;
  readonly values: readonly string[];
  /** What a flag without a value means; where there is none, it has to have one. */
  readonly bare?: string;
  readonly sentence: string;
}

export const OPTIONS = {
  data: { kind: 'text', isPath: true, default: './data', sentence: 'directory that holds the log; made if it does not exist' },
  host: { kind: 'text', default: '127.0.0.1', sentence: 'address to listen on' },
  port: { kind: 'number', unit: '', default: 7070, min: 0, max: 65535, sentence: 'port for clients and HTTP; 0 takes any free port' },
  node: {
    kind: 'number',
    unit: '',
    default: 1,
    min: 1,
    max: MAX_NODE_ID,
    sentence: 'id of this node; --host and --port default to its entry in --peers',
  },
  peers: {
    kind: 'text',
    isList: true,
    default: '',
    sentence: `all nodes to begin a cluster with, the same list on each: 1=HOST:PORT/PEERPORT,2=..., at most ${MAX_CLUSTER_NODES}; PORT is for clients, PEERPORT for the other nodes; later this node’s own entry, and some to find the others by; without it, one node alone`,
  },
  join: {
    kind: 'text',
    isList: true,
    default: '',
    sentence:
      'where nodes of a running cluster listen for nodes, HOST:PEERPORT,...: this node asks there which cluster it is, and where the other nodes are, until its log says it; --peers has its own entry alone then',
  },
  peerHost: {
    kind: 'text',
    default: '',
    sentence: 'address to listen on for the other nodes, in a network that only they can reach; without it, that of --host',
  },
  peerSecretFile: {
    kind: 'text',
    isPath: true,
    default: '',
    sentence:
      'file with the secret that all nodes prove to each other, which nobody else may read: 32 random bytes in hexadecimal or base64 on a line; with two lines both hold',
  },
  peerCa: {
    kind: 'text',
    isPath: true,
    default: '',
    sentence:
      'file with the authorities, PEM, that make the certificates by which nodes prove themselves to each other, in place of a secret',
  },
  peerCert: {
    kind: 'text',
    isPath: true,
    default: '',
    sentence:
      'file with the certificate of this node, PEM, whose name is loglog://CLUSTER/NODE; with --peer-ca, and without it and --peer-key, those of --tls-cert and --tls-key',
  },
  peerKey: { kind: 'text', isPath: true, default: '', sentence: 'file with the key of that certificate, PEM, which nobody else may read' },
  advertise: {
    kind: 'text',
    default: '',
    sentence:
      'address under which clients reach this node, such as that of a proxy before it: ws://HOST:PORT or wss://HOST, which all nodes tell their clients; without it, that of its entry of --peers',
  },
  tlsCert: {
    kind: 'text',
    isPath: true,
    default: '',
    sentence:
      'file with the certificate of this node in PEM, and those between it and its authority: clients connect by TLS 1.2 or 1.3, to wss:// and https://; read anew when it changes and on SIGHUP, as all of these files',
  },
  tlsKey: { kind: 'text', isPath: true, default: '', sentence: 'file with the private key of that certificate in PEM, without a password' },
  tlsClientCa: {
    kind: 'text',
    isPath: true,
    default: '',
    sentence:
      'file with authorities in PEM whose certificates clients may show to say who they are; what each may do is in --tls-client-scopes',
  },
  tlsClientScopes: {
    kind: 'text',
    isPath: true,
    default: '',
    sentence: 'file with a line for each name, or pattern with *, in certificates of clients, and its scopes, such as  billing read,append',
  },
  insecure: {
    kind: 'choice',
    default: 'off',
    values: ['off', 'on'],
    bare: 'on',
    sentence: 'on: a node that others reach starts although nothing says who they are; it says so wherever it is asked',
  },
  electionTimeoutMs: {
    kind: 'number',
    unit: 'ms',
    default: 1000,
    min: 50,
    max: 60_000,
    sentence: 'without a sign from its leader for this long, a node asks for an election; heartbeats go out each tenth of it',
  },
  segmentBytes: {
    kind: 'number',
    unit: 'bytes',
    default: 32 * MIB,
    min: 64 * 1024,
    max: 1024 * MIB,
    sentence: 'size of a segment file and of its image in memory',
  },
  slots: { kind: 'number', unit: 'segments', default: 4, min: 3, max: 64, sentence: 'segment images kept in memory' },
  fsync: {
    kind: 'choice',
    default: 'on',
    values: ['on', 'off'],
    sentence: 'off: nothing is ever synced, so a power cut can take back what was acknowledged; for tests only, and the same on all nodes',
  },
  spin: {
    kind: 'choice',
    default: 'auto',
    values: ['auto', 'on', 'off'],
    sentence:
      'whether threads look for the next step of an append that is alone for a moment, at most 1 ms, before they sleep: auto: as long as that pays and processors are free; on: also where they are not',
  },
  acceptor: {
    kind: 'choice',
    default: 'auto',
    values: ['auto', 'uws', 'ws'],
    sentence: 'what has the connections of clients: uws is faster, ws runs everywhere; auto is uws where its binary loads',
  },
  maxPayloadBytes: {
    kind: 'number',
    unit: 'bytes',
    default: MAX_PAYLOAD_BYTES,
    min: 1,
    max: MAX_PAYLOAD_BYTES,
    sentence: 'largest payload of one entry; capped at what a segment can hold',
  },
  windowBytes: {
    kind: 'number',
    unit: 'bytes',
    default: 4 * MIB,
    min: 64 * 1024,
    max: 256 * MIB,
    sentence: 'bytes of entries that one connection may have unacknowledged',
  },
  stagingBytes: {
    kind: 'number',
    unit: 'bytes',
    default: 64 * MIB,
    min: 0,
    max: 1024 * MIB,
    sentence: 'memory for copies of appends that clients put on this node themselves, in a cluster, taken once they do; 0: they may not',
  },
  timeEntryMs: {
    kind: 'number',
    unit: 'ms',
    default: 1000,
    min: 1,
    max: 3_600_000,
    sentence:
      'so long after the last one, at least, a batch gets an entry with the time before it: 20 bytes, by which the log is found by time',
  },
  trustClock: {
    kind: 'choice',
    default: 'off',
    values: ['on', 'off'],
    sentence:
      "for a node alone: on: the log's time goes by this node's clock even where that leaps by more than 60 s while the node runs, as after a sleep",
  },
  sealBytesPerSecond: {
    kind: 'number',
    unit: 'bytes',
    default: 32 * MIB,
    min: 0,
    max: 1024 * MIB,
    sentence:
      'a second, at most, that the node reads of sealed segments for their digests, by which the log seals them, and at least 64 KiB; 0: this node makes no digests',
  },
  diskLowBytes: {
    kind: 'number',
    unit: 'bytes',
    default: 0,
    min: 0,
    max: MAX_DISK_BYTES,
    sentence: `with less room for the log on its disk, the node warns; 0: ${DISK_LOW_SEGMENTS} segments, and at least ${DISK_CRITICAL_BYTES / MIB} MiB more than critical`,
  },
  diskCriticalBytes: {
    kind: 'number',
    unit: 'bytes',
    default: 0,
    min: 0,
    max: MAX_DISK_BYTES,
    sentence: `with less room for the log on its disk, appends are refused; 0: ${DISK_CRITICAL_SEGMENTS} segments and ${DISK_CRITICAL_BYTES / MIB} MiB`,
  },
  maxConsumers: {
    kind: 'number',
    unit: '',
    default: 4096,
    min: 0,
    max: 12_000,
    sentence:
      'named consumers whose positions the log keeps, at most, where a quarter of a segment has room for them; the one that leads decides',
  },
  scrubDays: {
    kind: 'number',
    unit: 'days',
    default: 7,
    min: 0,
    max: 3650,
    sentence: 'in so many days the node reads all of its sealed segments once, so that what the disk has lost is found; 0: never',
  },
  scrubRate: {
    kind: 'number',
    unit: 'bytes',
    default: 8 * MIB,
    min: 64 * 1024,
    max: 1024 * MIB,
    sentence: 'a second, at most, that the node reads of its disk for that',
  },
  retentionBytes: {
    kind: 'number',
    unit: 'bytes',
    default: 0,
    min: MIN_RETENTION_BYTES,
    max: MAX_LOG_OFFSET,
    mayBeNone: true,
    sentence: 'a new log keeps at most about so much: what is older goes by whole segments; later: loglog retention set',
  },
  retentionAge: {
    kind: 'number',
    unit: 'duration',
    default: 0,
    min: MIN_RETENTION_AGE_MS,
    max: MAX_LOG_OFFSET,
    mayBeNone: true,
    sentence: 'a new log keeps so much of its past: what is older goes by whole segments; later: loglog retention set',
  },
  maxSessions: {
    kind: 'number',
    unit: '',
    default: 4096,
    min: 1,
    max: Math.floor(MAX_SESSIONS_BYTES / SESSION_ROW_BYTES),
    sentence: 'sessions of producers that this node, leading, lets the log have, as far as there is room in its state',
  },
  sessionAge: {
    kind: 'number',
    unit: 'duration',
    default: 604_800_000,
    min: MIN_SESSION_AGE_MS,
    max: MAX_LOG_OFFSET,
    sentence: 'a session of a producer that nobody has used for so long, by the log’s time, is forgotten',
  },
  autoFinalizeAfter: {
    kind: 'number',
    unit: 'duration',
    default: 0,
    min: MIN_AUTO_FINALIZE_MS,
    max: MAX_LOG_OFFSET,
    mayBeNone: true,
    sentence:
      'where all nodes have been connected for so long, and know a newer level of the log, the one that leads raises it, after which older builds cannot take part; none: loglog upgrade finalize does',
  },
  maxConnections: {
    kind: 'number',
    unit: 'connections',
    default: 16_384,
    min: 1,
    max: 1_000_000,
    sentence: 'clients connected at once; more are refused',
  },
  tokens: {
    kind: 'choice',
    default: 'off',
    values: ['off', 'on'],
    bare: 'on',
    sentence: 'on: clients show a token, whose scopes say what they may do, and without one they are told nothing; the same on all nodes',
  },
  tokenQuotas: {
    kind: 'text',
    default: '',
    sentence:
      'what each token or certificate may use of this node that has no quota of its own, such as connections=100,requestsPerSecond=5000,bytesInPerSecond=64MiB; also bytesOutPerSecond, subscriptions, stagedUploads, waits; 0, and what is not named: no bound',
  },
  addressQuotas: {
    kind: 'text',
    default: '',
    sentence: 'the same for each address that clients come from, in place of nothing: so behind a proxy for all of its clients together',
  },
  allowOrigin: {
    kind: 'text',
    isList: true,
    default: '',
    sentence: 'web origins whose pages may connect, comma-separated; pages of loopback always may',
  },
  allowHost: {
    kind: 'text',
    isList: true,
    default: '',
    sentence:
      'names under which /status and /metrics are served, comma-separated, besides addresses, loopback, the name of this machine and its own in --peers',
  },
  logLevel: {
    kind: 'choice',
    default: 'info',
    values: ['info', 'warn', 'error'],
    sentence: 'the least that a line of the log is about to be written: warn leaves out what is usual; who did what is always written',
  },
} as const satisfies Record<string, NumberOption | TextOption | ChoiceOption>;

export type OptionName = keyof typeof OPTIONS;

/** `info`: everything; `warn` and `error`: only lines of that level and above. */
export type LogLevelChoice = 'info' | 'warn' | 'error';

/** `auto`: threads spin while that pays and processors are free; `on`: also where they are not; `off`: never. */
export type SpinChoice = 'auto' | 'on' | 'off';

/** `uws`: uWebSockets.js; `ws`: the package of that name over node:http; `auto`: the first one that can be loaded. */
export type AcceptorChoice = 'auto' | 'uws' | 'ws';

/** `--segment-bytes` for `segmentBytes`. */
export function flagOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
