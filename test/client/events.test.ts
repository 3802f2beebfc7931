// What a program can watch a client by.

import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { type ClientEvent, connect } from '../../src/client/index.ts';
import { APPEND } from '../../src/protocol/client.ts';
import { startServer, stopServers } from '../support/server.ts';
import { failureOf } from './support/failure.ts';
import { FakeCluster } from './support/fakeCluster.ts';
import { FakeServer, settleMicrotasks } from './support/fakeServer.ts';

const FAST = { minDelayMs: 1, maxDelayMs: 2, timeoutMs: 60_000 };

test('a connection that is lost and found is told, with the reason, and counted', async () => {
  const server = new FakeServer();
  const events: ClientEvent[] = [];
  const onEvent = (event: ClientEvent): void => {
    events.push(event);
    if (event.type === 'waiting' && event.attempts === 3) server.refused.clear();
  };
  const log = await server.connect({ reconnect: FAST, onEvent });
  await log.append('a');
  server.refused.set('ws://fake', 'ECONNREFUSED');
  server.connection.kill('the cable was pulled', 1006);
  await log.append('b');
  await log.close();
  const types = events.map(({ type }) => type);
  expect(types.filter((type) => type !== 'waiting')).toEqual([
    'connected',
    'leader',
    'disconnected',
    'leaderLost',
    'connected',
    'leader',
    'disconnected',
    'closed',
  ]);
  const seen = { url: 'ws://fake', nodeId: 1, role: 'leader', term: 1 };
  expect(events[0]).toEqual({ type: 'connected', ...seen });
  expect(events[2]).toEqual({ type: 'disconnected', ...seen, reason: 'the cable was pulled', code: 1006, isByClient: false });
  expect(events.at(-2)).toMatchObject({ type: 'disconnected', isByClient: true });
  const waiting = events.find((event) => event.type === 'waiting');
  expect(waiting).toMatchObject({ wants: 'leader', attempts: 1, error: { code: 'UNREACHABLE' } });
  expect(log.stats()).toMatchObject({
    connectCount: 2,
    lossCount: 1,
    leaderChangeCount: 0,
    appendedEntryCount: 2,
    nodes: [],
    leader: undefined,
  });
});

test('a leader whose disk is full is told of once, however often it is tried, and again after it took an append', async () => {
  const server = new FakeServer();
  const events: string[] = [];
  const log = await server.connect({ reconnect: FAST, onEvent: ({ type }) => void events.push(type) });
  const told = (): string[] => events.splice(0).filter((type) => ['leader', 'leaderLost', 'diskFull'].includes(type));
  let refusals = 0;
  server.onRequest = ({ opcode, requestId }, connection) => {
    if (opcode !== APPEND || refusals === 0) return false;
    refusals -= 1;
    connection.error(requestId, 'DISK_FULL', 0, 'the disk is full');
    return true;
  };
  await log.append('a');
  expect(told()).toEqual(['leader']);
  for (const text of ['b', 'c']) {
    refusals = 5;
    await log.append(text);
    expect(refusals).toBe(0);
    expect(told()).toEqual(['leaderLost', 'diskFull', 'leader']);
  }
  expect(log.stats()).toMatchObject({ diskFullMessageCount: 10, resentMessageCount: 10 });
  const writer = log.writer({ expectedEnd: server.end });
  refusals = 3;
  await writer.append('d');
  expect(told()).toEqual(['leaderLost', 'diskFull', 'leader']);
  expect(log.stats()).toMatchObject({ diskFullMessageCount: 13, resentMessageCount: 13 });
  await log.close();
});

test('a change of leaders is told and counted, and so is giving up', async () => {
  const cluster = new FakeCluster();
  const events: ClientEvent[] = [];
  const log = await cluster.connect({ onEvent: (event) => void events.push(event), reconnect: { ...FAST, timeoutMs: 50 } });
  await log.append('a');
  cluster.kill(1);
  cluster.lead(2);
  await log.append('b');
  expect(log.stats()).toMatchObject({ leaderChangeCount: 1, leader: { nodeId: 2 } });
  for (const id of [2, 3]) cluster.kill(id);
  const error = await failureOf(log.append('c'));
  expect(events.findLast(({ type }) => type === 'gaveUp')).toEqual({ type: 'gaveUp', wants: 'leader', error });
  await log.close();
});

test('the counters say what became of appends, and what is on its way', async () => {
  const server = new FakeServer();
  const log = await server.connect({ maxInFlightBytes: 64 * 1024, reconnect: { ...FAST, timeoutMs: 20 } });
  await log.append('12345678');
  await log.appendBatch(['a', 'b']);
  await failureOf(log.append('x', { expectedEnd: 0 }));
  server.onRequest = () => true;
  const lost = failureOf(log.append(new Uint8Array(1000)));
  const waiting = failureOf(log.append(new Uint8Array(65_000)));
  await Promise.resolve();
  const busy = log.stats();
  expect(busy).toMatchObject({ inFlightAppendCount: 1, inFlightBytes: 1012, queuedAppendCount: 1, clusterId: server.hello.clusterId });
  expect(busy.queuedBytes).toBeGreaterThan(65_000);
  server.refused.set('ws://fake', 'down');
  server.connection.kill();
  await Promise.all([lost, waiting]);
  expect(log.stats()).toMatchObject({
    appendedEntryCount: 3,
    appendedBytes: 8 + 12 + 2 * 13,
    failedAppendCount: 2,
    unknownAppendCount: 1,
    inFlightAppendCount: 0,
    queuedAppendCount: 0,
    queuedBytes: 0,
  });
  expect(inspect(log)).toContain('"appendedEntryCount": 3');
  await log.close();
  expect(inspect(log)).toContain('LogClient (closed)');
});

test('an append that is aborted after it was sent counts once, whatever becomes of its message', async () => {
  const server = new FakeServer();
  const log = await server.connect({ reconnect: { ...FAST, timeoutMs: 20 } });
  server.onRequest = () => true;
  const stop = new AbortController();
  const batch = failureOf(log.appendBatch(['a', 'b', 'c'], { signal: stop.signal }));
  const together = [failureOf(log.append('x', { signal: stop.signal })), failureOf(log.append('y')), failureOf(log.append('z'))];
  await settleMicrotasks();
  stop.abort();
  await Promise.all([batch, together[0]]);
  expect(log.stats()).toMatchObject({ unknownAppendCount: 2, failedAppendCount: 0 });
  server.refused.set('ws://fake', 'down');
  server.connection.kill();
  await Promise.all(together);
  expect(log.stats()).toMatchObject({ unknownAppendCount: 4, failedAppendCount: 0, appendedEntryCount: 0 });
  await log.close();
});

test('what a listener throws does not harm the client, and is not silent', async () => {
  const thrown: unknown[] = [];
  const note = (error: unknown): void => void thrown.push(error);
  const before = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', note);
  try {
    const server = new FakeServer();
    const log = await server.connect({
      onEvent() {
        throw new Error('a fault of the program');
      },
    });
    expect((await log.append('a')).level).toBe('committed');
    await log.close();
    await new Promise((resolve) => setImmediate(resolve));
  } finally {
    process.off('uncaughtException', note);
    for (const listener of before) process.on('uncaughtException', listener);
  }
  expect(thrown.length).toBeGreaterThan(2);
  expect(String(thrown[0])).toContain('a fault of the program');
});

test('in Node every client’s events are published to a diagnostics channel', async () => {
  const { url } = await startServer();
  const types: unknown[] = [];
  const listen = (message: unknown): void => void types.push((message as ClientEvent).type);
  subscribe('loglog:client', listen);
  const log = await connect(url);
  await log.close();
  unsubscribe('loglog:client', listen);
  expect(types).toEqual(['connected', 'leader', 'disconnected', 'closed']);
  await stopServers();
});
