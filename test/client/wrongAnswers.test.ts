// A node that answers a request with what belongs to another one: nobody takes it for his answer, and the connection ends.

import { expect, test } from 'vitest';
import type { LogClient } from '../../src/client/client.ts';
import { END, encodeEnded, encodeFound, encodeTransferred, RETENTION, TRANSFER, UPGRADE } from '../../src/protocol/client.ts';
import { CONSUMERS } from '../../src/protocol/consumers.ts';
import { FEATURE_CONSUMERS } from '../../src/protocol/greeting.ts';
import { encodeLevels } from '../../src/protocol/levels.ts';
import { MEMBERS } from '../../src/protocol/members.ts';
import { OPEN_SESSION } from '../../src/protocol/sessions.ts';
import { encodeTokens, TOKENS } from '../../src/protocol/tokens.ts';
import { failureOf } from './support/failure.ts';
import { FakeServer } from './support/fakeServer.ts';
import { FakeSessions } from './support/fakeSessions.ts';

const WRONG: Readonly<Record<string, (requestId: number) => Uint8Array>> = {
  ended: (requestId) => encodeEnded(requestId, 0, 0, 1),
  found: (requestId) => encodeFound(requestId, 0, 0),
  levels: (requestId) => encodeLevels({ requestId, level: 1, newest: 1, nodes: [] }),
  transferred: (requestId) => encodeTransferred(requestId, 1, 1),
  tokens: (requestId) => encodeTokens({ requestId, hasChanged: false, tokens: [] }),
};

const timeoutMs = 60_000;
const ASKED: readonly (readonly [opcode: number, wrong: string, ask: (log: LogClient) => Promise<unknown>])[] = [
  [END, 'found', (log) => log.end()],
  [RETENTION, 'ended', (log) => log.retention({ timeoutMs })],
  [UPGRADE, 'tokens', (log) => log.level({ timeoutMs })],
  [TRANSFER, 'levels', (log) => log.transfer({ timeoutMs })],
  [TOKENS, 'levels', (log) => log.tokens({ timeoutMs })],
  [MEMBERS, 'tokens', (log) => log.members({ timeoutMs })],
  [CONSUMERS, 'tokens', (log) => log.consumers({ timeoutMs })],
];

test.each(ASKED)('a request with opcode %i that is answered with %s is asked again on another connection', async (opcode, wrong, ask) => {
  const server = new FakeServer();
  server.hello = { ...server.hello, features: FEATURE_CONSUMERS };
  const log = await server.connect();
  const liar = server.connection;
  server.onRequest = (request, connection) => {
    if (request.opcode !== opcode) return false;
    if (connection === liar) connection.send(WRONG[wrong]?.(request.requestId) ?? new Uint8Array(0));
    else connection.error(request.requestId, 'UNSUPPORTED', 0, 'the test refuses it');
    return true;
  };
  expect((await failureOf(ask(log))).code).toBe('UNSUPPORTED');
  expect(liar.isOpen).toBe(false);
  await log.close();
});

test.each(Object.keys(WRONG))('a producer whose session is opened with %s appends nothing there', async (wrong) => {
  const server = new FakeServer();
  const sessions = new FakeSessions();
  sessions.on(server);
  const log = await server.connect({ producer: 'p' });
  const liar = server.connection;
  const serve = server.onRequest;
  server.onRequest = (request, connection) => {
    if (request.opcode !== OPEN_SESSION || connection !== liar) return serve?.(request, connection) ?? false;
    connection.send(WRONG[wrong]?.(request.requestId) ?? new Uint8Array(0));
    return true;
  };
  await log.append('a');
  expect(liar.isOpen).toBe(false);
  expect(sessions.came).toEqual([[1100, 1]]);
  await log.close();
});
