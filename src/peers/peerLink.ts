// The link to one other node: dialed, kept, and dialed again when it is lost.
//
//   waiting ──time, or hurry()──► dialing ──WELCOME──► connected
//      ▲                             │ no                  │ lost
//      └─────────────────────────────┴─────────────────────┘

import { NO_CLUSTER } from '../core/ids.ts';
import { PEER_BACKOFF_MAX_MS, PEER_DIAL_PATIENCE_MS } from '../core/limits.ts';
import type { Introduction, Self } from '../protocol/peerHandshake.ts';
import type { PeerMessage } from '../raft/messages.ts';
import { Backoff } from './backoff.ts';
import { OutboundSocket } from './outboundSocket.ts';
import { type DialOutcome, describeRefusal, dial, type PeerAddress } from './peerDial.ts';

export interface PeerLinkEvents {
  /** Before a WELCOME is taken: why not, or undefined. */
  readonly doubts: (welcome: Introduction) => string | undefined;
  readonly connected: (welcome: Introduction) => void;
  readonly disconnected: (reason: string) => void;
  /** The other node does not take our connections; once for each reason, until it does. */
  readonly refused: (sentence: string) => void;
  readonly drained: () => void;
}

export interface PeerLinkOptions {
  readonly address: PeerAddress;
  readonly self: Self;
  readonly introduce: () => Introduction;
  readonly stuckMs: number;
  readonly events: PeerLinkEvents;
}

export class PeerLink {
  readonly #options: PeerLinkOptions;
  readonly #backoff = new Backoff();
  /** Sockets that have not closed yet, each with what resolves then: the present one, and dead ones for a moment. */
  readonly #closing = new Set<Promise<void>>();
  #socket: OutboundSocket | undefined;
  #connectedAtMs = 0;
  #dialedAtMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #cancelDial: (() => void) | undefined;
  #isClosed = false;
  #reason: string | undefined = 'not dialed yet';
  #lastRefusal: string | undefined;

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

  /** Cuts the connection, if there is one, and dials again. */
  redial(reason: string): void {
    this.#socket?.destroy(reason);
  }

  /** Something is wrong between the two nodes: a connection that is not quite new may be dead without knowing it. */
  doubt(): void {
    if (performance.now() - this.#connectedAtMs > PEER_BACKOFF_MAX_MS)
      this.redial('the other node has dialed anew, as if its connections were lost');
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
    const { address, self, introduce } = this.#options;
    this.#cancelDial = dial(address, self, introduce(), (outcome) => {
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
          break;
        }
        // It looks for its cluster, has now heard of ours, and will be back with it.
        outcome.socket.destroy();
        this.#reason = 'it does not belong to the cluster yet';
        break;
      case 'refused':
        this.#reason = describeRefusal(outcome);
        if (this.#lastRefusal !== this.#reason) {
          this.#lastRefusal = this.#reason;
          this.#options.events.refused(this.#reason);
        }
        break;
      case 'failed':
        this.#reason = outcome.reason;
        break;
    }
    this.#wait();
  }

  #connected({ socket, welcome }: DialOutcome & { kind: 'welcome' }): void {
    this.#reason = undefined;
    this.#lastRefusal = undefined;
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
  }

  #lost(reason: string): void {
    this.#socket = undefined;
    this.#reason = reason;
    // Two nodes that cut each other's connections must not do so at full speed.
    if (performance.now() - this.#connectedAtMs > PEER_BACKOFF_MAX_MS) this.#backoff.reset();
    if (!this.#isClosed) this.#wait();
    this.#options.events.disconnected(reason);
  }

  #wait(): void {
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => this.#dial(), this.#backoff.next());
  }
}
