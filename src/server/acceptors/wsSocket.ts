// A client's connection on `ws`.
//
// For the listener it is closed as soon as either side says goodbye, as on uWebSockets.js: nothing more is told of it, and what comes is thrown
// away. The socket itself stays until the client closes its end too, for some seconds at most: a reset would take the goodbye from the client.

import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { WebSocket } from 'ws';
import { MAX_BACKPRESSURE_BYTES } from '../../core/servingLimits.ts';
import type { Connection } from '../acceptor.ts';
import type { ClientSocket } from '../clientSocket.ts';
import { UnfinishedFrames } from './unfinishedFrames.ts';

/** What a message that waits costs besides its bytes: its head, and what node keeps for each write. Measured with Node 20 and rounded up. */
const WAITING_BYTES = 512;

const BINARY = { binary: true, compress: false };
const NOTHING = new ArrayBuffer(0);

/** What a socket tells its acceptor. */
export interface WsSocketOwner {
  /** It said goodbye, or is gone; its descriptor may still be there. */
  ended(socket: WsSocket): void;
  /** Its descriptor is free. */
  gone(socket: WsSocket): void;
  /** Its unfinished messages take so many bytes more. */
  unfinished(changeBytes: number): void;
}

export class WsSocket implements ClientSocket {
  readonly #ws: WebSocket;
  readonly #socket: Socket;
  readonly #owner: WsSocketOwner;
  readonly #frames = new UnfinishedFrames();
  #connection: Connection | undefined;
  #isEnded = false;
  /** Messages, pings and pongs that the kernel has not taken whole. */
  #writing = 0;
  /** Bytes that waited when the listener looked last; 0: none, and it need not hear of what leaves. */
  #seenBytes = 0;
  /** What had come at the last look for who is silent, and how often nothing had been added since. */
  #readBytes = 0;
  #silentLooks = 0;

  constructor(ws: WebSocket, socket: Socket, owner: WsSocketOwner) {
    this.#ws = ws;
    this.#socket = socket;
    this.#owner = owner;
    ws.binaryType = 'arraybuffer';
    ws.on('error', () => this.#fail());
    ws.on('close', () => this.#gone());
  }

  /** From now on `connection` is told of what happens here. */
  open(connection: Connection): void {
    this.#connection = connection;
    this.#ws.on('message', (data, isBinary) => {
      if (this.#isEnded) return;
      // A text comes as a Buffer, and is refused whatever it says.
      connection.message(data instanceof ArrayBuffer ? data : NOTHING, isBinary);
    });
    this.#ws.on('ping', (data) => this.#answerPing(data));
    this.#ws.on('pong', () => {
      if (!this.#isEnded) connection.control(undefined);
    });
    // After the library's own: it has handled the chunk by then.
    this.#socket.on('data', (chunk: Buffer) => this.#came(chunk));
    connection.opened();
  }

  send(message: Uint8Array): void {
    if (this.#isEnded) return;
    this.#writing += 1;
    // `ws` takes the bytes when it sends them, which may be later.
    this.#ws.send(Buffer.from(message), BINARY, this.#written);
    this.#sent();
  }

  /** Counts what each message that waits costs besides its bytes, too: of the smallest ones that is nearly all. */
  bufferedBytes(): number {
    this.#seenBytes = this.#ws.bufferedAmount;
    return this.#seenBytes === 0 ? 0 : this.#seenBytes + this.#writing * WAITING_BYTES;
  }

  ping(): void {
    if (this.#isEnded) return;
    this.#writing += 1;
    this.#ws.ping(undefined, false, this.#written);
    this.#sent();
  }

  end(closeCode: number, reason: string): void {
    if (this.#isEnded) return;
    this.#ws.close(closeCode, reason);
    this.#throwAwayTheRest();
    this.#ended();
  }

  close(): void {
    this.#ws.terminate();
    this.#ended();
  }

  remoteAddress(): string {
    return this.#socket.remoteAddress ?? 'an address that is gone';
  }

  /** Called at equal intervals: closes the connection when nothing has come since `looks` of them. */
  lookForSilence(looks: number): void {
    const { bytesRead } = this.#socket;
    this.#silentLooks = bytesRead === this.#readBytes ? this.#silentLooks + 1 : 0;
    this.#readBytes = bytesRead;
    if (this.#silentLooks >= looks) this.close();
  }

  /** One function for all writes of the connection. */
  readonly #written = (): void => {
    this.#writing -= 1;
    if (this.#isEnded) return;
    // All that left together is told of once.
    const bytes = this.#ws.bufferedAmount;
    if (bytes >= this.#seenBytes) return;
    this.#seenBytes = bytes;
    this.#connection?.drained();
  };

  #sent(): void {
    if (this.bufferedBytes() > MAX_BACKPRESSURE_BYTES) this.close();
  }

  #answerPing(data: Buffer): void {
    if (this.#isEnded) return;
    this.#writing += 1;
    this.#ws.pong(data, false, this.#written);
    this.#sent();
    if (!this.#isEnded) this.#connection?.control(data.length);
  }

  #came(chunk: Buffer): void {
    if (this.#isEnded) return;
    // The client has said goodbye, and was answered.
    if (this.#ws.readyState !== WebSocket.OPEN) {
      this.#ended();
      return;
    }
    const before = this.#frames.bytes;
    this.#frames.take(chunk);
    if (this.#frames.bytes !== before) this.#owner.unfinished(this.#frames.bytes - before);
  }

  /** What came was no WebSocket, or the socket failed. Where it can be said, the library has said so. */
  #fail(): void {
    if (this.#isEnded) return;
    this.#throwAwayTheRest();
    this.#ended();
  }

  /** Closes our end after what was sent, and reads, because what stays unread makes the system send a reset. */
  #throwAwayTheRest(): void {
    this.#socket.removeAllListeners('data');
    this.#socket.end();
    this.#socket.resume();
  }

  #ended(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#owner.unfinished(-this.#frames.bytes);
    this.#owner.ended(this);
    this.#connection?.closed();
  }

  #gone(): void {
    this.#ended();
    this.#owner.gone(this);
  }
}
