// Places that a program keeps belong to one log, and are refused in another.

import { expect, test } from 'vitest';
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
