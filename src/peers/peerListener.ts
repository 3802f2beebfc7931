// The peer port: takes connections, reads one HELLO from each, and hands on those that other nodes dialed. Nobody is known before the
// HELLO, so until then a connection may hold 64 bytes and a few seconds, and only so many of them are there at once.

import net from 'node:net';
import { LogError } from '../core/errors.ts';
import { NO_CLUSTER } from '../core/ids.ts';
import { MAX_PEER_HANDSHAKES, PEER_HANDSHAKE_TIMEOUT_MS, PEER_KEEPALIVE_MS } from '../core/limits.ts';
import {
  type DecodedHandshake,
  decodeHandshake,
  encodePeerRefusal,
  encodePeerWelcome,
  HANDSHAKE_BYTES,
  handshakeBytes,
  type Introduction,
  isHandshake,
  judgeHello,
  type Refusal,
  type RefusalCode,
  type Self,
} from '../protocol/peerHandshake.ts';

export interface PeerListenerOptions {
  readonly self: Self;
  /** This node's word on itself, at this moment. */
  readonly introduce: (to: number) => Introduction;
  /** Why the node of `hello`, one of this node's cluster, which dialed from `address`, is not to be believed; undefined: it is. */
  readonly doubts: (hello: Introduction, address: string) => Refusal | undefined;
  /** The node of `hello` is about to be welcomed: what it may count on from then on must be durable when this returns. */
  readonly greeting: (hello: Introduction) => void;
  /** `socket` was dialed by the node of `hello`, and was welcomed; `rest` arrived after the HELLO. The taker owns the socket. */
  readonly taken: (socket: net.Socket, hello: Introduction, rest: Uint8Array) => void;
  /** A node without a cluster asked, or (while this node has none) one with a cluster dialed; it was answered, and is being closed. */
  readonly asked: (hello: Introduction) => void;
  /** A connection was refused. `from` is the node that it said it is, 0 if it did not get so far. */
  readonly refused: (from: number, code: RefusalCode, sentence: string, address: string) => void;
  /** For tests. */
  readonly handshakeTimeoutMs?: number;
}

export class PeerListener {
  readonly #options: PeerListenerOptions;
  readonly #server: net.Server;
  /** Connections that have not been handed on, with the time limit of each; oldest first. */
  readonly #handshakes = new Map<net.Socket, NodeJS.Timeout>();

  constructor(options: PeerListenerOptions) {
    this.#options = options;
    this.#server = net.createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: PEER_KEEPALIVE_MS }, (socket) =>
      this.#greet(socket),
    );
  }

  /** Starts listening; returns the port. Rejects with a LogError `PORT_IN_USE`. */
  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error: NodeJS.ErrnoException) => {
        reject(
          new LogError(
            'PORT_IN_USE',
            `cannot listen on ${host} port ${port} for other nodes (${error.code ?? error.message}): another program has it, or the address is not this machine's; name another one in the list of nodes`,
          ),
        );
      });
      this.#server.listen({ host, port, exclusive: true }, () => {
        // A connection that could not be accepted, for want of descriptors say, is lost; its node dials again.
        this.#server.on('error', () => undefined);
        const address = this.#server.address();
        resolve(typeof address === 'object' && address !== null ? address.port : port);
      });
    });
  }

  /** The address that it listens on; undefined while it does not. */
  get address(): string | undefined {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.address : undefined;
  }

  /** Connections that have not said yet who they are, or are being refused. */
  get handshakes(): number {
    return this.#handshakes.size;
  }

  /** Stops listening and cuts what was not handed on; resolves when nothing is left, and the port is free. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      // Calls back with an error when it never listened: nothing is left then, too.
      this.#server.close(() => resolve());
    });
    for (const socket of this.#handshakes.keys()) socket.destroy();
    await closed;
  }

  #greet(socket: net.Socket): void {
    const timer = setTimeout(() => socket.destroy(), this.#options.handshakeTimeoutMs ?? PEER_HANDSHAKE_TIMEOUT_MS);
    this.#handshakes.set(socket, timer);
    for (const oldest of this.#handshakes.keys()) {
      if (this.#handshakes.size <= MAX_PEER_HANDSHAKES) break;
      this.#forget(oldest);
      oldest.destroy();
    }
    let received: Uint8Array = new Uint8Array(0);
    const read = (chunk: Uint8Array): void => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
      const isHopeless = received.length >= 4 && !isHandshake(received);
      if (!isHopeless && (received.length < HANDSHAKE_BYTES || received.length < handshakeBytes(received))) return;
      socket.off('data', read);
      this.#judge(socket, received);
    };
    socket.on('data', read);
    // What goes wrong with a socket ends in 'close'.
    socket.on('error', () => undefined);
    socket.on('close', () => this.#forget(socket));
  }

  #forget(socket: net.Socket): void {
    clearTimeout(this.#handshakes.get(socket));
    this.#handshakes.delete(socket);
  }

  #judge(socket: net.Socket, received: Uint8Array): void {
    const { self, introduce, greeting, taken, asked, refused } = this.#options;
    const end = received.length < HANDSHAKE_BYTES ? received.length : handshakeBytes(received);
    const decoded = decodeHandshake(received.subarray(0, end));
    const address = socket.remoteAddress ?? 'unknown';
    const verdict = this.#verdictOn(decoded, address);
    if ('code' in verdict) {
      this.#part(socket, encodePeerRefusal({ ...self, from: self.id }, verdict));
      refused(decoded.kind === 'hello' ? decoded.introduction.from : 0, verdict.code, verdict.sentence, address);
      return;
    }
    if (verdict.clusterId !== NO_CLUSTER && self.clusterId !== NO_CLUSTER) greeting(verdict);
    const welcome = encodePeerWelcome(introduce(verdict.from));
    if (verdict.clusterId === NO_CLUSTER || self.clusterId === NO_CLUSTER) {
      this.#part(socket, welcome);
      asked(verdict);
      return;
    }
    this.#forget(socket);
    socket.write(welcome);
    taken(socket, verdict, received.subarray(end));
  }

  #verdictOn(decoded: DecodedHandshake, address: string): Introduction | Refusal {
    const { self, doubts } = this.#options;
    const verdict = judgeHello(decoded, self);
    if ('code' in verdict || verdict.clusterId === NO_CLUSTER || self.clusterId === NO_CLUSTER) return verdict;
    return doubts(verdict, address) ?? verdict;
  }

  /** Sends the last word; whatever the other side still says is dropped, and the time limit goes on. */
  #part(socket: net.Socket, lastWord: Uint8Array): void {
    socket.on('data', () => undefined);
    socket.end(lastWord);
  }
}
