// When each entry was ordered, as the client says it: by what a node says of the place where a reading begins, and by the log's own entries from
// there on; over lost connections, trims, and hosts of segments.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { KIND_TIME } from '../../assembly/layout.ts';
import type { LogClient } from '../../src/client/client.ts';
import type { Reading } from '../../src/client/read/reading.ts';
import { viewOf } from '../../src/core/bytes.ts';
import { writeTime } from '../../src/format/controlEntries.ts';
import { READ, SUBSCRIBE } from '../../src/protocol/client.ts';
import { FEATURE_TIMES } from '../../src/protocol/greeting.ts';
import { FakeServer } from './support/fakeServer.ts';

let server: FakeServer;
let log: LogClient;

beforeEach(async () => {
  server = new FakeServer();
  server.hello = { ...server.hello, features: FEATURE_TIMES };
  log = await server.connect();
});

afterEach(() => log.close());

function addTime(timeMs: number): void {
  const payload = new Uint8Array(8);
  writeTime(viewOf(payload), 0, timeMs);
  server.add(payload, 1, KIND_TIME);
}

/** Adds an entry before which the log's time becomes `timeMs`, if that is another one. */
function addAt(timeMs: number, payload: Uint8Array | string = 'entry'): void {
  if (server.timeBefore(server.end) !== timeMs) addTime(timeMs);
  server.add(payload);
}

async function timesOf(reading: Reading, count = Number.POSITIVE_INFINITY): Promise<(number | undefined)[]> {
  const found: (number | undefined)[] = [];
  for await (const { timeMs } of reading) {
    found.push(timeMs);
    if (found.length === count) break;
  }
  return found;
}

/** How often each kind of request asked for the log's time. */
function asked(opcode: number): number[] {
  return server.requests.filter((request) => request.opcode === opcode).map(({ flags }) => flags);
}

describe('an entry has the time of the log', () => {
  test('from the first one of a reading on, also where it begins after the entry that says it', async () => {
    const places: number[] = [];
    for (const timeMs of [5, 5, 7, 9, 9]) {
      addAt(timeMs);
      places.push(server.end - 17);
    }
    server.chunkBytes = 20;
    for (const [i, from] of places.entries()) expect(await timesOf(log.read({ from }))).toEqual([5, 5, 7, 9, 9].slice(i));
    expect(await timesOf(log.read({ from: places[1] as number, limit: 2 }))).toEqual([5, 7]);
    expect(await timesOf(log.read({ last: 2 }))).toEqual([9, 9]);
    const batches: [number | undefined, number][] = [];
    for await (const { timeMs, entryCount } of log.read({ from: places[1] as number }).batches()) batches.push([timeMs, entryCount]);
    expect(batches).toEqual([
      [5, 1],
      [5, 0],
      [7, 1],
      [7, 0],
      [9, 1],
      [9, 1],
    ]);
  });

  test('and is asked for it once, over lost connections, unless nothing has said it', async () => {
    for (let i = 0; i < 4; i += 1) addAt(1_000);
    const first = server.end - 17;
    const subscription = log.subscribe({ from: first });
    const found = timesOf(subscription, 3);
    await expect.poll(() => asked(SUBSCRIBE)).toEqual([1]);
    server.connection.kill();
    await expect.poll(() => asked(SUBSCRIBE)).toEqual([1, 0]);
    addAt(1_000);
    addAt(2_000);
    server.connection.push();
    expect(await found).toEqual([1_000, 1_000, 2_000]);
    // From the beginning, nothing can say it before it comes.
    const fromEmpty = timesOf(log.subscribe({ from: server.end }), 1);
    await expect.poll(() => asked(SUBSCRIBE)).toEqual([1, 0, 1]);
    server.connection.kill();
    await expect.poll(() => asked(SUBSCRIBE)).toEqual([1, 0, 1, 1]);
    addAt(2_000);
    server.connection.push();
    expect(await fromEmpty).toEqual([2_000]);
  });

  test('anew after what was trimmed is left out', async () => {
    for (const timeMs of [1, 2, 3, 4]) addAt(timeMs);
    const subscription = log.subscribe({ from: 0, onTrimmed: 'skip', creditBytes: 65_536 })[Symbol.asyncIterator]();
    expect((await subscription.next()).value?.timeMs).toBe(1);
    for (let i = 0; i < 3; i += 1) await subscription.next();
    for (const timeMs of [50, 60]) addAt(timeMs);
    server.start = server.end - 17;
    server.connection.kill();
    expect((await subscription.next()).value?.timeMs).toBe(60);
    await subscription.return?.();
  });

  test('undefined in a log that has none, and at a node that cannot say it until an entry does', async () => {
    server.add('a');
    server.add('b');
    expect(await timesOf(log.read())).toEqual([undefined, undefined]);
    await log.close();
    server.hello = { ...server.hello, features: 0 };
    log = await server.connect();
    addAt(3);
    expect(await timesOf(log.read())).toEqual([undefined, undefined, 3]);
    expect(asked(SUBSCRIBE)).toEqual([1, 0]);
  });

  test('a time that is no entry’s does not hold over what follows', async () => {
    addAt(10);
    addTime(20);
    server.add('b');
    expect(await timesOf(log.read({ from: 20 }))).toEqual([10, 20]);
  });
});

test('what hosts of segments bring has the same times as what nodes send', async () => {
  const times: number[] = [];
  const places: number[] = [];
  for (let i = 0; i < 60; i += 1) {
    times.push(1_000 + Math.floor(i / 7));
    addAt(times[i] ?? 0, new Uint8Array(200_000).fill(i));
    places.push(server.end - 200_012);
  }
  const ends = [0, places[25] ?? 0, server.end];
  const segments = [0, 1].map((i) => ({ base: ends[i] ?? 0, end: ends[i + 1] ?? 0, url: `/log/segments/${i}` }));
  const { clusterId } = server.hello;
  const host = createServer(({ url, headers }, response) => {
    const segment = segments.find((one) => url === one.url);
    if (segment === undefined) {
      response.end(JSON.stringify({ clusterId, generation: '0'.repeat(16), start: 0, commit: server.end, segments }));
      return;
    }
    const from = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? 0);
    const bytes = server.bytes(segment.base, segment.end);
    const range = from > 0 ? { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` } : {};
    response.writeHead(from > 0 ? 206 : 200, { etag: '"1"', ...range }).end(bytes.subarray(from));
  });
  await new Promise<void>((resolve) => host.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    host.closeAllConnections();
    return new Promise<void>((resolve) => host.close(() => resolve()));
  });
  const urls = `http://127.0.0.1:${(host.address() as AddressInfo).port}`;
  for (const i of [0, 3, 25, 26, 30]) {
    expect(await timesOf(log.read({ from: places[i] as number, catchUp: { urls, verify: 'checks' } }))).toEqual(times.slice(i));
  }
  expect(log.stats().catchUpBytes).toBeGreaterThan(20_000_000);
  expect(asked(SUBSCRIBE)).toEqual([]);
  // Once for each reading, and for one entry.
  expect(asked(READ)).toEqual([1, 1, 1, 1, 1]);
});
