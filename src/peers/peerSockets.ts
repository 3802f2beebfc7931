// All connections between this node and the others. Every node dials every other one, and a connection carries messages only from
// its dialer to its accepter: one link for each ordered pair of nodes. docs/PEERS.md.

import type net from 'node:net';
import { NO_CLUSTER } from '../core/ids.ts';
import { addressOf } from '../core/peers.ts';
import { FrameReader } from '../protocol/frameReader.ts';
import type { NodeAddress } from '../protocol/peerAddresses.ts';
import type { Introduction, Refusal } from '../protocol/peerHandshake.ts';
import type { Self } from '../protocol/peerJudgement.ts';
import type { NodeId, PeerMessage, Standing } from '../raft/messages.ts';
import type { LinkView, OwnView } from './causeWatch.ts';
import { DeathWatch } from './deathWatch.ts';
import type { PeerAddress } from './peerDial.ts';
import { NOT_IN_FORCE, PeerLink } from './peerLink.ts';
import { PeerListener } from './peerListener.ts';
import type { PeerProof } from './peerProof.ts';
import { PeerTransport, type Proven } from './peerTransport.ts';
import { type HeardProcess, mustBeSilent, ProcessWatch } from './processWatch.ts';
import { RefusalLog } from './refusalLog.ts';
import { SilenceWatch } from './silenceWatch.ts';
import { StrangerLog } from './strangerLog.ts';

/** What happens on the connections. None of these is called from within `send`. */
export interface PeerEvents {
  /** `body` is the log's bytes in order, in pieces that are not written again; empty without any. */
  readonly message: (from: NodeId, message: PeerMessage, body: readonly Uint8Array[]) => void;
  /** A part of `message`'s body has come, and not yet all: its sender lives. */
  readonly receiving: (from: NodeId, message: PeerMessage) => void;
  /** The link to `to` is up. */
  readonly connected: (to: NodeId, welcome: Introduction) => void;
  readonly disconnected: (to: NodeId, reason: string) => void;
  /** The process of a node has ended: its connection is closed, and its port has refused another one since. Comes again with each refusal. */
  readonly gone: (node: NodeId) => void;
  /** Before the HELLO or WELCOME of another node of this cluster is taken: why not, or undefined. */
  readonly doubts: (introduction: Introduction) => string | undefined;
  /** Before a node's HELLO is answered: what that node may count on from then on must be durable when this returns. */
  readonly greeting: (hello: Introduction) => void;
  /** The link from `from` is up. A node whose `instance` is not the one known is another data directory. */
  readonly accepted: (from: NodeId, hello: Introduction) => void;
  /** What waits for `to` has fallen to half of PEER_QUEUED_BYTES, from more; or a message for it was not taken, and now would be. */
  readonly drained: (to: NodeId) => void;
  /** What {@link PeerSockets.links} shows has changed. */
  readonly changed: () => void;
  /** A connection that `came` here, or that was `dialed`, ended without a proof that both ends believe. */
  readonly unproven?: (which: 'came' | 'dialed') => void;
  readonly log: (level: 'info' | 'warn', text: string) => void;
}

/** What the node says of itself that may change while it runs. */
export interface SelfNow {
  readonly standing: Standing;
  readonly isFounder: boolean;
  readonly term: number;
}

export interface PeerSocketsOptions {
  readonly self: Self;
  /** What nodes prove themselves by; undefined: nothing is asked for. */
  readonly proof?: PeerProof | undefined;
  readonly now: () => SelfNow;
  /** Where the nodes are that the log says, for nodes that know one of them only; none without it. */
  readonly addresses?: () => readonly NodeAddress[];
  /** A link whose waiting bytes do not move for so long is cut, so that no view is held for ever. */
  readonly stuckMs: number;
  /**
   * A node that has not said anything for so long, although it was sent something again and again, is dialed anew: after an outage TCP
   * alone may wait minutes before it tries again. More than the pause between two attempts to be elected.
   */
  readonly silentMs: number;
  readonly events: PeerEvents;
  /** For tests. */
  readonly handshakeTimeoutMs?: number;
}

/** An accepted link. */
interface Inbound {
  readonly socket: net.Socket;
  readonly proven: Proven;
  readonly reader: FrameReader;
  readonly who: HeardProcess;
  /** A message has come since this was last looked at: its process lives. */
  hasSpoken: boolean;
}

export class PeerSockets {
  readonly #options: PeerSocketsOptions;
  readonly #transport: PeerTransport;
  readonly #listener: PeerListener;
  readonly #links = new Map<NodeId, PeerLink>();
  /** Links that lead nowhere any more, until they have let go of everything. */
  readonly #closing = new Set<Promise<void>>();
  readonly #inbound = new Map<NodeId, Inbound>();
  readonly #instances = new Map<NodeId, string>();
  readonly #processes = new ProcessWatch();
  readonly #deaths = new DeathWatch();
  readonly #silence: SilenceWatch;
  readonly #refusals: RefusalLog;
  /** So many nodes hear another process as this node that this one must not be heard anywhere: see {@link mustBeSilent}. */
  #isSilent = false;
  #isClosed = false;

  constructor(options: PeerSocketsOptions) {
    this.#options = options;
    const { self, handshakeTimeoutMs, proof } = options;
    this.#transport = new PeerTransport(proof);
    this.#silence = new SilenceWatch(options.silentMs);
    this.#refusals = new RefusalLog(self, (text) => options.events.log('warn', text));
    const strangers = new StrangerLog((text) => options.events.log('warn', text));
    this.#listener = new PeerListener({
      self,
      introduce: (to) => this.#introduce(to),
      addresses: () => options.addresses?.() ?? [],
      doubts: (hello, address) => this.#doubts(hello, address),
      greeting: (hello) => options.events.greeting(hello),
      taken: (socket, hello, rest, proven) => this.#accept(socket, hello, rest, proven),
      asked: ({ from }) => this.#links.get(from)?.hurry(),
      refused: (from, code, sentence, address) => this.#refusals.refused(from, code, sentence, address),
      stranger: (sentence, address) => {
        strangers.met(sentence, address);
        options.events.unproven?.('came');
      },
      transport: this.#transport,
      ...(handshakeTimeoutMs === undefined ? {} : { handshakeTimeoutMs }),
    });
  }

  /** Listens on the peer port; returns it. Rejects with a LogError `PORT_IN_USE`. */
  listen(host: string, port: number): Promise<number> {
    return this.#listener.listen(host, port);
  }

  /** Dials these nodes, too, and goes on until {@link close}. */
  dial(peers: readonly PeerAddress[]): void {
    if (this.#isClosed) return;
    for (const address of peers) if (address.id !== this.#options.self.id && !this.#links.has(address.id)) this.#link(address);
  }

  /** Dials these nodes, each at its address, and no others any more. */
  reach(peers: readonly PeerAddress[]): void {
    if (this.#isClosed) return;
    for (const [id, { address }] of this.#links) {
      const next = peers.find((each) => each.id === id);
      if (next === undefined) this.#leave(id, 'it is none of the nodes any more');
      else if (next.host !== address.host || next.peerPort !== address.peerPort) this.#leave(id, 'it has another address');
    }
    this.dial(peers);
  }

  #leave(id: NodeId, reason: string): void {
    const link = this.#links.get(id);
    if (link === undefined) return;
    this.#links.delete(id);
    const { isConnected } = link;
    const closing = link.close().finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
    // It says nothing itself any more.
    if (isConnected) this.#options.events.disconnected(id, reason);
    this.#linkChanged();
  }

  #link(address: PeerAddress): void {
    const { self, stuckMs, events } = this.#options;
    const { id } = address;
    /** Whether it is the link to the node: one that was left for another one has no say any more. */
    const isIt = (): boolean => this.#links.get(id) === link;
    const link: PeerLink = new PeerLink({
      transport: this.#transport,
      address,
      self,
      introduce: () => this.#introduce(id),
      stuckMs,
      events: {
        doubts: (welcome) => events.doubts(welcome),
        connected: (welcome) => {
          this.#silence.heard(id);
          this.#noteInstance(id, welcome);
          this.#answers(address, welcome);
          events.connected(id, welcome);
        },
        disconnected: (reason) => {
          if (isIt()) events.disconnected(id, reason);
        },
        drained: () => {
          if (isIt()) events.drained(id);
        },
        dials: () => this.#deaths.dials(id),
        failed: (isPortClosed) => {
          if (this.#deaths.failed(id, isPortClosed)) events.gone(id);
        },
        unproven: () => events.unproven?.('dialed'),
        changed: () => this.#linkChanged(),
      },
    });
    this.#links.set(id, link);
  }

  /** From now on nodes prove themselves by `proof`. Connections that were proven by what is in it go on; the others are made anew. */
  prove(proof: PeerProof | undefined): void {
    this.#transport.prove(proof);
    this.#listener.cutHandshakes();
    for (const [from, { proven }] of this.#inbound) if (!this.#transport.isInForce(proven)) this.cut(from, NOT_IN_FORCE);
    for (const link of this.#links.values()) link.proofChanged();
  }

  /**
   * Sends `message` to node `to`, and after it `body`, the bytes that it names. False: there is no connection, or too much waits for
   * the node; the message is dropped, and `released` will not be called. True: it is on its way, or lost with the connection. The body
   * is not copied: its bytes must not change until `released` is called, which happens exactly once, and never before this returns.
   */
  send(to: NodeId, message: PeerMessage, body?: Uint8Array, released?: () => void): boolean {
    const link = this.#links.get(to);
    if (link === undefined || this.#isSilent || !link.send(message, body, released)) return false;
    // `send` calls no handler, so this waits for the end of the turn.
    if (this.#silence.sent(to)) process.nextTick(() => link.redial(`it has not said anything for ${this.#options.silentMs} ms`));
    return true;
  }

  /** Closes the connection that `from` dialed, whose messages are not worth reading. */
  cut(from: NodeId, reason: string): void {
    const inbound = this.#inbound.get(from);
    inbound?.reader.stop(reason);
    inbound?.socket.destroy();
  }

  /** Whether a message with a body would be taken for `to` now; if not, `drained` or `connected` comes when it would. */
  canSend(to: NodeId): boolean {
    return !this.#isSilent && (this.#links.get(to)?.canSend() ?? false);
  }

  /** Bytes for node `to` that a socket holds. */
  bufferedBytes(to: NodeId): number {
    return this.#links.get(to)?.bufferedBytes ?? 0;
  }

  isConnected(to: NodeId): boolean {
    return this.#links.get(to)?.isConnected ?? false;
  }

  /** Why there is no link to node `to`; undefined when there is one. */
  reasonOf(to: NodeId): string | undefined {
    const link = this.#links.get(to);
    return link === undefined ? 'not one of the nodes' : link.reason;
  }

  /** What is known of the connections with each other node, as causes are made of it. */
  links(): readonly LinkView[] {
    const nowMs = performance.now();
    return Array.from(this.#links, ([id, { address, fault, isConnected, answering }]) => ({
      address,
      fault,
      isConnected,
      isHeard: this.#inbound.has(id),
      rivals: this.#processes.rivals(id, nowMs),
      remoteAddress: answering?.remoteAddress,
    }));
  }

  /** This node, as causes depend on it. */
  own(): OwnView {
    const { id, process } = this.#options.self;
    return { id, process, listensOn: this.#listener.address, isSilent: this.#isSilent };
  }

  /** Connections that have not said yet who they are, or are being refused. */
  get handshakes(): number {
    return this.#listener.handshakes;
  }

  /** Closes everything; resolves when no socket is left and every body was released. No event but `disconnected` comes any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const { socket, reader } of this.#inbound.values()) {
      reader.stop('this node closes');
      socket.destroy();
    }
    this.#inbound.clear();
    await Promise.all([this.#listener.close(), ...this.#closing, ...Array.from(this.#links.values(), (link) => link.close())]);
  }

  #introduce(to: NodeId): Introduction {
    const { self, now } = this.#options;
    const { id: from, level: _level, voters: _voters, isRemoved: _isRemoved, ...known } = self;
    return { ...known, from, to, ...now() };
  }

  /**
   * A node votes once, and two processes with its id might be heard by different nodes: so one that too many nodes refuse for that says
   * nothing to any of them until they are fewer. One node alone may just have wrong addresses.
   */
  #linkChanged(): void {
    const { events, self } = this.#options;
    const wasSilent = this.#isSilent;
    let refusers = 0;
    const { voters } = self;
    for (const [id, { fault }] of this.#links)
      if (voters.includes(id) && fault?.kind === 'refused' && fault.code === 'OTHER_PROCESS') refusers += 1;
    this.#isSilent = mustBeSilent(refusers, voters.length);
    if (wasSilent && !this.#isSilent) for (const [id, { isConnected }] of this.#links) if (isConnected) events.drained(id);
    events.changed();
  }

  /** Why the node that says `hello` is not believed; undefined: it is. */
  #doubts(hello: Introduction, address: string): Refusal | undefined {
    const otherProcess = this.#doubtsProcess(hello, address);
    if (otherProcess !== undefined) return { code: 'OTHER_PROCESS', sentence: otherProcess };
    const sentence = this.#options.events.doubts(hello);
    return sentence === undefined ? undefined : { code: 'TERM', sentence };
  }

  /**
   * A node is heard only from the process that answers at its address: a voter counts once, and who merely says that it is a node takes the
   * place of none. But the link may lead to a process that is dead without our having noticed, and this is the node's next life: so one
   * that has not spoken lately is dialed anew, now and then.
   */
  #doubtsProcess({ from, process, instance }: Introduction, at: string): string | undefined {
    const link = this.#links.get(from);
    const { answering } = link ?? {};
    if (link === undefined || answering === undefined || answering.process === process) return undefined;
    const nowMs = performance.now();
    const inbound = this.#inbound.get(from);
    if (inbound?.hasSpoken === true) {
      inbound.hasSpoken = false;
      this.#processes.heard(from, inbound.who, nowMs);
    } else {
      link.verify(process);
    }
    this.#processes.heard(from, { process, instance, at }, nowMs);
    this.#options.events.changed();
    const what = instance === answering.instance ? 'with a copy of the same data directory' : 'with another data directory';
    const { host, peerPort } = link.address;
    return `node ${from} runs already, ${what}: node ${this.#options.self.id} reaches it at ${addressOf(host, peerPort)}; two processes of one id cannot both be heard, so stop one of them, or correct that address if it leads to the wrong one`;
  }

  /** `welcome` came from the address of its node: from now on it is heard from that process alone. */
  #answers({ id, host, peerPort }: PeerAddress, { process, instance }: Introduction): void {
    this.#processes.heard(id, { process, instance, at: addressOf(host, peerPort) }, performance.now());
    if (this.#inbound.get(id)?.who.process !== process) this.cut(id, 'another process answers at the address of this node');
  }

  #accept(socket: net.Socket, hello: Introduction, rest: Uint8Array, proven: Proven): void {
    const { events } = this.#options;
    const { from, process, instance } = hello;
    if (this.#isClosed) {
      socket.destroy();
      return;
    }
    const older = this.#inbound.get(from);
    if (older !== undefined) {
      older.reader.stop('a newer connection took its place');
      older.socket.destroy();
      // It was lost without our noticing, so the one to the node may be as well. After an outage TCP alone may take long to find out.
      this.#links.get(from)?.doubt();
    }
    const reader = new FrameReader((message, body) => {
      this.#silence.heard(from);
      inbound.hasSpoken = true;
      events.message(from, message, body);
    });
    const inbound: Inbound = {
      socket,
      proven,
      reader,
      who: { process, instance, at: socket.remoteAddress ?? 'unknown' },
      hasSpoken: false,
    };
    this.#inbound.set(from, inbound);
    this.#deaths.opened(from);
    this.#processes.heard(from, inbound.who, performance.now());
    socket.on('data', (chunk: Uint8Array) => this.#read(from, inbound, chunk));
    socket.on('close', () => {
      reader.stop('the connection closed');
      if (this.#inbound.get(from) === inbound) this.#closed(from);
      events.changed();
    });
    this.#refusals.accepted(from);
    this.#noteInstance(from, hello);
    events.accepted(from, hello);
    this.#links.get(from)?.hurry();
    events.changed();
    if (rest.length > 0) this.#read(from, inbound, rest);
  }

  #closed(from: NodeId): void {
    this.#inbound.delete(from);
    this.#deaths.closed(from);
    this.#links.get(from)?.soon();
  }

  #read(from: NodeId, { socket, reader }: Inbound, chunk: Uint8Array): void {
    const failure = reader.push(chunk);
    if (failure !== undefined) {
      if (!socket.destroyed) this.#options.events.log('warn', `node ${from} sends ${failure}: its connection is closed`);
      socket.destroy();
      return;
    }
    const { arriving } = reader;
    if (arriving === undefined) return;
    this.#silence.heard(from);
    this.#options.events.receiving(from, arriving);
  }

  #noteInstance(id: NodeId, { instance, clusterId }: Introduction): void {
    if (clusterId === NO_CLUSTER) return;
    const before = this.#instances.get(id);
    this.#instances.set(id, instance);
    if (before === undefined || before === instance) return;
    this.#options.events.log('warn', `node ${id} now has another data directory (instance ${instance}, before ${before})`);
  }
}
