// All options of a node: name, unit, default, range and sentence, once. The help text, the documents and the checks come from here.

import { ENTRY_OVERHEAD_BYTES, MAX_PAYLOAD_BYTES, SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import type { Quotas } from './access.ts';
import { publicAddress } from './address.ts';
import { durationOf, durationText, sizeOf } from './amounts.ts';
import { LogError } from './errors.ts';
import {
  DISK_CRITICAL_BYTES,
  DISK_CRITICAL_SEGMENTS,
  DISK_LOW_SEGMENTS,
  MAX_CLUSTER_NODES,
  MAX_LOG_OFFSET,
  MAX_NODE_ID,
  MAX_STATE_ENTRY_BYTES,
  MIN_AUTO_FINALIZE_MS,
  MIN_RETENTION_AGE_MS,
  MIN_RETENTION_BYTES,
  SESSION_ENTRY_BYTES,
  TIME_ENTRY_BYTES,
} from './limits.ts';
import { clientUrlOf, isWildcard, type Peer, parsePeers } from './peers.ts';
import { quotasOf } from './quotas.ts';
import { badAddressWithoutSecrets } from './secrets.ts';

const MIB = 1024 * 1024;
/** More than any disk has. */
const MAX_DISK_BYTES = 2 ** 50;

interface NumberOption {
  readonly kind: 'number';
  readonly unit: string;
  readonly default: number;
  readonly min: number;
  readonly max: number;
  /** The default, 0, is no bound, and `none` says so. */
  readonly mayBeNone?: true;
  readonly sentence: string;
}

interface TextOption {
  readonly kind: 'text';
  readonly default: string;
  readonly sentence: string;
}

/** An option with a few values, the first of which is the default. */
interface ChoiceOption {
  readonly kind: 'choice';
  readonly default: string;
  readonly values: readonly string[];
  /** What a flag without a value means; where there is none, it has to have one. */
  readonly bare?: string;
  readonly sentence: string;
}

export const OPTIONS = {
  data: { kind: 'text', default: './data', sentence: 'directory that holds the log; made if it does not exist' },
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
    default: '',
    sentence: `all nodes of the cluster, the same list on each: 1=HOST:PORT/PEERPORT,2=..., at most ${MAX_CLUSTER_NODES}; PORT is for clients, PEERPORT for the other nodes; without it, one node alone`,
  },
  peerHost: {
    kind: 'text',
    default: '',
    sentence: 'address to listen on for the other nodes, in a network that only they can reach; without it, that of --host',
  },
  peerSecretFile: {
    kind: 'text',
    default: '',
    sentence:
      'file with the secret that all nodes prove to each other, which nobody else may read: 32 random bytes in hexadecimal or base64 on a line; with two lines both hold',
  },
  peerCa: {
    kind: 'text',
    default: '',
    sentence:
      'file with the authorities, PEM, that make the certificates by which nodes prove themselves to each other, in place of a secret',
  },
  peerCert: {
    kind: 'text',
    default: '',
    sentence:
      'file with the certificate of this node, PEM, whose name is loglog://CLUSTER/NODE; with --peer-ca, and without it and --peer-key, those of --tls-cert and --tls-key',
  },
  peerKey: { kind: 'text', default: '', sentence: 'file with the key of that certificate, PEM, which nobody else may read' },
  advertise: {
    kind: 'text',
    default: '',
    sentence:
      'address under which clients reach this node, such as that of a proxy before it: ws://HOST:PORT or wss://HOST, which all nodes tell their clients; without it, that of its entry of --peers',
  },
  tlsCert: {
    kind: 'text',
    default: '',
    sentence:
      'file with the certificate of this node in PEM, and those between it and its authority: clients connect by TLS 1.2 or 1.3, to wss:// and https://; read anew when it changes and on SIGHUP, as all of these files',
  },
  tlsKey: { kind: 'text', default: '', sentence: 'file with the private key of that certificate in PEM, without a password' },
  tlsClientCa: {
    kind: 'text',
    default: '',
    sentence:
      'file with authorities in PEM whose certificates clients may show to say who they are; what each may do is in --tls-client-scopes',
  },
  tlsClientScopes: {
    kind: 'text',
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
    unit: 'bytes a second',
    default: 32 * MIB,
    min: 0,
    max: 1024 * MIB,
    sentence:
      'a sealed segment is read again so fast, at most, for its digest, by which the log seals it, and at least 64 KiB; 0: this node makes no digests',
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
    default: '',
    sentence: 'web origins whose pages may connect, comma-separated; pages of loopback always may',
  },
  allowHost: {
    kind: 'text',
    default: '',
    sentence:
      'names under which /status and /metrics are served, comma-separated, besides addresses, loopback, the name of this machine and its own in --peers',
  },
} as const satisfies Record<string, NumberOption | TextOption | ChoiceOption>;

export type OptionName = keyof typeof OPTIONS;

/** `uws`: uWebSockets.js; `ws`: the package of that name over node:http; `auto`: the first one that can be loaded. */
export type AcceptorChoice = 'auto' | 'uws' | 'ws';

/** A node's configuration, checked by {@link configure}. */
export interface Config {
  readonly data: string;
  readonly host: string;
  /** Port for clients and HTTP. */
  readonly port: number;
  /** 1 to 32. */
  readonly node: number;
  /** All nodes of the cluster, this one among them, by id; empty for a single node. */
  readonly peers: readonly Peer[];
  /** Address to listen on for the other nodes. */
  readonly peerHost: string;
  /** What nodes prove themselves by: a file with a secret, or three files of certificates; empty: not given, and all empty: nothing is asked for. */
  readonly peerSecretFile: string;
  readonly peerCa: string;
  readonly peerCert: string;
  readonly peerKey: string;
  /** Where clients reach this node, in the form of {@link publicAddress}; empty: where its entry of `peers` says. */
  readonly advertise: string;
  /** Files for TLS on the clients' port; empty: none, and all of them are where `tlsCert` is. */
  readonly tlsCert: string;
  readonly tlsKey: string;
  readonly tlsClientCa: string;
  readonly tlsClientScopes: string;
  /** Whether it may stand open where others reach it. */
  readonly insecure: boolean;
  readonly electionTimeoutMs: number;
  readonly segmentBytes: number;
  readonly slots: number;
  /** Whether writes are synced. */
  readonly fsync: boolean;
  readonly acceptor: AcceptorChoice;
  readonly maxPayloadBytes: number;
  readonly windowBytes: number;
  /** Memory for uploads of clients; 0: none are taken. */
  readonly stagingBytes: number;
  /** Between two time entries before batches, at least. */
  readonly timeEntryMs: number;
  /** Whether a node alone goes by its clock, whatever that does. */
  readonly trustClock: boolean;
  /** 0: none are made. */
  readonly sealBytesPerSecond: number;
  /** Room on the disk below which it is low, and critical: resolved, never 0. */
  readonly diskLowBytes: number;
  readonly diskCriticalBytes: number;
  /** Days of a tour through all sealed segments; 0: there is none. */
  readonly scrubDays: number;
  /** Bytes a second that such a tour reads at most. */
  readonly scrubRate: number;
  /** How much of a new log is kept; 0: all of it. */
  readonly retentionBytes: number;
  /** How long what is in a new log is kept, ms; 0: for good. */
  readonly retentionAge: number;
  /** So long all nodes must have been able to have a newer level before the leader raises it, ms; 0: it never does on its own. */
  readonly autoFinalizeAfter: number;
  readonly maxConnections: number;
  /** Whether clients have to show a token. */
  readonly tokens: boolean;
  /** Of each token that has none of its own, and of each address. */
  readonly tokenQuotas: Quotas;
  readonly addressQuotas: Quotas;
  readonly allowOrigin: string;
  readonly allowHost: string;
  /** What an option is called where this configuration was given: `--segment-bytes`, `LOGLOG_SEGMENT_BYTES`, or `segmentBytes` in a program. */
  readonly callOf: (name: OptionName) => string;
}

/** The address that a node tells the others for its clients; empty: they make it from its entry of `peers`, as of one without TLS. */
export function advertisedBy(config: Pick<Config, 'advertise' | 'node' | 'peers' | 'tlsCert'>): string {
  const own = ownPeer(config);
  if (config.advertise !== '' || own === undefined || config.tlsCert === '') return config.advertise;
  return clientUrlOf(own, true);
}

/** What a node that syncs nothing says at its start, and wherever it is asked. */
export function nothingDurable({ callOf }: Pick<Config, 'callOf'>): string {
  return `${callOf('fsync')} off: nothing that this node acknowledges is durable, and a power cut can leave its log damaged; for tests only`;
}

/** A WebAssembly memory has at most 4 GiB; some of it is for other things than slots. */
export const MAX_SLOT_BYTES = 3 * 1024 * MIB;

/** A durable mark follows the last entry of every write, so a segment keeps this much room at its end. */
export const MARK_BYTES = 40;

/** Bytes of entries that one segment can hold. */
export function segmentCapacityBytes(segmentBytes: number): number {
  return segmentBytes - SEGMENT_HEADER_BYTES - MARK_BYTES;
}

/** Most bytes of the state entry that a segment begins with. */
export function stateCapacityBytes(segmentBytes: number): number {
  return Math.min(MAX_STATE_ENTRY_BYTES, Math.floor(segmentBytes / 4));
}

/**
 * Most bytes of a client's entries in one segment, and so in one batch: the state entry at the segment's beginning, and the time and session
 * entries before the batch, have room beside them. No build writes session entries yet.
 */
export function clientCapacityBytes(segmentBytes: number): number {
  return segmentCapacityBytes(segmentBytes) - stateCapacityBytes(segmentBytes) - TIME_ENTRY_BYTES - SESSION_ENTRY_BYTES;
}

/** `--segment-bytes` for `segmentBytes`. */
export function flagOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** How options were given: what each is called there, whether as texts, and what a wrong one throws. */
export interface Giving {
  callOf(name: OptionName): string;
  readonly areTexts: boolean;
  /** `isKind`: it is the kind of the value that will not do, rather than the value. */
  refuse(sentence: string, isKind: boolean): Error;
}

/** As flags of a command, or what stands for them: all are texts. */
export function asFlags(callOf: (name: OptionName) => string = flagOf): Giving {
  return { callOf, areTexts: true, refuse: (sentence) => new LogError('USAGE', sentence) };
}

/** As properties of an object, in a program: the kind of each value counts. */
export function asProperties(callOf: (name: OptionName) => string = (name) => name): Giving {
  return { callOf, areTexts: false, refuse: (sentence, isKind) => (isKind ? new TypeError(sentence) : new RangeError(sentence)) };
}

/** A value for an error. */
function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}

function numberOf(name: OptionName, value: unknown, { callOf, areTexts, refuse }: Giving): number {
  const option: NumberOption | TextOption | ChoiceOption = OPTIONS[name];
  if (option.kind !== 'number') throw new TypeError(`${name} is not a number option`);
  const { unit, min, max, mayBeNone = false } = option;
  if (mayBeNone && (value === 0 || value === 'none')) return 0;
  const number = typeof value === 'string' ? amountOf(value, unit, areTexts) : value;
  if (typeof number === 'number' && Number.isInteger(number) && number >= min && number <= max) return number;
  const sentence = `${callOf(name)} takes ${wantedNumber(option)}${mayBeNone ? ', or none' : ''}, not ${shown(value)}`;
  throw refuse(sentence, typeof number !== 'number');
}

/** The number that `text` says, with a unit where it is one of bytes or of time; undefined, or no number: none. */
function amountOf(text: string, unit: string, mayBePlain: boolean): number | undefined {
  if (unit === 'duration') return durationOf(text);
  const size = unit === 'bytes' ? sizeOf(text) : undefined;
  return size === undefined && mayBePlain && text.trim() !== '' ? Number(text) : size;
}

function wantedNumber({ unit, min, max }: NumberOption): string {
  if (unit === 'duration') return `a duration of ${durationText(min)} or more, such as 30d or 12h`;
  const range = `a whole number from ${min} to ${max}`;
  return unit === 'bytes' ? `${range} bytes, or a size such as 64MiB` : range;
}

/** One of the values of a choice. In a program, true and false stand for on and off. */
function choiceOf(name: OptionName, value: unknown, { callOf, areTexts, refuse }: Giving): string {
  const option = OPTIONS[name];
  if (option.kind !== 'choice') throw new TypeError(`${name} is not an option with a few values`);
  const values: readonly string[] = option.values;
  // A flag without a value.
  if (areTexts && value === true && 'bare' in option) return option.bare;
  const isSwitch = !areTexts && values.includes('on');
  const chosen = isSwitch && typeof value === 'boolean' ? (value ? 'on' : 'off') : value;
  if (typeof chosen === 'string' && values.includes(chosen)) return chosen;
  const wanted = isSwitch ? 'true or false' : values.join(' or ');
  throw refuse(`${callOf(name)} takes ${wanted}, not ${shown(value)}`, typeof chosen !== 'string');
}

function textOf(name: OptionName, value: unknown, { callOf, refuse }: Giving): string {
  if (typeof value === 'string') return value;
  throw refuse(`${callOf(name)} takes a text, not ${shown(value)}`, true);
}

/** The entry of this node in `peers`; undefined for a single node. */
export function ownPeer({ node, peers }: Pick<Config, 'node' | 'peers'>): Peer | undefined {
  return peers.find(({ id }) => id === node);
}

/** The list of nodes and this one's entry. An own entry gives host and port, so a list without one is a mistake. */
function membership(
  node: number,
  text: string,
  { callOf, refuse }: Giving,
): { readonly peers: readonly Peer[]; readonly own: Peer | undefined } {
  const peers = peersOf(text, callOf, refuse);
  const own = ownPeer({ node, peers });
  if (peers.length > 0 && own === undefined) {
    const ids = peers.map(({ id }) => id).join(', ');
    const sentence = `${callOf('peers')} names nodes ${ids}, but this is ${callOf('node')} ${node}: give each node its own id, and all the same list`;
    throw refuse(sentence, false);
  }
  return { peers, own };
}

function peersOf(text: string, callOf: Giving['callOf'], refuse: Giving['refuse']): readonly Peer[] {
  try {
    return parsePeers(text, callOf);
  } catch (thrown) {
    throw thrown instanceof LogError ? refuse(thrown.message, false) : thrown;
  }
}

function advertised(text: string, called: string, refuse: Giving['refuse']): string {
  if (text.trim() === '') return '';
  const address = publicAddress(text.trim());
  if (address === undefined) {
    const got = JSON.stringify(badAddressWithoutSecrets(text));
    const wanted = 'an address for clients such as wss://log.example.com, without user, password and query';
    throw refuse(`${called} takes ${wanted}, not ${got}`, false);
  }
  if (isWildcard(new URL(address).hostname)) {
    const sentence = `${called} takes an address that clients reach, and nobody reaches one at ${new URL(address).hostname}`;
    throw refuse(sentence, false);
  }
  return address;
}

/**
 * Fills in defaults and checks every value. Throws what `giving` says for one that will not do, with a sentence that says what was expected: as
 * flags, a LogError `USAGE`; as properties, a TypeError or RangeError.
 */
export function configure(given: { readonly [name in OptionName]?: unknown }, giving: Giving = asFlags()): Config {
  const { callOf, refuse } = giving;
  const givenOf = (name: OptionName): unknown => (given[name] === undefined ? OPTIONS[name].default : given[name]);
  const number = (name: OptionName): number => numberOf(name, givenOf(name), giving);
  const text = (name: OptionName): string => textOf(name, givenOf(name), giving);
  const choice = (name: OptionName): string => choiceOf(name, givenOf(name), giving);
  const segmentBytes = number('segmentBytes');
  if (segmentBytes % 65536 !== 0) throw refuse(`${callOf('segmentBytes')} takes a multiple of 65536, not ${segmentBytes}`, false);
  const slots = number('slots');
  if (segmentBytes * slots > MAX_SLOT_BYTES) {
    const product = `${callOf('segmentBytes')} ${segmentBytes} times ${callOf('slots')} ${slots}`;
    throw refuse(`${product} is more than the ${MAX_SLOT_BYTES} bytes of memory that slots may take`, false);
  }
  const node = number('node');
  const { peers, own } = membership(node, text('peers'), giving);
  const host = given.host === undefined && own !== undefined ? own.host : text('host');
  return {
    data: text('data'),
    host,
    port: given.port === undefined && own !== undefined ? own.port : number('port'),
    node,
    peers,
    peerHost: text('peerHost') || host,
    ...peerFiles(text, giving),
    advertise: advertised(text('advertise'), callOf('advertise'), refuse),
    ...tlsOf(text, giving),
    insecure: choice('insecure') === 'on',
    electionTimeoutMs: number('electionTimeoutMs'),
    segmentBytes,
    slots,
    fsync: choice('fsync') === 'on',
    acceptor: choice('acceptor') as AcceptorChoice,
    maxPayloadBytes: Math.min(number('maxPayloadBytes'), clientCapacityBytes(segmentBytes) - ENTRY_OVERHEAD_BYTES),
    windowBytes: number('windowBytes'),
    stagingBytes: number('stagingBytes'),
    timeEntryMs: number('timeEntryMs'),
    trustClock: choice('trustClock') === 'on',
    sealBytesPerSecond: number('sealBytesPerSecond'),
    ...diskLevels(segmentBytes, number('diskLowBytes'), number('diskCriticalBytes'), giving),
    scrubDays: number('scrubDays'),
    scrubRate: number('scrubRate'),
    retentionBytes: number('retentionBytes'),
    retentionAge: number('retentionAge'),
    autoFinalizeAfter: number('autoFinalizeAfter'),
    maxConnections: number('maxConnections'),
    tokens: choice('tokens') === 'on',
    tokenQuotas: quotasGiven('tokenQuotas', text('tokenQuotas'), giving),
    addressQuotas: quotasGiven('addressQuotas', text('addressQuotas'), giving),
    allowOrigin: text('allowOrigin'),
    allowHost: text('allowHost'),
    callOf,
  };
}

/** The files that nodes prove themselves by: one with a secret, or three of certificates, or none. */
function peerFiles(
  text: (name: OptionName) => string,
  { callOf, refuse }: Giving,
): Pick<Config, 'peerSecretFile' | 'peerCa' | 'peerCert' | 'peerKey'> {
  const own = text('peerCert') === '' && text('peerKey') === '';
  // One certificate does for both ports.
  const usual = text('peerCa') !== '' && own ? { peerCert: text('tlsCert'), peerKey: text('tlsKey') } : {};
  const files = {
    peerSecretFile: text('peerSecretFile'),
    peerCa: text('peerCa'),
    peerCert: text('peerCert'),
    peerKey: text('peerKey'),
    ...usual,
  };
  const ofCertificates = (['peerCa', 'peerCert', 'peerKey'] as const).map((name) => ({ name, isGiven: files[name] !== '' }));
  const given = ofCertificates.find(({ isGiven }) => isGiven);
  const missing = ofCertificates.find(({ isGiven }) => !isGiven);
  if (given !== undefined && files.peerSecretFile !== '') {
    throw refuse(
      `${callOf('peerSecretFile')} and ${callOf(given.name)}: nodes prove themselves by a secret or by certificates, not by both`,
      false,
    );
  }
  if (given !== undefined && missing !== undefined) {
    throw refuse(
      `${callOf(given.name)} needs ${callOf(missing.name)}, too: a proof by certificates takes authorities, a certificate and its key`,
      false,
    );
  }
  return files;
}

/** The files for TLS: those that belong together, or none of them. */
function tlsOf(
  text: (name: OptionName) => string,
  { callOf, refuse }: Giving,
): Pick<Config, 'tlsCert' | 'tlsKey' | 'tlsClientCa' | 'tlsClientScopes'> {
  const files = {
    tlsCert: text('tlsCert'),
    tlsKey: text('tlsKey'),
    tlsClientCa: text('tlsClientCa'),
    tlsClientScopes: text('tlsClientScopes'),
  };
  const needs = [
    ['tlsCert', 'tlsKey'],
    ['tlsKey', 'tlsCert'],
    ['tlsClientCa', 'tlsClientScopes'],
    ['tlsClientScopes', 'tlsClientCa'],
    ['tlsClientCa', 'tlsCert'],
  ] as const;
  for (const [name, other] of needs) {
    if (files[name] !== '' && files[other] === '') throw refuse(`${callOf(name)} needs ${callOf(other)} beside it`, false);
  }
  return files;
}

/** Whether there are files that are read again while the node runs. */
export function hasFiles({ peerSecretFile, peerCa, tlsCert }: Pick<Config, 'peerSecretFile' | 'peerCa' | 'tlsCert'>): boolean {
  return peerSecretFile !== '' || peerCa !== '' || tlsCert !== '';
}

function quotasGiven(name: OptionName, text: string, { callOf, refuse }: Giving): Quotas {
  const quotas = quotasOf(text);
  if (typeof quotas === 'string') throw refuse(`${callOf(name)}: ${quotas}`, false);
  return quotas;
}

/** The levels of a disk, as given or, for 0, as usual. */
function diskLevels(
  segmentBytes: number,
  low: number,
  critical: number,
  { callOf, refuse }: Giving,
): Pick<Config, 'diskLowBytes' | 'diskCriticalBytes'> {
  const usualCritical = DISK_CRITICAL_SEGMENTS * segmentBytes + DISK_CRITICAL_BYTES;
  const diskCriticalBytes = critical !== 0 ? critical : low !== 0 ? Math.min(low, usualCritical) : usualCritical;
  const diskLowBytes = low === 0 ? Math.max(DISK_LOW_SEGMENTS * segmentBytes, diskCriticalBytes + DISK_CRITICAL_BYTES) : low;
  if (diskLowBytes < diskCriticalBytes) {
    const sentence = `${callOf('diskLowBytes')} ${low} is below ${callOf('diskCriticalBytes')} ${critical}: a disk is low before it is critical`;
    throw refuse(sentence, false);
  }
  return { diskLowBytes, diskCriticalBytes };
}

/** Most bytes of entries in one APPEND message: one batch never spans two segments. */
export function maxBatchBytes(config: Pick<Config, 'segmentBytes' | 'maxPayloadBytes'>): number {
  return Math.min(clientCapacityBytes(config.segmentBytes), Math.max(config.maxPayloadBytes + ENTRY_OVERHEAD_BYTES, MIB));
}
