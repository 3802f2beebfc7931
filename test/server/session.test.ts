// What one connection may leave unread, on a socket that takes nothing.

import { describe, expect, test } from 'vitest';
import { MAX_PAYLOAD_BYTES } from '../../assembly/layout.ts';
import {
  MAX_BACKPRESSURE_BYTES,
  MAX_UNACKNOWLEDGED_APPENDS,
  MAX_UNSENT_ANSWER_BYTES,
  SEND_BUFFER_BYTES,
  UNSENT_AT_END_BYTES,
} from '../../src/core/servingLimits.ts';
import { CLOSE_FLOOD } from '../../src/protocol/client.ts';
import type { ClientSocket } from '../../src/server/clientSocket.ts';
import { Incidents } from '../../src/server/incidents.ts';
import { SendBudget } from '../../src/server/sendBudget.ts';
import { Session } from '../../src/server/session.ts';

/** A socket of which the other side reads only what the test says. */
class DeafSocket implements ClientSocket {
  unsentBytes = 0;
  isCut = false;
  session: Session | undefined;

  send(message: Uint8Array): void {
    this.unsentBytes += message.length;
  }

  closeCode = 0;

  end(closeCode: number): void {
    this.closeCode = closeCode;
  }

  ping(): void {
    throw new Error('nothing here asks for a sign of life');
  }

  remoteAddress(): string {
    return '127.0.0.1';
  }

  bufferedBytes(): number {
    return this.unsentBytes;
  }

  close(): void {
    this.isCut = true;
    this.session?.closed();
  }
}

function open(): { readonly socket: DeafSocket; readonly session: Session; readonly budget: SendBudget; readonly incidents: Incidents } {
  const socket = new DeafSocket();
  const budget = new SendBudget();
  const incidents = new Incidents(() => undefined);
  const session = new Session(socket, budget, incidents);
  socket.session = session;
  return { socket, session, budget, incidents };
}

/** Collects as many receipts as there are appends that can be unacknowledged, and sends them. */
function sendAllReceipts(session: Session): void {
  for (let id = 1; id <= MAX_UNACKNOWLEDGED_APPENDS; id += 1) session.addReceipt(id, 1, id, id + 1, 1, 1);
  session.flushReceipts();
}

describe('a connection that reads nothing', () => {
  test('may leave all of its receipts and the largest entry unread', () => {
    const { socket, session } = open();
    session.sendData(1, 0, 0, new Uint8Array(SEND_BUFFER_BYTES - 100));
    expect(session.dataRoom).toBeGreaterThan(0);
    session.sendData(1, 0, 0, new Uint8Array(MAX_PAYLOAD_BYTES + 12));
    expect(session.dataRoom).toBe(0);
    sendAllReceipts(session);
    expect([socket.isCut, socket.unsentBytes < MAX_BACKPRESSURE_BYTES]).toEqual([false, true]);
  });

  test.each([
    ['ends', (session: Session) => session.send(new Uint8Array(32))],
    ['errors', (session: Session) => session.sendError(1, 'MALFORMED', 0, 'an APPEND holds at least one entry')],
    ['empty reads', (session: Session) => session.sendData(1, 0, 0, new Uint8Array(0))],
    [
      'answers to pings',
      (session: Session, socket: DeafSocket) => {
        socket.unsentBytes += 127;
        session.ponged(127);
      },
    ],
  ])('is cut at 4 MiB of %s', (_, answer) => {
    const { socket, session, budget, incidents } = open();
    while (!socket.isCut && socket.unsentBytes < MAX_BACKPRESSURE_BYTES) answer(session, socket);
    expect(socket.isCut).toBe(true);
    expect(socket.unsentBytes - MAX_UNSENT_ANSWER_BYTES).toBeLessThan(200);
    expect([budget.bufferedBytes, incidents.closedCounts.get('unread_answers')?.count]).toEqual([0, 1]);
  });

  test('ends without a goodbye, because what it holds is counted nowhere then; one that has taken all but a little gets it', () => {
    for (const [unsent, isCut] of [
      [0, false],
      [UNSENT_AT_END_BYTES, false],
      [UNSENT_AT_END_BYTES + 1, true],
    ] as const) {
      const { socket, session, budget, incidents } = open();
      session.send(new Uint8Array(unsent));
      session.end(CLOSE_FLOOD, 'too much');
      if (!isCut) session.closed();
      expect([socket.isCut, socket.closeCode, budget.bufferedBytes]).toEqual([isCut, isCut ? 0 : CLOSE_FLOOD, 0]);
      expect(incidents.closedCounts.get('flood')?.count).toBe(1);
    }
  });

  test('is not cut for answers that it has taken', () => {
    const { socket, session } = open();
    for (let i = 0; i < 10; i += 1) {
      sendAllReceipts(session);
      socket.unsentBytes = 1000;
      session.updateBuffered();
    }
    expect(socket.isCut).toBe(false);
  });
});
