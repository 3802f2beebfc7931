// A dialed and welcomed connection: messages go out, nothing comes back. Bodies are views of shared memory, handed to the socket as
// they are; each is released exactly once, when the socket no longer holds it, at the latest when the socket has closed.

import type net from 'node:net';
import { assert } from '../core/assert.ts';
import { PEER_QUEUED_BYTES, PEER_QUEUED_EXTRA_BYTES } from '../core/peerLimits.ts';
import { bodyBytesOf, encodePeerMessage, PEER_FRAME_BYTES } from '../protocol/peer.ts';
import type { PeerMessage } from '../raft/messages.ts';

export interface OutboundEvents {
  /** What waits has fallen to half of PEER_QUEUED_BYTES, from more than that; or a message was not taken, and now would be. */
  readonly drained: () => void;
  /** The connection is gone; comes once. Bodies may be held a moment longer. */
  readonly closed: (reason: string) => void;
}

export class OutboundSocket {
  readonly #socket: net.Socket;
  readonly #events: OutboundEvents;
  /** Bodies that the socket holds. */
  readonly #held = new Set<{ readonly released: () => void }>();
  /** Bytes that the socket holds, and those among them of messages without a body. */
  #queuedBytes = 0;
  #queuedBareBytes = 0;
  #isCorked = false;
  /** A message was not taken, or entries were not asked for, because too much waited. */
  #isAwaited = false;
  #isGone = false;
  #reason = 'it closed the connection';

  /** `stuckMs`: with bytes waiting and none of them moving for so long, the connection is cut. */
  constructor(socket: net.Socket, stuckMs: number, events: OutboundEvents) {
    this.#socket = socket;
    this.#events = events;
    // Node's timeout knows of bytes that the kernel takes out of the middle of a write.
    socket.setTimeout(stuckMs, () => {
      if (this.#queuedBytes > 0) this.destroy(`${this.#queuedBytes} bytes did not move for ${stuckMs} ms`);
    });
    socket.on('data', () => this.destroy('it says something on a connection that is not its own'));
    socket.on('end', () => this.destroy('it closed the connection'));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#reason = error.code ?? error.message;
    });
    socket.on('close', () => {
      this.#gone();
      for (const entry of this.#held) this.#release(entry);
    });
  }

  get bufferedBytes(): number {
    return this.#queuedBytes;
  }

  /** Whether a message with a body would be taken now; if not, `drained` is called when it would. */
  canSend(): boolean {
    const isFull = this.#queuedBytes >= PEER_QUEUED_BYTES;
    if (isFull) this.#isAwaited = true;
    return !isFull && !this.#isGone;
  }

  /** See `PeerSockets.send`. */
  send(message: PeerMessage, body: Uint8Array | undefined, released: (() => void) | undefined): boolean {
    const bodyBytes = body?.length ?? 0;
    assert(bodyBytes === bodyBytesOf(message), 'a message is sent with the body that it names');
    if (this.#isGone) return false;
    const isFull = bodyBytes > 0 ? this.#queuedBytes >= PEER_QUEUED_BYTES : this.#queuedBareBytes >= PEER_QUEUED_EXTRA_BYTES;
    if (isFull) {
      this.#isAwaited = true;
      return false;
    }
    this.#cork();
    const frame = encodePeerMessage(message);
    this.#queuedBytes += PEER_FRAME_BYTES + bodyBytes;
    if (body === undefined || bodyBytes === 0) {
      this.#queuedBareBytes += PEER_FRAME_BYTES;
      const entry = released === undefined ? undefined : this.#hold(released);
      this.#socket.write(frame, () => {
        this.#queuedBareBytes -= PEER_FRAME_BYTES;
        this.#written(PEER_FRAME_BYTES, entry);
      });
      return true;
    }
    const entry = released === undefined ? undefined : this.#hold(released);
    this.#socket.write(frame);
    this.#socket.write(body, () => this.#written(PEER_FRAME_BYTES + bodyBytes, entry));
    return true;
  }

  /** Cuts the connection; `closed` is called before this returns. */
  destroy(reason: string): void {
    if (this.#isGone) return;
    this.#reason = reason;
    this.#socket.destroy();
    this.#gone();
  }

  /** Everything of one turn leaves in one system call. */
  #cork(): void {
    if (this.#isCorked) return;
    this.#isCorked = true;
    this.#socket.cork();
    process.nextTick(() => {
      this.#isCorked = false;
      this.#socket.uncork();
    });
  }

  #hold(released: () => void): { readonly released: () => void } {
    const entry = { released };
    this.#held.add(entry);
    return entry;
  }

  #release(entry: { readonly released: () => void }): void {
    if (this.#held.delete(entry)) entry.released();
  }

  /** The socket is done with bytes: the kernel has them, or it has died. */
  #written(bytes: number, entry: { readonly released: () => void } | undefined): void {
    const wasMuch = this.#queuedBytes > PEER_QUEUED_BYTES / 2;
    this.#queuedBytes -= bytes;
    assert(this.#queuedBareBytes >= 0 && this.#queuedBareBytes <= this.#queuedBytes, 'bytes leave the queue of a peer once');
    if (entry !== undefined) this.#release(entry);
    if (this.#isGone || this.#queuedBytes > PEER_QUEUED_BYTES / 2 || !(wasMuch || this.#isAwaited)) return;
    this.#isAwaited = false;
    this.#events.drained();
  }

  #gone(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#events.closed(this.#reason);
  }
}
