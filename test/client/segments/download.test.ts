// The fetcher of sealed segments against hosts that a test plays: what is lost on its way is asked for again, what is wrong is said.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { KIND_CONTINUED } from '../../../assembly/layout.ts';
import { downloadSegment, type SegmentRequest } from '../../../src/client/segments/download.ts';
import { EntryVerifier } from '../../../src/client/segments/entryVerifier.ts';
import { fetchSegmentList, parseSegmentList } from '../../../src/client/segments/list.ts';
import { SegmentSource } from '../../../src/client/segments/source.ts';
import { Workspace } from '../../../src/client/wasm.ts';
import { MAX_SEGMENT_LIST_BYTES, SEGMENT_TRIES } from '../../../src/core/clientLimits.ts';
import { encodeEntry } from '../../support/entryTwin.ts';

const CLUSTER = '0123456789abcdef0123456789abcdef';
const GENERATION = '0'.repeat(16);
const BASE = 1000;
const PATH = `/log/${CLUSTER}/${GENERATION}/segments/s`;

/** Entries of `sizes` from BASE on, in term 3. */
function entriesOf(sizes: readonly number[], lastKind = 0): Buffer {
  const parts: Uint8Array[] = [];
  let offset = BASE;
  for (const [i, size] of sizes.entries()) {
    const payload = new Uint8Array(size).map((_, at) => (at * 31 + i) % 251);
    const entry = encodeEntry(payload, i === sizes.length - 1 ? lastKind : 0, { term: 3, offset });
    parts.push(entry);
    offset += entry.length;
  }
  return Buffer.concat(parts);
}

const LOG = entriesOf([0, 5, 300_000, 17, 1, 100_000, 2_000]);
const FIRST_THREE = 12 + 17 + 300_012;

type Answer = (request: IncomingMessage, response: ServerResponse) => void;
const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

async function host(answer: Answer): Promise<string> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A host that serves `log` with ranges; `cut` says after how many bytes the request with that number, from 0 on, is lost. */
function serving(log: Buffer, cut: (request: number) => number | undefined, seen: IncomingMessage[] = []): Answer {
  return (request, response) => {
    const after = cut(seen.push(request) - 1);
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const range = `bytes ${from}-${log.length - 1}/${log.length}`;
    response.writeHead(from > 0 ? 206 : 200, { etag: '"one"', ...(from > 0 ? { 'content-range': range } : {}) });
    const body = log.subarray(from);
    if (after === undefined) response.end(body);
    else response.write(body.subarray(0, after), () => response.destroy());
  };
}

const workspace = await Workspace.create(0);

function requestOf(url: string, more: Partial<SegmentRequest> = {}): SegmentRequest {
  const segment = { base: BASE, end: BASE + LOG.length, path: PATH };
  return { source: new SegmentSource(url), segment, workspace, ...more };
}

async function download(request: SegmentRequest): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let due = request.from ?? request.segment.base;
  for await (const { offset, bytes } of downloadSegment(request)) {
    expect(offset).toBe(due);
    due += bytes.length;
    parts.push(bytes);
  }
  return Buffer.concat(parts);
}

test('a segment comes whole, and from any of its entries on', async () => {
  const seen: IncomingMessage[] = [];
  const url = await host(serving(LOG, () => undefined, seen));
  expect((await download(requestOf(url))).equals(LOG)).toBe(true);
  const from = BASE + FIRST_THREE;
  expect((await download(requestOf(url, { from, minTerm: 3 }))).equals(LOG.subarray(FIRST_THREE))).toBe(true);
  expect(seen.map(({ url: path, headers }) => [path, headers.range])).toEqual([
    [PATH, undefined],
    [PATH, `bytes=${FIRST_THREE}-`],
  ]);
});

test('a connection that is lost is made again where it was, also within an entry, and only for the same bytes', async () => {
  const seen: IncomingMessage[] = [];
  const url = await host(serving(LOG, (request) => (request < 2 * SEGMENT_TRIES ? 20_011 : undefined), seen));
  expect((await download(requestOf(url))).equals(LOG)).toBe(true);
  expect(seen.length).toBeGreaterThan(SEGMENT_TRIES);
  for (const { headers } of seen.slice(1)) {
    expect(headers).toMatchObject({ range: /^bytes=[1-9]/ });
    // No header for which a page's browser would ask the host first.
    expect(headers).not.toHaveProperty('if-range');
  }
});

test('a host that answers with all, although a part was asked for, does as well', async () => {
  let count = 0;
  const url = await host((_, response) => {
    count += 1;
    if (count === 1) response.writeHead(200).write(LOG.subarray(0, 200_000), () => response.destroy());
    else response.writeHead(200).end(LOG);
  });
  expect((await download(requestOf(url))).equals(LOG)).toBe(true);
  expect(count).toBe(2);
});

test('a host that has other bytes after a loss is not believed', async () => {
  let count = 0;
  const url = await host((_, response) => {
    count += 1;
    response.writeHead(200, { etag: `"${count}"` });
    if (count === 1) response.write(LOG.subarray(0, 200_000), () => response.destroy());
    else response.end(LOG);
  });
  await expect(download(requestOf(url))).rejects.toMatchObject({ code: 'PROTOCOL', message: expect.stringContaining('changed') });
});

test('a host that never gives anything is given up, one that is busy is asked again', async () => {
  let count = 0;
  const dead = await host((_, response) => {
    count += 1;
    response.destroy();
  });
  await expect(download(requestOf(dead))).rejects.toMatchObject({ code: 'UNREACHABLE', retryable: true });
  expect(count).toBe(SEGMENT_TRIES);
  const askedMs: number[] = [];
  const busy = await host((_, response) => {
    askedMs.push(performance.now());
    if (askedMs.length < 3) response.writeHead(503, { 'retry-after': askedMs.length === 1 ? '1' : 'later' }).end('too many');
    else response.writeHead(200).end(LOG);
  });
  expect((await download(requestOf(busy))).equals(LOG)).toBe(true);
  const [first = 0, second = 0] = askedMs;
  expect([askedMs.length, second - first > 990]).toEqual([3, true]);
});

test('a host that sends a byte now and then is left where a pace is asked for', async () => {
  const trickle = await host((_, response) => {
    response.writeHead(200);
    let at = 0;
    const timer = setInterval(() => response.write(LOG.subarray(at, ++at)), 10);
    response.on('close', () => clearInterval(timer));
  });
  const failure = { code: 'UNREACHABLE', message: expect.stringMatching(/at \d+ bytes a second; 16384 are the least/) };
  await expect(download(requestOf(trickle, { stallMs: 200, minBytesPerSecond: 16_384 }))).rejects.toMatchObject(failure);
});

test.each([
  [404, 'BEHIND'],
  [410, 'OFFSET_TRIMMED'],
  [403, 'UNREACHABLE'],
  [416, 'UNREACHABLE'],
] as const)('HTTP %d is %s at once', async (status, code) => {
  let count = 0;
  const url = await host((_, response) => {
    count += 1;
    response.writeHead(status).end();
  });
  await expect(download(requestOf(url))).rejects.toMatchObject({ code });
  expect(count).toBe(1);
});

test('bytes that are not of the log are refused by name, those before them are handed out', async () => {
  const bad = Buffer.from(LOG);
  bad[FIRST_THREE + 20] = (bad[FIRST_THREE + 20] ?? 0) ^ 1;
  const url = await host(serving(bad, () => undefined));
  const parts: Uint8Array[] = [];
  const reading = (async () => {
    for await (const { bytes } of downloadSegment(requestOf(url))) parts.push(bytes);
  })();
  await expect(reading).rejects.toMatchObject({ code: 'DAMAGED', details: { offset: BASE + FIRST_THREE } });
  expect(Buffer.concat(parts).equals(LOG.subarray(0, FIRST_THREE))).toBe(true);
});

test('more than was listed, less than was listed, another range, half an entry, half a batch: none passes', async () => {
  const longer = Buffer.concat([LOG, Buffer.from('more')]);
  await expect(download(requestOf(await host(serving(longer, () => undefined))))).rejects.toMatchObject({ code: 'PROTOCOL' });
  const shorter = { base: BASE, end: BASE + LOG.length + 1, path: PATH };
  await expect(
    download(requestOf(await host((_, response) => response.writeHead(200).end(LOG)), { segment: shorter })),
  ).rejects.toMatchObject({
    code: 'UNREACHABLE',
  });
  const other = await host((_, response) => response.writeHead(206, { 'content-range': `bytes 0-9/${LOG.length}` }).end(LOG));
  await expect(download(requestOf(other, { from: BASE + 12 }))).rejects.toMatchObject({ code: 'PROTOCOL' });
  const half = { base: BASE, end: BASE + LOG.length - 1, path: PATH };
  const cut = await host((_, response) => response.writeHead(200).end(LOG.subarray(0, -1)));
  await expect(download(requestOf(cut, { segment: half }))).rejects.toMatchObject({ code: 'DAMAGED' });
  const open = entriesOf([1, 2], KIND_CONTINUED);
  const segment = { base: BASE, end: BASE + open.length, path: PATH };
  await expect(download(requestOf(await host(serving(open, () => undefined)), { segment }))).rejects.toMatchObject({
    code: 'DAMAGED',
    details: { offset: BASE + 13 },
  });
});

test('a term that falls is damage', async () => {
  await expect(download(requestOf(await host(serving(LOG, () => undefined)), { minTerm: 4 }))).rejects.toMatchObject({ code: 'DAMAGED' });
});

test('who stops reading asks no more, and a signal ends a download that hangs', async () => {
  const closed: Promise<void>[] = [];
  const url = await host((_, response) => {
    closed.push(new Promise((resolve) => response.once('close', resolve)));
    response.writeHead(200).write(LOG.subarray(0, 100));
  });
  for await (const { bytes } of downloadSegment(requestOf(url))) {
    expect(bytes).toHaveLength(29);
    break;
  }
  const stop = new AbortController();
  const hanging = download(requestOf(url, { signal: stop.signal }));
  while (closed.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  stop.abort();
  await expect(hanging).rejects.toMatchObject({ code: 'ABORTED' });
  await Promise.all(closed);
});

test('user and password of an address go into a header, a query and a path stay', async () => {
  const seen: IncomingMessage[] = [];
  const url = new URL(await host(serving(LOG, () => undefined, seen)));
  url.username = 'me';
  url.password = 's cret';
  url.pathname = '/proxy/';
  url.search = '?token=1';
  const request = requestOf(url.href);
  await download(request);
  expect(seen[0]?.url).toBe(`/proxy${PATH}?token=1`);
  expect(seen[0]?.headers.authorization).toBe(`Basic ${Buffer.from('me:s cret').toString('base64')}`);
  expect(request.source.shown).not.toContain('cret');
});

const LIST = {
  clusterId: CLUSTER,
  generation: GENERATION,
  start: 0,
  commit: 50,
  segments: [
    { base: 0, end: 20, url: '/log/c/g/segments/0-20' },
    { base: 20, end: 50, url: '/log/c/g/segments/20-50' },
  ],
};

test('a list is read as it is written, with fields that are not known yet', async () => {
  const url = await host((request, response) => {
    expect(request.url).toBe(`/log/${CLUSTER}/segments`);
    response.writeHead(200).end(JSON.stringify({ ...LIST, later: 1 }));
  });
  const list = await fetchSegmentList(new SegmentSource(url), CLUSTER);
  expect(list.segments[1]).toEqual({ base: 20, end: 50, path: '/log/c/g/segments/20-50' });
  expect(list).toMatchObject({ start: 0, commit: 50, generation: GENERATION });
});

test('the first segment of a list may begin before the start of the log', () => {
  expect(parseSegmentList(JSON.stringify({ ...LIST, start: 19 }), CLUSTER, 'x')).toMatchObject({ start: 19, segments: [{ base: 0 }, {}] });
});

test('what is no list is said to be none', () => {
  const [one, two] = LIST.segments;
  const wrong: unknown[] = [
    null,
    [],
    { ...LIST, clusterId: 'f'.repeat(32) },
    { ...LIST, generation: 'x' },
    { ...LIST, start: -1 },
    { ...LIST, commit: 1e300 },
    { ...LIST, commit: '50' },
    { ...LIST, segments: {} },
    { ...LIST, segments: [null] },
    { ...LIST, segments: [two, one] },
    { ...LIST, segments: [one, { ...two, base: 21 }] },
    { ...LIST, segments: [one, { ...two, end: 51 }] },
    { ...LIST, segments: [{ ...one, end: 0 }] },
    { ...LIST, start: 20 },
    ...['//evil.example/x', 'http://evil.example/x', '/log/../../etc', '/log/a?b', '/log/.x', 7].map((path) => ({
      ...LIST,
      segments: [{ ...one, url: path }],
    })),
  ];
  for (const value of wrong)
    expect(() => parseSegmentList(JSON.stringify(value), CLUSTER, 'x'), JSON.stringify(value)).toThrow(
      /^x is no list of sealed segments: /,
    );
  expect(() => parseSegmentList('{"clusterId"', CLUSTER, 'x')).toThrow(/not JSON/);
});

test('a list without end is given up at its bound', async () => {
  const url = await host((_, response) => {
    const more = Buffer.alloc(1 << 20, ' ');
    const write = (): void => void (response.destroyed || response.write(more, write));
    response.writeHead(200);
    write();
  });
  await expect(fetchSegmentList(new SegmentSource(url), CLUSTER)).rejects.toMatchObject({
    code: 'PROTOCOL',
    message: expect.stringContaining(String(MAX_SEGMENT_LIST_BYTES)),
  });
});

test('a verifier says the same of bytes however they are cut', () => {
  const small = entriesOf([0, 5, 300, 17]);
  const cases = [
    { log: small, sizes: [1, 7, 8, 9, 100] },
    { log: LOG, sizes: [4096, 65_536, LOG.length] },
  ];
  for (const { log, sizes } of cases) {
    const bad = Buffer.from(log);
    const last = bad.length - 10;
    bad[last] = (bad[last] ?? 0) ^ 1;
    const valid = log.length - (log === small ? 29 : 2_012);
    for (const size of sizes) {
      for (const [bytes, end] of [
        [log, log.length],
        [bad, valid],
      ] as const) {
        const verifier = new EntryVerifier(workspace, BASE);
        const parts: Uint8Array[] = [];
        for (let at = 0; at < bytes.length; at += size) parts.push(verifier.push(bytes.subarray(at, at + size)));
        expect(Buffer.concat(parts).equals(log.subarray(0, end))).toBe(true);
        expect([verifier.offset, verifier.batchEnd, verifier.fault?.offset]).toEqual([
          BASE + end,
          BASE + end,
          bytes === bad ? BASE + valid : undefined,
        ]);
      }
    }
  }
});
