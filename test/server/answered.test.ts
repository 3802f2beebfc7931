// What an answer leaves in a node's memory: nothing, however many are asked for, by whoever.

import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { makeDirectory } from './support/fixture.ts';
import { ProcessNode } from './support/processNode.ts';

const AT_ONCE = 16;

/** Memory of a process that is no file's, in bytes. */
function anonymousBytes(pid: number): number {
  const [, kib] = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kib) * 1024;
}

/** Asks, on a connection of its own, and resolves when that is closed. */
function ask(port: number, request: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(request));
    socket.on('data', () => undefined).once('close', () => resolve());
    socket.once('error', reject);
  });
}

// On `ws` what there was is garbage of the collector's, which takes its time: here it is memory of the native part, which nobody collects.
test('a connection that was answered leaves no memory taken in uWebSockets.js', async () => {
  const node = await ProcessNode.start({ data: makeDirectory(), acceptor: 'uws' });
  onTestFinished(() => node.kill());
  const port = Number(new URL(node.url).port);
  const askAll = async (count: number): Promise<void> => {
    let left = count;
    const askSome = async (): Promise<void> => {
      while (left > 0) {
        left -= 1;
        await ask(port, 'GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n');
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, askSome));
  };
  await askAll(15_000);
  const before = anonymousBytes(node.pid);
  const count = 20_000;
  await askAll(count);
  expect((anonymousBytes(node.pid) - before) / count).toBeLessThan(250);
});
