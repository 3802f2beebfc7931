// What the client counts is nothing once everything is settled, however it was: the assertions in src/client/append and src/client/writer
// look at each count where it changes, in production too.

import { describe, expect, test } from 'vitest';
import { Room } from '../../src/client/append/room.ts';
import { FakeServer, settleMicrotasks } from './support/fakeServer.ts';

const IDLE = { inFlightAppendCount: 0, inFlightBytes: 0, queuedAppendCount: 0, queuedBytes: 0 };

/** Numbers in [0, below), the same ones at each run. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

describe('an idle client holds nothing', () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8])('after appends that were answered, given up, too many, and lost: %i', async (seed) => {
    const random = numbers(seed);
    const server = new FakeServer();
    const log = await server.connect({ maxInFlightBytes: 64 * 1024, maxQueuedBytes: 256 * 1024 });
    const calls: Promise<unknown>[] = [];
    const aborts: AbortController[] = [];
    server.holdsAppends = true;
    for (let round = 0; round < 12; round++) {
      for (let i = random(20); i >= 0; i--) {
        const payload = new Uint8Array(random(4) === 0 ? random(60_000) : random(100));
        const controller = new AbortController();
        aborts.push(controller);
        const kind = random(4);
        if (kind === 0) calls.push(log.append(payload));
        else if (kind === 1) calls.push(log.append(payload, { signal: controller.signal }));
        else if (kind === 2) calls.push(log.appendBatch([payload, 'and another'], { signal: controller.signal }));
        else calls.push(log.append(payload, { ack: 'received', signal: controller.signal }));
        calls.at(-1)?.catch(() => {});
        // Given up while it is in the open message, sealed or waiting, or later when it may be sent.
        if (random(5) === 0) aborts[random(aborts.length)]?.abort();
      }
      if (random(2) === 0) await settleMicrotasks();
      if (random(3) === 0) aborts[random(aborts.length)]?.abort();
      if (random(3) === 0) server.connection.answerAppends();
      await settleMicrotasks();
    }
    server.holdsAppends = false;
    server.connection.answerAppends();
    const ended = await Promise.allSettled(calls);
    expect(new Set(ended.map(({ status }) => status))).toEqual(new Set(['fulfilled', 'rejected']));
    await settleMicrotasks();
    expect(log.stats()).toMatchObject(IDLE);
    await log.close();
    expect(log.stats()).toMatchObject(IDLE);
  });

  test('when it was closed while a server hangs', async () => {
    const server = new FakeServer();
    const log = await server.connect({ maxInFlightBytes: 64 * 1024 });
    server.holdsAppends = true;
    const writer = log.writer({ expectedEnd: 0 });
    const calls = [log.append('a'), log.append(new Uint8Array(60_000)), log.append(new Uint8Array(60_000)), writer.append('b')];
    const ended = Promise.allSettled(calls);
    await settleMicrotasks();
    await log.close({ timeoutMs: 0 });
    expect((await ended).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected', 'rejected']);
    expect(log.stats()).toMatchObject(IDLE);
  });
});

test('a count that drifts is noticed where it does', () => {
  const room = new Room(1000);
  room.hold(100, 2);
  expect(() => room.release(101, 1)).toThrow('no more is released than was held');
  const other = new Room(1000);
  other.hold(100, 2);
  expect(() => other.release(100, 1)).toThrow('bytes in flight belong to callers, and callers to bytes');
});
