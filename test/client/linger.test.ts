// Appends that wait for others to share their message, and how large that may be.

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { LogClient } from '../../src/client/client.ts';
import type { ConnectOptions } from '../../src/client/options.ts';
import { FakeServer, settleMicrotasks } from './support/fakeServer.ts';

let server: FakeServer;
const clients: LogClient[] = [];

beforeEach(() => {
  server = new FakeServer();
});

afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(clients.splice(0).map((client) => client.close()));
});

async function connect(options: ConnectOptions): Promise<LogClient> {
  const client = await server.connect(options);
  clients.push(client);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  return client;
}

/** So many milliseconds go by, and what is due is done. */
async function pass(ms: number): Promise<void> {
  // What the tick began waits from its end on.
  await settleMicrotasks();
  vi.advanceTimersByTime(ms);
  await settleMicrotasks();
}

test('appends of several ticks share a message, which leaves when the first has lingered', async () => {
  const log = await connect({ lingerMs: 10 });
  const receipts = [log.append('a')];
  await pass(6);
  receipts.push(log.append('b'), log.append('c'));
  await pass(3);
  expect(server.appends).toHaveLength(0);
  await pass(1);
  expect(server.appends).toHaveLength(1);
  expect((await Promise.all(receipts)).map(({ offset }) => offset)).toEqual([0, 13, 26]);
  // And the next one waits anew.
  const next = log.append('d');
  await pass(9);
  expect(server.appends).toHaveLength(1);
  await pass(1);
  await next;
  expect(server.texts()).toEqual(['a', 'b', 'c', 'd']);
});

test('a message that is full does not linger, and batchBytes says when it is', async () => {
  const log = await connect({ lingerMs: 1000, batchBytes: 1024 });
  const receipts = [1, 2, 3].map((value) => log.append(new Uint8Array(500).fill(value)));
  await pass(0);
  // Two of 512 bytes each fill it; the third waits.
  expect(server.appends).toHaveLength(1);
  await Promise.all(receipts.slice(0, 2));
  await pass(1000);
  await receipts[2];
  expect(server.appends).toHaveLength(2);
});

test('an append that is larger than batchBytes has a message of its own', async () => {
  const log = await connect({ batchBytes: 1024 });
  await Promise.all([log.append('a'), log.append(new Uint8Array(5000)), log.append('b')]);
  expect(server.appends).toHaveLength(3);
});

test('what may not share a message does not linger, and takes along what was made before it', async () => {
  const log = await connect({ lingerMs: 60_000 });
  const first = log.append('a');
  await pass(0);
  expect(server.appends).toHaveLength(0);
  await Promise.all([first, log.appendBatch(['b', 'c'])]);
  expect(server.texts()).toEqual(['a', 'b', 'c']);
});

test('a lack of room ends it: nobody waits for a message that waits for nobody', async () => {
  const log = await connect({ lingerMs: 60_000, maxInFlightBytes: 64 * 1024 });
  const receipts = [1, 2].map((value) => log.append(new Uint8Array(40_000).fill(value)));
  await Promise.all([log.ready(), ...receipts.slice(0, 1)]);
  const last = receipts[1];
  await pass(60_000);
  await last;
  expect(log.hasRoom).toBe(true);
});

test('close sends what lingers at once', async () => {
  const log = await connect({ lingerMs: 60_000 });
  const receipt = log.append('a');
  await pass(0);
  vi.useRealTimers();
  await Promise.all([log.close(), receipt]);
  expect(server.texts()).toEqual(['a']);
});

test('an append that is taken back while it lingers is not sent, and the others are', async () => {
  const log = await connect({ lingerMs: 10 });
  const giveUp = new AbortController();
  const gone = log.append('a', { signal: giveUp.signal });
  const stays = log.append('b');
  await pass(5);
  giveUp.abort();
  await expect(gone).rejects.toMatchObject({ code: 'ABORTED', outcome: 'failed' });
  await pass(5);
  await stays;
  expect(server.texts()).toEqual(['b']);
});

test.each([
  [{ lingerMs: -1 }, 'lingerMs must be a whole number from 0 to 60000, not -1'],
  [{ batchBytes: 100 }, 'batchBytes must be a whole number from 1024 to 262144, not 100'],
  [{ linger: 5 }, 'connect has no option "linger"; did you mean lingerMs?'],
])('%j is refused', async (options, sentence) => {
  await expect(server.connect(options as ConnectOptions)).rejects.toThrow(sentence);
});
