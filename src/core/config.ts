// A node's configuration: its options with what follows from them, checked against each other.

import { ENTRY_OVERHEAD_BYTES } from '../../assembly/layout.ts';
import type { Quotas } from './access.ts';
import { publicAddress } from './address.ts';
import { clientCapacityBytes, MAX_SLOT_BYTES } from './capacities.ts';
import { LogError } from './errors.ts';
import { asFlags, choiceOf, type Giving, numberOf, textOf } from './giving.ts';
import { DISK_CRITICAL_BYTES, DISK_CRITICAL_SEGMENTS, DISK_LOW_SEGMENTS } from './limits.ts';
import { type AcceptorChoice, type LogLevelChoice, OPTIONS, type OptionName, type SpinChoice } from './options.ts';
import { clientUrlOf, isWildcard, type Peer, parsePeers, parseSeeds, type Seed } from './peers.ts';
import { quotasOf } from './quotas.ts';
import { badAddressWithoutSecrets } from './secrets.ts';

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
  /** Where nodes of its cluster listen for nodes, which are asked for the others; empty: `peers` are all that it is told. */
  readonly join: readonly Seed[];
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
  readonly spin: SpinChoice;
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
  /** Named consumers that the log takes. */
  readonly maxConsumers: number;
  /** Days of a tour through all sealed segments; 0: there is none. */
  readonly scrubDays: number;
  /** Bytes a second that such a tour reads at most. */
  readonly scrubRate: number;
  /** How much of a new log is kept; 0: all of it. */
  readonly retentionBytes: number;
  /** How long what is in a new log is kept, ms; 0: for good. */
  readonly retentionAge: number;
  /** Sessions of producers. */
  readonly maxSessions: number;
  /** Milliseconds. */
  readonly sessionAge: number;
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
  readonly logLevel: LogLevelChoice;
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

/** Whom the node asks for its cluster. Who is told of all nodes asks nobody, and where it is itself reached only its own entry says. */
function seedsOf(node: number, text: string, peers: readonly Peer[], { callOf, refuse }: Giving): readonly Seed[] {
  try {
    const seeds = parseSeeds(text, callOf);
    if (seeds.length === 0 || peers.length === 1) return seeds;
    const given = peers.length === 0 ? 'nothing' : 'other nodes, too';
    const sentence = `${callOf('join')} goes with ${callOf('peers')} ${node}=HOST:PORT/PEERPORT, which says where this node is reached, and names ${given}`;
    throw refuse(sentence, false);
  } catch (thrown) {
    throw thrown instanceof LogError ? refuse(thrown.message, false) : thrown;
  }
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
    join: seedsOf(node, text('join'), peers, giving),
    peerHost: text('peerHost') || host,
    ...peerFiles(text, giving),
    advertise: advertised(text('advertise'), callOf('advertise'), refuse),
    ...tlsOf(text, giving),
    insecure: choice('insecure') === 'on',
    electionTimeoutMs: number('electionTimeoutMs'),
    segmentBytes,
    slots,
    fsync: choice('fsync') === 'on',
    spin: choice('spin') as SpinChoice,
    acceptor: choice('acceptor') as AcceptorChoice,
    maxPayloadBytes: Math.min(number('maxPayloadBytes'), clientCapacityBytes(segmentBytes) - ENTRY_OVERHEAD_BYTES),
    windowBytes: number('windowBytes'),
    stagingBytes: number('stagingBytes'),
    timeEntryMs: number('timeEntryMs'),
    trustClock: choice('trustClock') === 'on',
    sealBytesPerSecond: number('sealBytesPerSecond'),
    ...diskLevels(segmentBytes, number('diskLowBytes'), number('diskCriticalBytes'), giving),
    maxConsumers: number('maxConsumers'),
    scrubDays: number('scrubDays'),
    scrubRate: number('scrubRate'),
    retentionBytes: number('retentionBytes'),
    retentionAge: number('retentionAge'),
    maxSessions: number('maxSessions'),
    sessionAge: number('sessionAge'),
    autoFinalizeAfter: number('autoFinalizeAfter'),
    maxConnections: number('maxConnections'),
    tokens: choice('tokens') === 'on',
    tokenQuotas: quotasGiven('tokenQuotas', text('tokenQuotas'), giving),
    addressQuotas: quotasGiven('addressQuotas', text('addressQuotas'), giving),
    allowOrigin: text('allowOrigin'),
    allowHost: text('allowHost'),
    logLevel: choice('logLevel') as LogLevelChoice,
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
