// When a connection is given up because nothing moves on it any more, and what is a sign of life.

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Connection, type ConnectionOwner } from '../../src/client/nodes/connection.ts';
import type { Transport } from '../../src/client/nodes/transport.ts';
import { CANCEL } from '../../src/protocol/client.ts';
import { FakeServer } from './support/fakeServer.ts';

/** More than any silence is allowed to take, in milliseconds. */
const LONG_MS = 600_000;
/** What stands before each message on its way. */
const HEAD_BYTES = 6;

let buffered: number;
let received: number;
let takesBytes: boolean;
let sent: Uint8Array[];
let reasons: string[];

beforeEach(() => {
  vi.useFakeTimers();
  buffered = 0;
  received = 0;
  takesBytes = true;
  sent = [];
  reasons = [];
});
afterEach(() => {
  vi.useRealTimers();
});

function open(): Connection {
  const transport: Transport = {
    send: (bytes) => {
      sent.push(bytes);
      if (!takesBytes) buffered += HEAD_BYTES + bytes.length;
    },
    bufferedBytes: () => buffered,
    receivedBytes: () => received,
    close: () => undefined,
    terminate: () => undefined,
  };
  const owner: ConnectionOwner = {
    handlers: {
      appended: () => true,
      appendsEnded: () => undefined,
      appendFailed: () => undefined,
      uploaded: () => undefined,
      greeted: () => undefined,
      silent: () => undefined,
      lost: (_connection, { reason }) => reasons.push(reason),
    },
    observed: { commit: 0 },
    features: 0,
    hasOthers: () => true,
  };
  return new Connection('ws://fake', new FakeServer().hello, transport, owner);
}

test('a node that says nothing is given up, although all that it is asked leaves', () => {
  open();
  vi.advanceTimersByTime(LONG_MS);
  expect(reasons).toEqual([expect.stringContaining('silent for too long')]);
  expect(sent.map((message) => message[0])).toContain(CANCEL);
});

test.each([0, 100, 5_000_000])(
  'so is one that takes nothing any more, with %i bytes that wait for it: what it is asked waits behind them',
  (waiting) => {
    const connection = open();
    takesBytes = false;
    buffered = waiting;
    // The program goes on, too.
    const appends = setInterval(() => connection.send(new Uint8Array(100)), 700);
    vi.advanceTimersByTime(LONG_MS);
    clearInterval(appends);
    expect(reasons).toEqual([expect.stringContaining('silent for too long')]);
  },
);

test('what waited and leaves is a sign of life, however slowly, and so is a part of an answer', () => {
  const connection = open();
  takesBytes = false;
  buffered = 1_000_000;
  const leaves = setInterval(() => {
    buffered -= 200;
  }, 500);
  const appends = setInterval(() => connection.send(new Uint8Array(100)), 900);
  vi.advanceTimersByTime(LONG_MS);
  clearInterval(leaves);
  const arrives = setInterval(() => {
    received += 1;
  }, 500);
  vi.advanceTimersByTime(LONG_MS);
  expect(reasons).toEqual([]);
  clearInterval(arrives);
  clearInterval(appends);
  vi.advanceTimersByTime(LONG_MS);
  expect(reasons).toHaveLength(1);
});
