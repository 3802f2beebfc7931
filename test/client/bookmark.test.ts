// Places that a program keeps belong to one log, and are refused in another.

import { expect, test } from 'vitest';
import { INTRODUCE } from '../../src/protocol/client.ts';
import { type ClusterView, FEATURE_INTRODUCE } from '../../src/protocol/greeting.ts';
import { failureOf } from './support/failure.ts';
import { FakeServer } from './support/fakeServer.ts';

const OTHER = 'ab'.repeat(16);
const FAST = { minDelayMs: 1, maxDelayMs: 2, timeoutMs: 60_000 };

test('a subscription goes on from the bookmark of another one, without a gap or a repeat', async () => {
  const server = new FakeServer();
  const log = await server.connect();
  for (const text of ['a', 'b', 'c']) await log.append(text);
  const reading = log.read({ from: 'start', limit: 2 });
  for await (const _ of reading);
  const kept = JSON.parse(JSON.stringify(reading.bookmark)) as string;
  expect(kept).toBe(`${server.hello.clusterId}@${reading.position}`);
  expect(log.bookmark(reading.position)).toBe(kept);
  const texts: string[] = [];
  for await (const { payload } of log.read({ from: kept })) texts.push(new TextDecoder().decode(payload));
  expect(texts).toEqual(['c']);
  const end = log.bookmark(server.end);
  await log.append('d', { expectedEnd: end });
  expect((await log.end({ atLeast: end })).end).toBe(server.end);
  expect((await failureOf(log.append('e', { expectedEnd: end }))).code).toBe('CONDITION_FAILED');
  const writer = log.writer({ expectedEnd: log.bookmark(server.end) });
  await writer.append('f');
  await log.close();
});

test('a bookmark of another cluster is refused as OTHER_CLUSTER, by reads, subscriptions, conditions and waits', async () => {
  const server = new FakeServer();
  const log = await server.connect();
  const bookmark = `${OTHER}@0`;
  const calls = [
    () => log.read({ from: bookmark }),
    () => log.subscribe({ from: bookmark }),
    () => log.subscribe({ atLeast: bookmark }),
    () => log.writer({ expectedEnd: bookmark }),
    () => log.append('a', { expectedEnd: bookmark }),
    () => log.end({ atLeast: bookmark }),
  ];
  for (const call of calls) {
    const error = await failureOf((async () => call())());
    expect([error.code, error.outcome, error.retryable]).toEqual(['OTHER_CLUSTER', 'failed', false]);
    expect(error.message).toContain(OTHER);
    expect(error.message).toContain(server.hello.clusterId);
    expect(error.details).toMatchObject({ bookmarkOf: OTHER, clusterId: server.hello.clusterId });
  }
  expect(server.appends).toHaveLength(0);
  for (const bad of ['x', `${OTHER}@`, `${OTHER}@-1`, '12', `${server.hello.clusterId}.7@12`])
    expect(() => log.read({ from: bad })).toThrow(TypeError);
  expect(() => log.read({ from: `${server.hello.clusterId}@9999999999999999` })).toThrow(RangeError);
  await log.close();
});

test('a node of another cluster at the same address ends a subscription and refuses appends, at once', async () => {
  const server = new FakeServer();
  const log = await server.connect({ reconnect: FAST });
  const entries = log.subscribe()[Symbol.asyncIterator]();
  server.add('a');
  for (const connection of server.connections) connection.push();
  await entries.next();
  const next = failureOf(entries.next());
  server.hello = { ...server.hello, clusterId: OTHER };
  server.onRequest = ({ opcode }) => opcode !== 0;
  const append = failureOf(log.append('sent before'));
  await Promise.resolve();
  for (const connection of server.connections) connection.kill();
  const errors = await Promise.all([next, failureOf(log.append('later'))]);
  expect(errors.map(({ code, outcome }) => [code, outcome])).toEqual(Array.from({ length: 2 }, () => ['OTHER_CLUSTER', 'failed']));
  expect((await append).outcome).not.toBe(undefined);
  expect(server.connections.slice(1).every(({ requests }) => requests.length === 0)).toBe(true);
  await log.close();
});

test('of two addresses with nodes of two clusters only one serves', async () => {
  const server = new FakeServer();
  server.greetings.set('ws://b', { clusterId: OTHER, nodeId: 2, role: 'follower' });
  const log = await server.connect({}, ['ws://a', 'ws://b']);
  await log.append('a');
  for await (const _ of log.read());
  expect(new Set(log.stats().nodes.map(({ url }) => url))).toEqual(new Set(['ws://a']));
  await log.close();
});

const [OLD, NEW] = ['0123456789abcdef', 'fedcba9876543210'];
const clusterOf = (generation: string): ClusterView => ({ generation, leaderId: 1, members: [{ id: 1, url: '' }], segmentBytes: 65_536 });

/** A node that says of which generation its log is, to who introduces itself. */
function serverOf(generation: string): FakeServer {
  const server = new FakeServer();
  server.hello = { ...server.hello, features: FEATURE_INTRODUCE };
  server.toldToIntroduced = clusterOf(generation);
  return server;
}

test('a bookmark has the generation of its log, and is refused as GENERATION_CHANGED in another one', async () => {
  const server = serverOf(OLD);
  const log = await server.connect();
  await log.append('a');
  const bookmark = log.bookmark(0);
  expect(bookmark).toBe(`${server.hello.clusterId}.${OLD}@0`);
  const reading = log.read({ from: bookmark });
  for await (const _ of reading);
  expect(reading.bookmark).toBe(log.bookmark(server.end));
  const error = await failureOf((async () => log.read({ from: `${server.hello.clusterId}.${NEW}@0` }))());
  expect([error.code, error.outcome, error.retryable]).toEqual(['GENERATION_CHANGED', 'failed', false]);
  expect(error.details).toMatchObject({ generation: NEW, expected: OLD });
  // One of a log that said none names none, and neither does one that is made where none is said.
  for await (const _ of log.read({ from: `${server.hello.clusterId}@0` }));
  await log.close();
  const silent = await new FakeServer().connect();
  for await (const _ of silent.read({ from: bookmark }));
  expect(silent.bookmark(0)).toBe(`${silent.clusterId}@0`);
  await silent.close();
});

test('a log that was begun anew at the same address ends a subscription and refuses appends, at once, and is asked for nothing', async () => {
  const server = serverOf(OLD);
  const log = await server.connect({ reconnect: FAST });
  const entries = log.subscribe()[Symbol.asyncIterator]();
  server.add('a');
  for (const connection of server.connections) connection.push();
  await entries.next();
  const next = failureOf(entries.next());
  server.toldToIntroduced = clusterOf(NEW);
  for (const connection of server.connections) connection.kill();
  const errors = await Promise.all([next, failureOf(log.append('later'))]);
  expect(errors.map(({ code, outcome }) => [code, outcome])).toEqual(Array.from({ length: 2 }, () => ['GENERATION_CHANGED', 'failed']));
  expect(errors[0]?.message).toContain(`its log is of generation ${NEW}, and that of this client of ${OLD}`);
  // It has introduced itself to learn that, no more.
  for (const { requests } of server.connections.slice(1)) expect(requests.every(({ opcode }) => opcode === INTRODUCE)).toBe(true);
  expect(server.appends).toHaveLength(0);
  await log.close();
});

test('of two addresses with logs of two generations only one serves; a node that does not know its own is none of another', async () => {
  const server = serverOf(OLD);
  server.greetings.set('ws://b', { cluster: clusterOf(NEW), nodeId: 2, role: 'follower' });
  server.greetings.set('ws://c', { cluster: clusterOf('0'.repeat(16)), nodeId: 3, role: 'follower' });
  const log = await server.connect({}, ['ws://a', 'ws://b', 'ws://c']);
  await log.append('a');
  for await (const _ of log.read());
  for await (const _ of log.read());
  expect(log.stats().nodes.map(({ url }) => url)).not.toContain('ws://b');
  await log.close();
});
