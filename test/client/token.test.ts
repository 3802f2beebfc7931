// What a client shows to nodes that ask, and what it makes of their answers.

import { expect, onTestFinished, test } from 'vitest';
import { LogServer } from '../../dist/src/server/server.js';
import { checkUrls } from '../../src/client/checks.ts';
import { LogClient } from '../../src/client/client.ts';
import { type ConnectOptions, connect } from '../../src/client/index.ts';
import { NODE } from '../../src/client/nodes/transport.node.ts';
import { encodeToken, NO_QUOTAS, SCOPES, TOKEN_RANDOM_BYTES, tokenIdOf } from '../../src/core/access.ts';
import { configure } from '../../src/core/config.ts';
import { secretHash } from '../../src/node/sameSecret.ts';
import { openDoor } from '../contract/tokenDoor.ts';
import { eventually, makeDirectory } from '../server/support/fixture.ts';
import { failureOf } from './support/failure.ts';

async function open(url: string | readonly string[], options: ConnectOptions): Promise<LogClient> {
  const log = await connect(url, options);
  onTestFinished(() => log.close({ timeoutMs: 0 }));
  return log;
}

const first = (reading: AsyncIterable<unknown>): Promise<unknown> => reading[Symbol.asyncIterator]().next();

test('a token lets a client in; none, or one that does not hold, is an error at once', async () => {
  const { server, tokens } = await openDoor();
  const token = tokens.make();
  const log = await open(server.url, { token });
  await log.append('a');
  const gone = tokens.make();
  tokens.revoke(gone);
  const expired = tokens.make({ expiresMs: 1 });
  // It would be tried for 30 s, also beside a node that is down.
  const dead = 'ws://127.0.0.1:1';
  for (const [options, code] of [
    [{}, 'UNAUTHENTICATED'],
    [{ token: 'x' }, 'UNAUTHENTICATED'],
    [{ token: gone }, 'UNAUTHENTICATED'],
    [{ token: expired }, 'TOKEN_EXPIRED'],
    [{ token: () => 'with spaces' }, 'UNAUTHENTICATED'],
  ] as const) {
    const startedMs = performance.now();
    const error = await failureOf(connect([server.url, dead], options));
    expect([options, error.code, error.retryable]).toEqual([options, code, false]);
    expect(error.message).not.toContain('loglog_');
    expect(performance.now() - startedMs).toBeLessThan(15_000);
  }
  expect((await failureOf(connect(server.url))).message).toContain('--token-file');
  for (const bad of [7, '', 'a b', 'x'.repeat(300)]) {
    await expect(connect(server.url, { token: bad as string })).rejects.toThrow(TypeError);
  }
});

test('where the header is lost on the way the first message shows it', async () => {
  const { server, tokens } = await openDoor();
  const platform = { ...NODE, open: (url: string, events: Parameters<typeof NODE.open>[1]) => NODE.open(url, events) };
  const log = await LogClient.connect(platform, checkUrls(server.url), { token: tokens.make() });
  onTestFinished(() => log.close({ timeoutMs: 0 }));
  await log.append('a');
  const error = await failureOf(LogClient.connect(platform, checkUrls(server.url), { token: `${tokens.make().slice(0, -1)}-` }));
  expect(error.code).toBe('UNAUTHENTICATED');
});

test('what the token does not allow is refused by the name of the scope that it lacks', async () => {
  const { server, tokens } = await openDoor();
  const reader = await open(server.url, { token: tokens.make({ scopes: SCOPES.read }) });
  const writer = await open(server.url, { token: tokens.make({ scopes: SCOPES.append }) });
  await writer.append('a');
  for (const [wrong, scope] of [
    [() => reader.append('x'), 'append'],
    [() => writer.end(), 'read'],
    [() => first(writer.read()), 'read'],
    [() => writer.trim({ to: 0 }), 'trim'],
    [() => reader.setRetention({ bytes: null }), 'trim'],
    [() => reader.finalizeUpgrade(), 'admin'],
  ] as const) {
    const error = await failureOf(wrong());
    expect([error.code, error.details.scope, error.outcome]).toEqual(['FORBIDDEN', scope, 'failed']);
  }
  const read: string[] = [];
  for await (const { payload } of reader.read()) read.push(Buffer.from(payload).toString());
  expect(read).toEqual(['a']);
});

test('a function is asked anew for each connection, so a token is changed under a client that goes on', async () => {
  const { server, tokens } = await openDoor();
  let token = tokens.make();
  let asked = 0;
  const log = await open(server.url, {
    token: async () => {
      asked += 1;
      return token;
    },
  });
  const seen: string[] = [];
  const following = (async () => {
    for await (const { payload } of log.subscribe()) {
      seen.push(Buffer.from(payload).toString());
      if (seen.includes('last')) break;
    }
  })();
  await log.append('first');
  const old = token;
  token = tokens.make();
  tokens.revoke(old);
  await eventually(() => asked > 1, 'it was asked again');
  await log.append('last');
  await following;
  expect(seen).toEqual(['first', 'last']);
});

test('a client whose token is revoked, and that has no other, says so', async () => {
  const { server, tokens } = await openDoor();
  const token = tokens.make();
  const log = await open(server.url, { token });
  const reading = log.subscribe();
  const entries = reading[Symbol.asyncIterator]();
  const waiting = entries.next().then(() => entries.next());
  await log.append('first');
  tokens.revoke(token);
  expect((await failureOf(waiting)).code).toBe('TOKEN_REVOKED');
  expect((await failureOf(log.append('x'))).code).toBe('TOKEN_REVOKED');
  expect((await failureOf(log.end())).code).toBe('TOKEN_REVOKED');
});

test('who revokes its own token hears that it is done, and only then that it is over', async () => {
  const config = configure({ data: makeDirectory(), port: 0, slots: 3, segmentBytes: 1 << 20, fsync: 'off', tokens: 'on' });
  const silent = (): void => undefined;
  const server = await LogServer.start({ config, log: { info: silent, warn: silent, error: silent } });
  onTestFinished(async () => void (await server.stop()));
  const token = encodeToken(new Uint8Array(TOKEN_RANDOM_BYTES).fill(7));
  const id = tokenIdOf(token) ?? '';
  const hash = secretHash(token).toString('hex');
  const record = { id, hash, name: 'own', scopes: SCOPES.admin, createdMs: 1, expiresMs: 0, quotas: NO_QUOTAS };
  await server.engine.access.request({ what: 'put', record, isRequest: false });
  const log = await open(server.url, { token });
  await log.append('a');
  expect(await log.revokeToken(token)).toBe(true);
  await eventually(async () => (await failureOf(log.end())).code === 'TOKEN_REVOKED', 'the token holds no more');
  expect((await failureOf(connect(server.url, { token }))).code).toBe('UNAUTHENTICATED');
});
