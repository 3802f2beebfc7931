// The last entries of a log, which the client finds from the end backwards.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { LogClient } from '../../src/client/client.ts';
import { MAX_LAST_ENTRIES } from '../../src/core/clientLimits.ts';
import { CANCEL, SUBSCRIBE } from '../../src/protocol/client.ts';
import { eventually } from '../server/support/fixture.ts';
import { failureOf } from './support/failure.ts';
import { FakeServer } from './support/fakeServer.ts';
import { textsOf } from './support/texts.ts';

const CONTROL = 1;
const MIB = 1024 * 1024;

let server: FakeServer;
let log: LogClient;

beforeEach(async () => {
  server = new FakeServer();
  log = await server.connect();
});

afterEach(() => log.close());

function subscribed(): number {
  return server.requests.filter(({ opcode }) => opcode === SUBSCRIBE).length;
}

/** Entries of many sizes, with control entries between them. Returns where each data entry begins. */
function fill(count: number, maxBytes: number): number[] {
  const offsets: number[] = [];
  for (let i = 0; i < count; i++) {
    if (i % 7 === 3) server.add('control', 1, CONTROL);
    offsets.push(server.end);
    server.add(new Uint8Array((i * 7919) % maxBytes));
  }
  return offsets;
}

async function offsetsOf(last: number): Promise<number[]> {
  const offsets: number[] = [];
  for await (const { offset } of log.read({ last })) offsets.push(offset);
  return offsets;
}

describe('the last entries', () => {
  test('are as many as were asked for, whatever their sizes, and all where there are fewer', async () => {
    const offsets = fill(400, 3000);
    for (const last of [1, 2, 3, 7, 40, 63, 64, 199, 399, 400, 401, MAX_LAST_ENTRIES]) {
      expect(await offsetsOf(last)).toEqual(offsets.slice(-last));
    }
  });

  test('are found in few requests, each with little credit', async () => {
    fill(4000, 3000);
    const found = await offsetsOf(1000);
    expect(found).toHaveLength(1000);
    // Ranges of 64, 128, … KiB, each of them asked for twice where it begins inside an entry; and the reading.
    expect(subscribed()).toBeLessThanOrEqual(13);
    for (const { opcode, a } of server.requests) if (opcode === SUBSCRIBE) expect(a).toBeLessThanOrEqual(4 * MIB);
  });

  test('are found before many of the log itself, which do not count', async () => {
    server.add('a');
    server.add('b');
    for (let i = 0; i < 12_000; i++) server.add('', 1, CONTROL);
    expect(await textsOf(log.read({ last: 1 }))).toEqual(['b']);
    expect(await textsOf(log.read({ last: 9 }))).toEqual(['a', 'b']);
  });

  test('may be the largest there are', async () => {
    const largest = new Uint8Array(16_777_215);
    for (const payload of ['a', largest, 'b', largest, 'c']) server.add(payload);
    const sizes: number[] = [];
    for await (const { payload } of log.read({ last: 4 })) sizes.push(payload.length);
    expect(sizes).toEqual([16_777_215, 1, 16_777_215, 1]);
  });

  test('are looked for no more when nobody wants them any more', async () => {
    fill(400, 3000);
    // It finds no answer to the first range.
    server.onRequest = ({ opcode }) => opcode === SUBSCRIBE;
    const entries = log.read({ last: 10 })[Symbol.asyncIterator]();
    const first = entries.next();
    await eventually(() => subscribed() === 1, 'they are looked for');
    await entries.return?.();
    expect(await first).toMatchObject({ done: true });
    await eventually(() => server.requests.filter(({ opcode }) => opcode === CANCEL).length === 1, 'the range is cancelled');
  });

  test('of a log without entries are none', async () => {
    expect(await offsetsOf(3)).toEqual([]);
    server.add('', 1, CONTROL);
    expect(await offsetsOf(3)).toEqual([]);
  });

  test('are counted from the end that the log had when the reading began, whatever comes meanwhile', async () => {
    for (let i = 0; i < 10; i++) server.add(String(i));
    server.onRequest = ({ opcode }) => {
      if (opcode === SUBSCRIBE) server.add('later');
      return false;
    };
    expect(await textsOf(log.read({ last: 3 }))).toEqual(['7', '8', '9']);
  });

  test('come first in a subscription, which goes on with what comes', async () => {
    for (let i = 0; i < 10; i++) server.add(String(i));
    const texts: string[] = [];
    for await (const { payload } of log.subscribe({ last: 2 })) {
      texts.push(Buffer.from(payload).toString());
      if (texts.length === 2) {
        server.add('later');
        server.connection.push();
      }
      if (texts.length === 3) break;
    }
    expect(texts).toEqual(['8', '9', 'later']);
    expect(server.connection.subscriptions.size).toBe(0);
  });

  test('are found anew by each iteration', async () => {
    server.add('a');
    const reading = log.read({ last: 1 });
    expect(await textsOf(reading)).toEqual(['a']);
    server.add('b');
    expect(await textsOf(reading)).toEqual(['b']);
  });

  test('do not go before the start, also where it moves while they are looked for', async () => {
    const offsets = fill(100, 3000);
    server.start = offsets[90] ?? 0;
    expect(await offsetsOf(20)).toEqual(offsets.slice(90));
    server.onRequest = ({ opcode }) => {
      if (opcode === SUBSCRIBE) server.start = offsets[95] ?? 0;
      return false;
    };
    expect(await offsetsOf(20)).toEqual(offsets.slice(95));
  });
});

describe('a search for the last entries', () => {
  test('goes on after a lost connection', async () => {
    const offsets = fill(400, 3000);
    let kills = 3;
    server.onRequest = ({ opcode }, connection) => {
      if (opcode !== SUBSCRIBE || kills-- <= 0) return false;
      connection.kill();
      return true;
    };
    expect(await offsetsOf(300)).toEqual(offsets.slice(-300));
    expect(kills).toBeLessThanOrEqual(0);
  });

  test.each(['signal', 'return', 'close'] as const)('ends by %s, and leaves nothing at the server', async (how) => {
    fill(400, 3000);
    const stop = new AbortController();
    const stream = log.subscribe({ last: 300, signal: stop.signal }).batches();
    let isReached = (): void => {};
    const reached = new Promise<void>((resolve) => {
      isReached = resolve;
    });
    // Nothing comes: the search waits.
    server.onRequest = ({ opcode }) => {
      if (opcode === SUBSCRIBE) queueMicrotask(isReached);
      return opcode === SUBSCRIBE;
    };
    const next = stream.next();
    const outcome = how === 'return' ? next : failureOf(next);
    await reached;
    if (how === 'signal') stop.abort();
    else if (how === 'return') await stream.return?.();
    else await log.close();
    if (how === 'return') expect(await outcome).toEqual({ done: true, value: undefined });
    else expect(await outcome).toMatchObject({ code: how === 'signal' ? 'ABORTED' : 'CLOSED' });
    expect(server.connection.subscriptions.size).toBe(0);
  });

  test('that meets damage, or a beginning that cannot be, ends with what it met', async () => {
    fill(400, 3000);
    server.onData = (message) => {
      message[message.length - 5] = ~(message[message.length - 5] ?? 0);
      return message;
    };
    expect(await failureOf(offsetsOf(10))).toMatchObject({ code: 'DAMAGED' });
    server.onData = undefined;
    server.onRequest = ({ opcode, requestId, offset }, connection) => {
      if (opcode === SUBSCRIBE) connection.error(requestId, 'OFFSET_NOT_BOUNDARY', offset + 1, 'a lie');
      return opcode === SUBSCRIBE;
    };
    expect(await failureOf(offsetsOf(10))).toMatchObject({ code: 'OFFSET_NOT_BOUNDARY' });
  });
});

test('last is a whole number within its range, and stands alone', () => {
  for (const last of [0, -1, 1.5, Number.NaN, MAX_LAST_ENTRIES + 1]) {
    expect(() => log.read({ last })).toThrow(/^last must be a whole number from 1 to 1000000/);
    expect(() => log.subscribe({ last })).toThrow(RangeError);
  }
  expect(() => log.read({ last: '10' as unknown as number })).toThrow(/^last must be a number/);
  expect(() => log.read({ last: 1, from: 0 })).toThrow(/^last and from exclude each other.*leave one out$/);
  expect(() => log.read({ last: 1, limit: 1 })).toThrow(/^last and limit exclude each other/);
  expect(() => log.subscribe({ last: 1, from: 'start' })).toThrow(TypeError);
});
