// Calls that are given up: known by the platform's names, with the signal's reason, and with what was done by then.

import { getEventListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import { AbortedError } from '../../src/client/index.ts';
import { failureOf } from './support/failure.ts';
import { FakeServer, settleMicrotasks } from './support/fakeServer.ts';

describe('a call that is aborted', () => {
  test('rejects with an AbortError whose cause is the signal’s reason', async () => {
    const server = new FakeServer();
    const log = await server.connect();
    const controller = new AbortController();
    server.holdsAppends = true;
    const sent = failureOf(log.append('sent', { signal: controller.signal }));
    await settleMicrotasks();
    const unsent = failureOf(log.append('unsent', { signal: controller.signal }));
    const reading = failureOf(log.subscribe({ signal: controller.signal })[Symbol.asyncIterator]().next());
    const reason = new Error('the user left');
    controller.abort(reason);
    const late = failureOf(log.append('late', { signal: controller.signal }));
    const errors = await Promise.all([sent, unsent, reading, late]);
    for (const error of errors) {
      expect(error).toBeInstanceOf(AbortedError);
      expect([error.name, error.code, error.cause]).toEqual(['AbortError', 'ABORTED', reason]);
    }
    expect(errors.map(({ outcome }) => outcome)).toEqual(['unknown', 'failed', 'failed', 'failed']);
    expect(errors[1]?.message).toContain('before it was sent');
    server.connection.answerAppends();
    await log.close();
    expect(server.texts()).toEqual(['sent']);
  });

  test('by AbortSignal.timeout rejects with a TimeoutError', async () => {
    const server = new FakeServer();
    const log = await server.connect();
    const error = await failureOf(
      log
        .subscribe({ signal: AbortSignal.timeout(1) })
        [Symbol.asyncIterator]()
        .next(),
    );
    expect([error.name, error.code]).toEqual(['TimeoutError', 'ABORTED']);
    expect(error.cause).toMatchObject({ name: 'TimeoutError' });
    server.refused.set('ws://fake', 'down');
    const connecting = await failureOf(server.connect({ signal: AbortSignal.timeout(5) }));
    expect([connecting.name, connecting.outcome]).toEqual(['TimeoutError', 'failed']);
    expect(connecting.message).toContain('before a node had answered');
    await log.close();
  });

  test('says of a subscription up to where it was handed out', async () => {
    const server = new FakeServer();
    const end = server.add('a'.repeat(100));
    const log = await server.connect();
    const controller = new AbortController();
    const subscription = log.subscribe({ signal: controller.signal });
    const entries = subscription[Symbol.asyncIterator]();
    await entries.next();
    const waiting = failureOf(entries.next());
    controller.abort();
    const error = await waiting;
    expect(error.message).toContain(`after all entries before offset ${end}`);
    expect(error.details.position).toBe(end);
    expect(subscription.position).toBe(end);
    const none = new AbortController();
    const nothing = failureOf(log.subscribe({ from: end, signal: none.signal }).batches().next());
    none.abort();
    expect((await nothing).message).toContain('before anything was handed out');
    await log.close();
  });
});

test('a signal for many calls keeps no listener of any of them', async () => {
  const server = new FakeServer();
  const log = await server.connect({ maxInFlightBytes: 64 * 1024 });
  const { signal } = new AbortController();
  for (let round = 0; round < 20; round++) {
    await Promise.all(Array.from({ length: 500 }, () => log.append('x', { signal })));
    for await (const _ of log.read({ limit: 1, signal })) break;
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  }
  server.refused.set('ws://fake', 'down');
  await failureOf(server.connect({ signal, reconnect: { timeoutMs: 5, minDelayMs: 1 } }));
  expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  await log.close();
});

test('JSON.stringify of an error has its message, and its details have types', async () => {
  const server = new FakeServer();
  const log = await server.connect();
  await log.append('a');
  const error = await failureOf(log.append('b', { expectedEnd: 0 }));
  expect(JSON.parse(JSON.stringify(error))).toMatchObject({
    name: 'LogError',
    code: 'CONDITION_FAILED',
    message: error.message,
    outcome: 'failed',
  });
  const end: number | undefined = error.details.end;
  expect(end).toBe(server.end);
  await log.close();
});
