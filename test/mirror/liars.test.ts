// A source that lies: what it says that is not the log is never stored, is said, and keeps the mirror from nothing once it is over.

import { createServer } from 'node:http';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { claimPorts } from '../../dist/src/cluster/portBlock.js';
import { DATA, SUBPROTOCOL } from '../../src/protocol/client.ts';
import { eventually, payloadOf } from '../server/support/fixture.ts';
import { bytesIn, client, directory, Lines, mirrorOf, startNode, statusOf, stop } from './support.ts';

type Lie = (message: Buffer) => Buffer;

/** A source whose DATA is what `lie` makes of it, and whose list of segments has no end. */
class Liar {
  lie: Lie = (message) => message;
  lists = 0;

  async listen(port: number, upstream: () => string): Promise<void> {
    const http = createServer((_, response) => {
      this.lists += 1;
      const piece = Buffer.alloc(1024 * 1024, ' ');
      const more = (): void => void (response.destroyed || response.write(piece, more));
      response.writeHead(200, { 'content-type': 'application/json' });
      more();
    });
    const server = new WebSocketServer({ server: http, handleProtocols: () => SUBPROTOCOL });
    server.on('connection', (socket) => {
      const real = new WebSocket(upstream(), SUBPROTOCOL);
      const waiting: Buffer[] = [];
      socket.on('message', (message: Buffer) => (real.readyState === WebSocket.OPEN ? real.send(message) : waiting.push(message)));
      real.on('open', () => waiting.forEach((message) => void real.send(message)));
      real.on('message', (message: Buffer) => {
        const said = message[0] === DATA && message.length > 24 ? this.lie(message) : message;
        if (said.length > 0) socket.send(said);
      });
      for (const [one, other] of [
        [socket, real],
        [real, socket],
      ] as const) {
        one.on('close', () => other.terminate());
        one.on('error', () => other.terminate());
      }
    });
    await new Promise<void>((resolve) => http.listen(port, '127.0.0.1', resolve));
    onTestFinished(() => {
      for (const socket of server.clients) socket.terminate();
      http.closeAllConnections();
      http.close();
    });
  }
}

test('a source that lies is not believed, and is asked again', async () => {
  const { ports, release } = await claimPorts(1);
  onTestFinished(release);
  const [port = 0] = ports;
  // Clients find no way past the liar.
  const source = await startNode(directory(), { advertise: `ws://127.0.0.1:${port}` });
  const liar = new Liar();
  await liar.listen(port, () => source.url);
  const log = await client(source.url);
  const append = async (count: number): Promise<number> => {
    let end = 0;
    for (let i = 0; i < count; i += 1) end = (await log.append(payloadOf(20_000, i))).end;
    return end;
  };
  let end = await append(20);
  const lines = new Lines();
  const data = directory();
  const mirror = await mirrorOf(`ws://127.0.0.1:${port}`, data, {}, lines);
  await eventually(() => mirror.status().log.durable === end, 'a list without end is left for the WebSocket');
  expect(liar.lists).toBeGreaterThan(0);

  const changed =
    (at: number): Lie =>
    (message) => {
      const copy = Buffer.from(message);
      copy.writeUInt8((copy[at] ?? 0) ^ 1, at);
      return copy;
    };
  const lies: [Lie, string][] = [
    // A byte of a payload; the offset of a message; a size.
    [changed(200), 'does not match its check'],
    [changed(8), 'where'],
    [changed(24 + 6), 'What came'],
    // As one that is cut off from the others does.
    [() => Buffer.alloc(0), 'sends nothing from offset'],
  ];
  for (const [lie, sentence] of lies) {
    const before = mirror.status().log.durable;
    liar.lie = lie;
    end = await append(1);
    await eventually(() => statusOf(mirror).why?.includes(sentence) === true, `the mirror says ${sentence}`);
    expect([mirror.status().log.durable, statusOf(mirror).isConnected]).toEqual([before, false]);
    liar.lie = (message) => message;
    await eventually(() => mirror.status().log.durable === end, 'it goes on when that is over');
  }
  expect(statusOf(mirror)).toMatchObject({ isConnected: true, why: null });
  await stop(mirror);
  await stop(source);
  expect(bytesIn(data, 0, end).equals(bytesIn(source.engine.directory, 0, end))).toBe(true);
});
