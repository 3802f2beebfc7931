// A cluster whose nodes ask for tokens: as a user's test has it, and what becomes of tokens when nodes die.

import { describe, expect, onTestFinished, test } from 'vitest';
import { connect, LogError } from '../../src/client/index.ts';
import { until } from '../../src/cluster/until.ts';
import { type LogClient, startCluster, type TestNode } from '../../src/testing/index.ts';

const timeout = 240_000;

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    (thrown: unknown) => (thrown instanceof LogError ? thrown.code : String(thrown)),
  );

/** The HTTP status with which a node answers who shows `token`; undefined: none. */
async function answerOf({ url }: TestNode, token: string): Promise<number | undefined> {
  try {
    const address = new URL('/status', url.replace(/^ws/, 'http'));
    return (await fetch(address, { headers: { authorization: `Bearer ${token}` }, signal: AbortSignal.timeout(2_000) })).status;
  } catch {
    return undefined;
  }
}

/** Follows the log by one node alone. Resolves to how that ended, and calls `seen` with each entry. */
async function follow({ url }: TestNode, token: string, seen: (text: string) => void): Promise<string> {
  const log = await connect(url, { token, discover: false });
  onTestFinished(() => log.close({ timeoutMs: 0 }));
  const reading = async (): Promise<void> => {
    for await (const { payload } of log.subscribe()) seen(Buffer.from(payload).toString());
  };
  return codeOf(reading());
}

async function textsOf(log: LogClient): Promise<string[]> {
  const all: string[] = [];
  for await (const { payload } of log.read()) all.push(Buffer.from(payload).toString());
  return all;
}

describe('a cluster with tokens', { timeout }, () => {
  test('is started for a test with one that may do all; who shows none, or too little, is refused', async () => {
    await using cluster = await startCluster({ nodes: 1, tokens: true });
    const admin = await cluster.connect();
    await admin.append('one');
    expect((await admin.tokens()).map(({ name, scopes }) => [name, scopes])).toEqual([['the test', ['admin']]]);
    const { id, token } = await admin.createToken({ name: 'the program', scopes: ['read'] });
    const reader = await cluster.connect({ token });
    expect([await textsOf(reader), await codeOf(reader.append('two'))]).toEqual([['one'], 'FORBIDDEN']);
    expect(await codeOf(connect(cluster.urls))).toBe('UNAUTHENTICATED');
    await admin.revokeToken(id);
    await until('for the end of the token', async () => (await codeOf(reader.end())) === 'TOKEN_REVOKED');
    await cluster.node(1).restart();
    await admin.append('three');
    expect((await cluster.check()).entries).toBe(2);
  });

  test('of a cluster without them there is none; what is no option is refused', async () => {
    await expect(Reflect.apply(startCluster, undefined, [{ tokens: 'on' }])).rejects.toThrow('tokens must be true or false, not string');
    await using cluster = await startCluster({ nodes: 1 });
    expect(() => cluster.adminToken).toThrow('start it with { tokens: true }');
  });

  test('goes on with them when its leader dies: they let in, are made and revoked; without a leader nobody new comes in', async () => {
    await using cluster = await startCluster({ nodes: 3, tokens: true });
    const admin = await cluster.connect();
    const { token, id } = await admin.createToken({ name: 'program', scopes: ['read', 'append', 'metrics'] });
    const other = (await admin.createToken({ name: 'other', scopes: ['read', 'append', 'metrics'] })).token;
    const log = await cluster.connect({ token });
    await log.append('before');
    const first = await cluster.leader();
    await first.kill();
    await log.append('after', { expectedEnd: (await log.end()).end });
    // Who comes now is let in by a node that never saw the token made as a leader; and new ones are made there.
    await (await cluster.connect({ token })).append('by another client');
    const late = (await admin.createToken({ name: 'late', scopes: ['append'] })).token;
    await (await cluster.connect({ token: late })).append('by a new token');
    await first.start();
    await cluster.converged();

    // A revocation after that is in force on every node, one that was dead meanwhile among them, and ends what is there.
    const seen = cluster.nodes.map(() => new Set<string>());
    const following = cluster.nodes.map((node, i) => follow(node, token, (text) => seen[i]?.add(text)));
    await until('for all to follow', () => Promise.resolve(seen.every((texts) => texts.has('by a new token'))));
    await admin.revokeToken(id);
    expect(await Promise.all(following)).toEqual(['TOKEN_REVOKED', 'TOKEN_REVOKED', 'TOKEN_REVOKED']);
    expect(await Promise.all(cluster.nodes.map((node) => answerOf(node, token)))).toEqual([401, 401, 401]);
    expect(await codeOf(log.append('too late'))).toBe('TOKEN_REVOKED');
    expect(await Promise.all(cluster.nodes.map((node) => answerOf(node, other)))).toEqual([200, 200, 200]);

    // A node that hears no leader any more takes nobody new by token after a while: it may have missed a revocation. Who is there stays.
    const alone = await cluster.follower();
    const there = await connect(alone.url, { token: other, discover: false });
    onTestFinished(() => there.close({ timeoutMs: 0 }));
    const rest = cluster.nodes.filter((node) => node !== alone);
    await Promise.all(rest.map((node) => node.kill()));
    await until('for nobody to be let in', async () => (await answerOf(alone, other)) === 503);
    expect(await textsOf(there)).toContain('by a new token');
    await Promise.all(rest.map((node) => node.start()));
    await until('for a leader to be heard again', async () => (await answerOf(alone, other)) === 200);
    expect(await answerOf(alone, token)).toBe(401);
    await admin.append('the end');
    const { compared } = await cluster.check();
    expect(compared).toHaveLength(3);
  });
});
