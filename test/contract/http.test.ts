import { connect as connectTcp } from 'node:net';
import { hostname } from 'node:os';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import WebSocket from 'ws';
import { removeDirectory, temporaryDirectory } from '../server/support/processNode.ts';
import type { RawClient } from '../server/support/rawClient.ts';
import { LOG_HEAD_BYTES } from '../support/logHead.ts';
import { SOCKET_DOORS, type SocketNode } from './doors.ts';

const PLACES = 3;

/** HTTP status that refuses a WebSocket; 101 when it is accepted. */
function upgradeStatus(node: SocketNode, protocols: string[], headers: Record<string, string> = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(node.url, protocols, { headers });
    socket.on('unexpected-response', (_, response) => {
      resolve(response.statusCode ?? 0);
      socket.terminate();
    });
    socket.on('open', () => {
      resolve(101);
      socket.terminate();
    });
    // Refusals above end in an error of their own.
    socket.on('error', reject);
  });
}

/** What comes back for raw bytes, until the server closes or `end` is seen. */
function rawExchange(node: SocketNode, request: string, end: string): Promise<string> {
  const { hostname, port } = new URL(node.url);
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connectTcp(Number(port), hostname, () => socket.write(request));
    socket.setEncoding('latin1').on('data', (data) => {
      text += data;
      if (text.includes(end)) socket.destroy();
    });
    socket.on('close', () => resolve(text));
    socket.on('error', reject);
  });
}

describe.each(SOCKET_DOORS)('by $name', (door) => {
  let data: string;
  let node: SocketNode;

  beforeAll(async () => {
    data = temporaryDirectory();
    node = await door.open({
      data,
      allowHost: 'log.example, Gateway.example:8443',
      allowOrigin: 'https://app.example, https://other.example:8443',
      maxConnections: PLACES,
    });
  });

  afterAll(async () => {
    await node?.stop();
    removeDirectory(data);
  });

  const httpUrl = (): string => node.url.replace(/^ws/, 'http');

  async function connect(): Promise<RawClient> {
    const client = await node.connect();
    onTestFinished(() => client.terminate());
    return client;
  }

  describe('HTTP', () => {
    test('health, readiness, status and metrics are served on the port of the clients', async () => {
      const client = await connect();
      await client.append([Buffer.from('a'), Buffer.from('b')]);
      await client.read(0);
      const get = async (path: string): Promise<[number, string | null, string]> => {
        const response = await fetch(httpUrl() + path);
        return [response.status, response.headers.get('content-type'), await response.text()];
      };
      expect(await get('/healthz')).toEqual([200, 'text/plain; charset=utf-8', 'ok\n']);
      expect(await get('/readyz')).toEqual([200, 'text/plain; charset=utf-8', 'ready\n']);
      const [status, type, text] = await get('/status');
      expect([status, type]).toEqual([200, 'application/json']);
      expect(JSON.parse(text)).toMatchObject({
        node: { id: 1, role: 'leader', term: 1, url: node.url },
        log: { start: 0, commit: LOG_HEAD_BYTES + 26, durable: LOG_HEAD_BYTES + 26, tail: LOG_HEAD_BYTES + 26 },
        clients: { connections: 1, heldAppendBytes: 0, sendBufferedBytes: 0 },
        appends: { entries: 2, batches: 1, bytes: 26 },
      });
      const [metricsStatus, metricsType, metrics] = await get('/metrics');
      expect([metricsStatus, metricsType]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8']);
      for (const line of [
        'loglog_append_entries_total 2',
        `loglog_read_bytes_total ${LOG_HEAD_BYTES + 26}`,
        `loglog_log_commit_offset ${LOG_HEAD_BYTES + 26}`,
        'loglog_connections 1',
      ]) {
        expect(metrics.split('\n')).toContain(line);
      }
      expect(metrics).toMatch(/^loglog_append_ack_latency_seconds_count 1$/m);
      expect(metrics).toMatch(/^loglog_fsync_duration_seconds_bucket\{le="\+Inf"\} [1-9]/m);
    });

    test('other paths and methods get 404 with a sentence, and harm nothing', async () => {
      for (const [path, method] of [
        ['/', 'POST'],
        ['/index.html', 'GET'],
        ['/status/x', 'GET'],
        ['/../node.json', 'GET'],
        ['/status', 'POST'],
        ['/%00', 'DELETE'],
      ] as const) {
        const body = method === 'POST' ? { body: 'x'.repeat(300_000) } : {};
        const response = await fetch(httpUrl() + path, { method, ...body });
        expect([path, response.status]).toEqual([path, 404]);
        expect(await response.text()).toContain('/healthz');
      }
      expect(await (await fetch(`${httpUrl()}/healthz`)).text()).toBe('ok\n');
    });

    test('bytes that are not HTTP, and endless headers, end the connection and nothing else', async () => {
      expect(await rawExchange(node, '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n', '\r\n\r\n')).toMatch(/^(HTTP\/1\.1 [45]|$)/);
      expect(await rawExchange(node, `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(200_000)}\r\n\r\n`, '\r\n\r\n')).toMatch(
        /^HTTP\/1\.1 (431|400)/,
      );
      const client = await connect();
      expect((await client.append(Buffer.from('x'))).level).toBe(1);
    });
  });

  describe('the name that a request is for', () => {
    const status = async (node: SocketNode, path: string, host: string): Promise<number> => {
      const text = await rawExchange(node, `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`, '\r\n\r\n');
      return Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]);
    };

    test('facts are served under loopback, addresses, own and allowed names, and under no other (DNS rebinding)', async () => {
      const { port } = new URL(node.url);
      const allowed = [
        'localhost',
        'app.localhost',
        '127.0.0.1',
        '[::1]',
        '192.168.1.7',
        hostname(),
        'log.example',
        'LOG.example.',
        'gateway.example',
      ];
      const refused = [
        'rebound.example',
        'localhost.evil.example',
        '127.0.0.1.evil.example',
        'evillog.example',
        'a b',
        '@',
        `${'x'.repeat(3000)}.example`,
      ];
      for (const path of ['/status', '/metrics']) {
        for (const name of allowed) expect([path, name, await status(node, path, `${name}:${port}`)]).toEqual([path, name, 200]);
        for (const name of refused) expect([path, name, await status(node, path, name)]).toEqual([path, name, 403]);
      }
      // Whoever probes the health does so under any name, and hears nothing but that.
      for (const path of ['/healthz', '/readyz']) expect(await status(node, path, 'rebound.example')).toBe(200);
      const sentence = await rawExchange(node, 'GET /status HTTP/1.1\r\nHost: rebound.example\r\n\r\n', '--allow-host');
      expect(sentence).toContain('"rebound.example"; start it with --allow-host');
      expect(sentence).not.toContain('clusterId');
    });

    test('cookies and other headers may have 16 KiB; more gets 431', async () => {
      const withCookies = (bytes: number): Promise<string> =>
        rawExchange(node, `GET /healthz HTTP/1.1\r\nHost: localhost\r\nCookie: ${'c'.repeat(bytes)}\r\n\r\n`, '\r\n');
      for (const bytes of [4_096, 8_000, 16_000])
        expect([bytes, (await withCookies(bytes)).slice(0, 15)]).toEqual([bytes, 'HTTP/1.1 200 OK']);
      expect(await withCookies(20_000)).toMatch(/^HTTP\/1\.1 431/);
      expect(await upgradeStatus(node, ['loglog.v1'], { Cookie: 'c'.repeat(15_000) })).toBe(101);
    });
  });

  describe('who may connect', () => {
    test('the subprotocol loglog.v1 must be among those that the client offers', async () => {
      expect(await upgradeStatus(node, [])).toBe(400);
      expect(await upgradeStatus(node, ['loglog.v2'])).toBe(400);
      expect(await upgradeStatus(node, ['chat', 'loglog.v1'])).toBe(101);
    });

    test('pages of loopback and of allowed origins may connect, others get 403', async () => {
      const status = (origin: string): Promise<number> => upgradeStatus(node, ['loglog.v1'], { Origin: origin });
      for (const origin of [
        'http://localhost:3000',
        'http://127.0.0.1',
        'http://[::1]:80',
        'https://app.example',
        'https://other.example:8443',
      ]) {
        expect([origin, await status(origin)]).toEqual([origin, 101]);
      }
      for (const origin of [
        'https://evil.example',
        'https://app.example.evil.example',
        'https://other.example',
        'http://app.example',
        'http://localhost.evil.example',
        'http://127.0.0.1.evil.example',
        'null',
        'not an origin',
      ]) {
        expect([origin, await status(origin)]).toEqual([origin, 403]);
      }
    });

    test('a page whose host was made to resolve to this machine is refused, although Origin and Host agree', async () => {
      const { port } = new URL(node.url);
      const host = `rebound.example:${port}`;
      expect(await upgradeStatus(node, ['loglog.v1'], { Host: host, Origin: `http://${host}` })).toBe(403);
    });

    test('more clients than the limit get 503, and a place that was left is given again', async () => {
      await expect.poll(async () => (await node.status()).clients.connections).toBe(0);
      const clients = await Promise.all(Array.from({ length: PLACES }, connect));
      expect(await upgradeStatus(node, ['loglog.v1'])).toBe(503);
      await clients[0]?.close();
      await expect.poll(async () => (await node.status()).clients.connections).toBe(PLACES - 1);
      expect((await connect()).hello.term).toBe(1);
      expect((await clients[1]?.append(Buffer.from('x')))?.level).toBe(1);
    });
  });
});
