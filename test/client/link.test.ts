import { expect, test } from 'vitest';
import { WebSocketServer } from 'ws';
import { connect } from '../../src/client/index.ts';
import { SUBPROTOCOL } from '../../src/protocol/client.ts';
import { encodeHello } from '../../src/protocol/greeting.ts';
import { failureOf } from './support/failure.ts';
import { FakeConnection, FakeServer, settleMicrotasks } from './support/fakeServer.ts';

test('connect: several addresses are tried in turn', async () => {
  const server = new FakeServer();
  server.refused.set('ws://a', 'refused');
  const log = await server.connect({}, ['ws://a', 'ws://b', 'ws://c']);
  expect(server.dialed).toEqual(['ws://a', 'ws://b']);
  await log.close();
});

test('connect: when none answers, the error names each address and its reason', async () => {
  const server = new FakeServer();
  server.refused.set('ws://a', 'connection refused');
  server.greetings.set('ws://b', { protocolVersion: 9, lowestVersion: 9 });
  const error = await failureOf(server.connect({ reconnect: { timeoutMs: 0 } }, ['ws://a', 'ws://b']));
  expect(error.code).toBe('UNREACHABLE');
  expect(error.message).toContain('ws://a: connection refused');
  expect(error.message).toContain('ws://b: it speaks protocol version 9');
});

test('connect: a server that never greets is given up after the timeout', async () => {
  const server = new FakeServer();
  const silent = { send: () => {}, bufferedBytes: () => 0, receivedBytes: () => 0, close: () => {}, terminate: () => {} };
  const { LogClient } = await import('../../src/client/client.ts');
  const error = await failureOf(
    LogClient.connect({ open: () => silent, listeners: [] }, ['ws://a'], { connectTimeoutMs: 5, reconnect: { timeoutMs: 0 } }),
  );
  expect(error.message).toContain('no greeting within 5 ms');
  const controller = new AbortController();
  const connecting = failureOf(LogClient.connect({ open: () => silent, listeners: [] }, ['ws://a'], { signal: controller.signal }));
  controller.abort();
  expect((await connecting).code).toBe('ABORTED');
  expect(server.dialed).toEqual([]);
});

test('connect: a follower sends the client on to its leader, and is kept when the leader does not answer', async () => {
  const server = new FakeServer();
  server.greetings.set('ws://a', { role: 'follower', leader: 'ws://b' });
  const log = await server.connect({}, ['ws://a']);
  expect(log.hello.role).toBe('leader');
  await log.close();
  server.refused.set('ws://b', 'down');
  const reader = await server.connect({}, ['ws://a']);
  expect(reader.hello.role).toBe('follower');
  await reader.close();
});

test('reconnect: after the timeout what is pending fails as UNREACHABLE, and a later call tries again', async () => {
  const server = new FakeServer();
  const log = await server.connect({ reconnect: { minDelayMs: 1, maxDelayMs: 2, timeoutMs: 10 } });
  server.refused.set('ws://fake', 'down');
  server.connection.kill();
  const errors = await Promise.all([failureOf(log.append('a')), failureOf(log.end()), failureOf(log.subscribe().batches().next())]);
  expect(errors.map(({ code, outcome }) => [code, outcome])).toEqual(Array.from({ length: 3 }, () => ['UNREACHABLE', 'failed']));
  server.refused.clear();
  await log.append('b');
  expect(server.texts()).toEqual(['b']);
  await log.close();
});

test('reconnect: a node of another cluster is refused, because offsets mean nothing there', async () => {
  const server = new FakeServer();
  const log = await server.connect({ reconnect: { minDelayMs: 1, maxDelayMs: 2, timeoutMs: 10 } });
  server.greetings.set('ws://fake', { clusterId: 'ff'.repeat(16) });
  server.connection.kill();
  expect((await failureOf(log.end())).message).toContain('belongs to cluster ffff');
  await log.close();
});

test('reconnect: a message that is no answer breaks the connection, and the next one serves', async () => {
  const server = new FakeServer();
  const log = await server.connect();
  const broken = server.connection;
  broken.send(new Uint8Array([1, 2, 3]));
  await settleMicrotasks();
  expect(broken.isOpen).toBe(false);
  await log.append('a');
  expect(server.connections).toHaveLength(2);
  await log.close();
});

test('close: while there is no connection, what is queued fails after the timeout and close still resolves', async () => {
  const server = new FakeServer();
  const log = await server.connect({ reconnect: { minDelayMs: 1, maxDelayMs: 2, timeoutMs: 10 } });
  server.refused.set('ws://fake', 'down');
  server.connection.kill();
  const failure = failureOf(log.append('a'));
  await log.close();
  expect((await failure).code).toBe('UNREACHABLE');
});

test('reconnect: to a server with smaller limits, what no longer fits fails, and nobody waits for it for ever', async () => {
  const server = new FakeServer();
  const log = await server.connect({ reconnect: { minDelayMs: 1, maxDelayMs: 2, timeoutMs: 10_000 } });
  server.refused.set('ws://fake', 'down');
  server.connection.kill();
  const failure = failureOf(log.append(new Uint8Array(2_000_000)));
  const closed = log.close();
  server.greetings.set('ws://fake', { maxPayloadBytes: 100_000, maxBatchBytes: 100_012 });
  server.refused.clear();
  expect((await failure).code).toBe('ENTRY_TOO_LARGE');
  await closed;
});

test('node transport: bytes pass both ways over a real socket, unmasked memory stays as it was, and close ends it', async () => {
  const fake = new FakeServer();
  const sockets = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: () => SUBPROTOCOL });
  sockets.on('connection', (socket) => {
    const connection = new FakeConnection(fake, '', {
      message: (bytes) => socket.send(bytes),
      closed: () => socket.terminate(),
    });
    fake.connections.push(connection);
    socket.on('message', (data: Buffer) => connection.receive(new Uint8Array(data)));
    socket.send(encodeHello(fake.hello));
  });
  await new Promise((resolve) => sockets.once('listening', resolve));
  const address = sockets.address();
  const log = await connect(`ws://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`);
  const sizes = [10, 0, 300_000, 16_777_215, 70_000];
  await Promise.all(sizes.map((size, i) => log.append(new Uint8Array(size).fill(i))));
  const found: number[] = [];
  for await (const { payload } of log.read()) {
    expect(payload.every((byte) => byte === found.length)).toBe(true);
    found.push(payload.length);
  }
  expect(found).toEqual(sizes);
  await log.close();
  await new Promise((resolve) => sockets.close(resolve));
  const error = await failureOf(connect('ws://127.0.0.1:1', { reconnect: { timeoutMs: 0 } }));
  expect(error.code).toBe('UNREACHABLE');
  expect(error.message).toContain('ECONNREFUSED');
});

test('connect: wrong addresses and options are a TypeError or a RangeError', async () => {
  await expect(connect('127.0.0.1:7070')).rejects.toThrow(TypeError);
  await expect(connect([])).rejects.toThrow(TypeError);
  await expect(connect('ws://127.0.0.1:1', { maxInFlightBytes: 1 })).rejects.toThrow(RangeError);
  await expect(connect('ws://127.0.0.1:1', { ack: 'x' as 'received' })).rejects.toThrow(TypeError);
});
