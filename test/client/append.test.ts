import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { LogClient } from '../../src/client/client.ts';
import type { ConnectOptions } from '../../src/client/options.ts';
import type { LogError } from '../../src/core/errors.ts';
import { ERROR_FATAL } from '../../src/protocol/client.ts';
import { failureOf } from './support/failure.ts';
import { FakeServer, settleMicrotasks } from './support/fakeServer.ts';

let server: FakeServer;
let clients: LogClient[];

beforeEach(() => {
  server = new FakeServer();
  clients = [];
});

afterEach(async () => {
  server.holdsAppends = false;
  server.onRequest = undefined;
  for (const connection of server.connections) connection.answerAppends();
  await Promise.all(clients.map((client) => client.close()));
});

async function connect(options?: ConnectOptions): Promise<LogClient> {
  const client = await server.connect(options);
  clients.push(client);
  return client;
}

describe('append', () => {
  test('appends of one tick travel in one message and each gets its own place', async () => {
    const log = await connect();
    const receipts = await Promise.all([log.append('a'), log.append(''), log.append(new Uint8Array([1, 2, 3]))]);
    expect(server.appends).toHaveLength(1);
    expect(receipts).toEqual([
      { term: 1, offset: 0, end: 13, level: 'committed', nodes: [1, 3] },
      { term: 1, offset: 13, end: 25, level: 'committed', nodes: [1, 3] },
      { term: 1, offset: 25, end: 40, level: 'committed', nodes: [1, 3] },
    ]);
  });

  test('strings travel as UTF-8', async () => {
    const log = await connect();
    await log.append('żółć 🦀');
    expect(server.texts()).toEqual(['żółć 🦀']);
  });

  test('a payload may be changed as soon as append returns, with room and without', async () => {
    server.holdsAppends = true;
    const log = await connect({ maxInFlightBytes: 64 * 1024 });
    // A Buffer's slice shares its bytes.
    for (const payload of [new Uint8Array(30_000), Buffer.alloc(30_000)]) {
      const before = server.texts().length;
      const promises = [1, 2, 3, 4, 5].map((value) => log.append(payload.fill(value)));
      payload.fill(99);
      while (server.texts().length < before + 5) {
        await settleMicrotasks();
        server.connection.answerAppends();
      }
      await Promise.all(promises);
      expect(
        server
          .texts()
          .slice(before)
          .map((text) => text.charCodeAt(0)),
      ).toEqual([1, 2, 3, 4, 5]);
    }
  });

  test('the order of the calls is the order of the log, over all kinds of append', async () => {
    const log = await connect();
    const end = (await log.append('0')).end;
    const promises = [
      log.append('1'),
      log.appendBatch(['2', '3']),
      log.append('4', { ack: 'received' }),
      log.append('5'),
      log.append('6', { signal: new AbortController().signal }),
      log.append(new Uint8Array(300_000).fill(55)),
      log.append('8'),
    ];
    await Promise.all(promises);
    expect(server.texts().map((text) => text[0])).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8']);
    expect(end).toBe(13);
  });

  test('ack received is asked for and reported', async () => {
    const log = await connect({ ack: 'received' });
    expect((await log.append('a')).level).toBe('received');
    expect((await log.append('b', { ack: 'committed' })).level).toBe('committed');
    expect(server.appends.map(({ flags }) => flags)).toEqual([1, 0]);
  });

  test('a batch is one message and its receipt has every offset', async () => {
    const log = await connect();
    const before = log.append('x');
    const receipt = await log.appendBatch(['a', 'bc', new Uint8Array(0)]);
    await before;
    expect(receipt).toEqual({ term: 1, offset: 13, end: 52, offsets: [13, 26, 40], level: 'committed', nodes: [1, 3] });
    expect(server.appends.map(({ a }) => a)).toEqual([1, 3]);
  });

  test('the entries of a batch say that it goes on, but for its last one; single appends never do', async () => {
    const log = await connect();
    const promises = [log.append('a'), log.append('b'), log.append('c', { expectedEnd: 26 })];
    await Promise.all([...promises, log.appendBatch(['d']), log.appendBatch(['e', 'f', 'g']), log.append('h')]);
    expect(server.texts().join('')).toBe('abcdefgh');
    expect(server.continuedTexts()).toEqual(['e', 'f']);
    const texts: string[] = [];
    for await (const entry of log.read({ limit: 6 })) texts.push(new TextDecoder().decode(entry.payload));
    expect(texts.join('')).toBe('abcdef');
    let count = 0;
    for await (const batch of log.read().batches()) count += batch.entryCount;
    expect(count).toBe(8);
  });

  test('a conditional append travels alone and a failed condition tells the end', async () => {
    const log = await connect();
    const [first, second, third] = [log.append('a'), log.append('b', { expectedEnd: 13 }), log.append('c', { expectedEnd: 13 })];
    expect((await first).end).toBe(13);
    expect((await second).end).toBe(26);
    const error = await failureOf(third);
    expect(error.code).toBe('CONDITION_FAILED');
    expect(error.outcome).toBe('failed');
    expect(error.details).toEqual({ offset: 26, end: 26 });
    expect(server.appends).toHaveLength(3);
  });

  test('the largest entry passes, alone, and a larger one is refused before it is sent', async () => {
    const log = await connect();
    const receipt = await log.append(new Uint8Array(16_777_215));
    expect(receipt.end).toBe(16_777_227);
    const error = await failureOf(log.append(new Uint8Array(16_777_216)));
    expect(error.code).toBe('ENTRY_TOO_LARGE');
    expect(error.message).toContain('16777216');
    expect(error.message).toContain('16777215');
    expect(server.appends).toHaveLength(1);
  });

  test('a batch above the limit is refused before it is sent', async () => {
    server.hello = { ...server.hello, maxBatchBytes: 100_000 };
    const log = await connect();
    const error = await failureOf(log.appendBatch([new Uint8Array(60_000), new Uint8Array(60_000)]));
    expect(error.code).toBe('ENTRY_TOO_LARGE');
    expect(error.details).toEqual({ batchBytes: 120_024, maxBatchBytes: 100_000 });
    expect(server.appends).toHaveLength(0);
  });

  test('wrong arguments are a TypeError or a RangeError', async () => {
    const log = await connect();
    await expect(log.append(5 as unknown as string)).rejects.toThrow(TypeError);
    await expect(log.append(null as unknown as string, {})).rejects.toThrow(TypeError);
    await expect(log.appendBatch('text' as unknown as string[])).rejects.toThrow(TypeError);
    await expect(log.appendBatch([])).rejects.toThrow(TypeError);
    await expect(log.append('a', { expectedEnd: -1 })).rejects.toThrow(RangeError);
    await expect(log.append('a', { expectedEnd: 1.5 })).rejects.toThrow(RangeError);
    await expect(log.append('a', { ack: 'soon' as 'received' })).rejects.toThrow(TypeError);
    await expect(log.append('a', { signal: {} as AbortSignal })).rejects.toThrow(TypeError);
    expect(() => log.read({ from: -1 })).toThrow(RangeError);
    expect(() => log.read({ limit: 0 })).toThrow(RangeError);
    expect(() => log.subscribe({ from: 'beginning' })).toThrow(TypeError);
    expect(server.requests).toHaveLength(0);
  });
});

describe('window and backpressure', () => {
  test('unacknowledged bytes never exceed the window, except for one message alone', async () => {
    server.hello = { ...server.hello, windowBytes: 64 * 1024, maxBatchBytes: 1024 * 1024 };
    server.holdsAppends = true;
    const log = await connect();
    const sizes = [1000, 200_000, 5000, 63_000, 100, 40_000, 40_000, 65_524, 65_525, 1, 1];
    const promises = sizes.map((size) => log.append(new Uint8Array(size)));
    let rounds = 0;
    while (server.texts().length < sizes.length && rounds++ < 100) {
      await settleMicrotasks();
      const unanswered = server.connection.unanswered.map(({ body }) => body.length);
      const sum = unanswered.reduce((total, bytes) => total + bytes, 0);
      expect(sum <= 64 * 1024 || unanswered.length === 1).toBe(true);
      server.connection.answerAppends(1);
    }
    await Promise.all(promises);
    expect(server.texts().map((text) => text.length)).toEqual(sizes);
  });

  test('while the window is full, small appends gather in one message', async () => {
    server.hello = { ...server.hello, windowBytes: 64 * 1024 };
    server.holdsAppends = true;
    const log = await connect();
    const promises = [log.append(new Uint8Array(100_000))];
    for (let i = 0; i < 50; i++) {
      promises.push(log.append('small'));
      await Promise.resolve();
    }
    expect(server.appends).toHaveLength(1);
    server.holdsAppends = false;
    server.connection.answerAppends();
    await Promise.all(promises);
    expect(server.appends).toHaveLength(2);
  });

  test('appends beyond the bound in flight wait in order, and ready resolves when there is room', async () => {
    server.holdsAppends = true;
    const log = await connect({ maxInFlightBytes: 64 * 1024 });
    const promises = Array.from({ length: 100 }, (_, i) => log.append(String(i).padStart(3000, '0')));
    expect(log.hasRoom).toBe(false);
    let isReady = false;
    const ready = log.ready().then(() => {
      isReady = true;
    });
    await settleMicrotasks();
    expect(isReady).toBe(false);
    const inFlight = server.appends.reduce((sum, { body }) => sum + body.length, 0);
    expect(inFlight).toBeLessThanOrEqual(64 * 1024);
    server.holdsAppends = false;
    server.connection.answerAppends();
    await ready;
    await Promise.all(promises);
    expect(server.texts().map(Number)).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(log.hasRoom).toBe(true);
  });

  test('beyond the queue an append surely fails, and the others do not notice', async () => {
    server.holdsAppends = true;
    const log = await connect({ maxInFlightBytes: 64 * 1024, maxQueuedBytes: 50_000 });
    const kept = [log.append(new Uint8Array(60_000)), log.append(new Uint8Array(49_000))];
    const error = await failureOf(log.append(new Uint8Array(1000)));
    expect(error.code).toBe('QUEUE_FULL');
    expect(error.outcome).toBe('failed');
    server.holdsAppends = false;
    server.connection.answerAppends();
    await Promise.all(kept);
  });

  test('many rounds of mixed sizes reuse the memory and keep the order', async () => {
    const log = await connect({ maxInFlightBytes: 1024 * 1024 });
    const sizes: number[] = [];
    let seed = 7;
    for (let i = 0; i < 2000; i++) {
      seed = (seed * 1103515245 + 12345) & 0x7fffffff;
      sizes.push(seed % 50 === 0 ? (seed >> 8) % 600_000 : (seed >> 8) % 3000);
    }
    const promises: Promise<unknown>[] = [];
    for (const size of sizes) {
      promises.push(log.append(new Uint8Array(size)));
      if (!log.hasRoom) await log.ready();
    }
    await Promise.all(promises);
    expect(server.texts().map((text) => text.length)).toEqual(sizes);
  });
});

describe('abort', () => {
  test('before anything is sent the entry is taken back, and its neighbours are not', async () => {
    const log = await connect();
    const controller = new AbortController();
    const promises = [log.append('a'), log.append('bbb', { signal: controller.signal }), log.append('c')];
    controller.abort();
    const error = await failureOf(promises[1] ?? Promise.resolve());
    expect(error.code).toBe('ABORTED');
    expect(error.outcome).toBe('failed');
    await Promise.all([promises[0], promises[2]]);
    expect(server.texts()).toEqual(['a', 'c']);
  });

  test('an append alone in its message, a batch and a waiting append are taken back as well', async () => {
    server.holdsAppends = true;
    const log = await connect({ maxInFlightBytes: 64 * 1024 });
    const controller = new AbortController();
    const { signal } = controller;
    const first = log.append(new Uint8Array(10_000));
    const given = [
      log.append('x', { signal, expectedEnd: 0 }),
      log.appendBatch(['y', 'z'], { signal }),
      log.append(new Uint8Array(60_000), { signal }),
    ];
    const last = log.append('last');
    const errors = Promise.all(given.map(failureOf));
    controller.abort();
    expect((await errors).map(({ code, outcome }) => [code, outcome])).toEqual([
      ['ABORTED', 'failed'],
      ['ABORTED', 'failed'],
      ['ABORTED', 'failed'],
    ]);
    server.holdsAppends = false;
    await settleMicrotasks();
    server.connection.answerAppends();
    await Promise.all([first, last]);
    expect(server.texts().map((text) => text.length)).toEqual([10_000, 4]);
  });

  test('after it was sent the outcome is unknown', async () => {
    server.holdsAppends = true;
    const log = await connect();
    const controller = new AbortController();
    const promise = log.append('a', { signal: controller.signal });
    await settleMicrotasks();
    expect(server.appends).toHaveLength(1);
    controller.abort();
    const error = await failureOf(promise);
    expect([error.code, error.outcome]).toEqual(['ABORTED', 'unknown']);
  });

  test('one signal serves many appends, and keeps no listener afterwards', async () => {
    const warnings: Error[] = [];
    const onWarning = (warning: Error): unknown => warnings.push(warning);
    process.on('warning', onWarning);
    const log = await connect();
    const { signal } = new AbortController();
    await Promise.all(Array.from({ length: 100 }, () => log.append('a', { signal })));
    await settleMicrotasks();
    process.off('warning', onWarning);
    expect(warnings).toEqual([]);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  test('a signal that is aborted already sends nothing', async () => {
    const log = await connect();
    const error = await failureOf(log.append('a', { signal: AbortSignal.abort() }));
    expect([error.code, error.outcome]).toEqual(['ABORTED', 'failed']);
    expect(server.requests).toHaveLength(0);
  });
});

describe('loss of the connection', () => {
  test('what was sent fails with an unknown outcome, what was not is sent on the next connection', async () => {
    server.hello = { ...server.hello, windowBytes: 64 * 1024 };
    server.holdsAppends = true;
    const log = await connect();
    const sent = failureOf(log.append(new Uint8Array(70_000)));
    await settleMicrotasks();
    const unsent = [log.append('b'), log.append('c')];
    await settleMicrotasks();
    expect(server.appends).toHaveLength(1);
    server.holdsAppends = false;
    server.connection.kill();
    const error = await sent;
    expect([error.code, error.outcome, error.retryable]).toEqual(['CONNECTION_LOST', 'unknown', true]);
    await Promise.all(unsent);
    expect(server.texts()).toEqual(['b', 'c']);
    expect(server.connections).toHaveLength(2);
  });

  test('after a fatal error the refused append failed, earlier ones are unknown, and later ones are sent again', async () => {
    server.holdsAppends = true;
    const log = await connect();
    const outcomes: Promise<LogError>[] = [];
    for (const text of ['a', 'b']) {
      outcomes.push(failureOf(log.append(text)));
      await settleMicrotasks();
    }
    const third = log.append('c');
    await settleMicrotasks();
    server.holdsAppends = false;
    const refused = server.appends[1]?.requestId ?? 0;
    server.connection.error(refused, 'WINDOW_EXCEEDED', 0, 'too much', ERROR_FATAL);
    const errors = await Promise.all(outcomes);
    expect(errors.map(({ code, outcome }) => [code, outcome])).toEqual([
      ['CONNECTION_LOST', 'unknown'],
      ['WINDOW_EXCEEDED', 'failed'],
    ]);
    await third;
    await log.append('d');
    expect(server.texts()).toEqual(['c', 'd']);
  });

  test('a receipt that cannot be true breaks the connection instead of being believed', async () => {
    const log = await connect();
    server.onRequest = (request, connection) => {
      server.onRequest = undefined;
      connection.unanswered.push({ ...request, body: request.body.slice(0, -1), view: request.body.slice(0, -1) });
      return true;
    };
    const promise = failureOf(log.append('abc'));
    await settleMicrotasks();
    server.order = () => server.add('ab');
    server.connection.answerAppends();
    const error = await promise;
    expect([error.code, error.outcome]).toEqual(['CONNECTION_LOST', 'unknown']);
  });

  test('a node that no longer leads is left once its last answer came, and what it refused goes to the leader', async () => {
    const log = await connect();
    server.greetings.set('ws://fake', { role: 'follower', leader: 'ws://leader' });
    server.onRequest = (request, connection) => {
      if (connection.url === 'ws://leader') return false;
      connection.error(request.requestId, 'NOT_LEADER', 0, 'this node follows ws://leader');
      return true;
    };
    await Promise.all([log.append('a'), log.append('b')]);
    expect(server.texts()).toEqual(['a', 'b']);
    expect(log.hello.role).toBe('leader');
    expect(server.dialed).toEqual(['ws://fake', 'ws://fake', 'ws://leader']);
  });
});

describe('close', () => {
  test('close sends what is buffered, waits for the answers, and is idempotent', async () => {
    server.holdsAppends = true;
    const log = await connect();
    const promise = log.append('a');
    let isClosed = false;
    const closing = log.close().then(() => {
      isClosed = true;
    });
    await settleMicrotasks();
    expect(server.appends).toHaveLength(1);
    expect(isClosed).toBe(false);
    server.connection.answerAppends();
    await promise;
    await closing;
    await log.close();
    expect(server.connection.isOpen).toBe(false);
  });

  test('after close everything rejects as CLOSED', async () => {
    const log = await connect();
    await log.close();
    const errors = await Promise.all([
      failureOf(log.append('a')),
      failureOf(log.append(new Uint8Array(1))),
      failureOf(log.appendBatch(['a'])),
      failureOf(log.end()),
      failureOf(log.read()[Symbol.asyncIterator]().next()),
      failureOf(log.subscribe().batches().next()),
    ]);
    expect(errors.map(({ code, outcome }) => [code, outcome])).toEqual(Array.from({ length: 6 }, () => ['CLOSED', 'failed']));
  });
});
