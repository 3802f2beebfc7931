// A producer that never awaits: its process' memory stays below what docs/CLIENT.md says, and it is told QUEUE_FULL.

import { spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LogError } from '../../src/core/errors.ts';
import type { NodeStatus } from '../../src/node/status.ts';
import { eventually } from '../server/support/fixture.ts';
import { type Exit, startServer, stopServers } from '../support/server.ts';
import { FakeServer } from './support/fakeServer.ts';

const MIB = 1024 * 1024;

/** What docs/CLIENT.md says of a process with the defaults, whose base is about 60 MB. */
const MAX_RESIDENT_BYTES = 320 * MIB;

/** What the process imports: the client as it is built. */
const CLIENT = new URL('../../dist/src/client/index.js', import.meta.url).href;

interface Result extends Exit {
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program that has `log`, connected with the defaults, and `report`. */
function runProducer(url: string, body: string): Promise<Result> {
  const program = `
    const { connect } = await import(${JSON.stringify(CLIENT)});
    const log = await connect(${JSON.stringify(url)});
    ${body}
    await log.close();
    console.log(JSON.stringify({ maxResidentBytes: process.resourceUsage().maxRSS * 1024, appendedBytes: log.stats().appendedBytes, unhandled: globalThis.unhandled }));
    process.exit();`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    stdout += part;
  });
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    stderr += part;
  });
  return new Promise((resolve) => child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr })));
}

/** Clients that are connected with the node: one that is gone, and not handled to its end, is one still. */
async function clientsOf(url: string): Promise<number> {
  const status = (await (await fetch(`${url.replace('ws:', 'http:')}/status`)).json()) as NodeStatus;
  return status.clients.connections;
}

describe('a loop that never awaits', () => {
  let url = '';

  beforeAll(async () => {
    ({ url } = await startServer());
  });

  afterAll(stopServers);

  test.each([
    [1, 1_500_000, 200_000],
    [100, 1_500_000, 200_000],
    [100_000, 4_000, 500],
  ])('of payloads of %i bytes stays within its memory, and what was taken is appended', async (size, count, atLeast) => {
    const { code, stdout, stderr } = await runProducer(
      url,
      `globalThis.unhandled = [];
       process.on('unhandledRejection', (error) => unhandled.push(error.code));
       const payload = new Uint8Array(${size});
       for (let i = 0; i < ${count}; i++) log.append(payload);`,
    );
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const { maxResidentBytes, appendedBytes, unhandled } = JSON.parse(stdout) as {
      maxResidentBytes: number;
      appendedBytes: number;
      unhandled: string[];
    };
    expect(new Set(unhandled)).toEqual(new Set(['QUEUE_FULL']));
    expect(maxResidentBytes).toBeLessThan(MAX_RESIDENT_BYTES);
    expect(appendedBytes / (size + 12)).toBeGreaterThan(atLeast);
  });

  test('and that nobody handles ends with the sentence of QUEUE_FULL, as Node does with what is not handled', async () => {
    const { code, stderr } = await runProducer(url, 'for (let i = 0; i < 700_000; i++) log.append("x"); await new Promise(() => {});');
    expect(code).toBe(1);
    expect(stderr).toContain('QUEUE_FULL');
    expect(stderr).toContain('Await ready() between appends');
  });

  test('of a writer ends the writer once, and keeps nothing for those after it', async () => {
    // What came from producers before this one may not be handled yet, and the end of the log is not its own until it is.
    await eventually(async () => (await clientsOf(url)) === 0, 'the node has handled what came before');
    const { code, stdout, stderr } = await runProducer(
      url,
      `const codes = new Set();
       const count = (error) => codes.add(error.code);
       const writer = log.writer({ expectedEnd: (await log.end()).end });
       for (let i = 0; i < 400_000; i++) writer.append('x').catch(count);
       globalThis.unhandled = codes;
       await writer.close();
       globalThis.unhandled = [...codes];`,
    );
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const { maxResidentBytes, unhandled } = JSON.parse(stdout) as { maxResidentBytes: number; unhandled: string[] };
    expect(unhandled).toEqual(['QUEUE_FULL', 'CHAIN_BROKEN']);
    // The promises of the program itself come on top.
    expect(maxResidentBytes).toBeLessThan(2 * MAX_RESIDENT_BYTES);
  });
});

test('appends that wait are in the log in the order of their calls, whatever their kinds and sizes', async () => {
  const server = new FakeServer();
  const log = await server.connect({ maxInFlightBytes: 64 * 1024 });
  const sizes = Array.from({ length: 400 }, (_, i) => [10, 0, 3000, 20_000, 70_000, 16_384, 16_385][i % 7] ?? 0);
  const buffer = new Uint8Array(70_000);
  const calls = sizes.map((size, i) => {
    buffer.fill(i % 251, 0, size);
    const payload = buffer.subarray(0, size);
    if (i % 5 === 1) return log.appendBatch([payload, payload]).then(({ offset }) => offset);
    if (i % 5 === 3) return log.append(payload, { ack: 'received' }).then(({ offset }) => offset);
    return log.append(payload).then(({ offset }) => offset);
  });
  const offsets = await Promise.all(calls);
  expect([...offsets].sort((a, b) => a - b)).toEqual(offsets);
  let i = 0;
  let copies = 0;
  for await (const { payload } of log.read()) {
    expect(payload.length).toBe(sizes[i]);
    expect(payload.every((byte) => byte === i % 251)).toBe(true);
    copies += 1;
    if (i % 5 === 1 && copies === 1) continue;
    i += 1;
    copies = 0;
  }
  expect(i).toBe(sizes.length);
  await log.close();
});

test('a full queue refuses until there is room, each tick with a rejection of its own', async () => {
  const server = new FakeServer();
  server.holdsAppends = true;
  const log = await server.connect({ maxInFlightBytes: 64 * 1024, maxQueuedBytes: 64 * 1024 });
  const codes: string[] = [];
  const note = (error: unknown): void => void codes.push(error instanceof LogError ? error.code : String(error));
  const full = (): Promise<unknown> => {
    for (;;) {
      const call = log.append(new Uint8Array(1000));
      call.catch(note);
      const next = log.append(new Uint8Array(1000));
      next.catch(note);
      if (call === next) return call;
    }
  };
  const first = full();
  await expect(first).rejects.toMatchObject({ code: 'QUEUE_FULL', outcome: 'failed', retryable: true });
  expect(full()).not.toBe(first);
  await expect(log.append('with options', { ack: 'received' })).rejects.toMatchObject({ code: 'QUEUE_FULL' });
  server.holdsAppends = false;
  for (const connection of server.connections) connection.answerAppends();
  await log.ready();
  expect((await log.append('room again')).level).toBe('committed');
  expect(new Set(codes)).toEqual(new Set(['QUEUE_FULL']));
  await log.close();
});
