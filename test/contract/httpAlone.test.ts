// What the libraries that have the sockets do with HTTP before a node is asked: both do the same, but where this table says otherwise.

import { connect } from 'node:net';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadAcceptor } from '../../src/server/acceptors/load.ts';
import { careful } from '../../src/server/mistakes.ts';
import { upgradeRequest } from '../support/attack/frames.ts';
import { rethrow } from '../support/loop.ts';
import { SOCKET_DOORS } from './doors.ts';

const nothing = (): void => undefined;
const HOST = 'Host: localhost\r\n';
const request = (first: string, heads = HOST, body = ''): string => `${first}\r\n${heads}\r\n${body}`;
const GET = request('GET /x HTTP/1.1');

/** The statuses that come back until the connection is closed; none: it is closed without an answer. `asked`: what the node was asked for. */
interface Outcome {
  readonly statuses: readonly number[];
  readonly asked: readonly string[];
}

const answered = (...asked: string[]): Outcome => ({ statuses: asked.map(() => 200), asked });
const refused = (...statuses: number[]): Outcome => ({ statuses, asked: [] });

interface Case {
  readonly what: string;
  readonly sent: string;
  /** The client closes its end after it. */
  readonly isLast?: boolean;
  readonly uws: Outcome;
  /** Where it is not the same. */
  readonly ws?: Outcome;
}

const CASES: readonly Case[] = [
  { what: 'a request', sent: GET, uws: answered('GET /x') },
  { what: 'a question mark', sent: request('GET /x?y=z HTTP/1.1'), uws: answered('GET /x') },
  { what: 'an expectation', sent: request('GET /x HTTP/1.1', `${HOST}Expect: foo\r\n`), uws: answered('GET /x') },
  {
    what: 'the expectation of 100',
    sent: request('POST /x HTTP/1.1', `${HOST}Expect: 100-continue\r\nContent-Length: 0\r\n`),
    uws: { statuses: [100, 200], asked: ['POST /x'] },
    ws: answered('POST /x'),
  },
  // Where it is taken for no whole head, it is closed in its time, or when the client closes its end.
  { what: 'no Host', sent: request('GET /x HTTP/1.1', ''), isLast: true, uws: refused(), ws: answered('GET /x') },
  { what: 'two Hosts', sent: request('GET /x HTTP/1.1', `${HOST}Host: other\r\n`), uws: answered('GET /x') },
  { what: 'keep-alive', sent: request('GET /x HTTP/1.1', `${HOST}Connection: keep-alive\r\n`), uws: answered('GET /x') },
  { what: 'HTTP/1.0', sent: request('GET /x HTTP/1.0'), uws: refused(505), ws: answered('GET /x') },
  { what: 'HTTP/2', sent: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', uws: refused(505), ws: refused(400) },
  { what: 'a version that is none', sent: request('GET /x HTTP/9.9'), uws: refused(505), ws: refused(400) },
  { what: 'no HTTP', sent: '\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n', uws: refused(505), ws: refused(400) },
  { what: 'a method that is none', sent: request('NONE /x HTTP/1.1'), uws: answered('NONE /x'), ws: refused(400) },
  { what: 'TRACE', sent: request('TRACE /x HTTP/1.1'), uws: answered('TRACE /x') },
  { what: 'OPTIONS of all', sent: request('OPTIONS * HTTP/1.1'), uws: refused(505), ws: answered('OPTIONS *') },
  { what: 'CONNECT', sent: request('CONNECT localhost:1 HTTP/1.1'), uws: refused(505), ws: refused() },
  { what: 'a whole address', sent: request('GET http://localhost/x HTTP/1.1'), uws: refused(505), ws: answered('GET http://localhost/x') },
  { what: 'a body', sent: request('POST /x HTTP/1.1', `${HOST}Content-Length: 3\r\n`, 'abc'), uws: answered('POST /x') },
  {
    what: 'a body in pieces',
    sent: request('POST /x HTTP/1.1', `${HOST}Transfer-Encoding: chunked\r\n`, '0\r\n\r\n'),
    uws: { statuses: [], asked: ['POST /x'] },
    ws: refused(),
  },
  {
    what: 'a length that is none',
    sent: request('POST /x HTTP/1.1', `${HOST}Content-Length: x\r\n`),
    uws: { statuses: [400], asked: ['POST /x'] },
    ws: refused(400),
  },
  { what: 'two requests at once', sent: GET + GET, uws: { statuses: [], asked: ['GET /x'] } },
  {
    what: 'an upgrade to something else',
    sent: request('GET /x HTTP/1.1', `${HOST}Connection: Upgrade\r\nUpgrade: h2c\r\n`),
    uws: answered('GET /x'),
  },
  {
    what: 'a WebSocket without a key',
    sent: upgradeRequest().replace(/Sec-WebSocket-Key.*\r\n/, ''),
    uws: answered('GET /'),
    ws: refused(400),
  },
  // RFC 6455, 4.4: there is no other that anybody speaks. It is a WebSocket that this test's node closes at once.
  { what: 'a WebSocket of another version', sent: upgradeRequest().replace('13', '12'), uws: refused(), ws: refused(400) },
  { what: 'a head that is too large', sent: request('GET /x HTTP/1.1', `${HOST}X: ${'x'.repeat(40_000)}\r\n`), uws: refused(431) },
  { what: 'too many heads', sent: request('GET /x HTTP/1.1', HOST + 'X: x\r\n'.repeat(150)), uws: refused(431), ws: answered('GET /x') },
];

describe.each(SOCKET_DOORS)('by $name', ({ name }) => {
  let port = 0;
  let asked: string[] = [];

  beforeAll(async () => {
    const make = await loadAcceptor(name, nothing, 'acceptor');
    const acceptor = make(
      { maxMessageBytes: 1 << 20 },
      careful(
        {
          connected: nothing,
          request: ({ method, path }) => {
            asked.push(`${method} ${path}`);
            return () => ({ status: 200, type: 'text/plain', body: 'ok' });
          },
          upgrade: () => () => (socket) => ({
            opened: () => socket.close(),
            message: nothing,
            control: nothing,
            drained: nothing,
            closed: nothing,
          }),
        },
        rethrow,
      ),
    );
    port = (await acceptor.listen('127.0.0.1', 0)) ?? 0;
    return () => acceptor.close();
  });

  /** What comes back for `sent`, until the connection is closed from there. */
  function exchange(sent: string, isLast: boolean): Promise<string> {
    const socket = connect(port, '127.0.0.1', () => (isLast ? socket.end(sent, 'latin1') : socket.write(sent, 'latin1')));
    let text = '';
    socket.setEncoding('latin1').on('data', (part: string) => {
      text += part;
    });
    socket.on('error', nothing);
    return new Promise((resolve) => socket.on('close', () => resolve(text)));
  }

  test.each(CASES)('$what', async ({ sent, isLast = false, uws, ws = uws }) => {
    asked = [];
    const text = await exchange(sent, isLast);
    const statuses = [...text.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => Number(status));
    expect({ statuses, asked }).toEqual(name === 'uws' ? uws : ws);
  });
});

test('what is set while uWebSockets.js is loaded is not left in the environment', async () => {
  await loadAcceptor('uws', nothing, 'acceptor');
  expect(process.env.UWS_HTTP_MAX_HEADERS_SIZE).toBeUndefined();
});
