// The client's own WebSocket against servers that answer as none should, and against that of the package ws.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createSecure } from 'node:https';
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { WebSocketServer } from 'ws';
import { openOwn, openWs } from '../../src/client/nodes/transport.node.ts';
import { NodeWebSocket } from '../../src/client/nodes/webSocket.node.ts';
import { SUBPROTOCOL } from '../../src/protocol/client.ts';
import { issueCertificate, makeAuthority } from '../../src/tls/authority.ts';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

interface Client {
  readonly socket: NodeWebSocket;
  readonly told: string[];
  readonly messages: Uint8Array[];
  readonly closed: Promise<void>;
}

function open(url: string, token?: string, secured: { readonly ca?: string } = {}): Client {
  const told: string[] = [];
  const messages: Uint8Array[] = [];
  let over = (): void => undefined;
  const closed = new Promise<void>((resolve) => {
    over = resolve;
  });
  const socket = new NodeWebSocket(
    { url, maxMessageBytes: 1 << 20, token, secured: { ...secured } },
    {
      message: (bytes, isBinary) => {
        told.push(isBinary ? 'binary' : 'text');
        messages.push(bytes);
      },
      refused: (refusal) => told.push(refusal.kind === 'status' ? `status ${refusal.status}` : refusal.sentence),
      failed: (error) => told.push(`failed: ${error.message}`),
      closed: (code, reason) => {
        told.push(`closed ${code} ${reason}`);
        over();
      },
    },
  );
  closing.push(() => socket.terminate());
  return { socket, told, messages, closed };
}

async function listening(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => server.close());
  const address = server.address();
  return `ws://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
}

/** A server that sends `answer` when it has been asked, and keeps the connection unless `ends`. */
function answering(answer: string | Buffer, ends = false): Promise<string> {
  return listening(
    createServer((socket) => {
      closing.push(() => socket.destroy());
      socket.on('error', () => undefined);
      socket.once('data', () => (ends ? socket.end(answer) : socket.write(answer)));
    }),
  );
}

const HEAD = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n';

describe('what is no handshake', () => {
  test.each([
    ['another status', 'HTTP/1.1 404 Not Found\r\n\r\n', 'status 404'],
    ['a status without words', 'HTTP/1.1 503\r\n\r\n', 'status 503'],
    ['an answer before the answer', 'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.0 401 Unauthorized\r\n\r\n', 'status 401'],
    ['something else', 'SSH-2.0-OpenSSH_9.2\r\n', 'Parse Error: what it sends is not HTTP'],
    ['no status', 'HTTP/1.1 what\r\n\r\n', 'Parse Error: its answer has no status'],
    ['no end', `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(70_000)}`, 'Parse Error: its answer has no end'],
    ['no upgrade', `${HEAD}\r\n`, 'Invalid Upgrade header'],
    ['another upgrade', `${HEAD}Upgrade: h2c\r\n\r\n`, 'Invalid Upgrade header'],
    ['no connection', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n', 'Invalid Connection header'],
    ['another connection', 'HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: close, upgraded\r\n\r\n', 'Invalid Connection header'],
    ['another key', `${HEAD}Upgrade: WebSocket\r\nSec-WebSocket-Accept: aaaa\r\n\r\n`, 'Invalid Sec-WebSocket-Accept header'],
  ])('%s', async (_what, answer, expected) => {
    const client = open(await answering(answer));
    await client.closed;
    expect(client.told).toEqual([expected, 'closed 1006 ']);
  });

  test('a server that hangs up', async () => {
    const client = open(await answering('', true));
    await client.closed;
    expect(client.told).toEqual(['failed: socket hang up', 'closed 1006 ']);
  });

  test('a port that refuses', async () => {
    const server = createServer();
    const url = await listening(server);
    await new Promise((resolve) => server.close(resolve));
    const client = open(url);
    await client.closed;
    expect(client.told[0]).toMatch(/^failed: .*ECONNREFUSED/);
    expect(client.told.at(-1)).toBe('closed 1006 ');
  });

  test('an address that is none throws', () => {
    expect(() => open('ws://')).toThrow();
  });
});

/** A server that shakes hands as it should, with `headers` besides, and sends `after` with it; so many bytes at a time. */
function shaking(headers: string, after: Uint8Array, pieceBytes = 1e6): Promise<string> {
  return listening(
    // Nor does it let go because the client does.
    createServer({ allowHalfOpen: true }, (socket) => {
      closing.push(() => socket.destroy());
      socket.on('error', () => undefined);
      socket.setNoDelay(true);
      socket.once('data', async (request) => {
        const [, key] = /^Sec-WebSocket-Key: (.+)\r$/m.exec(String(request)) ?? [];
        const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
        const head = `${HEAD}Upgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: ${SUBPROTOCOL}\r\n${headers}\r\n`;
        const answer = Buffer.concat([Buffer.from(head), after]);
        for (let at = 0; at < answer.length; at += pieceBytes) {
          await new Promise<void>((resolve) => socket.write(answer.subarray(at, at + pieceBytes), () => setImmediate(resolve)));
        }
      });
    }),
  );
}

const GOODBYE = Uint8Array.of(0x88, 5, 0x0f, 0xa1, 0x62, 0x79, 0x65);

test.each([1, 2, 3, 1e6])('a handshake and what comes with it, %i bytes at a time', async (pieceBytes) => {
  const client = open(await shaking('x-other: y\r\n', Buffer.concat([Uint8Array.of(0x82, 2, 7, 8), GOODBYE]), pieceBytes));
  await expect.poll(() => client.told).toEqual(['binary']);
  expect(client.messages).toEqual([Uint8Array.of(7, 8)]);
});

test('an extension that nobody asked for is no handshake', async () => {
  const client = open(await shaking('Sec-WebSocket-Extensions: permessage-deflate\r\n', new Uint8Array(0)));
  await client.closed;
  expect(client.told).toEqual(['Server sent an extension that was not asked for', 'closed 1006 ']);
});

test.each([
  ['says goodbye', GOODBYE, ['closed 4001 bye']],
  [
    'breaks the protocol',
    Uint8Array.of(0x83, 0),
    ['failed: it sent a frame with the reserved opcode 3, which no WebSocket server may send', 'closed 1006 '],
  ],
])('a server that %s, and never lets go, is let go', async (_what, frame, told) => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const client = open(await shaking('', frame));
    await vi.waitFor(() => expect(vi.getTimerCount()).toBe(1), { timeout: 60_000 });
    vi.advanceTimersByTime(60_000);
    await client.closed;
    expect(client.told).toEqual(told);
  } finally {
    vi.useRealTimers();
  }
});

test('what it sends after it was ended is nobody’s, in the same piece, too', async () => {
  const url = await shaking('', Uint8Array.of(0x82, 1, 1, 0x82, 1, 2, 0xff, 0));
  const told: string[] = [];
  await new Promise<void>((resolve) => {
    const socket = new NodeWebSocket(
      { url, maxMessageBytes: 100, token: undefined, secured: {} },
      {
        message: ([first]) => {
          told.push(`message ${first}`);
          socket.terminate();
        },
        refused: () => told.push('refused'),
        failed: () => told.push('failed'),
        closed: () => resolve(),
      },
    );
  });
  expect(told).toEqual(['message 1']);
});

test('a header of many spaces holds nobody up', async () => {
  const spaces = `x: a${' '.repeat(60_000)}b\r\n`;
  const client = open(await answering(`${HEAD}Upgrade: websocket\r\n${spaces}\r\n`));
  const startedMs = process.cpuUsage().user / 1e3;
  await client.closed;
  expect(client.told[0]).toBe('Invalid Sec-WebSocket-Accept header');
  // Looked at from every space on, it would be many seconds.
  expect(process.cpuUsage().user / 1e3 - startedMs).toBeLessThan(2_000);
});

describe('against ws', () => {
  async function serve(protocol: string | false = SUBPROTOCOL): Promise<{ readonly url: string; readonly server: WebSocketServer }> {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: () => protocol });
    await once(server, 'listening');
    closing.push(() => {
      for (const client of server.clients) client.terminate();
      server.close();
    });
    const address = server.address();
    return { url: `ws://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`, server };
  }

  const SUBPROTOCOLS: readonly (readonly [protocol: string | false, sentence: string])[] = [
    [false, 'Server sent no subprotocol'],
    ['other', 'Server sent an invalid subprotocol'],
  ];
  test.each(SUBPROTOCOLS)('the subprotocol %s', async (protocol, expected) => {
    const { url } = await serve(protocol);
    const client = open(url);
    await client.closed;
    expect(client.told).toEqual([expected, 'closed 1006 ']);
  });

  test('shows its token, offers the subprotocol, and keeps path and query', async () => {
    const { url, server } = await serve();
    const asked = once(server, 'connection');
    open(`${url}/a/b?c=d`, 'secret');
    const [, request] = (await asked) as [unknown, { readonly url: string; readonly headers: Record<string, string> }];
    expect(request.url).toBe('/a/b?c=d');
    expect(request.headers).toMatchObject({ authorization: 'Bearer secret', 'sec-websocket-protocol': SUBPROTOCOL, host: url.slice(5) });
  });

  test.each([0, 1, 125, 126, 8192, 8193, 65_535, 65_536, 1 << 20])('%i bytes there and back', async (length) => {
    const { url, server } = await serve();
    server.on('connection', (socket) => {
      socket.on('message', (data) => {
        socket.ping('are you there');
        socket.send(data, { binary: true });
      });
      socket.on('pong', (data) => socket.close(4001, data.toString()));
      socket.send('begin');
    });
    const client = open(url);
    await expect.poll(() => client.told, { timeout: 60_000 }).toEqual(['text']);
    const payload = Uint8Array.from({ length }, (_, i) => i * 13);
    client.socket.send(payload);
    await client.closed;
    expect(client.told).toEqual(['text', 'binary', 'closed 4001 are you there']);
    expect(Buffer.from(client.messages[1] ?? []).equals(payload)).toBe(true);
    // No Buffer: programs are given parts of it.
    expect(Object.getPrototypeOf(client.messages[1])).toBe(Uint8Array.prototype);
    expect(client.socket.bufferedBytes).toBe(0);
    expect(client.socket.receivedBytes).toBeGreaterThan(length);
  });

  test('a server that asks and asks whether it is there, and reads nothing, costs it no memory; once it reads it hears the last answer', async () => {
    const { url, server } = await serve();
    const PINGS = 300_000;
    const ping = (payload: string): Buffer => Buffer.concat([Buffer.from([0x89, 125]), Buffer.alloc(125, payload)]);
    let last = '';
    let resume = (): void => undefined;
    server.on('connection', (socket, request) => {
      socket.on('pong', (data) => {
        last = data.toString('latin1', 0, 1);
      });
      const { socket: raw } = request;
      raw.pause();
      resume = () => raw.resume();
      for (let i = 0; i < PINGS; i += 1_000) raw.write(Buffer.concat(Array.from({ length: 1_000 }, () => ping('a'))));
      raw.write(ping('z'));
    });
    const client = open(url);
    await expect.poll(() => client.socket.receivedBytes, { timeout: 60_000 }).toBeGreaterThan((PINGS + 1) * 127);
    expect(client.socket.bufferedBytes).toBeLessThan(16 * 132);
    resume();
    await expect.poll(() => last, { timeout: 60_000 }).toBe('z');
  });

  test('connections with TLS and without, at once, into one buffer: each gets what it sent, and keeps it', async () => {
    const cluster = '0123456789abcdef0123456789abcdef';
    const authority = await makeAuthority(cluster);
    const hours = { fromMs: Date.now() - 3_600_000, toMs: Date.now() + 3_600_000 };
    const about = { kind: 'node', clusterId: cluster, nodeId: 1 } as const;
    const { certificate, key } = await issueCertificate(authority, about, ['localhost'], hours);
    const secure = createSecure({ cert: certificate, key });
    const port = new URL(await listening(secure)).port;
    const servers = [new WebSocketServer({ server: secure, handleProtocols: () => SUBPROTOCOL }), (await serve()).server];
    for (const server of servers) {
      server.on('connection', (socket) => {
        closing.push(() => socket.terminate());
        socket.on('message', (data) => socket.send(data, { binary: true }));
        socket.send('begin');
      });
    }
    const plain = servers[1]?.address();
    const urls = [`wss://localhost:${port}`, `ws://localhost:${typeof plain === 'object' ? plain?.port : 0}`];
    const clients = [...urls, ...urls].map((url) => open(url, undefined, { ca: authority.certificate }));
    for (const client of clients) await expect.poll(() => client.told, { timeout: 60_000 }).toEqual(['text']);
    const sent = clients.map((_client, c) =>
      Array.from({ length: 40 }, (_, i) => Uint8Array.from({ length: (i * 7919 * (c + 1)) % 100_000 }, (__, at) => at * (c + 3) + i)),
    );
    for (let i = 0; i < 40; i += 1) for (const [c, client] of clients.entries()) client.socket.send(sent[c]?.[i] ?? new Uint8Array(0));
    for (const [c, client] of clients.entries()) {
      await expect.poll(() => client.messages.length, { timeout: 60_000 }).toBe(41);
      expect(client.messages.slice(1).every((message, i) => Buffer.compare(message, sent[c]?.[i] ?? message.subarray(1)) === 0)).toBe(true);
    }
  });

  test('what was sent leaves before the goodbye, which the server answers', async () => {
    const { url, server } = await serve();
    const got: number[] = [];
    const ended = new Promise<number>((resolve) => {
      server.on('connection', (socket) => {
        socket.on('message', (data) => got.push((data as Buffer).length));
        socket.on('close', resolve);
        socket.send('begin');
      });
    });
    const client = open(url);
    await expect.poll(() => client.told, { timeout: 60_000 }).toEqual(['text']);
    for (const length of [100, 1 << 20, 100]) client.socket.send(new Uint8Array(length));
    client.socket.close();
    client.socket.send(new Uint8Array(5));
    await client.closed;
    expect(client.told).toEqual(['text', 'closed 1005 ']);
    expect(await ended).toBe(1005);
    expect(got).toEqual([100, 1 << 20, 100]);
  });

  test('a frame that no server may send ends it, and the server hears why', async () => {
    const { url, server } = await serve();
    const code = new Promise<number>((resolve) => {
      server.on('connection', (socket, request) => {
        socket.on('close', resolve);
        (request.socket as Socket).write(Uint8Array.of(0xc2, 0));
      });
    });
    const client = open(url);
    await client.closed;
    expect(client.told[0]).toBe('failed: it sent a frame with a reserved bit, which no WebSocket server may send');
    expect(await code).toBe(1002);
  });

  test('a server that is cut off in the middle of a message', async () => {
    const { url, server } = await serve();
    server.on('connection', (_socket, request) => {
      (request.socket as Socket).write(Uint8Array.of(0x82, 10, 1, 2, 3), () => request.socket.destroy());
    });
    const client = open(url);
    await client.closed;
    expect(client.messages).toEqual([]);
    expect(client.told.at(-1)).toMatch(/^closed 1006 /);
  });
});

describe.each([
  ['its own WebSocket', openOwn],
  ['the package ws', openWs],
])('the transport by %s says', (_what, openBy) => {
  /** How it ended, in the words of the transport. */
  function ending(url: string): Promise<readonly [reason: string, code: number, fault: string | undefined]> {
    return new Promise((resolve) => {
      const events = { message: () => undefined, closed: (reason: string, code: number, fault?: string) => resolve([reason, code, fault]) };
      const transport = openBy(url, events, undefined, {});
      closing.push(() => transport.terminate());
    });
  }

  test.each([
    ['HTTP/1.1 401 Unauthorized\r\n\r\n', /^it answers HTTP 401: it does not take what this client shows/, 'unauthenticated'],
    ['HTTP/1.1 404 Not Found\r\n\r\n', /^it answers HTTP 404 in place of a WebSocket, so it is no LogLog node/, 'final'],
    ['HTTP/1.1 429 Too Many\r\n\r\n', /^it answers HTTP 429 in place of a WebSocket$/, undefined],
    ['HTTP/1.1 503 Busy\r\n\r\n', /^it answers HTTP 503 in place of a WebSocket$/, undefined],
    ['SSH-2.0-OpenSSH_9.2\r\n\r\n', /^Parse Error/, 'final'],
    [`${HEAD}Upgrade: websocket\r\nSec-WebSocket-Accept: aaaa\r\n\r\n`, /^Invalid Sec-WebSocket-Accept header$/, 'final'],
  ])('what %j means', async (answer, reason, fault) => {
    const said = await ending(await answering(answer));
    expect(said[0]).toMatch(reason);
    expect(said[2]).toBe(fault);
  });

  test('that nobody listens', async () => {
    const server = createServer();
    const url = await listening(server);
    await new Promise((resolve) => server.close(resolve));
    const [reason, , fault] = await ending(url);
    expect(reason).toContain('ECONNREFUSED');
    expect(fault).toBeUndefined();
  });

  test('how it was closed, and that text is no message', async () => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: () => SUBPROTOCOL });
    await once(server, 'listening');
    closing.push(() => server.close());
    server.on('connection', (socket, { url }) => (url === '/text' ? socket.send('hello') : socket.close(4001, 'bye')));
    const address = server.address();
    const url = `ws://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
    expect(await ending(url)).toEqual(['it was closed with code 4001 (bye)', 4001, undefined]);
    expect(await ending(`${url}/text`)).toEqual(['it sent text, which the protocol does not have', 0, undefined]);
  });
});
