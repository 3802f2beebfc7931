// What the network between simulated nodes is made of: its ends, and one connection for each ordered pair of them.

import { FrameReader } from '../../src/protocol/frameReader.ts';
import type { Introduction } from '../../src/protocol/peerHandshake.ts';
import type { NodeId, PeerMessage } from '../../src/raft/messages.ts';
import type { Welcome } from './search.ts';
import type { Thread } from './thread.ts';

/** A process, as the network sees it. */
export interface Endpoint {
  /** Of the data directory. */
  readonly instance: string;
  /** Whether a connection from another data directory of that node came since: what one of before brings is not heard any more. */
  isPast(source: Pick<Endpoint, 'id' | 'instance'>): boolean;
  readonly id: NodeId;
  readonly isAlive: boolean;
  /** The thread that has the sockets. */
  readonly thread: Thread;
  /** What it says of itself to node `to` when a connection is made. */
  greeting(to: NodeId): Introduction;
  /** Whether it takes a WELCOME of node `to`. */
  takes(welcome: Introduction, to: NodeId): boolean;
  received(from: NodeId, message: PeerMessage, body: readonly Uint8Array[]): void;
  receiving(from: NodeId, message: PeerMessage): void;
  connected(to: NodeId, welcome: Introduction): void;
  /** A node says HELLO, to make a connection: what it is answered, or undefined: it is refused. */
  accepted(from: NodeId, hello: Introduction): Welcome;
  disconnected(to: NodeId): void;
  /** The connection that `from` had made is closed, as far as can be seen here. */
  closed(from: NodeId): void;
  /** A node is dialed. */
  dials(to: NodeId): void;
  /** It did not answer; `isPortClosed`: its port refuses connections. */
  unanswered(to: NodeId, isPortClosed: boolean): void;
  drained(to: NodeId): void;
}

interface Packet {
  readonly message: PeerMessage;
  readonly frame: Uint8Array;
  readonly body: Uint8Array | undefined;
  readonly released: (() => void) | undefined;
}

export class Connection {
  readonly source: Endpoint;
  readonly target: Endpoint;
  isOpen = true;
  /** Not handed to the network yet. */
  readonly outbox: Packet[] = [];
  outboxBytes = 0;
  wantsDrain = false;
  lastArrivalMs = 0;
  /** What is under way, in its order, and how much of it waits at a cut link. */
  readonly underWay: (() => void)[] = [];
  stalled = 0;
  readonly reader: FrameReader;

  constructor(source: Endpoint, target: Endpoint) {
    this.source = source;
    this.target = target;
    this.reader = new FrameReader((message, body) => target.received(source.id, message, body));
  }
}

export class Link {
  isCut = false;
  /** Connections are refused, whoever is there: what stands between does so. */
  isRefused = false;
  /** Added to each delay. */
  extraDelayMs = 0;
  connection: Connection | undefined;
  /** Who has taken a connection by it, and has not been told that it is closed. */
  heldBy: Endpoint | undefined;
  /** Counts dials: the answer to an old one is of no use. */
  dials = 0;
}
