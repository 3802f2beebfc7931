// A client's connection on uWebSockets.js.

import type { WebSocket } from 'uWebSockets.js';
import { Buffer } from 'node:buffer';
import type { Connection, MakeConnection } from '../acceptor.ts';
import type { ClientSocket } from '../clientSocket.ts';

/** What uWS keeps with each socket. */
export interface SocketData {
  readonly make: MakeConnection;
  /** Undefined before it is open. */
  connection: Connection | undefined;
}

export class UwsSocket implements ClientSocket {
  readonly #socket: WebSocket<SocketData>;

  constructor(socket: WebSocket<SocketData>) {
    this.#socket = socket;
  }

  send(message: Uint8Array): void {
    this.#socket.send(message, true);
  }

  bufferedBytes(): number {
    return this.#socket.getBufferedAmount();
  }

  ping(): void {
    this.#socket.ping();
  }

  end(closeCode: number, reason: string): void {
    this.#socket.end(closeCode, reason);
  }

  close(): void {
    this.#socket.close();
  }

  remoteAddress(): string {
    return Buffer.from(this.#socket.getRemoteAddressAsText()).toString('latin1');
  }
}
