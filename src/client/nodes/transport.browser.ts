// The browser's own WebSocket. Its `send` copies, so the buffers are free as soon as it returns.

import { SUBPROTOCOL } from '../../protocol/client.ts';
import type { OpenTransport, Platform } from './transport.ts';

/** Opens the platform's WebSocket. A browser hides why a connection failed, so the reason says where to look. */
export const openBrowserTransport: OpenTransport = (url, events) => {
  const socket = new WebSocket(url, SUBPROTOCOL);
  socket.binaryType = 'arraybuffer';
  let opened = false;
  let closed = false;
  const finish = (reason: string, code = 0): void => {
    if (closed) return;
    closed = true;
    events.closed(reason, code);
  };
  socket.onopen = () => {
    opened = true;
  };
  socket.onmessage = (event: MessageEvent<unknown>) => {
    if (closed) return;
    if (event.data instanceof ArrayBuffer) {
      events.message(new Uint8Array(event.data));
    } else {
      finish('it sent text, which the protocol does not have');
      socket.close();
    }
  };
  socket.onclose = (event) => {
    if (!opened) finish('the browser could not connect (its console may say why)');
    else finish(`it was closed with code ${event.code}${event.reason === '' ? '' : ` (${event.reason})`}`, event.code);
  };
  return {
    send(bytes) {
      // A view of shared memory is refused by browsers; the client's memory is never shared.
      if (socket.readyState === WebSocket.OPEN) socket.send(bytes as Uint8Array<ArrayBuffer>);
    },
    bufferedBytes: () => socket.bufferedAmount,
    receivedBytes: () => undefined,
    close: () => socket.close(),
    terminate() {
      finish('this client ended it');
      socket.close();
    },
  };
};

export const BROWSER: Platform = { open: openBrowserTransport, listeners: [] };
