// The client says who it is, and learns the nodes from who it asks. What a node tells is not to be trusted.

import { readFileSync } from 'node:fs';
import { describe, expect, onTestFinished, test } from 'vitest';
import { LogClient } from '../../src/client/client.ts';
import { Addresses } from '../../src/client/nodes/addresses.ts';
import { INTRODUCTION } from '../../src/client/nodes/connection.ts';
import type { ConnectOptions } from '../../src/client/options.ts';
import { MAX_NODE_ID } from '../../src/core/limits.ts';
import { INTRODUCE } from '../../src/protocol/client.ts';
import { CLIENT_UPLOADS, type ClusterView } from '../../src/protocol/greeting.ts';
import { FakeCluster, urlOf } from './support/fakeCluster.ts';
import { FakeServer, settleMicrotasks } from './support/fakeServer.ts';

const viewOf = (urls: readonly string[], leaderId = 1): ClusterView => ({
  generation: '0'.repeat(16),
  leaderId,
  members: urls.map((url, i) => ({ id: i + 1, url })),
  segmentBytes: 0,
});

/** A cluster whose nodes take introductions. */
function introducible(count = 3): FakeCluster {
  const cluster = new FakeCluster(count);
  for (const node of cluster.nodes) {
    node.hello = { ...node.hello, features: 2 };
    node.toldToIntroduced = viewOf(cluster.urls);
  }
  return cluster;
}

async function connect(cluster: FakeCluster, urls: readonly string[], options: ConnectOptions = {}): Promise<LogClient> {
  const client = await cluster.connect(options, urls);
  onTestFinished(() => client.close());
  await settleMicrotasks();
  return client;
}

describe('a client', () => {
  test('introduces itself first, once on each connection, to nodes that take it', async () => {
    const cluster = introducible();
    const client = await connect(cluster, cluster.urls);
    await client.append('x');
    const { requests } = cluster.node(1);
    expect(requests.map(({ opcode }) => opcode === INTRODUCE)).toEqual([true, false]);
    const [first] = requests;
    expect(first).toMatchObject({ flags: 0, offset: 0, a: 0x1_0001, b: CLIENT_UPLOADS });
    expect(new TextDecoder().decode(first?.body.subarray(4))).toBe(INTRODUCTION.name);
    expect(client.hello.cluster?.members).toHaveLength(3);
    const plain = new FakeServer();
    const other = await plain.connect();
    onTestFinished(() => other.close());
    await other.append('x');
    expect(plain.requests.some(({ opcode }) => opcode === INTRODUCE)).toBe(false);
  });

  test('has the version of its package in its name', () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
    expect(INTRODUCTION.name).toBe(`loglog-js/${version}`);
  });

  test('with one address goes on when that node dies: appends, reads and ends', async () => {
    const cluster = introducible();
    const client = await connect(cluster, [urlOf(1)]);
    await client.append('before');
    // It reads from the node that it was given, though that leads.
    for await (const _ of client.read({ limit: 1 }));
    expect(cluster.dialed).toEqual([urlOf(1)]);
    cluster.kill(1);
    cluster.lead(2);
    await client.append('after');
    const texts: string[] = [];
    for await (const { payload } of client.read()) texts.push(new TextDecoder().decode(payload));
    expect(texts).toEqual(['before', 'after']);
    expect((await client.end({ linearizable: true })).end).toBe(cluster.leader.end);
    expect(client.hello.leader).toBe('');
    expect(client.hello.nodeId).toBe(2);
  });

  test('with discover: false reads at the address that it was given, and nowhere else; appends go to the leader', async () => {
    const cluster = introducible();
    const options = { discover: false, reconnect: { minDelayMs: 1, maxDelayMs: 2, timeoutMs: 30 } };
    const client = await connect(cluster, [urlOf(2)], options);
    await client.append('to the leader');
    cluster.kill(2);
    await expect(client.read()[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'UNREACHABLE' });
    expect(new Set(cluster.dialed)).toEqual(new Set([urlOf(2), urlOf(1)]));
    const anywhere = await connect(cluster, [urlOf(1)]);
    expect((await anywhere.read()[Symbol.asyncIterator]().next()).done).toBe(false);
    await expect(cluster.connect({ discover: 'no' } as object, [urlOf(1)])).rejects.toThrow('discover must be true or false');
  });

  test('says in a sentence that nodes ask for a token, and does not wait', async () => {
    const server = new FakeServer();
    server.onGreeting = () => Uint8Array.from([0x81, 2, 2, 0, ...new Array(4).fill(0), 1, ...new Array(15).fill(0)]);
    await expect(server.connect()).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: expect.stringContaining(
        'it asks for a token, and this client has none, nor a certificate that is allowed anything there: give it',
      ),
    });
    expect(server.dialed).toHaveLength(1);
  });
});

describe('addresses that a node tells', () => {
  test('never get the password or the query of a given one, and a given one stands for itself', () => {
    const addresses = new Addresses(['ws://user:secret@a:1/x?token=t', 'ws://b:2'], true);
    addresses.learn(
      viewOf(['ws://a:1/x', 'ws://b:2/', 'ws://c:3', 'ws://a:1', 'ws://user:secret@d:4', 'ws://e:5?token=t', 'http://f', 'x']),
    );
    expect(addresses.told).toEqual(['ws://c:3', 'ws://a:1']);
    expect(addresses.of('ws://a:1/x')).toBe('ws://user:secret@a:1/x?token=t');
    expect(addresses.all).toEqual(['ws://user:secret@a:1/x?token=t', 'ws://b:2', 'ws://c:3', 'ws://a:1']);
  });

  test('are encrypted where a given one is', () => {
    const addresses = new Addresses(['wss://a:1'], true);
    addresses.learn(viewOf(['wss://a:1', 'ws://a:1', 'ws://b:2', 'wss://c:3']));
    expect(addresses.told).toEqual(['wss://c:3']);
    expect(addresses.of('ws://b:2')).toBe('');
  });

  test('are the newest only, and no more than there can be nodes', () => {
    const addresses = new Addresses(['ws://a:1'], true);
    for (let i = 0; i < 100; i++) addresses.learn(viewOf(Array.from({ length: MAX_NODE_ID }, (_, j) => `ws://h${i}-${j}:1`)));
    expect(addresses.told).toHaveLength(MAX_NODE_ID);
    addresses.learn(viewOf(['ws://a:1', 'ws://b:2']));
    expect(addresses.told).toEqual(['ws://b:2']);
  });

  test('a client with a wss:// address goes to no ws:// leader, and says why', async () => {
    const server = new FakeServer();
    server.hello = { ...server.hello, role: 'follower', leader: 'ws://plain' };
    const client = await server.connect({ reconnect: { minDelayMs: 1, maxDelayMs: 2, timeoutMs: 30 } }, ['wss://fake']);
    onTestFinished(() => client.close());
    await expect(client.append('x')).rejects.toMatchObject({
      code: 'NOT_LEADER',
      message: expect.stringContaining('to which this client does not go from a wss:// address'),
    });
    expect(new Set(server.dialed)).toEqual(new Set(['wss://fake']));
  });

  test('a chain of nodes that each name another leader comes to an end', async () => {
    const dialed: string[] = [];
    const server = new FakeServer();
    const open: typeof server.open = (url, events) => {
      dialed.push(url);
      server.greetings.set(url, { role: 'follower', leader: `ws://liar${dialed.length}`, process: `${dialed.length}`.padStart(16, '0') });
      return server.open(url, events);
    };
    const client = LogClient.connect({ open, listeners: [] }, ['ws://fake'], { reconnect: { minDelayMs: 1, maxDelayMs: 2, timeoutMs: 0 } });
    await (await client).close();
    expect(dialed.length).toBeLessThan(70);
  });
});

test('what is shown to nodes over HTTPS is shown nowhere over HTTP, whatever host that is', () => {
  const addresses = new Addresses(['wss://a:1', 'wss://b:1/log'], false);
  const asked = ['https://a:1', 'wss://b:1', 'http://a:1/log', 'ws://b:1', 'https://a:2', 'https://c:1'];
  expect(asked.map((url) => addresses.isNode(url))).toEqual([true, true, false, false, false, false]);
  expect(new Addresses(['ws://a:1'], false).isNode('http://a:1')).toBe(true);
});
