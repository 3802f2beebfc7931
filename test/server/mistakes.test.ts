// What is thrown at a network door is told, and harms nobody else: an exception that nobody catches fails the test run.

import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { SUBPROTOCOL } from '../../src/protocol/client.ts';
import type { AcceptorEvents, Connection } from '../../src/server/acceptor.ts';
import { loadAcceptor } from '../../src/server/acceptors/load.ts';
import { Listener } from '../../src/server/listener.ts';
import { MemoryGuard } from '../../src/server/memoryGuard.ts';
import { careful } from '../../src/server/mistakes.ts';
import { LISTENER_OPTIONS, NO_SESSIONS } from '../support/listener.ts';
import { TEST_LOOP } from '../support/loop.ts';
import { eventually } from './support/fixture.ts';

const nothing = (): void => undefined;

function mistake(): never {
  throw new Error('a mistake');
}

const CONNECTION: Connection = { opened: nothing, message: nothing, control: nothing, drained: nothing, closed: nothing };
const EVENTS: Omit<AcceptorEvents, 'broke'> = {
  connected: nothing,
  request: () => () => ({ status: 200, type: 'text/plain', body: 'ok' }),
  upgrade: () => () => () => CONNECTION,
};

describe.each(['uws', 'ws'] as const)('by %s', (name) => {
  /** An acceptor with `events`, whose port it returns, and what it was told of mistakes. */
  async function listen(events: Partial<typeof EVENTS>): Promise<{ readonly port: number; readonly broke: unknown[] }> {
    const broke: unknown[] = [];
    const make = await loadAcceptor(name, nothing, 'acceptor');
    const acceptor = make(
      { maxMessageBytes: 1 << 20 },
      careful({ ...EVENTS, ...events }, (thrown) => void broke.push(thrown)),
    );
    onTestFinished(() => acceptor.close());
    return { port: (await acceptor.listen('127.0.0.1', 0)) ?? 0, broke };
  }

  async function open(port: number): Promise<WebSocket> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}`, SUBPROTOCOL);
    onTestFinished(() => socket.terminate());
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    return socket;
  }

  test.each<[string, Partial<typeof EVENTS>]>([
    ['taking a request', { request: mistake }],
    ['answering it', { request: () => mistake }],
    ['answering it later', { request: () => async () => mistake() }],
  ])('a mistake in %s is answered with 500', async (_, events) => {
    const { port, broke } = await listen(events);
    const answer = await fetch(`http://127.0.0.1:${port}/status`);
    expect([answer.status, await answer.text()]).toEqual([500, 'Error: a mistake\n']);
    expect(broke).toEqual([]);
  });

  test.each<[string, Partial<typeof EVENTS>]>([
    ['looking at an upgrade', { upgrade: mistake }],
    ['letting it in', { upgrade: () => mistake }],
  ])('a mistake in %s is answered with 500, and told', async (_, events) => {
    const { port, broke } = await listen(events);
    await expect(open(port)).rejects.toThrow('500');
    expect(broke).toHaveLength(1);
  });

  test('a mistake in counting a connection is told, and it is served', async () => {
    const { port, broke } = await listen({ connected: mistake });
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(200);
    expect(broke).toHaveLength(1);
  });

  test.each<[string, Partial<typeof EVENTS>]>([
    ['its session', { upgrade: () => () => mistake }],
    ...(['opened', 'message', 'control', 'closed'] as const).map((event): [string, Partial<typeof EVENTS>] => [
      event,
      { upgrade: () => () => () => ({ ...CONNECTION, [event]: mistake }) },
    ]),
  ])('a mistake of a connection in %s is told, once', async (_, events) => {
    const { port, broke } = await listen(events);
    const socket = await open(port);
    socket.send('x');
    socket.ping();
    socket.close();
    await new Promise((resolve) => socket.once('close', resolve));
    await eventually(() => broke.length === 1, 'it is told');
    // It listens still.
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(200);
    expect(broke).toHaveLength(1);
  });
});

describe('on a timer', () => {
  test('in the look for unfinished messages', async () => {
    const broke: unknown[] = [];
    let isBroken = false;
    const listener = new Listener(
      {
        ...LISTENER_OPTIONS,
        unfinishedCheckMs: 5,
        loop: {
          nowMs: () => (isBroken ? mistake() : 0),
          afterTurn: (run) => TEST_LOOP.afterTurn(run),
          after: (ms, run, isBackground) => TEST_LOOP.after(ms, run, isBackground),
        },
      },
      { ...NO_SESSIONS, broke: (thrown) => void broke.push(thrown) },
      await loadAcceptor('ws', nothing, 'acceptor'),
    );
    onTestFinished(() => listener.close());
    await listener.listen(EVENTS.request);
    isBroken = true;
    await eventually(() => broke.length > 0, 'it is told');
  });

  test('in the look at the memory', async () => {
    const broke: unknown[] = [];
    const guard = new MemoryGuard(1 << 20, 1 << 20, [], {
      unexplainedBytes: mistake,
      nowMs: () => 0,
      afterTurn: (run) => TEST_LOOP.afterTurn(run),
      warn: nothing,
      broke: (thrown) => void broke.push(thrown),
    });
    guard.came();
    onTestFinished(() => guard.stop());
    await eventually(() => broke.length > 0, 'it is told');
  });
});
