// R6: a disk that hangs does not hold a node that is to stop: no thread that waits for a system call is waited for without end.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, describe, expect, test } from 'vitest';
import { type Exit, type RunningServer, spawnCommand, startServer, stopServers, temporaryDirectory } from '../support/server.ts';
import { eventually, payloadOf } from './support/fixture.ts';
import { HungDisk } from './support/hungDisk.ts';
import { RawClient } from './support/rawClient.ts';

afterAll(stopServers);

/** Ends as it must, or is given up by the test's time limit. */
async function timed(exited: Promise<Exit>): Promise<{ readonly exit: Exit; readonly tookMs: number }> {
  const startedMs = performance.now();
  const exit = await exited;
  return { exit, tookMs: performance.now() - startedMs };
}

/** A node one of whose writers hangs in a sync, with an append that waits for it. */
async function hanging(): Promise<{ readonly node: RunningServer; readonly append: Promise<unknown> }> {
  const disk = new HungDisk();
  const node = await startServer({ env: disk.env });
  const client = await RawClient.connect(node.url);
  await client.append(payloadOf(100, 1));
  disk.hang();
  const append = client.append(payloadOf(100, 2)).catch((thrown: unknown) => thrown);
  await disk.reached();
  return { node, append };
}

describe.concurrent('R6: a disk that hangs', () => {
  test('does not hold a stop, which says that it was cut off', async () => {
    const { node, append } = await hanging();
    const { exit, tookMs } = await timed(node.stop());
    expect(exit).toEqual({ code: null, signal: 'SIGKILL' });
    // 6 s, and as much again for a busy machine.
    expect(tookMs).toBeLessThan(12_000);
    expect(node.stderr()).toContain('not all threads ended in time');
    expect(await append).toMatchObject({ answer: { outcomeUnknown: true } });
  });

  test('does not hold a second signal', async () => {
    const { node } = await hanging();
    process.kill(node.pid, 'SIGTERM');
    await eventually(() => node.stderr().includes('a second signal ends at once'), 'the first signal was seen');
    // What comes within half a second is taken for an echo of the first one.
    await delay(600);
    process.kill(node.pid, 'SIGINT');
    expect(await node.exited).toEqual({ code: null, signal: 'SIGKILL' });
    expect(node.stderr()).not.toContain('not all threads ended in time');
  });

  test('does not hold a node that is told to stop while it starts', async () => {
    const disk = new HungDisk();
    disk.hang();
    const child = spawnCommand(['serve', '--json', '--port', '0', '--data', join(temporaryDirectory(), 'data')], disk.env);
    const exited = new Promise<Exit>((resolve) => child.once('close', (code, signal) => resolve({ code, signal })));
    let log = '';
    child.stderr.on('data', (text: Buffer) => {
      log += text.toString();
    });
    await disk.reached();
    child.kill('SIGTERM');
    expect(await exited).toEqual({ code: null, signal: 'SIGKILL' });
    expect(log).toContain('stopped before the node was ready');
  });
});

/** A program as the first process of a namespace of its own, as in a container; undefined where the system does not let whoever runs the tests make one. */
function asFirstProcess(program: string): string | undefined {
  // Whoever is not root needs a namespace of users for it.
  const rights = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  const unshare = [...rights, '--pid', '--fork', '--kill-child'];
  if (spawnSync('unshare', [...unshare, 'true']).status !== 0) return undefined;
  const node = [process.execPath, '--input-type=module', '--eval', program];
  return spawnSync('unshare', [...unshare, ...node], { encoding: 'utf8' }).stdout;
}

test('E182: a process that ends itself by SIGKILL ends in a container, too, whose first process no signal of its own ends', () => {
  const exit = new URL('../../dist/src/cli/exit.js', import.meta.url).href;
  const said = asFirstProcess(
    `const { killProcess } = await import(${JSON.stringify(exit)}); console.log(process.pid); killProcess(); console.log('goes on');`,
  );
  if (said === undefined) console.warn('THE END IN A CONTAINER WAS NOT LOOKED AT: no namespaces of processes can be made here');
  else expect(said).toBe('1\n');
});
