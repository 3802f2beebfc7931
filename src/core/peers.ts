// The nodes of a cluster as the command line names them: --peers 1=host:port/peerport,2=host:port/peerport, the same list on every node.

import { LogError } from './errors.ts';
import { MAX_CLUSTER_NODES, MAX_NODE_ID } from './limits.ts';

/** One node of a cluster, as every node of it knows it. */
export interface Peer {
  /** 1 to 32. */
  readonly id: number;
  /** A name or an address; IPv6 without its brackets. */
  readonly host: string;
  /** Port for clients and HTTP. */
  readonly port: number;
  /** Port for the other nodes. */
  readonly peerPort: number;
}

/** The form of one entry, for help and errors. */
export const PEER_FORM = 'ID=HOST:PORT/PEERPORT';

const PEER_EXAMPLE = '1=10.0.0.1:7070/7170';
const SEED_FORM = 'HOST:PEERPORT';
const SEED_EXAMPLE = '10.0.0.1:7170';
const MAX_PORT = 65_535;
/** Addresses to listen on, at which nobody can be reached. */
const WILDCARDS = ['0.0.0.0', '::', '::0', '0:0:0:0:0:0:0:0'];

/** Whether `host` is an address to listen on only; IPv6 with or without its brackets. */
export function isWildcard(host: string): boolean {
  return WILDCARDS.includes(host.replace(/^\[(.*)\]$/, '$1'));
}

/** Whether only this machine reaches `host`. Another name than localhost may mean anything. */
export function isLoopback(host: string): boolean {
  return /^(localhost|127\.\d+\.\d+\.\d+|::1|0:0:0:0:0:0:0:1|::ffff:127\.\d+\.\d+\.\d+)$/i.test(host.replace(/^\[(.*)\]$/, '$1'));
}

/** `host:port`, with an IPv6 address in brackets. */
export function addressOf(host: string, port: number): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** Where clients reach a node: `ws://host:port`, or `wss://host:port` where it speaks TLS. */
export function clientUrlOf({ host, port }: Pick<Peer, 'host' | 'port'>, isTls = false): string {
  return `${isTls ? 'wss' : 'ws'}://${addressOf(host, port)}`;
}

/** Where the other nodes reach a node: `host:peerport`. */
export function peerAddressOf({ host, peerPort }: Pick<Peer, 'host' | 'peerPort'>): string {
  return addressOf(host, peerPort);
}

/** The text that {@link parsePeers} reads. */
export function formatPeers(peers: readonly Peer[]): string {
  return peers.map((peer) => `${peer.id}=${addressOf(peer.host, peer.port)}/${peer.peerPort}`).join(',');
}

/** Where a node listens for nodes; which node that is is not said. */
export type Seed = Pick<Peer, 'host' | 'peerPort'>;

/** The text that {@link parseSeeds} reads. */
export function formatSeeds(seeds: readonly Seed[]): string {
  return seeds.map(peerAddressOf).join(',');
}

/** What the options are called where they were given. */
type CallOf = (name: 'peers' | 'host' | 'join') => string;

const flagsOf: CallOf = (name) => `--${name}`;

function wrong(entry: string, reason: string, callOf: CallOf): LogError {
  return new LogError(
    'USAGE',
    `${callOf('peers')} has ${JSON.stringify(entry)}, but ${reason}; each entry is ${PEER_FORM}, such as ${PEER_EXAMPLE}`,
  );
}

function portOf(text: string, entry: string, what: string, callOf: CallOf): number {
  const port = Number(text);
  if (port < 1 || port > MAX_PORT) throw wrong(entry, `${what} is a whole number from 1 to ${MAX_PORT}`, callOf);
  return port;
}

function parsePeer(entry: string, callOf: CallOf): Peer {
  const parts = /^(\d+)=(?:\[([^\]]*)\]|([^:/[\]]+)):(\d+)\/(\d+)$/.exec(entry);
  if (parts === null) {
    // The commonest slip: what comes after the last colon of a bare IPv6 address looks like a port.
    const isBareIpv6 = /^\d+=[0-9a-f]*:[0-9a-f]*:[0-9a-f:.]*\/?\d*$/i.test(entry);
    throw wrong(
      entry,
      isBareIpv6 ? 'an IPv6 address is written in brackets, such as [::1]' : 'this does not have the form of an entry',
      callOf,
    );
  }
  const [, idText = '', ipv6, name = '', portText = '', peerPortText = ''] = parts;
  const id = Number(idText);
  if (id < 1 || id > MAX_NODE_ID) throw wrong(entry, `a node's id is a whole number from 1 to ${MAX_NODE_ID}`, callOf);
  const host = ipv6 ?? name;
  const port = portOf(portText, entry, 'PORT', callOf);
  const peerPort = portOf(peerPortText, entry, 'PEERPORT', callOf);
  const isHost = ipv6 === undefined ? /^[\w.-]+$/.test(host) : host.includes(':');
  if (!isHost || !URL.canParse(clientUrlOf({ host, port })))
    throw wrong(entry, `${JSON.stringify(host)} is neither a name nor an address`, callOf);
  if (isWildcard(host)) {
    throw wrong(
      entry,
      `nobody can reach a node at ${host}: name the address that the others reach, and listen on all with ${callOf('host')} ${host}`,
      callOf,
    );
  }
  return { id, host, port, peerPort };
}

/**
 * Reads `1=host:port/peerport,2=…`, and sorts by id; whitespace around commas is nothing. Throws a LogError `USAGE` that shows the entry
 * that is wrong: ids and addresses must be distinct, and there are at most {@link MAX_CLUSTER_NODES}.
 */
export function parsePeers(text: string, callOf: CallOf = flagsOf): readonly Peer[] {
  if (text.trim() === '') return [];
  const entries = text.split(',').map((entry) => entry.trim());
  const takenBy = new Map<string, string>();
  const peers = entries.map((entry) => {
    const peer = parsePeer(entry, callOf);
    const names = [`the id ${peer.id}`, `the address ${addressOf(peer.host, peer.port)}`, `the address ${peerAddressOf(peer)}`];
    for (const name of names) {
      const other = takenBy.get(name);
      if (other === entry && name !== names[0]) throw wrong(entry, `PORT and PEERPORT are the same`, callOf);
      if (other !== undefined) throw wrong(entry, `${JSON.stringify(other)} has ${name} already`, callOf);
      takenBy.set(name, entry);
    }
    return peer;
  });
  if (peers.length > MAX_CLUSTER_NODES) {
    throw new LogError('USAGE', `${callOf('peers')} has ${peers.length} entries, but a cluster has at most ${MAX_CLUSTER_NODES} nodes`);
  }
  return peers.sort((a, b) => a.id - b.id);
}

/** Reads `host:peerport,…`; whitespace around commas is nothing. Throws a LogError `USAGE` that shows the entry that is wrong; there are at most {@link MAX_CLUSTER_NODES}. */
export function parseSeeds(text: string, callOf: CallOf = flagsOf): readonly Seed[] {
  if (text.trim() === '') return [];
  const entries = text.split(',').map((entry) => entry.trim());
  if (entries.length > MAX_CLUSTER_NODES)
    throw new LogError(
      'USAGE',
      `${callOf('join')} has ${entries.length} entries, and as many as a cluster has nodes, ${MAX_CLUSTER_NODES}, are enough`,
    );
  return entries.map((entry) => parseSeed(entry, callOf));
}

function parseSeed(entry: string, callOf: CallOf): Seed {
  const refused = (reason: string): LogError =>
    new LogError(
      'USAGE',
      `${callOf('join')} takes ${SEED_FORM}, such as ${SEED_EXAMPLE}: where a node listens for nodes, the PEERPORT of its entry; ${reason}`,
    );
  // What stands in an address for clients may be a secret.
  if (entry.includes('://')) throw refused('not a URL, by which clients come');
  const [, ipv6, name = '', portText = ''] = /^(?:\[([^\]]*)\]|([^:/[\]]+)):(\d+)$/.exec(entry) ?? [];
  const host = ipv6 ?? name;
  const peerPort = Number(portText);
  const isHost = ipv6 === undefined ? /^[\w.-]+$/.test(host) : host.includes(':');
  const isPort = peerPort >= 1 && peerPort <= MAX_PORT;
  if (!isHost || !isPort || isWildcard(host)) throw refused(`not ${JSON.stringify(entry)}`);
  return { host, peerPort };
}
