// All options of a node: name, unit, default, range and sentence, once. The help text, the documents and the checks come from here.

import { ENTRY_OVERHEAD_BYTES, MAX_PAYLOAD_BYTES, SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { publicAddress } from './address.ts';
import { LogError } from './errors.ts';
import { MAX_CLUSTER_NODES, MAX_NODE_ID, MAX_STATE_ENTRY_BYTES, SESSION_ENTRY_BYTES, TIME_ENTRY_BYTES } from './limits.ts';
import { isWildcard, type Peer, parsePeers } from './peers.ts';
import { badAddressWithoutSecrets } from './secrets.ts';

const MIB = 1024 * 1024;

interface NumberOption {
  readonly kind: 'number';
  readonly unit: string;
  readonly default: number;
  readonly min: number;
  readonly max: number;
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
  advertise: {
    kind: 'text',
    default: '',
    sentence:
      'address under which clients reach this node, such as that of a proxy before it: ws://HOST:PORT or wss://HOST, which all nodes tell their clients; without it, ws://HOST:PORT of its entry of --peers',
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
  maxConnections: {
    kind: 'number',
    unit: 'connections',
    default: 16_384,
    min: 1,
    max: 1_000_000,
    sentence: 'clients connected at once; more are refused',
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
  /** Where clients reach this node, in the form of {@link publicAddress}; empty: where its entry of `peers` says. */
  readonly advertise: string;
  readonly electionTimeoutMs: number;
  readonly segmentBytes: number;
  readonly slots: number;
  /** Whether writes are synced. */
  readonly fsync: boolean;
  readonly acceptor: AcceptorChoice;
  readonly maxPayloadBytes: number;
  readonly windowBytes: number;
  readonly maxConnections: number;
  readonly allowOrigin: string;
  readonly allowHost: string;
}

/** What a node with `--fsync off` says at its start, and wherever it is asked. */
export const NOTHING_DURABLE =
  '--fsync off: nothing that this node acknowledges is durable, and a power cut can leave its log damaged; for tests only';

/** A WebAssembly memory has at most 4 GiB; some of it is for other things than slots. */
export const MAX_SLOT_BYTES = 3 * 1024 * MIB;

/** A durable mark follows the last entry of every write, so a segment keeps this much room at its end. */
export const MARK_BYTES = 40;

/** Bytes of entries that one segment can hold. */
export function segmentCapacityBytes(segmentBytes: number): number {
  return segmentBytes - SEGMENT_HEADER_BYTES - MARK_BYTES;
}

/**
 * Most bytes of a client's entries in one segment, and so in one batch: the state entry at the segment's beginning, and the time and session
 * entries before the batch, have room beside them. No build writes those yet.
 */
export function clientCapacityBytes(segmentBytes: number): number {
  const stateBytes = Math.min(MAX_STATE_ENTRY_BYTES, Math.floor(segmentBytes / 4));
  return segmentCapacityBytes(segmentBytes) - stateBytes - TIME_ENTRY_BYTES - SESSION_ENTRY_BYTES;
}

/** `--segment-bytes` for `segmentBytes`. */
export function flagOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function numberOf(name: OptionName, value: number | string, called: string): number {
  const option = OPTIONS[name];
  if (option.kind !== 'number') throw new TypeError(`${name} is not a number option`);
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isInteger(number) || number < option.min || number > option.max) {
    throw new LogError('USAGE', `${called} takes a whole number from ${option.min} to ${option.max}, not ${JSON.stringify(value)}`);
  }
  return number;
}

function choiceOf(name: OptionName, value: unknown, called: string): string {
  const option = OPTIONS[name];
  if (option.kind !== 'choice') throw new TypeError(`${name} is not an option with a few values`);
  const values: readonly string[] = option.values;
  if (typeof value === 'string' && values.includes(value)) return value;
  throw new LogError('USAGE', `${called} takes ${values.join(' or ')}, not ${JSON.stringify(value)}`);
}

/** The entry of this node in `peers`; undefined for a single node. */
export function ownPeer({ node, peers }: Pick<Config, 'node' | 'peers'>): Peer | undefined {
  return peers.find(({ id }) => id === node);
}

/** The list of nodes and this one's entry. An own entry gives host and port, so a list without one is a mistake. */
function membership(node: number, text: string): { readonly peers: readonly Peer[]; readonly own: Peer | undefined } {
  const peers = parsePeers(text);
  const own = ownPeer({ node, peers });
  if (peers.length > 0 && own === undefined) {
    const ids = peers.map(({ id }) => id).join(', ');
    throw new LogError('USAGE', `--peers names nodes ${ids}, but this is --node ${node}: give each node its own id, and all the same list`);
  }
  return { peers, own };
}

function advertised(text: string, called: string): string {
  if (text.trim() === '') return '';
  const address = publicAddress(text.trim());
  if (address === undefined) {
    const shown = JSON.stringify(badAddressWithoutSecrets(text));
    throw new LogError(
      'USAGE',
      `${called} takes an address for clients such as wss://log.example.com, without user, password and query, not ${shown}`,
    );
  }
  if (isWildcard(new URL(address).hostname)) {
    throw new LogError('USAGE', `${called} takes an address that clients reach, and nobody reaches one at ${new URL(address).hostname}`);
  }
  return address;
}

/**
 * Fills in defaults and checks every value. Throws a LogError `USAGE` that names the flag, the value and the range; `callOf` gives another
 * name to an option that came from elsewhere than a flag.
 */
export function configure(
  given: { readonly [name in OptionName]?: string | number | undefined },
  callOf: (name: OptionName) => string = flagOf,
): Config {
  const number = (name: OptionName): number => numberOf(name, given[name] ?? OPTIONS[name].default, callOf(name));
  const textOf = (name: OptionName): string => String(given[name] ?? OPTIONS[name].default);
  const segmentBytes = number('segmentBytes');
  if (segmentBytes % 65536 !== 0) {
    throw new LogError('USAGE', `${callOf('segmentBytes')} takes a multiple of 65536, not ${segmentBytes}`);
  }
  const slots = number('slots');
  if (segmentBytes * slots > MAX_SLOT_BYTES) {
    throw new LogError(
      'USAGE',
      `${callOf('segmentBytes')} ${segmentBytes} times ${callOf('slots')} ${slots} is more than the ${MAX_SLOT_BYTES} bytes of memory that slots may take`,
    );
  }
  const node = number('node');
  const { peers, own } = membership(node, textOf('peers'));
  const host = String(given.host ?? own?.host ?? OPTIONS.host.default);
  return {
    data: textOf('data'),
    host,
    port: given.port === undefined && own !== undefined ? own.port : number('port'),
    node,
    peers,
    peerHost: textOf('peerHost') || host,
    advertise: advertised(textOf('advertise'), callOf('advertise')),
    electionTimeoutMs: number('electionTimeoutMs'),
    segmentBytes,
    slots,
    fsync: choiceOf('fsync', given.fsync ?? OPTIONS.fsync.default, callOf('fsync')) === 'on',
    acceptor: choiceOf('acceptor', given.acceptor ?? OPTIONS.acceptor.default, callOf('acceptor')) as AcceptorChoice,
    maxPayloadBytes: Math.min(number('maxPayloadBytes'), clientCapacityBytes(segmentBytes) - ENTRY_OVERHEAD_BYTES),
    windowBytes: number('windowBytes'),
    maxConnections: number('maxConnections'),
    allowOrigin: textOf('allowOrigin'),
    allowHost: textOf('allowHost'),
  };
}

/** Most bytes of entries in one APPEND message: one batch never spans two segments. */
export function maxBatchBytes(config: Pick<Config, 'segmentBytes' | 'maxPayloadBytes'>): number {
  return Math.min(clientCapacityBytes(config.segmentBytes), Math.max(config.maxPayloadBytes + ENTRY_OVERHEAD_BYTES, MIB));
}
