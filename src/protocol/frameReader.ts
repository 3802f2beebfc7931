// Cuts what arrives on a peer connection into messages. The body of a message comes as the pieces that the socket delivered: it is never
// put together, because whoever takes it copies it once, to its place in tail memory.

import { PEER_GATHER_BELOW_BYTES } from '../core/peerLimits.ts';
import type { PeerMessage } from '../raft/messages.ts';
import { decodePeerMessage, PEER_FRAME_BYTES } from './peer.ts';

/**
 * Takes a message and the pieces of its body, in order; none without a body. The pieces are views of what was pushed: they stay
 * valid for as long as whoever pushed leaves those bytes alone.
 */
export type FrameTaker = (message: PeerMessage, body: readonly Uint8Array[]) => void;

const NO_BODY: readonly Uint8Array[] = [];
const GATHER_BYTES = 16 * PEER_GATHER_BELOW_BYTES;

/** Holds at most one frame, the pieces of one body, and nothing that a header merely promises. */
export class FrameReader {
  readonly #take: FrameTaker;
  readonly #frame = new Uint8Array(PEER_FRAME_BYTES);
  #frameBytes = 0;
  #message: PeerMessage | undefined;
  #missingBytes = 0;
  #body: Uint8Array[] = [];
  /** Small pieces are copied in here one after the other; [0, #gathered) is in use. */
  #gather: Uint8Array | undefined;
  #gathered = 0;
  /** Where in it the body's last piece begins, which then grows; -1 when that piece is not in it. */
  #gatherFrom = -1;
  #failure: string | undefined;

  constructor(take: FrameTaker) {
    this.#take = take;
  }

  /** The message whose body is still arriving. */
  get arriving(): PeerMessage | undefined {
    return this.#message;
  }

  /** Bytes of that body that are still missing. */
  get missingBytes(): number {
    return this.#missingBytes;
  }

  /** No further message is taken, not even from the piece that is being read. */
  stop(reason: string): void {
    this.#failure ??= reason;
    this.#message = undefined;
    this.#missingBytes = 0;
    this.#body = [];
    this.#gather = undefined;
  }

  /** Reads the next piece. Returns why the stream cannot be read any further, if so; it is then to be closed. */
  push(chunk: Uint8Array): string | undefined {
    let at = 0;
    while (at < chunk.length && this.#failure === undefined) {
      at = this.#message === undefined ? this.#readFrame(chunk, at) : this.#readBody(chunk, at);
    }
    return this.#failure;
  }

  #readFrame(chunk: Uint8Array, at: number): number {
    let frame: Uint8Array;
    let next: number;
    if (this.#frameBytes === 0 && chunk.length - at >= PEER_FRAME_BYTES) {
      next = at + PEER_FRAME_BYTES;
      frame = chunk.subarray(at, next);
    } else {
      next = Math.min(chunk.length, at + PEER_FRAME_BYTES - this.#frameBytes);
      this.#frame.set(chunk.subarray(at, next), this.#frameBytes);
      this.#frameBytes += next - at;
      if (this.#frameBytes < PEER_FRAME_BYTES) return next;
      this.#frameBytes = 0;
      frame = this.#frame;
    }
    const decoded = decodePeerMessage(frame);
    if (decoded.kind === 'malformed') {
      this.stop(decoded.reason);
    } else if (decoded.bodyBytes === 0) {
      this.#take(decoded.message, NO_BODY);
    } else {
      this.#message = decoded.message;
      this.#missingBytes = decoded.bodyBytes;
    }
    return next;
  }

  #readBody(chunk: Uint8Array, at: number): number {
    const next = Math.min(chunk.length, at + this.#missingBytes);
    this.#missingBytes -= next - at;
    this.#keep(chunk.subarray(at, next));
    const message = this.#message;
    if (this.#missingBytes === 0 && message !== undefined) {
      const body = this.#body;
      this.#message = undefined;
      this.#body = [];
      this.#gather = undefined;
      this.#gatherFrom = -1;
      this.#take(message, body);
    }
    return next;
  }

  /** Adds a piece of the body: large ones as they are, small ones gathered, the last one as it is. */
  #keep(piece: Uint8Array): void {
    if (piece.length >= PEER_GATHER_BELOW_BYTES || this.#missingBytes === 0) {
      this.#body.push(piece);
      this.#gatherFrom = -1;
      return;
    }
    if (this.#gather === undefined || this.#gathered + piece.length > this.#gather.length) {
      this.#gather = new Uint8Array(Math.min(GATHER_BYTES, piece.length + this.#missingBytes));
      this.#gathered = 0;
      this.#gatherFrom = -1;
    }
    this.#gather.set(piece, this.#gathered);
    const isNew = this.#gatherFrom < 0;
    if (isNew) this.#gatherFrom = this.#gathered;
    this.#gathered += piece.length;
    this.#body[this.#body.length - (isNew ? 0 : 1)] = this.#gather.subarray(this.#gatherFrom, this.#gathered);
  }
}
