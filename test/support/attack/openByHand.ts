// A WebSocket by hand, to whose socket any bytes can be written.

import { connect, type Socket } from 'node:net';
import { type Goodbye, GoodbyeReader, headEnd, upgradeRequest } from './frames.ts';

export interface ByHand {
  readonly socket: Socket;
  /** The server's close frame; code 0 where the connection ended without one. */
  readonly goodbye: Promise<Goodbye>;
}

/** Opens one on loopback; answers nothing, not even pings. `onEnd` is told what must be ended with the test. */
export function openByHand(port: number, onEnd: (end: () => void) => void): Promise<ByHand> {
  const socket = connect(port, '127.0.0.1');
  onEnd(() => void socket.destroy());
  socket.on('error', () => undefined);
  socket.write(upgradeRequest());
  const reader = new GoodbyeReader();
  let head = Buffer.alloc(0);
  let isOpen = false;
  return new Promise((opened) => {
    const goodbye = new Promise<Goodbye>((said) => {
      socket.on('close', () => said({ code: 0, reason: '' }));
      socket.on('data', (chunk: Buffer) => {
        if (isOpen) {
          const found = reader.push(chunk);
          if (found !== undefined) said(found);
          return;
        }
        head = Buffer.concat([head, chunk]);
        if (headEnd(head) < 0) return;
        isOpen = true;
        opened({ socket, goodbye });
      });
    });
  });
}
