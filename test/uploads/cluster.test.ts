// Uploads on real nodes, spoken as a stranger would: what they save, and that no lie in them changes anything.

import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startCluster, type TestCluster } from '../../src/testing/index.ts';
import { frameEntries } from '../server/support/entries.ts';
import { RawClient } from '../server/support/rawClient.ts';

const PAYLOAD = 64 * 1024;
const ALL = 0b111;

let cluster: TestCluster;
let clients: RawClient[];
let leader: RawClient;
let followers: RawClient[];

beforeAll(async () => {
  cluster = await startCluster({ nodes: 3, fsync: false });
  const { id } = await cluster.leader();
  clients = await Promise.all(cluster.urls.map((url) => RawClient.connect(url)));
  await Promise.all(clients.map((client) => client.introduceUploads()));
  leader = clients[id - 1] as RawClient;
  followers = clients.filter((client) => client !== leader);
});

afterAll(async () => {
  for (const client of clients) client.terminate();
  await cluster[Symbol.asyncDispose]();
});

interface Counts {
  readonly hits: number;
  readonly misses: number;
  readonly placed: number;
  readonly staged: number;
}

async function counts(client: RawClient): Promise<Counts> {
  const url = client.socket.url.replace(/^ws/, 'http');
  const status = (await (await fetch(new URL('/status', url))).json()) as { uploads: Counts };
  return status.uploads;
}

async function logOf(client: RawClient): Promise<Buffer[]> {
  const { commit } = await leader.end(1);
  await client.end(2, commit, 30_000);
  const entries = await client.readAll(0, commit);
  return entries.filter(({ kind }) => kind === 0).map(({ payload }) => payload);
}

describe('an upload', () => {
  it('is referred to, placed and committed', async () => {
    const entries = frameEntries([randomBytes(PAYLOAD)], []);
    const id = randomBytes(16);
    const before = await counts(leader);
    expect(await Promise.all(followers.map((client) => client.upload(id, entries)))).toEqual([entries.length, entries.length]);
    const { offset, end } = await leader.appendUploaded(id, ALL, entries, 1);
    expect(end - offset).toBe(entries.length);
    const after = await counts(leader);
    expect({ hits: after.hits - before.hits, misses: after.misses - before.misses }).toEqual({ hits: 2, misses: 0 });
    const logs = await Promise.all(clients.map(logOf));
    for (const log of logs) expect(log).toEqual(logs[0]);
    for (const follower of followers) expect(await counts(follower)).toMatchObject({ placed: 1, staged: 0 });
  });
});
