import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { LogClient } from '../../src/client/client.ts';
import type { ConnectOptions } from '../../src/client/options.ts';
import { CANCEL, CREDIT, END, READ, SUBSCRIBE } from '../../src/protocol/client.ts';
import { failureOf } from './support/failure.ts';
import { FakeServer, settleMicrotasks } from './support/fakeServer.ts';
import { textsOf } from './support/texts.ts';

const decoder = new TextDecoder();

let server: FakeServer;
let clients: LogClient[];

beforeEach(() => {
  server = new FakeServer();
  clients = [];
});

afterEach(async () => {
  await Promise.all(clients.map((client) => client.close()));
});

async function connect(options?: ConnectOptions): Promise<LogClient> {
  const client = await server.connect(options);
  clients.push(client);
  return client;
}

function sent(opcode: number): number {
  return server.requests.filter((request) => request.opcode === opcode).length;
}

describe('read', () => {
  test('a read yields what is committed when it begins, skips entries of the log itself, and ends', async () => {
    server.add('', 1, 1);
    server.add('a');
    server.add('b', 2);
    const log = await connect();
    const entries: unknown[] = [];
    for await (const entry of log.read()) entries.push({ ...entry, payload: decoder.decode(entry.payload) });
    expect(entries).toEqual([
      { offset: 12, nextOffset: 25, term: 1, payload: 'a' },
      { offset: 25, nextOffset: 38, term: 2, payload: 'b' },
    ]);
  });

  test('an empty log, and a read from its end, yield nothing', async () => {
    const log = await connect();
    expect(await textsOf(log.read())).toEqual([]);
    server.add('a');
    expect(await textsOf(log.read({ from: 'end' }))).toEqual([]);
    expect(await textsOf(log.read({ from: 13 }))).toEqual([]);
    expect(sent(SUBSCRIBE) + sent(READ)).toBe(0);
  });

  test('what comes after a read began is not part of it', async () => {
    for (let i = 0; i < 10; i++) server.add(String(i));
    server.chunkBytes = 30;
    const log = await connect();
    const texts: string[] = [];
    for await (const { payload } of log.read()) {
      texts.push(decoder.decode(payload));
      server.add('later');
      server.connection.push();
    }
    expect(texts).toEqual(['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
  });

  test('limit counts entries, in entries and in batches', async () => {
    for (let i = 0; i < 10; i++) {
      server.add('', 1, 1);
      server.add(String(i));
    }
    const log = await connect();
    expect(await textsOf(log.read({ limit: 3 }))).toEqual(['0', '1', '2']);
    let nextOffset = 0;
    let count = 0;
    for await (const batch of log.read({ limit: 4 }).batches()) {
      ({ nextOffset } = batch);
      count += batch.entryCount;
      expect([...batch].length).toBe(batch.entryCount);
    }
    expect([count, nextOffset]).toEqual([4, 100]);
    expect(server.connection.subscriptions.size).toBe(0);
  });

  test('batches hold the log bytes as they are', async () => {
    for (let i = 0; i < 100; i++) server.add(`entry ${i}`);
    server.chunkBytes = 200;
    const log = await connect();
    const parts: Uint8Array[] = [];
    let next = 0;
    for await (const batch of log.read().batches()) {
      expect(batch.offset).toBe(next);
      expect(batch.commit).toBe(server.end);
      next = batch.nextOffset;
      parts.push(batch.bytes);
    }
    expect(Buffer.concat(parts).equals(server.wholeEntries(0, 1e9))).toBe(true);
  });

  test('the largest entry is read although it is larger than the credit', async () => {
    server.add('before');
    server.add(new Uint8Array(16_777_215).fill(9));
    server.add('after');
    const log = await connect();
    const sizes: number[] = [];
    for await (const { payload } of log.read({ limit: 3 })) sizes.push(payload.length);
    expect(sizes).toEqual([6, 16_777_215, 5]);
  });

  test('one reading can be iterated again', async () => {
    server.add('a');
    const log = await connect();
    const reading = log.read();
    expect([await textsOf(reading), await textsOf(reading)]).toEqual([['a'], ['a']]);
  });

  test('from beyond the end is an error that tells the end', async () => {
    server.add('a');
    const log = await connect();
    const error = await failureOf(textsOf(log.read({ from: 14 })));
    expect([error.code, error.details]).toEqual(['OFFSET_BEYOND_END', { offset: 14, end: 13 }]);
  });

  test('an error of the server is thrown by the iteration', async () => {
    server.add('a');
    server.onRequest = (request, connection) => {
      if (request.opcode !== SUBSCRIBE) return false;
      connection.error(request.requestId, 'OFFSET_TRIMMED', 7, 'trimmed');
      return true;
    };
    const log = await connect();
    const error = await failureOf(textsOf(log.subscribe({ from: 3 })));
    expect([error.code, error.details.start]).toEqual(['OFFSET_TRIMMED', 7]);
  });
});

describe('subscribe', () => {
  test('a subscription passes from what is there to what comes', async () => {
    server.add('a');
    const log = await connect();
    const texts = textsOf(log.subscribe(), 3);
    await settleMicrotasks();
    await log.append('b');
    await log.append('c');
    expect(await texts).toEqual(['a', 'b', 'c']);
    await settleMicrotasks();
    expect(server.connection.subscriptions.size).toBe(0);
    expect(sent(CANCEL)).toBe(1);
  });

  test('from end begins at the commit', async () => {
    server.add('a');
    const log = await connect();
    const texts = textsOf(log.subscribe({ from: 'end' }), 1);
    await settleMicrotasks();
    await log.append('b');
    expect(await texts).toEqual(['b']);
  });

  test('a consumer that does not read is sent no more than its credit', async () => {
    for (let i = 0; i < 1000; i++) server.add(new Uint8Array(100));
    server.chunkBytes = 1000;
    const log = await connect();
    const batches = log.subscribe({ creditBytes: 8192 }).batches();
    await batches.next();
    await settleMicrotasks();
    const [subscription] = server.connection.subscriptions.values();
    expect(subscription?.next).toBeLessThan(8192 + 1000 + 112);
    let bytes = 0;
    while (bytes < 100_000) bytes += (await batches.next()).value?.bytes.length ?? 0;
    expect(sent(CREDIT)).toBeGreaterThan(5);
    expect(sent(CREDIT)).toBeLessThan(50);
    await batches.return?.();
  });

  test('return ends a subscription whose next still waits', async () => {
    const log = await connect();
    const iterator = log.subscribe()[Symbol.asyncIterator]();
    const next = iterator.next();
    await settleMicrotasks();
    await iterator.return?.();
    expect(await next).toEqual({ done: true, value: undefined });
    expect(server.connection.subscriptions.size).toBe(0);
  });

  test('concurrent calls of next are served in order', async () => {
    for (const text of ['a', 'b', 'c']) server.add(text);
    server.chunkBytes = 26;
    const log = await connect();
    const iterator = log.read()[Symbol.asyncIterator]();
    const results = await Promise.all([iterator.next(), iterator.next(), iterator.next(), iterator.next()]);
    expect(results.map(({ value }) => value && decoder.decode(value.payload))).toEqual(['a', 'b', 'c', undefined]);
  });

  test('a signal ends it with ABORTED and frees the server side', async () => {
    const log = await connect();
    const controller = new AbortController();
    const failure = failureOf(textsOf(log.subscribe({ signal: controller.signal })));
    await settleMicrotasks();
    expect(server.connection.subscriptions.size).toBe(1);
    controller.abort();
    expect((await failure).code).toBe('ABORTED');
    expect(server.connection.subscriptions.size).toBe(0);
  });

  test('throwing out of the loop frees the server side', async () => {
    server.add('a');
    const log = await connect();
    const loop = async (): Promise<void> => {
      for await (const entry of log.subscribe()) throw new Error(`at ${entry.offset}`);
    };
    await expect(loop()).rejects.toThrow('at 0');
    expect(server.connection.subscriptions.size).toBe(0);
  });

  test('after a lost connection it resumes without gap or repeat', async () => {
    for (let i = 0; i < 200; i++) server.add(String(i).padStart(100, '0'));
    server.chunkBytes = 500;
    const log = await connect();
    const texts: string[] = [];
    for await (const { payload } of log.subscribe({ creditBytes: 4096 })) {
      texts.push(decoder.decode(payload));
      if (texts.length % 20 === 0) server.connection.kill();
      if (texts.length === 200) break;
    }
    expect(texts.map(Number)).toEqual(Array.from({ length: 200 }, (_, i) => i));
    expect(server.connections.length).toBeGreaterThan(3);
  });

  test('close ends an open subscription with CLOSED', async () => {
    const log = await connect();
    const failure = failureOf(textsOf(log.subscribe()));
    await settleMicrotasks();
    await log.close();
    expect((await failure).code).toBe('CLOSED');
  });

  test('await using ends the iteration that began last, which is iterated by hand', async () => {
    server.add('a');
    const log = await connect();
    let entries: AsyncIterator<unknown> | undefined;
    {
      await using reading = log.subscribe({ from: 0 });
      entries = reading[Symbol.asyncIterator]();
      await entries.next();
    }
    expect(await entries.next()).toEqual({ done: true, value: undefined });
    expect(sent(CANCEL)).toBe(1);
  });
});

describe('verification', () => {
  test('a damaged byte stops the iteration before its batch, with the offset of its entry', async () => {
    for (const text of ['good', 'good', 'damaged', 'good']) server.add(text);
    server.onData = (message) => {
      message[24 + 2 * 16 + 10] = (message[24 + 2 * 16 + 10] ?? 0) ^ 4;
      return message;
    };
    const log = await connect();
    const error = await failureOf(textsOf(log.read()));
    expect([error.code, error.details.offset]).toEqual(['DAMAGED', 32]);
    expect(sent(CANCEL)).toBe(1);
  });

  test('every byte of an entry is covered', async () => {
    server.add('payload');
    const log = await connect();
    for (let at = 0; at < server.end; at++) {
      server.onData = (message) => {
        message[24 + at] = (message[24 + at] ?? 0) ^ 1;
        return message;
      };
      expect((await failureOf(textsOf(log.read()))).code).toBe('DAMAGED');
    }
  });

  test('entries that are valid elsewhere in the log are refused here', async () => {
    server.add('a');
    server.add('b');
    const log = await connect();
    server.onData = (message) => {
      message.copyWithin(24, 24 + 13, 24 + 26);
      return message;
    };
    expect((await failureOf(textsOf(log.read()))).code).toBe('DAMAGED');
  });

  test('a gap between messages is refused', async () => {
    for (let i = 0; i < 10; i++) server.add('x');
    server.chunkBytes = 26;
    const log = await connect();
    let messages = 0;
    server.onData = (message) => {
      messages += 1;
      if (messages === 3) new DataView(message.buffer).setUint32(8, 65, true);
      return message;
    };
    const texts: string[] = [];
    const error = await failureOf(
      (async () => {
        for await (const { payload } of log.read()) texts.push(decoder.decode(payload));
      })(),
    );
    expect(error.code).toBe('PROTOCOL');
    expect(texts).toHaveLength(4);
  });

  test('a term that falls is refused', async () => {
    server.add('a', 5);
    server.add('b', 4);
    server.chunkBytes = 1;
    const log = await connect();
    expect((await failureOf(textsOf(log.read()))).code).toBe('DAMAGED');
  });
});

test('control entries are verified and skipped, known or not, also where one heads a batch', async () => {
  const kinds = [1, 5, 63, 8 | 0x80, 0x80, 2 | 0x80, 0];
  for (const [i, kind] of kinds.entries()) server.add(`payload ${i}`, 1, kind);
  for (const chunkBytes of [1, 30, 65_536]) {
    server.chunkBytes = chunkBytes;
    const log = await connect();
    const reading = log.read();
    expect(await textsOf(reading)).toEqual(['payload 4', 'payload 6']);
    expect(reading.position).toBe(7 * 21);
  }
});

describe('position', () => {
  const NOOP = 1;

  test('of a log that has no data it is the end, and an append there is done, as at 0', async () => {
    server.add('', 1, NOOP);
    server.add('', 2, NOOP);
    server.hello = { ...server.hello, term: 2 };
    const log = await connect();
    const reading = log.read();
    expect(reading.position).toBe(0);
    expect(await textsOf(reading)).toEqual([]);
    expect(reading.position).toBe(24);
    expect((await log.append('a', { expectedEnd: reading.position })).offset).toBe(24);
    expect((await failureOf(log.append('b', { expectedEnd: reading.position }))).code).toBe('CONDITION_FAILED');
  });

  test('moves with the entries that were handed out, never past one that was not, and over the log’s own', async () => {
    server.add('', 1, NOOP);
    server.add('a');
    server.add('', 2, NOOP);
    server.add('b', 2);
    server.add('', 3, NOOP);
    const log = await connect();
    const reading = log.read();
    const seen: [string, number][] = [];
    for await (const { payload } of reading) seen.push([decoder.decode(payload), reading.position]);
    expect(seen).toEqual([
      ['a', 37],
      ['b', 62],
    ]);
    expect(reading.position).toBe(62);
    const limited = log.read({ limit: 1 });
    expect(await textsOf(limited)).toEqual(['a']);
    expect(limited.position).toBe(25);
    const left = log.read();
    for await (const entry of left) if (entry.offset === 12) break;
    expect(left.position).toBe(37);
    const again = log.read({ from: 37 });
    expect(again.position).toBe(37);
    const batches = again.batches();
    await batches.next();
    expect(again.position).toBe(62);
  });

  test('a subscription that waits on a log without data tells it while it waits, and so does one from the end', async () => {
    const log = await connect();
    const waiting = log.subscribe();
    const ended = textsOf(waiting, 1);
    await settleMicrotasks();
    server.add('', 1, NOOP);
    server.connection.push();
    await settleMicrotasks();
    expect(waiting.position).toBe(12);
    expect((await log.append('a', { expectedEnd: waiting.position })).end).toBe(25);
    expect(await ended).toEqual(['a']);
    const fromEnd = log.subscribe({ from: 'end' });
    const next = textsOf(fromEnd, 1);
    await settleMicrotasks();
    expect(fromEnd.position).toBe(25);
    await log.append('b', { expectedEnd: fromEnd.position });
    expect(await next).toEqual(['b']);
  });
});

describe('end', () => {
  test('end tells the bounds of the log, and is asked again after a lost connection', async () => {
    server.add('a');
    const log = await connect();
    expect(await log.end({ linearizable: true })).toEqual({ start: 0, end: 13, term: 1 });
    expect(server.requests[0]?.flags).toBe(1);
    server.onRequest = (_request, connection) => {
      server.onRequest = undefined;
      connection.kill();
      return true;
    };
    expect(await log.end()).toEqual({ start: 0, end: 13, term: 1 });
    expect(sent(END)).toBe(3);
  });
});
