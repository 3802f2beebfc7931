// What a client by hand speaks through: a WebSocket, or a pipe to an engine in the same process.

import WebSocket from 'ws';
import type { OpenTransport } from '../../../src/client/nodes/transport.ts';
import { SUBPROTOCOL } from '../../../src/protocol/client.ts';

/** The connection ended before an answer came. */
export class Closed extends Error {
  readonly code: number;
  readonly reason: string;

  constructor(code: number, reason: string) {
    super(`the connection was closed with ${code} (${reason})`);
    this.code = code;
    this.reason = reason;
  }
}

export interface WireEvents {
  message(bytes: Uint8Array): void;
  /** It ended: with the code of the goodbye, or 1006. */
  closed(closed: Closed): void;
}

export interface Wire {
  readonly isOpen: boolean;
  /** Undefined where there is none. */
  readonly socket: WebSocket | undefined;
  send(bytes: Uint8Array): void;
  close(): void;
  terminate(): void;
}

/** Makes a connection that tells `events`. */
export type OpenWire = (events: WireEvents) => Wire;

function asBytes(data: WebSocket.RawData): Uint8Array {
  const buffer = data instanceof ArrayBuffer ? Buffer.from(data) : Array.isArray(data) ? Buffer.concat(data) : data;
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

/** Over a WebSocket to `url`. `failed` is told what is wrong with it. */
export function overWebSocket(url: string, options: WebSocket.ClientOptions, failed: (error: Error) => void): OpenWire {
  return (events) => {
    const socket = new WebSocket(url, SUBPROTOCOL, {
      perMessageDeflate: false,
      generateMask: (mask) => mask.fill(0),
      maxPayload: 32 * 1024 * 1024,
      ...options,
    });
    socket.on('message', (data) => events.message(asBytes(data)));
    socket.once('close', (code, reason) => events.closed(new Closed(code, reason.toString())));
    // A reset is a close to us; `close` follows and says what there is to say.
    socket.on('error', failed);
    return {
      get isOpen() {
        return socket.readyState === WebSocket.OPEN;
      },
      socket,
      send: (bytes) => socket.send(bytes),
      close: () => socket.close(),
      terminate: () => socket.terminate(),
    };
  };
}

/** What the door of a program says when it says goodbye. */
const GOODBYE = /^it was closed with code \d+(?: \((.*)\))?$/s;

/** Over a pipe inside the process. */
export function overPipe(open: OpenTransport): OpenWire {
  return (events) => {
    let isOpen = true;
    const transport = open('', {
      message: (bytes) => events.message(bytes),
      closed: (reason, code) => {
        isOpen = false;
        events.closed(new Closed(code === 0 ? 1006 : code, GOODBYE.exec(reason)?.[1] ?? ''));
      },
    });
    return {
      get isOpen() {
        return isOpen;
      },
      socket: undefined,
      send: (bytes) => transport.send(bytes),
      close: () => transport.close(),
      terminate: () => transport.terminate(),
    };
  };
}
