// A consumer that is reset to a place that cannot be looked up: the call is over in its own time, and asks for nothing then.

import { expect, test } from 'vitest';
import { CREDIT, READ, SUBSCRIBE } from '../../src/protocol/client.ts';
import { CONSUMERS } from '../../src/protocol/consumers.ts';
import { failureOf } from './support/failure.ts';
import { FakeServer } from './support/fakeServer.ts';

test.each([
  ['has no answer', undefined, 'TIMEOUT'],
  ['is refused again and again', 'OVERLOADED', 'TIMEOUT'],
  ['meets damage', 'DAMAGED', 'DAMAGED'],
] as const)('where the reading %s', async (_, refusal, code) => {
  const server = new FakeServer();
  // Readings have no time of their own that would end them first.
  const log = await server.connect({ reconnect: { timeoutMs: 3_600_000, minDelayMs: 1, maxDelayMs: 4 } });
  await log.append('a');
  await log.append('b');
  server.onRequest = ({ opcode, requestId }, connection) => {
    if (opcode !== READ && opcode !== SUBSCRIBE && opcode !== CREDIT) return false;
    if (refusal !== undefined && opcode !== CREDIT) connection.error(requestId, refusal, 0, 'a test');
    return true;
  };
  expect(await failureOf(log.resetConsumer('x', { to: 13, timeoutMs: 100 }))).toMatchObject({ code, outcome: 'failed' });
  expect(server.requests.filter(({ opcode }) => opcode === CONSUMERS)).toEqual([]);
  await log.close();
});
