// The first connection: waited for like every later one, unless waiting cannot help; and what is said of it.

import { createServer as createHttpServer, STATUS_CODES } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { LogClient } from '../../src/client/client.ts';
import { type ClientEvent, connect } from '../../src/client/index.ts';
import type { TransportEvents } from '../../src/client/nodes/transport.ts';
import { claimPorts } from '../../src/cluster/portBlock.ts';
import { startServer, stopServers } from '../support/server.ts';
import { failureOf } from './support/failure.ts';
import { FakeServer } from './support/fakeServer.ts';

const servers: Server[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) server.close();
  await stopServers();
});

async function portOf(server: Server): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  return (server.address() as AddressInfo).port;
}

/** Far more than a test may take: who waits for it has failed. */
const LONG = { timeoutMs: 600_000, minDelayMs: 1, maxDelayMs: 20 };

describe('the first connect', () => {
  test('waits for a node that is started later', async () => {
    const { ports, release } = await claimPorts(1);
    const events: ClientEvent[] = [];
    let starting: Promise<unknown> | undefined;
    const log = await connect(`ws://127.0.0.1:${ports[0]}`, {
      reconnect: LONG,
      onEvent(event) {
        events.push(event);
        if (event.type === 'waiting') starting ??= startServer({ flags: ['--port', `${ports[0]}`] });
      },
    });
    expect((await log.append('early')).offset).toBeGreaterThan(0);
    await log.close();
    expect(events.map(({ type }) => type).filter((type) => type !== 'waiting')).toEqual(['connected', 'leader', 'disconnected', 'closed']);
    await starting;
    await release();
  });

  test('goes on while one address may still answer, whatever the others are', async () => {
    const server = new FakeServer();
    server.greetings.set('ws://old', { protocolVersion: 9, lowestVersion: 9 });
    server.refused.set('ws://fake', 'ECONNREFUSED');
    const onEvent = ({ type }: ClientEvent): void => {
      if (type === 'waiting') server.refused.clear();
    };
    const log = await server.connect({ reconnect: LONG, onEvent }, ['ws://old', 'ws://fake']);
    expect(log.hello.nodeId).toBe(1);
    await log.close();
  });

  test('says after the timeout what each address answered, and gives the last attempt time enough to tell', async () => {
    const server = new FakeServer();
    const silent = { send: () => {}, bufferedBytes: () => 0, receivedBytes: () => 0, close: () => {}, terminate: () => {} };
    server.refused.set('ws://b', 'ECONNREFUSED');
    const platform = {
      open: (url: string, events: TransportEvents) => (url === 'ws://a' ? silent : server.open(url, events)),
      listeners: [],
    };
    const error = await failureOf(LogClient.connect(platform, ['ws://a', 'ws://b'], { reconnect: { timeoutMs: 1 } }));
    expect([error.code, error.retryable]).toEqual(['UNREACHABLE', true]);
    expect(error.message).toContain('ws://a: no greeting within 250 ms');
    expect(error.message).toContain('ws://b: ECONNREFUSED');
  });
});

describe('what can never heal fails at once', () => {
  test.each([200, 302, 400, 401, 403, 404, 426])('HTTP %i of another kind of server', async (status) => {
    const http = createHttpServer().on('upgrade', (_request, socket) => {
      socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
    });
    const port = await portOf(http);
    const error = await failureOf(connect(`ws://127.0.0.1:${port}`, { reconnect: LONG }));
    expect(error.code).toBe(status === 401 ? 'UNAUTHENTICATED' : 'UNREACHABLE');
    expect(error.message).toContain(`ws://127.0.0.1:${port}: it answers HTTP ${status}`);
  });

  test('a server that does not speak HTTP', async () => {
    const port = await portOf(createServer((socket) => socket.on('error', () => undefined).end('-ERR unknown command\r\n')));
    const error = await failureOf(connect(`ws://127.0.0.1:${port}`, { reconnect: LONG }));
    expect(error.message).toContain('Parse Error');
  });

  test('a node of another version', async () => {
    const server = new FakeServer();
    server.greetings.set('ws://fake', { protocolVersion: 9, lowestVersion: 9 });
    expect((await failureOf(server.connect({ reconnect: LONG }))).message).toContain('it speaks protocol version 9');
  });

  test('a node of another cluster than the one that was named', async () => {
    const server = new FakeServer();
    const error = await failureOf(server.connect({ reconnect: LONG, clusterId: 'ab'.repeat(16) }));
    expect([error.code, error.outcome, error.retryable]).toEqual(['OTHER_CLUSTER', 'failed', false]);
    expect(error.message).toContain(server.hello.clusterId);
  });
});

test('HTTP 503 of a proxy whose node is not up is waited for', async () => {
  let count = 0;
  const http = createHttpServer().on('upgrade', (_request, socket) => {
    count += 1;
    socket.end(`HTTP/1.1 ${count < 3 ? 503 : 404} ${STATUS_CODES[503]}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
  });
  const error = await failureOf(connect(`ws://127.0.0.1:${await portOf(http)}`, { reconnect: LONG }));
  expect(error.message).toContain('HTTP 404');
  expect(count).toBe(3);
});
