// What a real listener lets its clients' half-sent messages take. In a file of its own: the memory of a process in which other tests ran says less.

import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { MEMORY_CHECK_MS } from '../../src/core/servingLimits.ts';
import { SUBPROTOCOL } from '../../src/protocol/client.ts';
import type { HttpAnswer } from '../../src/server/acceptor.ts';
import { loadAcceptor } from '../../src/server/acceptors/load.ts';
import { Listener } from '../../src/server/listener.ts';
import { MemoryGuard, processPorts, unexplainedBytes } from '../../src/server/memoryGuard.ts';
import { frameHead } from '../support/attack/frames.ts';
import { openByHand } from '../support/attack/openByHand.ts';
import { LISTENER_OPTIONS, NO_SESSIONS } from '../support/listener.ts';
import { rethrow, TEST_LOOP } from '../support/loop.ts';

const MIB = 1024 * 1024;
const NO_PAGE: HttpAnswer = { status: 404, type: 'text/plain', body: '' };

/**
 * A listener in this process, and a guard that bounds how much this process grows. Both have the test's clock: a client in this process
 * cannot answer while another test holds the core, and that must not count as its silence.
 */
async function listenGuarded(boundBytes: number) {
  const nothing = (): void => undefined;
  const clock = { nowMs: 1_000_000 };
  const loop = {
    nowMs: () => clock.nowMs,
    afterTurn: (run: () => void) => TEST_LOOP.afterTurn(run),
    after: (ms: number, run: () => void) => TEST_LOOP.after(ms, run),
  };
  let isFirst = true;
  const listener = new Listener(
    {
      ...LISTENER_OPTIONS,
      loop,
      places: { maxConnections: 100, maxSockets: 200, maxDescriptors: 200 },
      maxMessageBytes: 17 * MIB,
      budget: { requests: 1000, bytes: 64 * MIB },
    },
    {
      ...NO_SESSIONS,
      came: () => guard.came(),
      // The first one waits for something.
      opened: (session) => {
        session.unacknowledgedAppends = isFirst ? 1 : 0;
        isFirst = false;
      },
    },
    await loadAcceptor('auto', nothing, 'acceptor'),
  );
  onTestFinished(() => listener.close());
  const port = await listener.listen(() => () => NO_PAGE);
  const usual = unexplainedBytes(0);
  const grown = (): number => unexplainedBytes(usual);
  const guard = new MemoryGuard(
    boundBytes,
    17 * MIB,
    listener.inboxes,
    processPorts(
      loop,
      () => undefined,
      () => usual,
      { warn: nothing, broke: rethrow },
    ),
  );
  onTestFinished(() => guard.stop());
  return { port, guard, grown, listener, clock };
}

async function openHonest(port: number): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}`, SUBPROTOCOL);
  onTestFinished(() => socket.terminate());
  await new Promise((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  return socket;
}

async function pingPong(socket: WebSocket): Promise<void> {
  const answer = once(socket, 'pong', { signal: AbortSignal.timeout(60_000) });
  socket.ping();
  await answer;
}

describe('A3: memory of a real listener', () => {
  test('of half-sent messages stays within a bound, and idle clients stay connected', async () => {
    const bound = 64 * MIB;
    const { port, guard, grown, listener, clock } = await listenGuarded(bound);
    const honest = [await openHonest(port), await openHonest(port)];
    const head = frameHead(16 * MIB);
    const body = Buffer.alloc(16 * MIB - 1);
    let mostBytes = 0;
    for (let i = 0; i < 24; i++) {
      const { socket } = await openByHand(port, onTestFinished);
      socket.write(head);
      await new Promise((resolve) => {
        socket.once('close', resolve);
        socket.write(body, resolve);
      });
      mostBytes = Math.max(mostBytes, grown());
      // They show that they live, then comes the next look.
      await Promise.all(honest.map((each) => pingPong(each)));
      clock.nowMs += MEMORY_CHECK_MS / 2;
      guard.check();
      await nextTurn();
    }
    // Of 384 MiB that were sent: the bound, what came between two looks, and what the allocator keeps.
    expect(mostBytes).toBeLessThan(16 * 16 * MIB);
    expect(guard.closedCount).toBeGreaterThan(8);
    expect(honest.map(({ readyState }) => readyState)).toEqual([WebSocket.OPEN, WebSocket.OPEN]);
    expect(listener.sessions.size).toBeGreaterThanOrEqual(2);
  });
});
