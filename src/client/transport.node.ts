// Node's WebSocket, the `ws` package: the only file of the client that needs Node.

import WebSocket, { type RawData } from 'ws';
import { SUBPROTOCOL } from '../protocol/client.ts';
import type { OpenTransport } from './transport.ts';

/** An answer holds at most one entry of 16 MiB beyond its usual bound; anything above this is not the protocol. */
const MAX_MESSAGE_BYTES = 32 * 1024 * 1024;

/** A mask of zeros makes `ws` send our memory as it is. Masks protect proxies from scripts in browsers, and this is neither. */
function generateMask(mask: Buffer): void {
  mask.fill(0);
}

function reasonOf(error: Error & { code?: string; errors?: readonly Error[] }): string {
  // Node tries every address of a name; the error of the whole has no text of its own.
  if (error.message === '' && error.errors !== undefined) return error.errors.map((one) => one.message).join(', ');
  return error.message === '' ? (error.code ?? 'unknown error') : error.message;
}

function bytesOf(data: RawData): Uint8Array {
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  if (Array.isArray(data)) return bytesOf(Buffer.concat(data));
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** Opens a `ws` connection, unmasked and uncompressed. */
export const openNodeTransport: OpenTransport = (url, events) => {
  const socket = new WebSocket(url, SUBPROTOCOL, {
    generateMask,
    perMessageDeflate: false,
    maxPayload: MAX_MESSAGE_BYTES,
    skipUTF8Validation: true,
  });
  let closed = false;
  let failure = '';
  const finish = (reason: string, code = 0): void => {
    if (closed) return;
    closed = true;
    events.closed(reason, code);
  };
  let stream: { readonly bytesRead: number } | undefined;
  socket.on('upgrade', (response) => {
    stream = response.socket;
  });
  socket.on('message', (data, isBinary) => {
    if (closed) return;
    if (isBinary) {
      events.message(bytesOf(data));
    } else {
      finish('it sent text, which the protocol does not have');
      socket.terminate();
    }
  });
  socket.on('error', (error) => {
    failure = reasonOf(error);
  });
  socket.on('close', (code, reason) => {
    const text = reason.toString();
    finish(failure !== '' ? failure : `it was closed with code ${code}${text === '' ? '' : ` (${text})`}`, code);
  });
  return {
    send(bytes) {
      if (socket.readyState === WebSocket.OPEN) socket.send(bytes);
    },
    bufferedBytes: () => socket.bufferedAmount,
    receivedBytes: () => stream?.bytesRead ?? 0,
    close: () => socket.close(),
    terminate() {
      finish('this client ended it');
      socket.terminate();
    },
  };
};
