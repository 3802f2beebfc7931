// The attackers themselves: a test that waits for what they do must not wait for ever.

import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import type { Attack } from './beside.ts';
import { Flood } from './flood.ts';

const CONNECTIONS = 6;
const STUBBORN: Attack = { connections: CONNECTIONS, isWebSocket: true, chunk: Buffer.alloc(0), isStubborn: true, isReplaced: true };

/** Who answers each request with `answer` and then says no more. Resolves with its address, and how many connections it has that are not closed. */
async function listen(answer: string): Promise<{ url: string; open: () => number }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once('data', () => socket.end(answer, 'latin1'));
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `ws://127.0.0.1:${port}`, open: () => sockets.size };
}

test('who is refused closes its end, however stubborn: attackers hold no more connections than they were told to open', async () => {
  const victim = await listen('HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n');
  const flood = await Flood.start(victim.url, STUBBORN);
  onTestFinished(() => flood.stop());
  await flood.until(() => flood.refused >= 20 * CONNECTIONS);
  await expect.poll(victim.open).toBeLessThanOrEqual(2 * CONNECTIONS);
});

test('attackers that have no descriptor left say so, instead of taking that for a refusal for ever', async () => {
  // Let in, and told goodbye: each stays.
  const victim = await listen('HTTP/1.1 101 Switching Protocols\r\n\r\n\x88\x02\x03\xe8');
  const soft = execFileSync('prlimit', ['--pid', String(process.pid), '--nofile', '--output', 'SOFT', '--noheadings'], {
    encoding: 'utf8',
  }).trim();
  const limitTo = (files: string): unknown => execFileSync('prlimit', ['--pid', String(process.pid), `--nofile=${files}:`]);
  // What is registered last is done first: without the attackers' connections there are descriptors again.
  onTestFinished(() => void limitTo(soft));
  const flood = await Flood.start(victim.url, STUBBORN);
  onTestFinished(() => flood.stop());
  limitTo(String(readdirSync('/proc/self/fd').length + 200));
  await expect(flood.untilCut(100_000)).rejects.toThrow('EMFILE');
});
