// Quotas of tokens and addresses: what is above those of requests and bytes is held back, what cannot be held back is refused, or ends the connection.

import { describe, expect, onTestFinished, test } from 'vitest';
import { NO_QUOTAS, type Quotas } from '../../src/core/access.ts';
import { quotasOf } from '../../src/core/quotas.ts';
import { CLOSE_QUOTA, END_AT_LEAST } from '../../src/protocol/client.ts';
import { openDoor, type TokenDoor } from '../contract/tokenDoor.ts';
import { codeOf, RawClient } from './support/rawClient.ts';

async function open(door: TokenDoor, token: string): Promise<RawClient> {
  const client = await RawClient.connect(door.server.url, { headers: { authorization: `Bearer ${token}` } });
  onTestFinished(() => client.terminate());
  return client;
}

const withQuotas = (door: TokenDoor, quotas: Partial<Quotas>): string => door.tokens.make({ quotas: { ...NO_QUOTAS, ...quotas } });

describe.each(['uws', 'ws'] as const)('by %s', (acceptor) => {
  test('each is held against all connections of a token, and of nobody else', async () => {
    // What a token has none of its own of is the option's.
    const door = await openDoor({ acceptor, tokenQuotas: 'connections=2' });
    const token = withQuotas(door, { subscriptions: 3, waits: 2 });
    const [one, two] = [await open(door, token), await open(door, token)];
    const third = open(door, token);
    await expect(third).rejects.toThrow('error, not HELLO');
    const other = await open(door, withQuotas(door, {}));
    for (const client of [one, two]) client.subscribe(0, 1 << 20);
    const last = one.subscribe(0, 1 << 20);
    const over = two.subscribe(0, 1 << 20);
    expect((await two.errorOf(over.requestId)).code).toBe('QUOTA_EXCEEDED');
    await one.cancel(last.requestId);
    const again = two.subscribe(0, 1 << 20);
    await two.append(Buffer.from('x'));
    await again.until(1);
    const { commit } = await two.end();
    const waiting = [one.read(commit, { waitMs: 60_000 }), two.end(END_AT_LEAST, commit + 1, 60_000)];
    await Promise.all([one.end(), two.end()]);
    expect(await codeOf(one.end(END_AT_LEAST, commit + 1, 60_000))).toBe('QUOTA_EXCEEDED');
    // What does not wait is no wait, and others have their own.
    await one.end();
    const free = other.read(commit, { waitMs: 60_000 });
    await other.append(Buffer.from('y'));
    await Promise.all([...waiting, free]);
  });

  test('requests and bytes above them are held back, and done', async () => {
    const door = await openDoor({ acceptor });
    const slow = await open(door, withQuotas(door, { requestsPerSecond: 50 }));
    const thrifty = await open(door, withQuotas(door, { bytesInPerSecond: 200_000 }));
    const reader = await open(door, withQuotas(door, { bytesOutPerSecond: 400_000 }));
    const free = await open(door, withQuotas(door, {}));
    const startedMs = performance.now();
    const tookMs = async (work: Promise<unknown>): Promise<number> => {
      await work;
      return performance.now() - startedMs;
    };
    const slowMs = tookMs(Promise.all(Array.from({ length: 90 }, (_, i) => slow.append(Buffer.from(`s${i}`)))));
    const thriftyMs = tookMs(Promise.all(Array.from({ length: 8 }, () => thrifty.append(Buffer.alloc(50_000)))));
    await Promise.all(Array.from({ length: 500 }, (_, i) => free.append(Buffer.from(`f${i}`))));
    for (let i = 0; i < 4; i++) await free.append(Buffer.alloc(250_000));
    const { commit } = await free.end();
    const freeMs = performance.now() - startedMs;
    const subscription = reader.subscribe(0, 4 << 20);
    const readMs = tookMs(subscription.until(commit)).then((ms) => ms - freeMs);
    expect(await slowMs).toBeGreaterThan(600);
    expect(await thriftyMs).toBeGreaterThan(600);
    expect(await readMs).toBeGreaterThan(700);
  });

  test('whoever sends more than its quota of what has no answer is closed with a code of its own', async () => {
    const door = await openDoor({ acceptor });
    const client = await open(door, withQuotas(door, { requestsPerSecond: 20 }));
    for (let i = 0; i < 100; i++) client.socket.ping();
    expect((await client.closed).code).toBe(CLOSE_QUOTA);
    // One large message is paid for long; a sign of life meanwhile is no such thing.
    const large = await open(door, withQuotas(door, { bytesInPerSecond: 100_000 }));
    await large.append(Buffer.alloc(600_000));
    const answered = new Promise((resolve) => large.socket.once('pong', () => resolve('pong')));
    large.socket.ping();
    expect(await Promise.race([answered, large.closed])).toBe('pong');
    large.socket.ping();
    const again = new Promise((resolve) => large.socket.once('pong', () => resolve('pong')));
    expect(await Promise.race([again, large.closed])).toBe('pong');
  });
});

test('an address has quotas of its own, where it is asked for', async () => {
  const door = await openDoor({ tokens: 'off', addressQuotas: 'connections=1' });
  const first = await RawClient.connect(door.server.url);
  onTestFinished(() => first.terminate());
  await expect(RawClient.connect(door.server.url)).rejects.toThrow('error, not HELLO');
  await first.close();
  const second = await RawClient.connect(door.server.url);
  onTestFinished(() => second.terminate());
});

test.each(['uws', 'ws'] as const)('an address has them over HTTP, too, by %s', async (acceptor) => {
  const door = await openDoor({ acceptor, tokens: 'off', addressQuotas: 'requestsPerSecond=1' });
  const statuses = await Promise.all(Array.from({ length: 10 }, async () => (await fetch(`${door.http}/status`)).status));
  // One at once, and two seconds' worth above it.
  expect(statuses.filter((status) => status === 200).length).toBeLessThan(8);
  expect(new Set(statuses)).toEqual(new Set([200, 503]));
  expect((await fetch(`${door.http}/healthz`)).status).toBe(200);
});

test.each([
  ['connections=3, bytesInPerSecond=64MiB', { ...NO_QUOTAS, connections: 3, bytesInPerSecond: 64 << 20 }],
  ['', NO_QUOTAS],
  ['connections', 'connections takes a whole number, not ""'],
  ['connections=-1', 'connections takes a whole number, not "-1"'],
  ['connections=9999999999', 'connections takes a whole number, not "9999999999"'],
  ['bytes=1', expect.stringContaining('there is no quota "bytes", but connections,')],
])('the text %j', (text, quotas) => {
  expect(quotasOf(text)).toEqual(quotas);
});
