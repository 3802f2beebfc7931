// Closing a client: what is pending gets its answers, a server that hangs is not waited for, and nothing keeps the process alive.

import { spawn } from 'node:child_process';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { DEFAULT_CLOSE_PATIENCE_MS } from '../../src/client/closing.ts';
import { startServer, stopServers } from '../support/server.ts';
import { failureOf } from './support/failure.ts';
import { FakeServer, settleMicrotasks } from './support/fakeServer.ts';

afterEach(async () => {
  vi.useRealTimers();
  await stopServers();
});

const CLIENT = new URL('../../dist/src/client/index.js', import.meta.url).href;

describe('close, while the server hangs', () => {
  test('ends after its time; what was sent is unknown, what was not had no effect', async () => {
    const server = new FakeServer();
    const log = await server.connect({ maxInFlightBytes: 64 * 1024 });
    server.onRequest = () => true;
    const sent = failureOf(log.append('sent'));
    const conditional = failureOf(log.append('conditional', { expectedEnd: 0 }));
    const batch = failureOf(log.appendBatch(['a', 'b']));
    await settleMicrotasks();
    const waiting = Array.from({ length: 3 }, () => failureOf(log.append(new Uint8Array(60_000))));
    const writer = log.writer({ expectedEnd: 0 });
    const linked = failureOf(writer.append('linked'));
    const reading = failureOf(log.subscribe()[Symbol.asyncIterator]().next());
    await log.close({ timeoutMs: 20 });
    const errors = await Promise.all([sent, conditional, batch, ...waiting, linked]);
    expect(errors.map(({ code }) => code)).toEqual(Array.from({ length: 7 }, () => 'TIMEOUT'));
    expect(errors.map(({ outcome }) => outcome)).toEqual(['unknown', 'unknown', 'unknown', 'unknown', 'failed', 'failed', 'failed']);
    expect(errors[0]?.message).toMatch(/waited \d+ ms for answers: this append has none/);
    expect(errors[5]?.message).toContain('was not sent');
    expect((await reading).code).toBe('CLOSED');
    expect(server.connection.isOpen).toBe(false);
  });

  test('the goodbye takes no longer either, and a later call with less time counts', async () => {
    for (const calls of [[20], [60_000, 20], [20, 60_000]]) {
      const server = new FakeServer();
      const log = await server.connect();
      server.ignoresClose = true;
      const closing = calls.map((timeoutMs) => log.close({ timeoutMs }));
      const outcome = await Promise.race([
        Promise.all(closing).then(() => 'closed'),
        new Promise((resolve) => setTimeout(resolve, 900, 'too late')),
      ]);
      expect([calls, outcome]).toEqual([calls, 'closed']);
    }
  });

  test('a writer’s appends that were sent are unknown, and the others failed', async () => {
    const server = new FakeServer();
    const log = await server.connect();
    server.onRequest = () => true;
    const writer = log.writer({ expectedEnd: 0 });
    const first = failureOf(writer.append('a'));
    await settleMicrotasks();
    const second = failureOf(writer.append('b'));
    await log.close({ timeoutMs: 10 });
    expect([(await first).outcome, (await second).outcome]).toEqual(['unknown', 'unknown']);
  });

  test('without an option ends some time after the last answer, and not while answers come', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] });
    const server = new FakeServer();
    const log = await server.connect();
    server.holdsAppends = true;
    const answered = log.append('slow');
    await settleMicrotasks();
    const stuck = failureOf(log.append('stuck'));
    await settleMicrotasks();
    let isClosed = false;
    const closing = log.close().then(() => {
      isClosed = true;
    });
    await vi.advanceTimersByTimeAsync(DEFAULT_CLOSE_PATIENCE_MS - 1000);
    server.onRequest = () => true;
    const [first] = server.connection.unanswered.splice(1);
    expect(first).toBeDefined();
    server.connection.answerAppends();
    await answered;
    await vi.advanceTimersByTimeAsync(DEFAULT_CLOSE_PATIENCE_MS - 1000);
    expect(isClosed).toBe(false);
    await vi.advanceTimersByTimeAsync(2000);
    await closing;
    expect((await stuck).outcome).toBe('unknown');
  });

  test('a second call can make it shorter, and a wrong option is refused', async () => {
    const server = new FakeServer();
    const log = await server.connect();
    await expect(log.close({ timeout: 5 } as object)).rejects.toThrow(TypeError);
    await expect(log.close({ timeoutMs: -1 })).rejects.toThrow(RangeError);
    server.onRequest = () => true;
    const failure = failureOf(log.append('a'));
    const first = log.close();
    await log.close({ timeoutMs: 0 });
    await first;
    expect((await failure).code).toBe('TIMEOUT');
  });
});

test('a process whose node is stopped by SIGSTOP closes its client, hears the outcome, and ends', async () => {
  const node = await startServer();
  const program = `
    import { connect } from ${JSON.stringify(CLIENT)};
    const log = await connect(${JSON.stringify(node.url)});
    const reading = log.subscribe({ from: 'end' })[Symbol.asyncIterator]().next().catch((error) => error.code);
    await log.append('before');
    process.kill(${node.pid}, 'SIGSTOP');
    const outcome = log.append('after').catch((error) => error.code + ' ' + error.outcome);
    await log.close({ timeoutMs: 200 });
    // A second call must not hold the process.
    await log.close({ timeoutMs: 3_000_000 });
    console.log(await outcome, typeof await reading);`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    stdout += part;
  });
  expect(await new Promise((resolve) => child.once('close', resolve))).toBe(0);
  expect(stdout).toMatch(/^TIMEOUT unknown/);
});
