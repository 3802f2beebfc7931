// The network between simulated nodes: one connection for each ordered pair of them, dialed again when it is lost, as PeerSockets keeps
// them. Messages travel as the bytes of the real codec. A link can be slow, clogged, cut one way; a connection can be reset with all that
// is on it; and a lossy network drops, repeats and reorders single messages.

import { FrameReader } from '../../src/protocol/frameReader.ts';
import { bodyBytesOf, encodePeerMessage } from '../../src/protocol/peer.ts';
import type { Introduction } from '../../src/protocol/peerHandshake.ts';
import type { NodeId, PeerMessage } from '../../src/raft/messages.ts';
import type { Random } from '../assembly/random.ts';
import { Connection, type Endpoint, Link } from './peerConnection.ts';
import type { Scheduler } from './scheduler.ts';
import type { Welcome } from './search.ts';
import type { Thread } from './thread.ts';
import { promise } from './violation.ts';

/** Whoever has the peer port of a node: a process that is one of a cluster, or one that looks for it. */
interface Port {
  readonly thread: Thread;
  greeted(hello: Introduction): Welcome;
}

/** How the network of one simulation behaves when nothing is broken. */
export interface NetworkProfile {
  readonly minDelayMs: number;
  readonly maxDelayMs: number;
  /** Single messages get lost, come twice and overtake each other: one in so many; 0: never. */
  readonly dropOneIn: number;
  readonly repeatOneIn: number;
  readonly reorders: boolean;
  /** Bytes that may wait for one node. */
  readonly bufferBytes: number;
  /** A connection on which nothing moves for so long is given up. */
  readonly silentMs: number;
  readonly redialMs: number;
  readonly dialTimeoutMs: number;
}

/** A connection that is lost is made anew so many times sooner than one that could not be made is tried again. */
const FIRST_REDIAL = 5;

export class Network {
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #profile: NetworkProfile;
  readonly #links = new Map<number, Link>();
  readonly #endpoints = new Map<NodeId, Endpoint>();
  /** Ends all loss, but not cut links. */
  isCalm = false;
  /** Everything takes as long as it does at least. */
  isQuick = false;
  /** Who has the peer port of a node. */
  portOf: (id: NodeId) => Port | undefined = () => undefined;
  /** Is told every message as it leaves. */
  onSend: (from: NodeId, to: NodeId, message: PeerMessage) => void = () => undefined;

  constructor(scheduler: Scheduler, random: Random, profile: NetworkProfile) {
    this.#scheduler = scheduler;
    this.#random = random;
    this.#profile = profile;
  }

  link(from: NodeId, to: NodeId): Link {
    const key = from * 64 + to;
    let link = this.#links.get(key);
    if (link === undefined) {
      link = new Link();
      this.#links.set(key, link);
    }
    return link;
  }

  /** A process came up: it dials `peers`, and takes their calls. */
  join(endpoint: Endpoint, peers: readonly NodeId[]): void {
    this.#endpoints.set(endpoint.id, endpoint);
    for (const peer of peers) {
      if (peer !== endpoint.id) this.#dial(endpoint, peer, this.#random.below(20));
    }
  }

  /** A process is gone; its connections break. */
  leave(endpoint: Endpoint, peers: readonly NodeId[]): void {
    if (this.#endpoints.get(endpoint.id) === endpoint) this.#endpoints.delete(endpoint.id);
    for (const peer of peers) {
      if (peer === endpoint.id) continue;
      this.reset(endpoint.id, peer);
      this.reset(peer, endpoint.id);
      this.#hangUp(endpoint.id, peer);
    }
  }

  canReach(from: NodeId, to: NodeId): boolean {
    return !this.link(from, to).isCut && !this.link(to, from).isCut;
  }

  cut(from: NodeId, to: NodeId): void {
    this.link(from, to).isCut = true;
    const { connection } = this.link(from, to);
    if (connection === undefined || this.#random.oneIn(2)) return;
    // Who hears nothing dials again; otherwise all that is under way waits, and comes late.
    this.#scheduler.after(this.#profile.silentMs, () => {
      if (this.link(from, to).isCut && connection.isOpen) this.#close(connection);
    });
  }

  mend(from: NodeId, to: NodeId): void {
    const link = this.link(from, to);
    if (!link.isCut) return;
    link.isCut = false;
    const { connection } = link;
    if (connection === undefined) return;
    for (; connection.stalled > 0; connection.stalled -= 1) this.#planArrival(connection, link);
    if (connection.outbox.length > 0) this.#planFlush(connection);
  }

  /** Breaks the connection, if there is one: what is on it is lost. */
  reset(from: NodeId, to: NodeId): void {
    const { connection } = this.link(from, to);
    if (connection !== undefined) this.#close(connection);
  }

  /** Says `hello` to the node that it names, without more; `answered` is called with the answer, unless a cut link loses one of the two. */
  ask(from: NodeId, hello: Introduction, answered: (welcome: Welcome) => void): void {
    const [forth, back] = [this.link(from, hello.to), this.link(hello.to, from)];
    this.#scheduler.after(this.#delayMs(forth), () => {
      const port = this.portOf(hello.to);
      if (port === undefined || forth.isCut) return;
      port.thread.arrive('is asked', () => {
        const welcome = port.greeted(hello);
        this.#scheduler.after(port.thread.blockedMs + this.#delayMs(back), () => {
          if (!back.isCut) answered(welcome);
        });
      });
    });
  }

  /** Whether a connection from `from` is up, as far as `target` knows or could know. */
  isHeard(from: NodeId, target: Endpoint): boolean {
    return this.link(from, target.id).heldBy === target;
  }

  isConnected(source: Endpoint, to: NodeId): boolean {
    return this.link(source.id, to).connection?.source === source;
  }

  canSend(source: Endpoint, to: NodeId): boolean {
    const { connection } = this.link(source.id, to);
    if (connection?.source !== source) return false;
    if (connection.outboxBytes < this.#profile.bufferBytes) return true;
    connection.wantsDrain = true;
    return false;
  }

  /** Sends, or drops. `released` is called exactly once, unless the sender dies. */
  send(source: Endpoint, to: NodeId, message: PeerMessage, body?: Uint8Array, released?: () => void): void {
    const { connection } = this.link(source.id, to);
    const frame = encodePeerMessage(message);
    const isFull = (connection?.outboxBytes ?? 0) > (body === undefined ? 2 : 1) * this.#profile.bufferBytes;
    if (connection?.source !== source || isFull) {
      released?.();
      return;
    }
    promise(bodyBytesOf(message) === (body?.length ?? 0), 'soundness', () => 'a message came with a body of another length than it says');
    this.onSend(source.id, to, message);
    connection.outbox.push({ message, frame, body, released });
    connection.outboxBytes += frame.length + (body?.length ?? 0);
    if (connection.outbox.length > 1) return;
    if (body === undefined && source.thread.blockedMs === 0 && !this.link(source.id, to).isCut) this.#flush(connection);
    else this.#planFlush(connection);
  }

  /** A message comes to `to` by its link from `from`, if there is one, that nobody sent. */
  forge(from: NodeId, to: NodeId, message: PeerMessage): void {
    const { connection } = this.link(from, to);
    if (connection !== undefined) this.#deliverWhole(connection, message, encodePeerMessage(message));
  }

  #delayMs(link: Link): number {
    const { minDelayMs, maxDelayMs } = this.#profile;
    const random = this.#random;
    if (this.isQuick) return minDelayMs + link.extraDelayMs;
    const spread = random.oneIn(20) ? 4 * maxDelayMs : maxDelayMs;
    return minDelayMs + ((spread - minDelayMs) * random.below(1000)) / 1000 + link.extraDelayMs;
  }

  /** The sender's socket takes what waits: only then are bodies read from the memory of their node. */
  #planFlush(connection: Connection): void {
    const { source } = connection;
    source.thread.post(source.thread.blockedMs + this.#random.below(100) / 50, 'flush', () => {
      if (connection.isOpen && !this.link(source.id, connection.target.id).isCut) this.#flush(connection);
    });
  }

  #flush(connection: Connection): void {
    for (let packet = connection.outbox[0]; packet !== undefined; packet = connection.outbox[0]) {
      const { message, frame, body, released } = packet;
      const bytes = new Uint8Array(frame.length + (body?.length ?? 0));
      bytes.set(frame);
      if (body !== undefined) bytes.set(body, frame.length);
      connection.outbox.shift();
      connection.outboxBytes -= bytes.length;
      this.#transmit(connection, message, bytes);
      released?.();
      if (!connection.isOpen) return;
    }
    if (connection.wantsDrain && connection.outboxBytes < this.#profile.bufferBytes) {
      connection.wantsDrain = false;
      connection.source.thread.post(0, 'drained', () => connection.source.drained(connection.target.id));
    }
  }

  #transmit(connection: Connection, message: PeerMessage, bytes: Uint8Array): void {
    const { dropOneIn, repeatOneIn, reorders } = this.#profile;
    const random = this.#random;
    const link = this.link(connection.source.id, connection.target.id);
    // An admission is said once a connection: who loses it loses the connection.
    if (this.isCalm || !(reorders || dropOneIn > 0) || message.kind === 'admit') {
      this.#stream(connection, link, message, bytes);
      return;
    }
    const isDropped = dropOneIn > 0 && random.oneIn(dropOneIn);
    const copies = isDropped ? 0 : repeatOneIn > 0 && random.oneIn(repeatOneIn) ? 2 : 1;
    for (let i = 0; i < copies; i += 1) {
      const delayMs = reorders ? this.#delayMs(link) * (1 + random.below(3)) : this.#inOrder(connection, this.#delayMs(link));
      this.#scheduler.after(delayMs, () => {
        if (!link.isCut) this.#deliverWhole(connection, message, bytes);
      });
    }
  }

  #inOrder(connection: Connection, delayMs: number): number {
    const { nowMs } = this.#scheduler;
    connection.lastArrivalMs = Math.max(connection.lastArrivalMs, nowMs + delayMs);
    return connection.lastArrivalMs - nowMs;
  }

  /** A message by itself, wherever the others are. */
  #deliverWhole(connection: Connection, message: PeerMessage, bytes: Uint8Array): void {
    const { source, target } = connection;
    if (!target.isAlive) return;
    const reader = new FrameReader((received, body) => target.received(source.id, received, body));
    target.thread.arrive('message', () => (target.isPast(source) ? undefined : read(reader, bytes)), message);
  }

  /** Bytes of the connection's stream, in one piece or two. */
  #stream(connection: Connection, link: Link, message: PeerMessage, bytes: Uint8Array): void {
    const cutAt = bytes.length > 64 && this.#random.oneIn(6) ? 1 + this.#random.below(bytes.length - 1) : bytes.length;
    this.#arrive(connection, link, message, bytes.subarray(0, cutAt));
    if (cutAt < bytes.length) this.#arrive(connection, link, message, bytes.subarray(cutAt));
  }

  #arrive(connection: Connection, link: Link, message: PeerMessage, piece: Uint8Array): void {
    connection.underWay.push(() => this.#deliverPiece(connection, message, piece));
    this.#planArrival(connection, link);
  }

  /** Whatever is first on its way arrives. */
  #planArrival(connection: Connection, link: Link): void {
    this.#scheduler.after(this.#inOrder(connection, this.#delayMs(link)), () => {
      if (!connection.isOpen) return;
      if (link.isCut) connection.stalled += 1;
      else connection.underWay.shift()?.();
    });
  }

  #deliverPiece(connection: Connection, message: PeerMessage, piece: Uint8Array): void {
    const { source, target, reader } = connection;
    target.thread.arrive(
      'message',
      () => {
        read(reader, piece);
        const { arriving } = reader;
        if (arriving !== undefined && target.isAlive) target.receiving(source.id, arriving);
      },
      message,
    );
  }

  #close(connection: Connection): void {
    const { source, target, outbox } = connection;
    if (!connection.isOpen) return;
    connection.isOpen = false;
    connection.reader.stop('the connection closed');
    const link = this.link(source.id, target.id);
    if (link.connection === connection) link.connection = undefined;
    const unsent = outbox.splice(0);
    connection.outboxBytes = 0;
    this.#hangUp(source.id, target.id);
    if (!source.isAlive) return;
    source.thread.post(this.#random.below(10), 'disconnected', () => {
      for (const { released } of unsent) released?.();
      source.disconnected(target.id);
    });
    this.#dial(source, target.id, this.#redialMs() / FIRST_REDIAL);
  }

  /** Who has taken a connection from `from` sees that it is closed: at once, or never if the link is cut. */
  #hangUp(from: NodeId, to: NodeId): void {
    const link = this.link(from, to);
    const { heldBy } = link;
    if (heldBy === undefined || link.isCut) return;
    link.heldBy = undefined;
    heldBy.thread.post(this.#random.below(10), 'closed', () => {
      if (link.heldBy === undefined) heldBy.closed(from);
    });
  }

  #redialMs(): number {
    return (this.#profile.redialMs * (500 + this.#random.below(1000))) / 1000;
  }

  #dial(source: Endpoint, to: NodeId, delayMs: number): void {
    const link = this.link(source.id, to);
    link.dials += 1;
    const dial = link.dials;
    const isCurrent = (): boolean => source.isAlive && link.dials === dial && link.connection === undefined;
    this.#scheduler.after(delayMs, () => {
      if (!isCurrent()) return;
      source.dials(to);
      this.#greet(source, to, isCurrent);
      this.#scheduler.after(this.#profile.dialTimeoutMs, () => {
        if (isCurrent()) this.#unanswered(source, to, false);
      });
    });
  }

  #unanswered(source: Endpoint, to: NodeId, isPortClosed: boolean): void {
    this.#dial(source, to, this.#redialMs());
    source.thread.arrive(isPortClosed ? 'refused' : 'no answer', () => source.unanswered(to, isPortClosed));
  }

  /** HELLO there, WELCOME back. */
  #greet(source: Endpoint, to: NodeId, isCurrent: () => boolean): void {
    const hello = source.greeting(to);
    const forth = this.link(source.id, to);
    const back = this.link(to, source.id);
    this.#scheduler.after(this.#delayMs(forth), () => {
      if (forth.isCut || !isCurrent()) return;
      const target = this.#endpoints.get(to);
      if (forth.isRefused || (target === undefined && this.portOf(to) === undefined)) {
        this.#scheduler.after(this.#delayMs(back), () => {
          if (!back.isCut && isCurrent()) this.#unanswered(source, to, true);
        });
        return;
      }
      if (target === undefined) return;
      target.thread.arrive('accepted', () => {
        const welcome = target.accepted(source.id, hello);
        if (welcome === undefined || !target.isAlive) return;
        forth.heldBy = target;
        this.#scheduler.after(target.thread.blockedMs + this.#delayMs(back), () => {
          if (back.isCut || !isCurrent() || !target.isAlive) return;
          source.thread.arrive('connected', () => {
            if (!isCurrent() || !target.isAlive || !source.takes(welcome, to)) return;
            forth.connection = new Connection(source, target);
            source.connected(to, welcome);
          });
        });
      });
    });
  }
}

function read(reader: FrameReader, bytes: Uint8Array): void {
  const failure = reader.push(bytes);
  promise(failure === undefined || failure === 'the connection closed', 'soundness', () => `a message could not be decoded: ${failure}`);
}
