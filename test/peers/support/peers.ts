// Nodes' sockets for tests: each with its events recorded, raw connections that speak as they like, and a proxy that can cut a link.

import net from 'node:net';
import tls from 'node:tls';
import { NO_CLUSTER, NO_INSTANCE } from '../../../src/core/ids.ts';
import { LEVELS } from '../../../src/core/levels.ts';
import { type DiscoveryOptions, type FoundCluster, findCluster } from '../../../src/peers/discovery.ts';
import type { PeerSecret } from '../../../src/peers/peerProof.ts';
import { PeerSockets, type PeerSocketsOptions } from '../../../src/peers/peerSockets.ts';
import { PeerTransport } from '../../../src/peers/peerTransport.ts';
import type { Introduction } from '../../../src/protocol/peerHandshake.ts';
import type { AppendRequest, PeerMessage } from '../../../src/raft/messages.ts';

export const CLUSTER = '00112233445566778899aabbccddeeff';
export const HOST = '127.0.0.1';
export const SEGMENT_BYTES = 1024 * 1024;

export type PeerEvent =
  | { kind: 'message'; from: number; message: PeerMessage; body: Buffer; pieces: number }
  | { kind: 'receiving'; from: number; message: PeerMessage }
  | { kind: 'connected'; to: number; welcome: Introduction }
  | { kind: 'disconnected'; to: number; reason: string }
  | { kind: 'gone'; node: number }
  | { kind: 'accepted'; from: number; hello: Introduction }
  | { kind: 'changed' }
  | { kind: 'unproven'; which: 'came' | 'dialed' }
  | { kind: 'drained'; to: number }
  | { kind: 'log'; level: 'info' | 'warn'; text: string };

type EventOf<Kind extends PeerEvent['kind']> = Extract<PeerEvent, { kind: Kind }>;

/** Things that happen, and waiting for them without a clock. */
export class Happenings<T> {
  readonly all: T[] = [];
  readonly #waiting = new Set<() => void>();

  add(happening: T): void {
    this.all.push(happening);
    for (const check of this.#waiting) check();
  }

  /** Resolves with what `find` finds, now or after one of the next happenings. */
  until<Found>(find: (all: readonly T[]) => Found | undefined | false): Promise<Found> {
    return new Promise((resolve) => {
      const check = (): void => {
        const found = find(this.all);
        if (found === undefined || found === false) return;
        this.#waiting.delete(check);
        resolve(found);
      };
      this.#waiting.add(check);
      check();
    });
  }
}

/** Waits for what no event announces. */
export async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(setImmediate);
}

export interface TestNode {
  readonly id: number;
  readonly port: number;
  readonly sockets: PeerSockets;
  readonly events: Happenings<PeerEvent>;
  of<Kind extends PeerEvent['kind']>(kind: Kind): EventOf<Kind>[];
  /** Waits for the `count`th event of a kind. */
  nth<Kind extends PeerEvent['kind']>(kind: Kind, count?: number): Promise<EventOf<Kind>>;
}

const open = new Set<{ close(): unknown }>();

/** Remembers to close `resource` when the test ends. */
export function closing<T extends { close(): unknown }>(resource: T): T {
  open.add(resource);
  return resource;
}

/** Closes everything that the test opened. */
export async function closeAll(): Promise<void> {
  const all = [...open];
  open.clear();
  await Promise.all(all.map((resource) => resource.close()));
}

type Change = Partial<Omit<PeerSocketsOptions, 'self' | 'events'>> & {
  clusterId?: string;
  segmentBytes?: number;
  instance?: string;
  process?: string;
  advertise?: string;
  saysNodes?: boolean;
};

/** A node of a cluster of `nodes`, listening on a free port. */
export async function startPeer(id: number, nodes: readonly number[] = [1, 2, 3], change: Change = {}): Promise<TestNode> {
  const events = new Happenings<PeerEvent>();
  const {
    clusterId = CLUSTER,
    segmentBytes = SEGMENT_BYTES,
    instance = `${id}`.repeat(16),
    process = processOf(id),
    advertise = '',
    saysNodes = false,
    ...options
  } = change;
  const sockets = new PeerSockets({
    self: {
      clusterId,
      id,
      instance,
      process,
      segmentBytes,
      isSynced: true,
      takesUploads: false,
      nodes,
      saysNodes,
      voters: nodes,
      isRemoved: () => false,
      advertise,
      levels: LEVELS,
      level: 0,
      generation: NO_INSTANCE,
      standing: 'voter',
      term: 1,
    },
    now: () => ({ standing: 'voter', isFounder: id === 1, term: 10 + id }),
    stuckMs: 60_000,
    silentMs: 60_000,
    ...options,
    events: {
      message: (from, message, body) => events.add({ kind: 'message', from, message, body: Buffer.concat(body), pieces: body.length }),
      receiving: (from, message) => events.add({ kind: 'receiving', from, message }),
      connected: (to, welcome) => events.add({ kind: 'connected', to, welcome }),
      disconnected: (to, reason) => events.add({ kind: 'disconnected', to, reason }),
      gone: (node) => events.add({ kind: 'gone', node }),
      doubts: () => undefined,
      greeting: () => undefined,
      accepted: (from, hello) => events.add({ kind: 'accepted', from, hello }),
      drained: (to) => events.add({ kind: 'drained', to }),
      changed: () => events.add({ kind: 'changed' }),
      unproven: (which) => events.add({ kind: 'unproven', which }),
      log: (level, text) => events.add({ kind: 'log', level, text }),
    },
  });
  closing(sockets);
  const port = await sockets.listen(HOST, 0);
  const of = <Kind extends PeerEvent['kind']>(kind: Kind): EventOf<Kind>[] =>
    events.all.filter((event): event is EventOf<Kind> => event.kind === kind);
  return { id, port, sockets, events, of, nth: (kind, count = 1) => events.until(() => of(kind)[count - 1]) };
}

/** The number of node `id`'s process in its life `life`. */
export function processOf(id: number, life = 1): string {
  return `${life}${id}`.padStart(16, 'a');
}

export function hello(from: number, to: number, change: Partial<Introduction> = {}): Introduction {
  const instance = `${from}`.repeat(16);
  const nodes = [...new Set([1, 2, 3, from])];
  const known = {
    clusterId: CLUSTER,
    from,
    to,
    instance,
    process: processOf(from),
    nodes,
    saysNodes: false,
    segmentBytes: SEGMENT_BYTES,
    isSynced: true,
    takesUploads: false,
    advertise: '',
    levels: LEVELS,
    generation: NO_INSTANCE,
  };
  return { ...known, standing: 'voter', isFounder: false, term: 1, ...change };
}

export function stranger(from: number, to: number): Introduction {
  return hello(from, to, { clusterId: NO_CLUSTER, instance: '0'.repeat(16), standing: 'stranger', term: 0 });
}

/** Who leads in the terms of {@link appendOf}. */
const LEADER = '1'.repeat(16);

export function appendOf(bodyBytes: number, prevOffset = 0): AppendRequest {
  return {
    kind: 'appendRequest',
    term: 1,
    round: 0,
    prevTerm: prevOffset === 0 ? 0 : 1,
    prevOffset,
    prevLeader: prevOffset === 0 ? NO_INSTANCE : LEADER,
    entriesTerm: bodyBytes === 0 ? 0 : 1,
    entriesLeader: bodyBytes === 0 ? NO_INSTANCE : LEADER,
    end: prevOffset + bodyBytes,
    base: 0,
    commit: 0,
  };
}

/** A socket that a test drives by hand. */
export class RawSocket {
  readonly received = new Happenings<Buffer>();
  readonly socket: net.Socket;
  /** Resolves when it is closed, by whichever side. */
  readonly closed: Promise<void>;
  #count = 0;

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      this.#count += chunk.length;
      this.received.add(chunk);
    });
    this.closed = new Promise((resolve) => socket.on('close', () => resolve()));
    closing(this);
  }

  /** `localAddress`: where it comes from. */
  static connect(port: number, localAddress = HOST): RawSocket {
    return new RawSocket(net.connect({ port, host: HOST, localAddress }));
  }

  get bytes(): Buffer {
    return Buffer.concat(this.received.all);
  }

  write(...parts: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(parts));
  }

  /** The first `count` bytes. */
  until(count: number): Promise<Buffer> {
    return this.received.until(() => this.#count >= count && this.bytes.subarray(0, count));
  }

  close(): void {
    this.socket.destroy();
  }
}

/** A server whose connections a test drives by hand. */
export class RawServer {
  readonly connections = new Happenings<RawSocket>();
  readonly #server: net.Server;

  /** `secret`: it proves that. */
  constructor(secret?: PeerSecret) {
    const taken = (socket: net.Socket): void => this.connections.add(new RawSocket(socket));
    const pskCallback = (): Uint8Array | null => secret?.key ?? null;
    this.#server = secret === undefined ? net.createServer(taken) : tls.createServer({ minVersion: 'TLSv1.3', pskCallback }, taken);
  }

  async listen(): Promise<number> {
    closing(this);
    await new Promise<void>((resolve) => this.#server.listen(0, HOST, resolve));
    return (this.#server.address() as net.AddressInfo).port;
  }

  /** The `count`th connection. */
  nth(count = 1): Promise<RawSocket> {
    return this.connections.until((all) => all[count - 1]);
  }

  close(): Promise<void> {
    for (const connection of this.connections.all) connection.close();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

/** A directed link that can be cut: new connections are refused then, and those that are there end. */
export class Wire {
  readonly #pairs = new Set<net.Socket>();
  readonly #server: net.Server;
  port = 0;
  targetPort: number;
  isCut = false;
  #onRefused: () => void = () => undefined;

  constructor(targetPort: number) {
    this.targetPort = targetPort;
    this.#server = net.createServer((socket) => this.#join(socket));
  }

  async listen(): Promise<this> {
    closing(this);
    await new Promise<void>((resolve) => this.#server.listen(0, HOST, resolve));
    this.port = (this.#server.address() as net.AddressInfo).port;
    return this;
  }

  cut(): void {
    this.isCut = true;
    for (const socket of this.#pairs) socket.destroy();
  }

  heal(): void {
    this.isCut = false;
  }

  /** Resolves when a connection is refused, from now on. */
  refused(): Promise<void> {
    return new Promise((resolve) => {
      this.#onRefused = resolve;
    });
  }

  close(): Promise<void> {
    this.cut();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  #join(from: net.Socket): void {
    if (this.isCut) {
      this.#onRefused();
      from.destroy();
      return;
    }
    const to = net.connect(this.targetPort, HOST);
    for (const [socket, other] of [
      [from, to],
      [to, from],
    ] as const) {
      this.#pairs.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        this.#pairs.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  }
}

export interface Search {
  readonly port: number;
  readonly found: Promise<FoundCluster | undefined>;
  readonly log: Happenings<string>;
}

/** Node `id` looks for its cluster; `ports` say where the others are. */
export async function search(id: number, ports: Readonly<Record<number, number>>, change: Partial<DiscoveryOptions> = {}): Promise<Search> {
  const log = new Happenings<string>();
  const stop = new AbortController();
  const peers = [1, 2, 3].map((peer) => ({ id: peer, host: HOST, peerPort: ports[peer] ?? 0 }));
  let found: Promise<FoundCluster | undefined> = Promise.resolve(undefined);
  const port = await new Promise<number>((resolve, reject) => {
    found = findCluster({
      id,
      transport: new PeerTransport(undefined),
      process: processOf(id, 2),
      segmentBytes: SEGMENT_BYTES,
      isSynced: true,
      host: HOST,
      peerPort: 0,
      advertise: '',
      peers,
      signal: stop.signal,
      log: (level, text) => log.add(`${level}: ${text}`),
      listening: resolve,
      ...change,
    });
    found.catch(reject);
  });
  closing({
    close: async () => {
      stop.abort();
      await found.catch(() => undefined);
    },
  });
  return { port, found, log };
}
