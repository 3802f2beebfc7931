// Commands that are started before their node, and that outlive it.

import { once } from 'node:events';
import { afterEach, expect, test } from 'vitest';
import { claimPorts } from '../../src/cluster/portBlock.ts';
import { runCommand, spawnCommand, startServer, stopServers, temporaryDirectory } from '../support/server.ts';

afterEach(stopServers);

/** Resolves when a stream has brought `text`; returns all that it brought by then. */
function untilSaid(stream: NodeJS.ReadableStream, text: string): Promise<string> {
  let all = '';
  return new Promise((resolve) => {
    stream.on('data', (part: Buffer) => {
      all += part.toString();
      if (all.includes(text)) resolve(all);
    });
  });
}

test('tail waits for its node, says so on stderr, and goes on when it comes, and when it comes back', async () => {
  const { ports, release } = await claimPorts(1);
  const url = `ws://127.0.0.1:${ports[0]}`;
  const data = temporaryDirectory();
  const server = { data: `${data}/log`, flags: ['--port', `${ports[0]}`] };
  const tail = spawnCommand(['tail', '--from', 'start', '--url', url]);
  expect(await untilSaid(tail.stderr, '\n')).toMatch(/^loglog: waiting until there is one: .*ECONNREFUSED/);
  const first = untilSaid(tail.stdout, 'one\n');
  const answers = untilSaid(tail.stderr, 'loglog: node 1 at');
  const node = await startServer(server);
  expect((await runCommand(['append', 'one', '--url', url])).code).toBe(0);
  await Promise.all([first, answers]);
  const waits = untilSaid(tail.stderr, 'waiting');
  await node.kill();
  await waits;
  const second = untilSaid(tail.stdout, 'two\n');
  await startServer(server);
  expect((await runCommand(['append', 'two', '--url', url])).code).toBe(0);
  await second;
  tail.kill('SIGINT');
  expect(await once(tail, 'close')).toEqual([0, null]);
  await release();
});

test.each([['append', 'late'], ['read'], ['status']])('%s waits as long as it is told to, and no longer', async (...args) => {
  const { ports, release } = await claimPorts(1);
  const command = [...args, '--url', `ws://127.0.0.1:${ports[0]}`];
  const given = await runCommand([...command, '--timeout', '0.05']);
  expect([given.code, given.stdout.toString()]).toEqual([4, '']);
  const waiting = spawnCommand([...command, '--timeout', '600']);
  const exit = once(waiting, 'close');
  await untilSaid(waiting.stderr, 'loglog: waiting for up to 600 s');
  await startServer({ flags: ['--port', `${ports[0]}`] });
  expect(await exit).toEqual([0, null]);
  await release();
});
