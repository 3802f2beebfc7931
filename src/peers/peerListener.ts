// The peer port: takes connections, lets each prove itself, reads one HELLO from it, and hands on those that other nodes dialed. Nobody is known before
// the HELLO, so until then a connection may hold a few bytes (of a proof, what TLS takes) and a few seconds, and only so many of them are there at once.

import net from 'node:net';
import { firstOfCrowd } from '../core/crowd.ts';
import { LogError } from '../core/errors.ts';
import { NO_CLUSTER, NO_INSTANCE } from '../core/ids.ts';
import { MAX_PEER_HANDSHAKES, PEER_HANDSHAKE_TIMEOUT_MS, PEER_KEEPALIVE_MS } from '../core/peerLimits.ts';
import type { NodeAddress } from '../protocol/peerAddresses.ts';
import {
  type DecodedHandshake,
  decodeHandshake,
  encodePeerRefusal,
  encodePeerWelcome,
  HANDSHAKE_BYTES,
  handshakeBytes,
  type Introduction,
  isHandshake,
  type Refusal,
  type RefusalCode,
} from '../protocol/peerHandshake.ts';
import { judgeHello, type Self } from '../protocol/peerJudgement.ts';
import type { CertifiedNode } from './peerProof.ts';
import { isTls, type PeerTransport, type Proven } from './peerTransport.ts';

export interface PeerListenerOptions {
  readonly self: Self;
  /** This node's word on itself, at this moment. */
  readonly introduce: (to: number) => Introduction;
  /** Where the nodes are that the log says, for who asks. */
  readonly addresses: () => readonly NodeAddress[];
  /** Why the node of `hello`, one of this node's cluster, which dialed from `address`, is not to be believed; undefined: it is. */
  readonly doubts: (hello: Introduction, address: string) => Refusal | undefined;
  /** The node of `hello` is about to be welcomed: what it may count on from then on must be durable when this returns. */
  readonly greeting: (hello: Introduction) => void;
  /** `socket` was dialed by the node of `hello`, and was welcomed; `rest` arrived after the HELLO. The taker owns the socket. */
  readonly taken: (socket: net.Socket, hello: Introduction, rest: Uint8Array, proven: Proven) => void;
  /** A node without a cluster asked, or (while this node has none) one with a cluster dialed; it was answered, and is being closed. */
  readonly asked: (hello: Introduction) => void;
  /** A connection was refused. `from` is the node that it said it is, 0 if it did not get so far. */
  readonly refused: (from: number, code: RefusalCode, sentence: string, address: string) => void;
  /** A connection has not proven that it belongs to this cluster, and is being closed. */
  readonly stranger: (sentence: string, address: string) => void;
  readonly transport: PeerTransport;
  /** For tests. */
  readonly handshakeTimeoutMs?: number;
}

/** A connection that has not been handed on. */
interface Handshake {
  readonly timer: NodeJS.Timeout;
  readonly address: string;
}

/** Who refuses one that has proven nothing, to whom nothing is told. */
const NOBODY = { clusterId: NO_CLUSTER, instance: NO_INSTANCE, process: NO_INSTANCE } as const;

const WITHOUT_PROOF: Refusal = {
  code: 'NOT_PROVEN',
  sentence:
    'it wants to prove itself, and this node was started without a secret and certificates for other nodes: all nodes need the same',
};

function isCertified({ from, clusterId }: Introduction, { node, clusterId: certified }: CertifiedNode): boolean {
  return from === node && (clusterId === NO_CLUSTER || clusterId === certified);
}

export class PeerListener {
  readonly #options: PeerListenerOptions;
  readonly #server: net.Server;
  /** Connections that have not been handed on, oldest first. */
  readonly #handshakes = new Map<net.Socket, Handshake>();

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
    this.cutHandshakes();
    await closed;
  }

  /** Cuts all that have not been handed on: what they prove is not asked for any more. */
  cutHandshakes(): void {
    for (const socket of this.#handshakes.keys()) socket.destroy();
  }

  #greet(raw: net.Socket): void {
    const { transport, stranger, handshakeTimeoutMs = PEER_HANDSHAKE_TIMEOUT_MS } = this.#options;
    const address = raw.remoteAddress ?? 'unknown';
    const timer = setTimeout(() => raw.destroy(), handshakeTimeoutMs);
    this.#handshakes.set(raw, { timer, address });
    if (this.#handshakes.size > MAX_PEER_HANDSHAKES) this.#makeRoom();
    // What goes wrong with a socket ends in 'close'.
    raw.on('error', () => undefined);
    raw.on('close', () => this.#forget(raw));
    transport.accept(raw, {
      proven: (socket, proven) => this.#hear(raw, socket, proven),
      unproven: (sentence, socket) => {
        if (socket !== undefined)
          this.#part(socket, encodePeerRefusal({ ...NOBODY, from: this.#options.self.id }, { code: 'NOT_PROVEN', sentence }));
        stranger(sentence, address);
      },
    });
  }

  /** Reads the HELLO of a connection that is `raw` to TCP, and speaks by `socket`. */
  #hear(raw: net.Socket, socket: net.Socket, proven: Proven): void {
    let received: Uint8Array = new Uint8Array(0);
    const read = (chunk: Uint8Array): void => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
      const isHopeless = received.length >= 4 && !isHandshake(received);
      if (!isHopeless && (received.length < HANDSHAKE_BYTES || received.length < handshakeBytes(received))) return;
      socket.off('data', read);
      this.#judge(raw, socket, received, proven);
    };
    if (socket !== raw) socket.on('error', () => undefined);
    socket.on('data', read);
  }

  /** A crowd of one address is no hindrance to a node at another. */
  #makeRoom(): void {
    const [socket] = firstOfCrowd(this.#handshakes, ([, { address }]) => address) ?? [];
    if (socket === undefined) return;
    this.#forget(socket);
    socket.destroy();
  }

  #forget(socket: net.Socket): void {
    clearTimeout(this.#handshakes.get(socket)?.timer);
    this.#handshakes.delete(socket);
  }

  #judge(raw: net.Socket, socket: net.Socket, received: Uint8Array, proven: Proven): void {
    const { self, introduce, greeting, taken, asked, refused, addresses } = this.#options;
    const end = received.length < HANDSHAKE_BYTES ? received.length : handshakeBytes(received);
    const decoded = decodeHandshake(received.subarray(0, end));
    const address = raw.remoteAddress ?? 'unknown';
    const verdict = isTls(received) ? WITHOUT_PROOF : this.#verdictOn(decoded, address, proven);
    if ('code' in verdict) {
      this.#part(socket, encodePeerRefusal({ ...self, from: self.id }, verdict));
      refused(decoded.kind === 'hello' ? decoded.introduction.from : 0, verdict.code, verdict.sentence, address);
      return;
    }
    const isQuestion = verdict.clusterId === NO_CLUSTER || self.clusterId === NO_CLUSTER || verdict.asksAddresses === true;
    if (!isQuestion) greeting(verdict);
    const told = verdict.asksAddresses === true && self.clusterId !== NO_CLUSTER ? { addresses: addresses() } : {};
    const welcome = encodePeerWelcome({ ...introduce(verdict.from), ...told });
    if (isQuestion) {
      this.#part(socket, welcome);
      asked(verdict);
      return;
    }
    this.#forget(raw);
    socket.write(welcome);
    taken(socket, verdict, received.subarray(end), proven);
  }

  #verdictOn(decoded: DecodedHandshake, address: string, { node }: Proven): Introduction | Refusal {
    const { self, doubts } = this.#options;
    const verdict = judgeHello(decoded, self);
    if (node !== undefined && !('code' in verdict) && !isCertified(verdict, node)) {
      const sentence = `the certificate of who dials is that of node ${node.node} of cluster ${node.clusterId}, and HELLO says node ${verdict.from}`;
      return { code: 'NOT_PROVEN', sentence };
    }
    if ('code' in verdict || verdict.clusterId === NO_CLUSTER || self.clusterId === NO_CLUSTER) return verdict;
    return doubts(verdict, address) ?? verdict;
  }

  /** Sends the last word; whatever the other side still says is dropped, and the time limit goes on. */
  #part(socket: net.Socket, lastWord: Uint8Array): void {
    socket.on('data', () => undefined);
    socket.end(lastWord);
  }
}
