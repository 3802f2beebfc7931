// Readings that take sealed segments from hosts beside the nodes: what comes is the log, from whichever it comes, and a host that fails costs nothing but time.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { LogClient } from '../../src/client/client.ts';
import type { ClientEvent } from '../../src/client/events.ts';
import type { Reading } from '../../src/client/read/reading.ts';
import { SUBSCRIBE } from '../../src/protocol/client.ts';
import { FEATURE_INTRODUCE } from '../../src/protocol/greeting.ts';
import { eventually } from '../server/support/fixture.ts';
import { failureOf } from './support/failure.ts';
import { FakeServer } from './support/fakeServer.ts';

const CLUSTER = '0123456789abcdef0123456789abcdef';
const GENERATION = '0'.repeat(16);
const ENTRIES = 300;
const PER_SEGMENT = 100;

let server: FakeServer;
let log: LogClient;
let events: ClientEvent[];
/** Where each entry begins, and the log ends. */
let offsets: number[];
const ends: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  server = new FakeServer();
  server.hello = { ...server.hello, features: FEATURE_INTRODUCE };
  server.toldToIntroduced = { generation: GENERATION, leaderId: 1, members: [], segmentBytes: 0 };
  events = [];
  offsets = [0];
  for (let i = 0; i < ENTRIES; i++) offsets.push(server.add(new Uint8Array(i % 50 === 7 ? 300_000 : 3_000).fill(i)));
  log = await server.connect({ onEvent: (event) => void events.push(event) });
});

afterEach(async () => {
  await log.close();
  for (const end of ends.splice(0)) await end();
});

const at = (i: number): number => offsets[i] ?? Number.NaN;

interface Host {
  readonly url: string;
  /** Paths that were asked for, and from which byte on. */
  readonly asked: [string, number][];
  /** Bytes of bodies that were written. */
  sentBytes: number;
  /** Bodies that were begun and not ended. */
  openCount: number;
}

interface HostOptions {
  /** Entries in all segments. */
  readonly entries?: number;
  readonly generation?: string;
  /** Of the log, as the host says it. */
  readonly start?: number;
  /** Changes a segment's bytes, or answers in its own way when it returns undefined. */
  readonly change?: (bytes: Buffer, base: number, response: ServerResponse) => Buffer | undefined;
}

/** A host that has all whole segments of 100 entries. */
async function host({
  entries = 3 * PER_SEGMENT,
  generation = GENERATION,
  start = 0,
  change = (bytes) => bytes,
}: HostOptions = {}): Promise<Host> {
  const state = { asked: [] as [string, number][], sentBytes: 0, openCount: 0 };
  const stem = `/log/${CLUSTER}/${generation}/segments`;
  const segments = Array.from({ length: Math.floor(entries / PER_SEGMENT) }, (_, i) => {
    const [base, end] = [at(i * PER_SEGMENT), at((i + 1) * PER_SEGMENT)];
    return { base, end, url: `${stem}/${base}-${end}` };
  });
  const answer = ({ url = '', headers }: IncomingMessage, response: ServerResponse): void => {
    const from = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? 0);
    state.asked.push([url.replace(`/log/${CLUSTER}/`, '').replace(`${generation}/segments/`, ''), from]);
    if (url === `/log/${CLUSTER}/segments`) {
      response.end(JSON.stringify({ clusterId: CLUSTER, generation, start, commit: at(entries), segments }));
      return;
    }
    const segment = segments.find((one) => one.url === url);
    if (segment === undefined) {
      response.writeHead(404).end();
      return;
    }
    const whole = server.bytes(segment.base, segment.end);
    const changed = change(whole, segment.base, response);
    if (changed === undefined) return;
    const body = changed.subarray(from);
    state.openCount += 1;
    response.on('close', () => (state.openCount -= 1));
    response.writeHead(from > 0 ? 206 : 200, {
      etag: `"${segment.base}"`,
      ...(from > 0 ? { 'content-range': `bytes ${from}-${whole.length - 1}/${whole.length}` } : {}),
    });
    send(response, body);
  };
  const send = (response: ServerResponse, body: Buffer): void => {
    if (body.length === 0) {
      response.end();
      return;
    }
    const part = body.subarray(0, 64 * 1024);
    response.write(part, () => {
      state.sentBytes += part.length;
      send(response, body.subarray(part.length));
    });
  };
  const http = createServer(answer);
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  ends.push(() => {
    http.closeAllConnections();
    return new Promise((resolve) => http.close(resolve));
  });
  return Object.assign(state, { url: `http://127.0.0.1:${(http.address() as AddressInfo).port}` });
}

async function offsetsOf(reading: Reading, count = Number.POSITIVE_INFINITY): Promise<number[]> {
  const found: number[] = [];
  for await (const { offset, payload } of reading) {
    const i = offsets.indexOf(offset);
    expect([payload[0], payload.at(-1)]).toEqual([i % 256, i % 256]);
    found.push(offset);
    if (found.length === count) break;
  }
  return found;
}

/** Where nodes were asked for the log. */
const subscribed = (): number[] => server.requests.flatMap(({ opcode, offset }) => (opcode === SUBSCRIBE ? [offset] : []));
const told = (): unknown[] => events.flatMap((event) => (event.type === 'catchUp' || event.type === 'catchUpLost' ? [event] : []));

describe('a subscription that is far behind', () => {
  test('takes whole segments from a host, and goes on at a node at the byte where they end', async () => {
    for (let i = 0; i < 10; i++) offsets.push(server.add(new Uint8Array(3_000).fill(offsets.length - 1)));
    const { url, asked } = await host();
    const found = offsetsOf(log.subscribe({ catchUp: { urls: url, verify: 'checks' } }), ENTRIES + 11);
    await eventually(() => subscribed().length > 0, 'it goes on at a node');
    offsets.push(server.add(new Uint8Array(3_000).fill(offsets.length - 1)));
    server.connection.push();
    expect(await found).toEqual(offsets.slice(0, -1));
    expect(subscribed()).toEqual([at(ENTRIES)]);
    expect(asked.map(([path]) => path)).toEqual(['segments', ...[0, 1, 2].map((i) => `${at(100 * i)}-${at(100 * (i + 1))}`)]);
    expect(told()).toEqual([{ type: 'catchUp', url, offset: 0 }]);
    expect(log.stats().catchUpBytes).toBe(at(ENTRIES));
  });

  test('begins within a segment, and asks for no more of it than it needs', async () => {
    const { url, asked } = await host();
    expect(await offsetsOf(log.read({ from: at(150), catchUp: { urls: [url], verify: 'checks' } }))).toEqual(offsets.slice(150, -1));
    expect(asked[1]).toEqual([`${at(100)}-${at(200)}`, at(150) - at(100)]);
    expect(log.stats().catchUpBytes).toBe(at(ENTRIES) - at(150));
  });

  test('begins at the start of a log that was trimmed, which is in the middle of a segment', async () => {
    server.start = at(50);
    const { url, asked } = await host({ start: at(50) });
    expect(await offsetsOf(log.read({ catchUp: { urls: url, verify: 'checks' } }))).toEqual(offsets.slice(50, -1));
    expect(asked[1]).toEqual([`0-${at(100)}`, at(50)]);
    expect(told()).toEqual([{ type: 'catchUp', url, offset: at(50) }]);
  });

  test('takes nothing that nodes have not said is committed', async () => {
    server.maxCommit = at(250);
    await log.close();
    log = await server.connect();
    const { url } = await host();
    expect(await offsetsOf(log.read({ catchUp: { urls: url, verify: 'checks' } }))).toEqual(offsets.slice(0, 250));
    expect(log.stats().catchUpBytes).toBe(at(200));
    expect(subscribed()).toEqual([at(200)]);
  });

  test('asks for the list again where it ends, in case there is more by then', async () => {
    let entries = 100;
    const few = await host({ entries: 100 });
    const all = await host();
    const http = createServer((request, response) => {
      const { url } = request.url?.endsWith('/segments') && entries === 100 ? few : all;
      entries += 100;
      void fetch(url + request.url).then(async (answer) => response.end(Buffer.from(await answer.arrayBuffer())));
    });
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    ends.push(() => new Promise((resolve) => http.close(resolve)));
    const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
    expect(await offsetsOf(log.read({ catchUp: { urls: url, verify: 'checks' } }))).toEqual(offsets.slice(0, -1));
    expect(log.stats().catchUpBytes).toBe(at(ENTRIES));
  });

  test('takes little from nodes without a look at hosts', async () => {
    const { url, asked } = await host();
    expect(await offsetsOf(log.read({ from: at(290), catchUp: { urls: url, verify: 'checks' } }))).toEqual(offsets.slice(290, -1));
    expect(asked).toEqual([]);
  });
});

describe('a host that fails is left, and the rest comes from others', () => {
  const faults: [string, HostOptions, string, (offset: number) => boolean][] = [
    ['of another generation', { generation: '1'.repeat(16) }, 'OTHER_CLUSTER', (offset) => offset === 0],
    [
      'that has not what it lists',
      { change: (bytes, base, response) => (base === 0 ? bytes : void response.writeHead(404).end()) },
      'BEHIND',
      (offset) => offset === at(100),
    ],
    [
      'that cannot answer',
      { change: (bytes, base, response) => (base === 0 ? bytes : void response.writeHead(503).end()) },
      'UNREACHABLE',
      (offset) => offset === at(100),
    ],
    [
      'with a byte that is another one',
      {
        change: (bytes, base) => {
          if (base > 0) bytes.writeUInt8(bytes.readUInt8(1_000_000 % bytes.length) ^ 1, 1_000_000 % bytes.length);
          return bytes;
        },
      },
      'DAMAGED',
      (offset) => offset > at(100) && offset < at(200),
    ],
    [
      'that ends early',
      { change: (bytes, base) => (base === 0 ? bytes : bytes.subarray(0, 200_000)) },
      'UNREACHABLE',
      (offset) => offset > at(100),
    ],
  ];

  test.each(faults)('%s', async (_, options, code, isAt) => {
    const bad = await host(options);
    expect(await offsetsOf(log.read({ catchUp: { urls: bad.url, verify: 'checks' } }))).toEqual(offsets.slice(0, -1));
    const lost = events.find((event) => event.type === 'catchUpLost');
    expect(lost).toMatchObject({ url: bad.url, error: { code } });
    expect(isAt((lost as { offset: number }).offset)).toBe(true);
    expect(subscribed()).toEqual([(lost as { offset: number }).offset]);
    // Another host is as good as a node.
    const good = await host();
    events.length = 0;
    expect(await offsetsOf(log.read({ catchUp: { urls: [bad.url, good.url], verify: 'checks' } }))).toEqual(offsets.slice(0, -1));
    expect(events.map(({ type }) => type)).toContain('catchUpLost');
    expect(events.at(-1)).toMatchObject({ type: 'catchUp', url: good.url });
    expect(subscribed()).toHaveLength(1);
  });

  test('at which nobody is', async () => {
    expect(await offsetsOf(log.read({ catchUp: { urls: 'http://127.0.0.1:9', verify: 'checks' } }))).toEqual(offsets.slice(0, -1));
    expect(told()).toMatchObject([{ type: 'catchUpLost', url: 'http://127.0.0.1:9', offset: 0, error: { code: 'UNREACHABLE' } }]);
  });

  test('an offset within an entry is refused as ever', async () => {
    const { url } = await host();
    expect(await failureOf(offsetsOf(log.read({ from: at(3) + 1, catchUp: { urls: url, verify: 'checks' } })))).toMatchObject({
      code: 'OFFSET_NOT_BOUNDARY',
    });
  });
});

describe('whoever reads', () => {
  test('is waited for: no more is taken from the host than some buffers', async () => {
    await log.close();
    server = new FakeServer();
    offsets = [0];
    for (let i = 0; i < PER_SEGMENT; i++) offsets.push(server.add(new Uint8Array(300_000).fill(i)));
    log = await server.connect();
    const served = await host({ entries: PER_SEGMENT });
    const batches = log.subscribe({ catchUp: { urls: served.url, verify: 'checks' } }).batches();
    await batches.next();
    let before = -1;
    // Until nothing moves any more.
    await eventually(async () => {
      const isStill = served.sentBytes === before;
      before = served.sentBytes;
      await new Promise((resolve) => setTimeout(resolve, 50));
      return isStill;
    }, 'the host waits');
    expect(served.openCount).toBe(1);
    expect(served.sentBytes).toBeLessThan(20_000_000);
    await batches.return?.();
    await eventually(() => served.openCount === 0, 'the download is over when the reading is');
  });

  test('ends it by a signal in the middle of a download, and is told how far it came', async () => {
    const served = await host({
      change: (bytes, base, response) => (base === 0 ? bytes : void response.writeHead(200).write(bytes.subarray(0, 1))),
    });
    const controller = new AbortController();
    const found = offsetsOf(log.read({ catchUp: { urls: served.url, verify: 'checks' }, signal: controller.signal }));
    await eventually(() => served.asked.length === 3, 'it waits for the second segment');
    controller.abort();
    expect(await failureOf(found)).toMatchObject({ code: 'ABORTED', details: { position: at(100) } });
    await eventually(() => served.openCount === 0, 'the download is over');
  });

  test('takes as many entries as it wants', async () => {
    const { url } = await host();
    expect(await offsetsOf(log.read({ limit: 120, catchUp: { urls: url, verify: 'checks' } }))).toEqual(offsets.slice(0, 120));
    expect(subscribed()).toEqual([]);
  });

  test('hears at once of options that mean nothing', () => {
    for (const urls of [undefined, [], 'ftp://a', 'a', 5, [null]]) {
      expect(() => log.read({ catchUp: { urls } as never })).toThrow(/catchUp.urls/);
    }
    expect(() => log.read({ catchUp: 'http://a' as never })).toThrow('catchUp must be an object');
    expect(() => log.subscribe({ catchUp: { url: 'http://a' } as never })).toThrow('did you mean urls?');
  });
});
