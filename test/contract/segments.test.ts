// Sealed segments over HTTP: the list, whole files and ranges of them, what caches are told, and what readers that take nothing cost.

import { readdirSync, readFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { connect, type ReadOptions } from '../../src/client/index.ts';
import { HTTP_TIMEOUT_MS, MAX_SEGMENT_DOWNLOADS } from '../../src/core/servingLimits.ts';
import { rangeOf } from '../../src/server/range.ts';
import { segmentName } from '../../src/storage/names.ts';
import { eventually, payloadOf } from '../server/support/fixture.ts';
import { removeDirectory, temporaryDirectory } from '../server/support/processNode.ts';
import type { RawClient } from '../server/support/rawClient.ts';
import { SOCKET_DOORS, type SocketNode } from './doors.ts';

const SEGMENT_BYTES = 4 << 20;
const CACHED = 'public, max-age=31536000, immutable, no-transform';

test('a range: one, in bytes, and all where it is none or several', () => {
  const cases: [string, ReturnType<typeof rangeOf>][] = [
    ['', undefined],
    ['bytes=0-0', [0, 1]],
    ['bytes=0-', [0, 100]],
    ['bytes=99-', [99, 100]],
    ['bytes=10-1000', [10, 100]],
    ['bytes=-1', [99, 100]],
    ['bytes=-1000', [0, 100]],
    ['BYTES = 1-2', undefined],
    ['bytes=1 - 2', [1, 3]],
    ['bytes=100-', 'unsatisfiable'],
    ['bytes=100-101', 'unsatisfiable'],
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=-000', 'unsatisfiable'],
    ['bytes=5-4', undefined],
    ['bytes=0-1,3-4', undefined],
    ['bytes=', undefined],
    ['bytes=-', undefined],
    ['entries=0-1', undefined],
    ['bytes=99999999999999999-', undefined],
    ['bytes=0-9007199254740993', [0, 100]],
  ];
  for (const [header, range] of cases) expect([header, rangeOf(header, 100)]).toEqual([header, range]);
});

interface List {
  readonly clusterId: string;
  readonly generation: string;
  readonly start: number;
  readonly commit: number;
  readonly segments: readonly { readonly base: number; readonly end: number; readonly url: string }[];
}

interface Raw {
  readonly head: string;
  readonly body: Buffer;
  /** The server has closed its end. */
  readonly isEnded: boolean;
}

/** Asks over a connection of its own, which stays open for as long as the server leaves it so, at most 10 s. */
function askRaw(nodeUrl: string, method: string, path: string, headers: string): Promise<Raw> {
  const { hostname, port } = new URL(nodeUrl);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connectTcp(Number(port), hostname, () =>
      socket.write(`${method} ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`),
    );
    const done = (isEnded: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      const all = Buffer.concat(chunks);
      const at = all.indexOf('\r\n\r\n');
      resolve({ head: all.subarray(0, at + 2).toString(), body: all.subarray(at + 4), isEnded });
    };
    const timer = setTimeout(() => done(false), 10_000);
    socket
      .on('data', (chunk) => chunks.push(chunk))
      .on('end', () => done(true))
      .on('error', reject);
  });
}

describe.each(SOCKET_DOORS)('sealed segments by $name', (door) => {
  let data: string;
  let node: SocketNode;
  let client: RawClient;
  /** The log as it is on disk. */
  let log: Buffer;
  let list: List;

  const http = (path: string, init: RequestInit = {}): Promise<Response> => fetch(node.url.replace(/^ws/, 'http') + path, init);
  const ranged = (path: string, range: string, more: Record<string, string> = {}): Promise<Response> =>
    http(path, { headers: { range, ...more } });
  const bytesOf = async (response: Response): Promise<Buffer> => Buffer.from(await response.arrayBuffer());
  const getList = async (): Promise<List> => (await (await http(`/log/${(await node.status()).clusterId}/segments`)).json()) as List;

  beforeAll(async () => {
    data = temporaryDirectory();
    node = await door.open({ data, segmentBytes: SEGMENT_BYTES, slots: 3, allowOrigin: 'https://app.example' });
    client = await node.connect();
    for (let i = 0; i < 24; i++) await client.append(payloadOf(i % 8 === 7 ? 1_000_000 : 300_000 + i, i));
    await eventually(async () => (await node.status()).segments.sealed >= 2, 'two segments are sealed');
    list = await getList();
    log = Buffer.alloc(list.segments.at(-1)?.end ?? 0);
    for (const { base, end } of list.segments) {
      const file = readFileSync(join(data, segmentName(base)));
      file.copy(log, base, SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES + end - base);
    }
  });

  afterAll(async () => {
    client?.terminate();
    await node?.stop();
    removeDirectory(data);
  });

  const first = (): List['segments'][number] => {
    const [one] = list.segments;
    if (one === undefined) throw new Error('no segment is sealed');
    return one;
  };

  test('the list names what is sealed and committed, one after the other, and is kept by nobody', async () => {
    const response = await http(`/log/${list.clusterId}/segments`);
    expect([response.status, response.headers.get('cache-control'), response.headers.get('content-type')]).toEqual([
      200,
      'no-store',
      'application/json',
    ]);
    expect(list).toMatchObject({ start: 0, commit: (await client.end()).commit });
    expect(list.generation).toMatch(/^(?!0{16})[0-9a-f]{16}$/);
    let at = 0;
    for (const { base, end, url } of list.segments) {
      expect(base).toBe(at);
      expect(url).toBe(`/log/${list.clusterId}/${list.generation}/segments/${base}-${end}`);
      at = end;
    }
    expect(at).toBeLessThanOrEqual(list.commit);
    expect(list.segments.length).toBeGreaterThanOrEqual(2);
  });

  test('a segment is its entries and nothing else, with a strong tag, for ever', async () => {
    for (const { base, end, url } of list.segments) {
      const response = await http(url);
      expect(response.status).toBe(200);
      expect(Object.fromEntries(response.headers)).toMatchObject({
        'cache-control': CACHED,
        'content-type': 'application/octet-stream',
        'content-length': String(end - base),
        'accept-ranges': 'bytes',
        'x-content-type-options': 'nosniff',
        etag: `"${list.clusterId}-${list.generation}-${base}-${end}"`,
      });
      expect((await bytesOf(response)).equals(log.subarray(base, end))).toBe(true);
    }
  });

  test('HEAD says the same without the body, and 304 without anything', async () => {
    const { url, base, end } = first();
    const head = await http(url, { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length'), head.headers.get('cache-control')]).toEqual([200, String(end - base), CACHED]);
    expect(await head.text()).toBe('');
    const etag = head.headers.get('etag') ?? '';
    for (const tag of [etag, `"x", ${etag}`, `W/${etag}`, '*']) {
      const response = await http(url, { headers: { 'if-none-match': tag } });
      expect([tag, response.status, await response.text(), response.headers.get('etag')]).toEqual([tag, 304, '', etag]);
    }
    expect((await http(url, { headers: { 'if-none-match': '"other"' }, method: 'HEAD' })).status).toBe(200);
    expect((await http(`/log/${list.clusterId}/segments`, { method: 'HEAD' })).status).toBe(200);
  });

  test('a condition that it is another one ends the request (RFC 9110, 13.1.1)', async () => {
    const { url } = first();
    const etag = (await http(url, { method: 'HEAD' })).headers.get('etag') ?? '';
    const asked = (tag: string, more: Record<string, string> = {}): Promise<Response> =>
      http(url, { headers: { 'if-match': tag, ...more } });
    for (const [tag, status] of [
      [etag, 200],
      ['*', 200],
      [`"x", ${etag}`, 200],
      ['"x"', 412],
      [`W/${etag}`, 412],
    ] as const) {
      const answer = await asked(tag);
      await answer.body?.cancel();
      expect([tag, answer.status]).toEqual([tag, status]);
    }
    const failed = await asked('"x"', { range: 'bytes=0-9', 'if-none-match': etag });
    expect([failed.status, failed.headers.get('cache-control')]).toEqual([412, 'no-store']);
  });

  test('each answer closes its connection, and has one length, that of the body that it has or would have', async () => {
    const { url, base, end } = first();
    const size = end - base;
    const raw = (method: string, path: string, headers = ''): Promise<Raw> => askRaw(node.url, method, path, headers);
    const cases: [string, Promise<Raw>, number, number, number][] = [
      ['all', raw('GET', url), 200, size, size],
      ['a short range', raw('GET', url, 'Range: bytes=5-9\r\n'), 206, 5, 5],
      ['a range with a short end', raw('GET', url, 'Range: bytes=0-262149\r\n'), 206, 262_150, 262_150],
      ['a middling range', raw('GET', url, 'Range: bytes=0-99999\r\n'), 206, 100_000, 100_000],
      ['HEAD', raw('HEAD', url), 200, size, 0],
      ['HEAD with a range', raw('HEAD', url, 'Range: bytes=0-9\r\n'), 200, size, 0],
      ['HEAD of what is not there', raw('HEAD', `${url}0`), 404, 45, 0],
      ['304', raw('GET', url, 'If-None-Match: *\r\n'), 304, size, 0],
      [
        '304, two headers',
        raw('GET', url, `If-None-Match: "a"\r\nIf-None-Match: "${url.split('/')[2]}-${list.generation}-${base}-${end}"\r\n`),
        304,
        size,
        0,
      ],
      ['two ranges in two headers', raw('GET', url, 'Range: bytes=0-0\r\nRange: bytes=5-9\r\n'), 200, size, size],
      ['HEAD of health', raw('HEAD', '/healthz'), 200, 3, 0],
    ];
    for (const [what, asked, status, length, bytes] of cases) {
      const { head, body, isEnded } = await asked;
      const lengths = [...head.matchAll(/^content-length: *(\d+)\r?$/gim)].map(([, text]) => Number(text));
      expect([what, head.slice(0, 12), lengths, body.length, isEnded]).toEqual([what, `HTTP/1.1 ${status}`, [length], bytes, true]);
      expect([what, [...head.matchAll(/^connection: *close\r?$/gim)].length]).toEqual([what, 1]);
    }
    const whole = (await raw('GET', url)).body;
    expect(whole.equals(log.subarray(base, end))).toBe(true);
    expect((await raw('GET', url, 'Range: bytes=0-262149\r\n')).body.equals(log.subarray(base, base + 262_150))).toBe(true);
  });

  test('ranges give those bytes, from within entries too', async () => {
    const { url, base, end } = first();
    const size = end - base;
    for (const [from, to] of [
      [0, 1],
      [1, 2],
      [0, size],
      [size - 1, size],
      [333_333, 2_000_001],
      [2_500_000, 2_500_001],
      [size - 700_000, size],
    ] as const) {
      const response = await ranged(url, `bytes=${from}-${to - 1}`);
      expect([response.status, response.headers.get('content-range'), response.headers.get('cache-control')]).toEqual([
        206,
        `bytes ${from}-${to - 1}/${size}`,
        CACHED,
      ]);
      expect((await bytesOf(response)).equals(log.subarray(base + from, base + to))).toBe(true);
    }
    const beyond = await ranged(url, `bytes=${size}-`);
    expect([beyond.status, beyond.headers.get('content-range'), beyond.headers.get('cache-control')]).toEqual([
      416,
      `bytes */${size}`,
      'no-store',
    ]);
    const etag = (await http(url, { method: 'HEAD' })).headers.get('etag') ?? '';
    expect((await ranged(url, 'bytes=0-9', { 'if-range': etag })).status).toBe(206);
    const whole = await ranged(url, 'bytes=0-9', { 'if-range': '"other"' });
    expect([whole.status, (await bytesOf(whole)).length]).toEqual([200, size]);
    expect((await ranged(url, 'bytes=0-0,5-6')).status).toBe(200);
  });

  test('what is not there is kept by nobody, whatever the path', async () => {
    const { base, end, url } = first();
    const last = list.segments.at(-1);
    const stem = `/log/${list.clusterId}/${list.generation}/segments`;
    for (const path of [
      `${stem}/${base}-${end + 1}`,
      `${stem}/${base}`,
      `${stem}/0${base}-${end}`,
      `${stem}/${last?.end}-${list.commit}`,
      `${stem}/..%2f..%2fnode.json`,
      `${stem}/`,
      `${stem}`,
      url.replace(list.generation, '1'.repeat(16)),
      url.replace(list.clusterId, 'f'.repeat(32)),
      `/log/${list.clusterId}`,
      '/log/',
      '/log',
    ]) {
      const response = await http(path);
      expect([path, response.status, response.headers.get('cache-control')]).toEqual([path, 404, 'no-store']);
    }
  });

  test('a client that catches up takes them from here, and the rest by its connection', async () => {
    await using far = await connect(node.url);
    const read = async (options: ReadOptions): Promise<string[]> => {
      const found: string[] = [];
      for await (const { offset, payload } of far.read(options)) found.push(`${offset} ${payload.length} ${payload.at(-1)}`);
      return found;
    };
    const plain = await read({});
    expect(await read({ catchUp: { urls: node.url, verify: 'checks' } })).toEqual(plain);
    expect(far.stats().catchUpBytes).toBe(list.segments.at(-1)?.end);
    const from = Number(plain[5]?.split(' ')[0]);
    expect(await read({ from, catchUp: { urls: node.url.replace(/^ws/, 'http'), verify: 'checks' } })).toEqual(plain.slice(5));
    expect(far.stats().catchUpBytes).toBe(2 * (list.segments.at(-1)?.end ?? 0) - from);
  });

  test('pages read where they may connect, and under no other name of this machine', async () => {
    const { url } = first();
    const page = await http(url, { headers: { origin: 'https://app.example' } });
    await page.body?.cancel();
    expect(page.headers.get('access-control-allow-origin')).toBe('https://app.example');
    expect(page.headers.get('access-control-expose-headers')).toContain('ETag');
    expect(page.headers.get('vary')).toBe('Origin');
    expect((await http(url, { headers: { origin: 'https://evil.example' } })).status).toBe(403);
    expect((await http(`/log/${list.clusterId}/segments`, { headers: { origin: 'https://evil.example' } })).status).toBe(403);
    // What a browser asks before it shows a token.
    const asks = { 'access-control-request-method': 'GET', 'access-control-request-headers': 'authorization' };
    for (const path of [url, `/log/${list.clusterId}/segments`]) {
      const asked = (origin: string): Promise<Response> => http(path, { method: 'OPTIONS', headers: { origin, ...asks } });
      const allowed = (await asked('https://app.example')).headers;
      expect([allowed.get('access-control-allow-origin'), allowed.get('access-control-allow-headers')]).toEqual([
        'https://app.example',
        'authorization',
      ]);
      expect((await asked('https://evil.example')).status).toBe(404);
    }
  });

  test('those that take nothing have a bounded number, keep nobody else from reading, and are closed', async () => {
    const { hostname, port } = new URL(node.url);
    const { url, base, end } = first();
    let closed = 0;
    const sockets = Array.from({ length: MAX_SEGMENT_DOWNLOADS }, () => {
      const socket = connectTcp(Number(port), hostname, () => socket.write(`GET ${url} HTTP/1.1\r\nHost: localhost\r\n\r\n`));
      socket.on('error', () => undefined).on('close', () => (closed += 1));
      socket.pause();
      return socket;
    });
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
    });
    const metric = async (): Promise<string> => /^loglog_segment_downloads (\d+)$/m.exec(await (await http('/metrics')).text())?.[1] ?? '';
    // On a busy machine the first are closed, for taking nothing, before the last begin.
    await eventually(async () => Number(await metric()) > MAX_SEGMENT_DOWNLOADS / 2, 'most of them are under way', 60_000);
    expect(Number(await metric())).toBeLessThanOrEqual(MAX_SEGMENT_DOWNLOADS);
    // Another one gets the place of the one that has taken nothing for longest.
    await eventually(async () => (await http(url, { method: 'HEAD' })).status === 200, 'one of them is cut for another download', 60_000);
    // A client beside them.
    expect(await client.append(Buffer.from('beside'))).toMatchObject({ offset: expect.any(Number) });
    expect((await client.read(base)).entries.length).toBeGreaterThan(0);
    expect((await node.status()).clients.sendBufferedBytes).toBeLessThan(MAX_SEGMENT_DOWNLOADS * 1_100_000);
    // Whoever takes none of it for HTTP_TIMEOUT_MS is closed; a socket that is read again hears of it.
    await new Promise((resolve) => setTimeout(resolve, HTTP_TIMEOUT_MS));
    for (const socket of sockets) socket.resume();
    await eventually(async () => (await metric()) === '0', 'none is under way any more', 60_000);
    await eventually(() => closed === MAX_SEGMENT_DOWNLOADS, 'all are closed', 60_000);
    expect((await bytesOf(await http(url))).length).toBe(end - base);
  });

  // The last one: what it removes is not there any more.
  test('one that is trimmed while it is downloaded comes whole, or is cut, and is gone for whoever asks after that', async () => {
    const { hostname, port } = new URL(node.url);
    const { url, base, end } = first();
    const came: Buffer[] = [];
    let isOver = false;
    const socket = connectTcp(Number(port), hostname, () => socket.write(`GET ${url} HTTP/1.1\r\nHost: localhost\r\n\r\n`));
    onTestFinished(() => void socket.destroy());
    socket.on('error', () => undefined).on('data', (part: Buffer) => void came.push(part));
    socket.on('close', () => {
      isOver = true;
    });
    await eventually(() => came.length > 0, 'it has begun');
    socket.pause();
    const trimmer = await connect(node.url);
    onTestFinished(() => trimmer.close());
    expect(await trimmer.trim({ to: end })).toMatchObject({ start: end });
    await eventually(() => !readdirSync(data).includes(segmentName(base)), 'its file is gone');
    socket.resume();
    await eventually(() => isOver, 'it has ended');
    const [head = '', ...body] = Buffer.concat(came)
      .toString('latin1')
      .split(/(?<=\r\n\r\n)/);
    expect(head).toMatch(/^HTTP\/1\.1 200 /);
    const bytes = Buffer.from(body.join(''), 'latin1');
    expect(bytes.length).toBeLessThanOrEqual(end - base);
    expect(bytes.equals(log.subarray(base, base + bytes.length))).toBe(true);
    const later = await http(url);
    expect([later.status, later.headers.get('cache-control'), await later.text()]).toEqual([
      410,
      'no-store',
      `what is before offset ${end} was trimmed\n`,
    ]);
    expect((await getList()).segments.map((one) => one.base)).not.toContain(base);
    // What is left comes as before.
    const [next] = (await getList()).segments;
    expect((await bytesOf(await http(next?.url ?? ''))).equals(log.subarray(next?.base, next?.end))).toBe(true);
  });
});
