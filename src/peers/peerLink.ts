// The link to one other node: dialed, kept, and dialed again when it is lost.
//
//   waiting ──time, or hurry()──► dialing ──WELCOME──► connected
//      ▲                             │ no                  │ lost
//      └─────────────────────────────┴─────────────────────┘

import { NO_CLUSTER } from '../core/ids.ts';
import { PEER_BACKOFF_MAX_MS, PEER_BACKOFF_MIN_MS, PEER_DIAL_PATIENCE_MS, VERIFIED_MS, VERIFY_LINK_MS } from '../core/peerLimits.ts';
import type { Introduction } from '../protocol/peerHandshake.ts';
import type { Self } from '../protocol/peerJudgement.ts';
import type { PeerMessage } from '../raft/messages.ts';
import { Backoff } from './backoff.ts';
import type { LinkFault } from './causeWatch.ts';
import { OutboundSocket } from './outboundSocket.ts';
import { type DialOutcome, describeRefusal, dial, type PeerAddress } from './peerDial.ts';
import type { PeerTransport, Proven } from './peerTransport.ts';

/** Processes, beside the one that answers, that are remembered to live; there is hardly ever one. */
const MAX_VERIFIED = 8;

/** Why a connection is cut whose proof is not believed any more. */
export const NOT_IN_FORCE = 'what it was proven by is not in force any more';

export interface PeerLinkEvents {
  /** Before a WELCOME is taken: why not, or undefined. */
  readonly doubts: (welcome: Introduction) => string | undefined;
  readonly connected: (welcome: Introduction) => void;
  readonly disconnected: (reason: string) => void;
  readonly drained: () => void;
  /** An attempt to dial begins. */
  readonly dials: () => void;
  /** It was not answered. `isPortClosed`: because nobody listens there. */
  readonly failed: (isPortClosed: boolean) => void;
  /** One end did not believe what the other one proved. */
  readonly unproven: () => void;
  /** There is a link, or no longer, or another reason why there is none. */
  readonly changed: () => void;
}

export interface PeerLinkOptions {
  readonly transport: PeerTransport;
  readonly address: PeerAddress;
  readonly self: Self;
  readonly introduce: () => Introduction;
  readonly stuckMs: number;
  readonly events: PeerLinkEvents;
}

/** Who answers at a node's address. */
export interface Answering {
  readonly process: string;
  readonly instance: string;
  /** Address of the other end; undefined when the socket is gone already. */
  readonly remoteAddress: string | undefined;
}

export class PeerLink {
  readonly #options: PeerLinkOptions;
  readonly #backoff = new Backoff();
  /** Sockets that have not closed yet, each with what resolves then: the present one, and dead ones for a moment. */
  readonly #closing = new Set<Promise<void>>();
  #socket: OutboundSocket | undefined;
  /** What the other end of the present one has proven. */
  #proven: Proven | undefined;
  #connectedAtMs = 0;
  #dialedAtMs = 0;
  /** When `#timer` ends. */
  #dialsAtMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #cancelDial: (() => void) | undefined;
  #isClosed = false;
  #reason: string | undefined = 'not dialed yet';
  #fault: LinkFault | undefined;
  #answering: Answering | undefined;
  #verifiedAtMs = Number.NEGATIVE_INFINITY;
  /** Who answered last. */
  #lastProcess: string | undefined;
  /** The processes for which the link was dialed anew since it leads to that one: when, the oldest first; MAX_VERIFIED at most. */
  readonly #verifiedFor = new Map<string, number>();

  constructor(options: PeerLinkOptions) {
    this.#options = options;
    this.#dial();
  }

  get isConnected(): boolean {
    return this.#socket !== undefined;
  }

  /** Why there is no connection; undefined when there is one. */
  get reason(): string | undefined {
    return this.#reason;
  }

  get address(): PeerAddress {
    return this.#options.address;
  }

  /** What the last attempt came to; undefined while there is a link, and before the first attempt has ended. */
  get fault(): LinkFault | undefined {
    return this.#fault;
  }

  /** Who is at the other end of the link; undefined when there is none. */
  get answering(): Answering | undefined {
    return this.#answering;
  }

  /** Bytes that the socket holds. */
  get bufferedBytes(): number {
    return this.#socket?.bufferedBytes ?? 0;
  }

  /** See `PeerSockets.canSend`. */
  canSend(): boolean {
    return this.#socket?.canSend() ?? false;
  }

  /** See `PeerSockets.send`. */
  send(message: PeerMessage, body: Uint8Array | undefined, released: (() => void) | undefined): boolean {
    return this.#socket?.send(message, body, released) ?? false;
  }

  /** The other node is there: do not wait any longer before dialing it, nor for an attempt that may have begun before it was. */
  hurry(): void {
    if (this.#cancelDial !== undefined && performance.now() - this.#dialedAtMs > PEER_DIAL_PATIENCE_MS) {
      this.#cancelDial();
      this.#dial();
    } else if (this.#timer !== undefined) {
      clearTimeout(this.#timer);
      this.#dial();
    }
  }

  /** The other node's own connection has closed: whether its process is gone is not worth a long pause. */
  soon(): void {
    if (this.#timer === undefined || this.#dialsAtMs - performance.now() <= PEER_BACKOFF_MIN_MS) return;
    clearTimeout(this.#timer);
    this.#waitFor(PEER_BACKOFF_MIN_MS);
  }

  /** Cuts the connection, if there is one, and dials again. */
  redial(reason: string): void {
    this.#socket?.destroy(reason);
  }

  /** Another proof is asked for from now on: a link by one that is not in force any more is made anew. */
  proofChanged(): void {
    if (this.#proven !== undefined && !this.#options.transport.isInForce(this.#proven)) this.redial(NOT_IN_FORCE);
    // Its outcome would be that of the proof before.
    if (this.#cancelDial !== undefined) {
      this.#cancelDial();
      this.#dial();
    } else this.hurry();
  }

  /** Something is wrong between the two nodes: a connection that is not quite new may be dead without knowing it. */
  doubt(): void {
    if (performance.now() - this.#connectedAtMs > PEER_BACKOFF_MAX_MS)
      this.redial('the other node has dialed anew, as if its connections were lost');
  }

  /**
   * Process `other` says that it is the node that this link leads to, which may be dead without our having noticed. Once that has led to the same
   * process as before, it is not done for the same two again for long: both live.
   */
  verify(other: string): void {
    const nowMs = performance.now();
    if (nowMs - this.#verifiedAtMs < VERIFY_LINK_MS) return;
    if (nowMs - (this.#verifiedFor.get(other) ?? Number.NEGATIVE_INFINITY) < VERIFIED_MS) return;
    this.#verifiedAtMs = nowMs;
    this.#verifiedFor.delete(other);
    this.#verifiedFor.set(other, nowMs);
    const [oldest] = this.#verifiedFor.keys();
    if (this.#verifiedFor.size > MAX_VERIFIED && oldest !== undefined) this.#verifiedFor.delete(oldest);
    this.redial('another process says that it is this node');
  }

  /** Leaves nothing open; resolves when no socket holds a body any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#cancelDial?.();
    this.#socket?.destroy('this node closes it');
    await Promise.all(this.#closing);
  }

  #dial(): void {
    this.#timer = undefined;
    this.#dialedAtMs = performance.now();
    const { transport, address, self, introduce, events } = this.#options;
    events.dials();
    this.#cancelDial = dial(transport, address, self, introduce(), (outcome) => {
      this.#cancelDial = undefined;
      this.#dialed(outcome);
    });
  }

  #dialed(outcome: DialOutcome): void {
    switch (outcome.kind) {
      case 'welcome':
        if (outcome.welcome.clusterId !== NO_CLUSTER) {
          const doubt = this.#options.events.doubts(outcome.welcome);
          if (doubt === undefined) {
            this.#connected(outcome);
            return;
          }
          outcome.socket.destroy();
          this.#reason = doubt;
          this.#fault = { kind: 'refused', code: 'TERM', sentence: doubt, isOurs: true, by: outcome.welcome };
          break;
        }
        // It looks for its cluster, has now heard of ours, and will be back with it.
        outcome.socket.destroy();
        this.#reason = 'it does not belong to the cluster yet';
        this.#fault = { kind: 'notJoined' };
        break;
      case 'refused':
        this.#reason = describeRefusal(outcome);
        this.#fault = outcome;
        if (outcome.code === 'NOT_PROVEN') this.#options.events.unproven();
        break;
      case 'failed':
        this.#reason = outcome.reason;
        this.#fault = outcome;
        this.#options.events.failed(outcome.isPortClosed === true);
        break;
    }
    this.#options.events.changed();
    this.#wait();
  }

  #connected({ socket, welcome, proven }: DialOutcome & { kind: 'welcome' }): void {
    this.#proven = proven;
    this.#reason = undefined;
    this.#fault = undefined;
    if (this.#lastProcess !== welcome.process) this.#verifiedFor.clear();
    this.#lastProcess = welcome.process;
    this.#answering = { process: welcome.process, instance: welcome.instance, remoteAddress: socket.remoteAddress };
    this.#connectedAtMs = performance.now();
    const closed = new Promise<void>((resolve) => {
      socket.on('close', () => {
        this.#closing.delete(closed);
        resolve();
      });
    });
    this.#closing.add(closed);
    const { events, stuckMs } = this.#options;
    this.#socket = new OutboundSocket(socket, stuckMs, { drained: events.drained, closed: (reason) => this.#lost(reason) });
    events.connected(welcome);
    events.changed();
  }

  #lost(reason: string): void {
    this.#socket = undefined;
    this.#proven = undefined;
    this.#answering = undefined;
    this.#reason = reason;
    this.#fault = { kind: 'failed', reason };
    // Two nodes that cut each other's connections must not do so at full speed.
    if (performance.now() - this.#connectedAtMs > PEER_BACKOFF_MAX_MS) this.#backoff.reset();
    if (!this.#isClosed) this.#wait();
    this.#options.events.disconnected(reason);
    this.#options.events.changed();
  }

  #wait(): void {
    if (!this.#isClosed) this.#waitFor(this.#backoff.next());
  }

  #waitFor(ms: number): void {
    this.#dialsAtMs = performance.now() + ms;
    this.#timer = setTimeout(() => this.#dial(), ms);
  }
}
