// Tokens and backups as a shell sees them: what is in a folder, and what a node that is started on what was restored says of tokens and of its own segments.

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { connect, type LogClient, type LogToken } from '../../src/client/index.ts';
import { until } from '../../src/cluster/until.ts';
import { type RunningServer, runCommand, startServer, stopServers, temporaryDirectory } from '../support/server.ts';

const NAME = 'the billing job';
const FLAGS = ['--segment-bytes', '65536', '--seal-bytes-per-second', '1073741824'];

let server: RunningServer;
let log: LogClient;
let hash: Buffer;
let directory: string;

interface SealFacts {
  readonly seals: { readonly end: number; readonly different: readonly number[]; readonly next: number | null };
}

const statusOf = async (url: string): Promise<SealFacts> =>
  (await (await fetch(new URL('/status', url.replace('ws:', 'http:')))).json()) as SealFacts;

/** All that is sealed has its seal, by a committed entry. */
async function sealed(url: string): Promise<SealFacts['seals']> {
  return await until('all segments have their seals', async () => {
    const { seals } = await statusOf(url);
    return seals.end > 0 && seals.next === null ? seals : undefined;
  });
}

async function ok(...args: readonly string[]): Promise<unknown> {
  const { code, stdout, stderr } = await runCommand([...args, '--json']);
  expect([code, stderr]).toEqual([0, '']);
  return JSON.parse(stdout.toString());
}

/** Names of files that have the hash of the token, or what it is called. */
function tellers(of: string): string[] {
  const isTelling = (bytes: Buffer): boolean => bytes.includes(hash) || bytes.includes(NAME);
  return readdirSync(of).filter((name) => name !== 'lock' && isTelling(readFileSync(join(of, name))));
}

beforeAll(async () => {
  server = await startServer({ flags: FLAGS });
  log = await connect(server.url);
  directory = temporaryDirectory();
  const { token } = await log.createToken({ name: NAME, scopes: ['read', 'append'] });
  hash = createHash('sha256').update(token).digest();
  for (let i = 0; i < 2; i += 1) {
    await Promise.all(Array.from({ length: 100 }, (_, at) => log.append(`${i} ${at} `.repeat(400))));
    await sealed(server.url);
  }
});

afterAll(async () => {
  await log?.close();
  await stopServers();
});

/** Starts a node on what was restored; what it says of tokens, and that its segments are what its log says they are. */
async function tokensOf(data: string): Promise<readonly LogToken[]> {
  const node = await startServer({ data, flags: FLAGS });
  onTestFinished(async () => {
    expect(await node.stop()).toEqual({ code: 0, signal: null });
    expect((await runCommand(['verify', data])).code).toBe(0);
  });
  const again = await connect(node.url);
  onTestFinished(() => again.close());
  const { different, end } = await sealed(node.url);
  expect([different, node.stderr().includes('is not what the log says')]).toEqual([[], false]);
  expect(end).toBeGreaterThan((await statusOf(server.url)).seals.end);
  let found = 0;
  for await (const { payload } of again.read()) found += payload.length > 0 ? 1 : 0;
  expect(found).toBe(200);
  return await again.tokens();
}

it('a backup has nothing of tokens but ids, and what is restored of it has none, in the same cluster, too', async () => {
  const folder = join(directory, 'without');
  expect(await ok('backup', server.url, folder)).not.toHaveProperty('tokens');
  expect([tellers(folder), tellers(server.data).length > 1]).toEqual([[], true]);
  const data = join(directory, 'same');
  expect(await ok('restore', folder, data, '--same-cluster')).toMatchObject({ tokens: 0, droppedTokens: 1 });
  expect([await tokensOf(data), tellers(data)]).toEqual([[], []]);
  const refused = await runCommand(['backup', server.url, folder, '--tokens']);
  expect([refused.code, refused.stderr]).toEqual([
    2,
    expect.stringContaining('was begun without the tokens of the log; nothing was changed'),
  ]);
});

it('with --tokens it has them, and they are in force again in the same cluster alone', async () => {
  const folder = join(directory, 'with');
  expect(await ok('backup', server.url, folder, '--tokens')).toMatchObject({ tokens: true });
  expect(tellers(folder).length).toBeGreaterThan(1);
  const [same, other] = [join(directory, 'kept'), join(directory, 'other')];
  expect(await ok('restore', folder, same, '--same-cluster')).toMatchObject({ tokens: 1, droppedTokens: 0 });
  expect(await tokensOf(same)).toEqual(await log.tokens());
  expect(await ok('restore', folder, other)).toMatchObject({ tokens: 0, droppedTokens: 1 });
  expect(tellers(other)).toEqual([]);
});
