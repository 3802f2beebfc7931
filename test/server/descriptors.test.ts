// Nodes with few descriptors, or none: real processes under a real limit of open files.

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { LogError } from '../../src/core/errors.ts';
import { flagOf } from '../../src/core/options.ts';
import { MIN_CLIENT_DESCRIPTORS } from '../../src/core/servingLimits.ts';
import { openDescriptors, placesForClients, reservedDescriptors } from '../../src/server/descriptors.ts';
import { LOG_HEAD_BYTES } from '../support/logHead.ts';
import { Canary } from './support/canary.ts';
import { appendAll, connect, eventually, makeDirectory, payloadOf, startNode } from './support/fixture.ts';
import { DidNotStart, ProcessNode } from './support/processNode.ts';
import { codeOf } from './support/rawClient.ts';

const SMALL = { slots: 3, segmentBytes: 65536 } as const;

/** What a node of {@link SMALL} needs for itself besides what node has open before. */
const RESERVED = reservedDescriptors({ slots: SMALL.slots, peers: [] });

function limited(limit: number): readonly string[] {
  return ['prlimit', `--nofile=${limit}:${limit}`];
}

/** Connects to the node's port and says nothing. */
async function openSocket(node: ProcessNode): Promise<Socket> {
  const { hostname, port } = new URL(node.url);
  const socket = connectTcp(Number(port), hostname);
  socket.on('error', () => undefined);
  onTestFinished(() => {
    socket.destroy();
  });
  await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve));
  return socket;
}

/** What the node answers to a GET on `socket`. */
function get(socket: Socket, path: string): Promise<string> {
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  return new Promise((resolve) => {
    let text = '';
    socket.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    socket.once('close', () => resolve(text));
  });
}

/** Sets the process's soft limit; undefined: to the hard one. */
function setLimit({ pid }: ProcessNode, limit: number | undefined): void {
  const hard = /^Max open files\s+\d+\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/limits`, 'utf8'))?.[1] ?? '';
  const { status } = spawnSync('prlimit', ['--pid', String(pid), `--nofile=${limit ?? hard}:${hard}`]);
  expect(status).toBe(0);
}

/** Connections and listeners that the process has; one that it has not taken yet is the system's. */
function socketsOf({ pid }: ProcessNode): number {
  const directory = `/proc/${pid}/fd`;
  return readdirSync(directory).filter((name) => targetOf(`${directory}/${name}`).startsWith('socket:')).length;
}

/** Where a link leads; nowhere when it has gone since it was listed. */
function targetOf(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return '';
  }
}

/** Leaves the process none, whatever it closes: the numbers below are those of its standard streams, which stay. */
function takeAll(node: ProcessNode): void {
  setLimit(node, 3);
}

/** Starts a node under `limit`, and uses it while connections take all that clients may have. Returns the refusal's sentence when it does not start. */
async function useUnder(limit: number): Promise<string | undefined> {
  const data = makeDirectory();
  let node: ProcessNode;
  try {
    node = await ProcessNode.start({ ...SMALL, data, wrapper: limited(limit) });
  } catch (thrown) {
    if (!(thrown instanceof DidNotStart)) throw thrown;
    expect(thrown.exit.code).toBeGreaterThan(0);
    return thrown.stderr;
  }
  onTestFinished(() => node.kill());
  const canary = await Canary.start(node.url, 'canary');
  onTestFinished(() => canary.terminate());
  const reader = await connect(node);
  await Promise.all(Array.from({ length: limit }, () => openSocket(node)));
  // Several segments, each of which needs descriptors of its own.
  await canary.progress(600);
  const first = await reader.read(LOG_HEAD_BYTES, { maxBytes: 1000 });
  expect(first.entries.length).toBeGreaterThan(0);
  await canary.stop();
  expect(node.isRunning).toBe(true);
  return undefined;
}

describe('a node under a limit of open files', () => {
  test('that is too low refuses to start, and says what to raise', async () => {
    const limits = [18, 24, 32, 48, 56, 64, 100, RESERVED + MIN_CLIENT_DESCRIPTORS];
    for (const sentence of await Promise.all(limits.map((limit) => useUnder(limit)))) {
      expect(sentence).toMatch(/ulimit -n/);
      expect(sentence).not.toMatch(/\n\s+at |this is a bug/);
    }
  });

  test('that is just enough serves who came first, whatever connections others open', async () => {
    const refusal = (await useUnder(RESERVED + MIN_CLIENT_DESCRIPTORS)) ?? '';
    const needed = Number(/needs at least (\d+)/.exec(refusal)?.[1]);
    expect(needed).toBeGreaterThan(RESERVED + MIN_CLIENT_DESCRIPTORS);
    expect(await useUnder(needed)).toBeUndefined();
  });

  test('has fewer places than asked for, and warns; the places and what is reserved never exceed it', () => {
    for (let limit = 100; limit < 20_000; limit += 97) {
      const warnings: string[] = [];
      const config = { slots: 4, peers: [], maxConnections: 2000, callOf: flagOf };
      const log = { warn: (text: string) => void warnings.push(text) };
      let places: ReturnType<typeof placesForClients>;
      try {
        places = placesForClients(config, log, limit, 20);
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(LogError);
        expect(limit).toBeLessThan(20 + reservedDescriptors(config) + MIN_CLIENT_DESCRIPTORS);
        continue;
      }
      expect(places.maxSockets + reservedDescriptors(config) + 20).toBeLessThanOrEqual(limit);
      expect(places.maxConnections).toBeGreaterThanOrEqual(MIN_CLIENT_DESCRIPTORS / 2);
      expect(places.maxSockets).toBeGreaterThan(places.maxConnections);
      expect(warnings).toHaveLength(places.maxConnections < 2000 ? 1 : 0);
    }
    expect(openDescriptors()).toBeGreaterThan(3);
  });
});

describe('a node that has no descriptor left', () => {
  test('refuses a read that needs one, goes on when there are some again, and has answered meanwhile', async () => {
    const node = await startNode(SMALL);
    const client = await connect(node);
    const receipts = await appendAll(client, new Array<Buffer>(12).fill(payloadOf(30_000, 1)));
    await eventually(async () => (await node.status()).segments.sealed > 4, 'segments are sealed');
    const before = socketsOf(node);
    const statusSocket = await openSocket(node);
    const metricsSocket = await openSocket(node);
    // The system connects them; the node takes them when it comes to it.
    await eventually(() => socketsOf(node) >= before + 2, 'the node has taken both connections');
    takeAll(node);
    // The first cold read needs a thread, which needs descriptors.
    expect(await codeOf(client.read(LOG_HEAD_BYTES))).toBe('OVERLOADED');
    expect(await get(statusSocket, '/status')).toMatch(/"residentBytes": \d+/);
    expect(await get(metricsSocket, '/metrics')).toMatch(/^HTTP\/1.1 500 .*EMFILE/s);
    // The next segment waits for its descriptors.
    const rolled = appendAll(client, new Array<Buffer>(6).fill(payloadOf(30_000, 2)));
    const late = client.append(Buffer.from('waits'));
    setLimit(node, undefined);
    await rolled;
    expect((await late).level).toBe(1);
    const entries = await client.readAll(LOG_HEAD_BYTES, receipts.at(-1)?.end ?? 0);
    expect(entries.filter(({ kind }) => kind === 0)).toHaveLength(12);
    expect(await get(await openSocket(node), '/metrics')).toMatch(/loglog_cold_reads_total \d/);
    expect(node.stderr).toMatch(/out of descriptors/);
    expect(node.isRunning).toBe(true);
  });
});
