import { readFileSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { SEND_BUFFER_TOTAL_BYTES } from '../../src/core/servingLimits.ts';
import { APPEND, READ, requestMessage, SUBPROTOCOL } from '../../src/protocol/client.ts';
import { LOG_HEAD_BYTES } from '../support/logHead.ts';
import { Canary } from './support/canary.ts';
import { frameEntries } from './support/entries.ts';
import { appendAll, connect, eventually, payloadOf, startNode } from './support/fixture.ts';
import type { ProcessNode } from './support/processNode.ts';
import { RawClient } from './support/rawClient.ts';

const IDLE_CONNECTIONS = 10_000;

async function startCanary(node: ProcessNode): Promise<Canary> {
  const canary = await Canary.start(node.url, 'canary');
  onTestFinished(() => canary.terminate());
  return canary;
}

/** Descriptors that this process, and so a node that it starts, may have open. */
function descriptorLimit(): number {
  try {
    return Number(/^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? 1024);
  } catch {
    return 1024;
  }
}

/** First byte of a ping's frame, and a pong, as a client sends it. */
const PING = 0x89;
const PONG = Buffer.of(0x8a, 0x80, 0, 0, 0, 0);

/** Upgrades to a WebSocket, and then only answers pings. */
function openIdle(node: ProcessNode): Promise<Socket> {
  const { hostname, port } = new URL(node.url);
  return new Promise((resolve, reject) => {
    const socket = connectTcp(Number(port), hostname, () => {
      socket.write(
        `GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n` +
          `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: ${SUBPROTOCOL}\r\n\r\n`,
      );
    });
    socket.once('data', () => {
      // On a slow machine all of this lasts longer than the time after which a client that does not answer pings is gone.
      socket.on('data', (bytes: Buffer) => bytes[0] === PING && socket.write(PONG));
      resolve(socket);
    });
    socket.once('error', reject);
    onTestFinished(() => {
      socket.destroy();
    });
  });
}

test('ten thousand idle connections cost a few kilobytes each, and nobody else notices', async () => {
  const count = Math.min(IDLE_CONNECTIONS, descriptorLimit() - 1000);
  if (count < IDLE_CONNECTIONS) console.warn(`only ${count} connections: the limit of open files allows no more`);
  const node = await startNode({ slots: 3, segmentBytes: 1 << 20 });
  const canary = await startCanary(node);
  await canary.progress(200);
  const before = await node.residentMegabytes();
  const sockets: Socket[] = [];
  while (sockets.length < count) {
    const wave = Math.min(500, count - sockets.length);
    sockets.push(...(await Promise.all(Array.from({ length: wave }, () => openIdle(node)))));
  }
  expect((await node.status()).clients.connections).toBe(count + 1);
  const kilobytes = (((await node.residentMegabytes()) - before) * 1000) / count;
  expect(kilobytes).toBeLessThan(20);
  await canary.progress(40);
  const late = await connect(node);
  expect((await late.append(Buffer.from('there is room for one more'))).level).toBe(1);
  for (const socket of sockets) socket.destroy();
  await eventually(async () => (await node.status()).clients.connections === 2, 'all idle connections are gone');
  await canary.stop();
});

/** Clients that asked for `ask` and never read: `ask` is called after the client stopped reading. */
async function openDeaf(node: ProcessNode, count: number, ask: (client: RawClient) => void): Promise<RawClient[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const client = await connect(node);
      client.socket.pause();
      ask(client);
      return client;
    }),
  );
}

/** The highest memory that the node shows while the canary makes `rounds` × 20 appends. */
async function peakMegabytes(node: ProcessNode, canary: Canary, rounds = 10): Promise<number> {
  let peak = 0;
  for (let i = 0; i < rounds; i++) {
    await canary.progress(20);
    peak = Math.max(peak, await node.residentMegabytes());
  }
  return peak;
}

/** What may wait in send buffers, and generous room for garbage of the largest messages that is not collected yet. */
const MEGABYTES_ALLOWED = (2 * SEND_BUFFER_TOTAL_BYTES) / 1e6 + 250;

test('readers that never read stay within the bound of all send buffers, whatever they asked for', async () => {
  const node = await startNode({ slots: 3 });
  const writer = await connect(node);
  const large = await writer.append(Buffer.alloc(16_000_000, 'l'));
  await appendAll(writer, new Array<Buffer>(60).fill(payloadOf(1_000_000, 1)));
  const canary = await startCanary(node);
  await canary.progress(40);
  const before = await node.residentMegabytes();
  await openDeaf(node, 60, (client) => {
    client.subscribe(LOG_HEAD_BYTES, 0x7fff_ffff);
    for (let i = 0; i < 20; i++) client.request(READ, client.newId(), { offset: large.offset });
  });
  expect((await peakMegabytes(node, canary)) - before).toBeLessThan(MEGABYTES_ALLOWED);
  const reader = await connect(node);
  const entries = await reader.readAll(LOG_HEAD_BYTES, large.end);
  expect(entries[0]?.payload.length).toBe(16_000_000);
  await canary.stop();
});

test('clients that ask for small answers without end and never read them are cut before they cost much', async () => {
  const node = await startNode({ slots: 3, segmentBytes: 1 << 20 });
  const canary = await startCanary(node);
  await canary.progress(40);
  const before = await node.residentMegabytes();
  const end = Buffer.from(requestMessage(6, 0, 1));
  const bad = Buffer.concat([requestMessage(APPEND, 0, 2, 0, 1), Buffer.alloc(20)]);
  let sent = 0;
  const clients = await openDeaf(node, 20, () => undefined);
  for (let round = 0; round < 100; round++) {
    for (const client of clients) {
      if (client.socket.readyState !== client.socket.OPEN) continue;
      for (let i = 0; i < 150; i++) client.send(i % 2 === 0 ? end : bad);
      sent += 150;
    }
    await canary.progress(1);
  }
  expect(sent).toBeGreaterThan(10_000);
  expect((await peakMegabytes(node, canary, 5)) - before).toBeLessThan(MEGABYTES_ALLOWED);
  await canary.stop();
});

test('appends of many tiny entries whose receipts are never read do not pile up', async () => {
  const node = await startNode({ slots: 3, segmentBytes: 1 << 20 });
  const canary = await startCanary(node);
  await canary.progress(40);
  const before = await node.residentMegabytes();
  const body = frameEntries([Buffer.from('x')]);
  const message = Buffer.concat([requestMessage(APPEND, 1, 3, 0, 1), body]);
  const clients = await openDeaf(node, 20, () => undefined);
  for (let round = 0; round < 100; round++) {
    for (const client of clients) {
      if (client.socket.readyState !== client.socket.OPEN) continue;
      for (let i = 0; i < 100; i++) client.send(message);
    }
    await canary.progress(1);
  }
  expect((await peakMegabytes(node, canary, 5)) - before).toBeLessThan(MEGABYTES_ALLOWED);
  await canary.stop();
});

test('readers that never read and then break the protocol leave nothing behind that counts', async () => {
  const node = await startNode({ slots: 3 });
  const writer = await connect(node);
  const large = await writer.append(Buffer.alloc(16_000_000, 'l'));
  const canary = await startCanary(node);
  await canary.progress(40);
  const before = await node.residentMegabytes();
  await openDeaf(node, 60, (client) => {
    client.request(READ, client.newId(), { offset: large.offset });
    client.socket.send('text');
  });
  expect((await peakMegabytes(node, canary)) - before).toBeLessThan(MEGABYTES_ALLOWED);
  await canary.stop();
});

test('connections that use up all descriptors do not end the node, which goes on appending and rolling', async () => {
  const node = await startNode({ slots: 3, segmentBytes: 65536, wrapper: ['prlimit', '--nofile=200:200'] });
  const canary = await startCanary(node);
  const { hostname, port } = new URL(node.url);
  const sockets: Socket[] = [];
  for (let i = 0; i < 400; i++) {
    const socket = connectTcp(Number(port), hostname);
    socket.on('error', () => undefined);
    sockets.push(socket);
    onTestFinished(() => {
      socket.destroy();
    });
  }
  // Several segments, each of which needs descriptors of its own.
  await canary.progress(1500);
  expect(node.isRunning).toBe(true);
  for (const socket of sockets) socket.destroy();
  // Places that were left are given again, as often as one likes.
  for (let i = 0; i < 300; i++) {
    await eventually(
      () =>
        RawClient.connect(node.url).then(
          (client) => client.close().then(() => true),
          () => false,
        ),
      'a client gets a place',
    );
  }
  await canary.stop();
});
