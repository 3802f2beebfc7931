// uWebSockets.js writes a warning of its own to stderr, past the log, for what it takes for a mistake: it would wait for whoever does not read.

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { SUBPROTOCOL } from '../../src/protocol/client.ts';
import { RawClient } from '../server/support/rawClient.ts';
import { startServer, stopServers } from '../support/server.ts';

afterEach(stopServers);

test('connections that come and go, one by one and together, leave no line on stderr', async () => {
  const node = await startServer({ flags: ['--json'] });
  for (let round = 0; round < 5; round += 1) {
    const first = await RawClient.connect(node.url);
    const others = await Promise.all(Array.from({ length: 20 }, () => RawClient.connect(node.url)));
    for (const client of [first, ...others]) expect(client.hello.nodeId).toBe(1);
    await Promise.all([first, ...others].map((client) => client.close()));
  }
  await node.stop();
  for (const line of node.stderr().trim().split('\n')) expect(line).toMatch(/^\{.*\}$/);
});

/** A connection that has sent nothing yet, and what is answered on it. */
async function silent(url: string): Promise<{ socket: Socket; firstLine: Promise<string> }> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  await once(socket, 'connect');
  // An acceptor may write a line in pieces.
  const firstLine = new Promise<string>((resolve) => {
    let seen = '';
    socket.on('data', (data) => {
      seen += String(data);
      if (seen.includes('\r\n')) resolve(seen.slice(0, seen.indexOf('\r\n')));
    });
    socket.on('close', () => resolve(`closed after "${seen}"`));
  });
  return { socket, firstLine };
}

test('a first client is let in beside requests that come in the same turn', async () => {
  const node = await startServer({ flags: ['--json'] });
  const handshake = 'connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==';
  const upgrade = `GET / HTTP/1.1\r\nhost: a\r\n${handshake}\r\nsec-websocket-protocol: ${SUBPROTOCOL}\r\n\r\n`;
  const get = 'GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n';
  for (const requests of [
    [upgrade, get],
    [get, upgrade],
    [upgrade, get, upgrade],
    [upgrade, upgrade],
  ]) {
    const connections = await Promise.all(requests.map(() => silent(node.url)));
    // What comes while it stands still, it finds all at once.
    node.signal('SIGSTOP');
    requests.forEach((request, i) => void connections[i]?.socket.write(request));
    node.signal('SIGCONT');
    const expected = requests.map((request) => (request === get ? 'HTTP/1.1 200 OK' : 'HTTP/1.1 101 Switching Protocols'));
    expect(await Promise.all(connections.map(({ firstLine }) => firstLine))).toEqual(expected);
    for (const { socket } of connections) socket.destroy();
  }
  await node.stop();
});
