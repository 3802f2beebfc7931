// Uploads on real nodes, spoken as a stranger would: what they save, and that no lie in them changes anything.

import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeUpload } from '../../src/protocol/uploads.ts';
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
  // One node leads from beginning to end, on a busy machine too.
  cluster = await startCluster({ nodes: 3, fsync: false, segmentBytes: 8 * 1024 * 1024, electionTimeoutMs: 2000 });
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
  readonly expired: number;
  readonly stagedBytes: number;
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

/** Appends with an upload until every follower was referred to one, and placed it: an announcement may come after the append. */
async function appendUntilPlaced(session?: number): Promise<void> {
  const before = await Promise.all(followers.map(counts));
  for (let sequence = 1; ; sequence += 1) {
    const entries = frameEntries([randomBytes(PAYLOAD)], []);
    const id = randomBytes(16);
    await Promise.all(followers.map((client) => client.upload(id, entries)));
    await leader.appendUploaded(id, ALL, entries, 1, session === undefined ? undefined : { session, sequence });
    const now = await Promise.all(followers.map(counts));
    if (now.every(({ placed }, i) => placed > (before[i]?.placed ?? 0))) return;
  }
}

/** Not by `toEqual`, which takes seconds for so many bytes: the nodes talk by way of this process. */
async function expectSameLogs(): Promise<void> {
  const [first, ...others] = (await Promise.all(clients.map(logOf))).map((log) => Buffer.concat(log)) as [Buffer, ...Buffer[]];
  for (const log of others) expect(log.equals(first)).toBe(true);
}

describe('an upload', () => {
  it('is referred to, placed and committed', async () => {
    await appendUntilPlaced();
    await expectSameLogs();
    const { hits } = await counts(leader);
    expect(hits).toBeGreaterThanOrEqual(2);
  });

  it('of an append of a session is referred to with the entry that heads it; sent again it has the same place', async () => {
    const { session } = await leader.openSession('p');
    await appendUntilPlaced(session);
    await expectSameLogs();
    const { session: second, beforeSequence } = await leader.openSession('p', { follows: session });
    const { session: next } = await leader.openSession('p', { follows: second });
    const entries = frameEntries([randomBytes(PAYLOAD)], []);
    const id = randomBytes(16);
    const first = await leader.appendUploaded(id, ALL, entries, 1, { session: next, sequence: 1 });
    await Promise.all(followers.map((client) => client.upload(id, entries)));
    const again = await leader.appendUploaded(id, ALL, entries, 1, { session: next, sequence: 1 });
    expect([beforeSequence > 0, again.offset, again.end]).toEqual([true, first.offset, first.end]);
    await expectSameLogs();
  });

  it('whose append the leader had to send as bytes is forgotten, long before its time is over', async () => {
    const entries = frameEntries([randomBytes(PAYLOAD)], []);
    const id = randomBytes(16);
    await leader.appendUploaded(id, ALL, entries, 1);
    await Promise.all(followers.map((client) => client.upload(id, entries)));
    for (const follower of followers) {
      while ((await counts(follower)).staged > 0) await follower.end();
      expect((await counts(follower)).expired).toBe(0);
    }
  });

  it('of other bytes on each node changes nothing: what the leader has is the log', async () => {
    for (let round = 0; round < 5; round += 1) {
      const id = randomBytes(16);
      const lies = followers.map(() => frameEntries([randomBytes(PAYLOAD)], []));
      await Promise.all(followers.map((client, i) => client.upload(id, lies[i] ?? new Uint8Array(0))));
      const truth = randomBytes(PAYLOAD);
      await leader.appendUploaded(id, ALL, frameEntries([truth], []), 1);
      expect((await logOf(leader)).at(-1)?.equals(truth)).toBe(true);
    }
    await expectSameLogs();
  });

  it('of another length, of bytes that are no entries, or named by nodes that lack it, changes nothing', async () => {
    const entries = frameEntries([randomBytes(PAYLOAD), randomBytes(100)], []);
    for (const lie of [entries.subarray(0, 12), entries.subarray(0, PAYLOAD + 12), new Uint8Array(randomBytes(entries.length))]) {
      const id = randomBytes(16);
      await Promise.all(followers.map((client) => client.upload(id, lie)));
      await leader.appendUploaded(id, ALL, entries, 2);
    }
    await leader.appendUploaded(randomBytes(16), 0xffff_ffff, entries, 2);
    await expectSameLogs();
  });

  it('is refused without an end of the connection where it does not fit', async () => {
    // What it leaves goes with it: the others need their room.
    const follower = await RawClient.connect((followers as [RawClient])[0].socket.url);
    await follower.introduceUploads();
    const entries = frameEntries([randomBytes(PAYLOAD)], []);
    const id = randomBytes(16);
    await follower.upload(id, entries);
    await expect(follower.upload(id, entries)).rejects.toMatchObject({ code: 'MALFORMED' });
    await expect(follower.upload(randomBytes(16), new Uint8Array(5 * 1024 * 1024))).rejects.toMatchObject({ code: 'ENTRY_TOO_LARGE' });
    const chunk = (at: number, total: number): Uint8Array =>
      encodeUpload(follower.newId(), randomBytes(16), at, total, entries.subarray(0, 100));
    for (const [at, total] of [
      [100, 200],
      [0, 50],
    ] as const) {
      const message = chunk(at, total);
      follower.send(message);
      const { code, fatal } = await follower.errorOf(new DataView(message.buffer).getUint32(4, true));
      expect({ code, fatal }).toEqual({ code: 'MALFORMED', fatal: false });
    }
    const mebibyte = new Uint8Array(1024 * 1024);
    for (let i = 0; i < 20; i += 1) {
      await follower.upload(randomBytes(16), mebibyte).catch((thrown: unknown) => expect(thrown).toMatchObject({ code: 'OVERLOADED' }));
    }
    expect((await counts(follower)).stagedBytes).toBeLessThanOrEqual(16 * 1024 * 1024);
    follower.terminate();
    await expectSameLogs();
  });

  it('E27: of fewer or more bytes than a reference may name is not referred to, and no link between nodes is cut', async () => {
    const ids = [randomBytes(16), randomBytes(16)];
    const small = frameEntries([randomBytes(100)], []);
    for (const id of ids) await Promise.all(followers.map((client) => client.upload(id, small)));
    // What is announced after them is known to the leader by now, and so are they.
    await appendUntilPlaced();
    // And all have been referred to the last of these: another node may have it later than who waits for a majority.
    await expectSameLogs();
    const { hits } = await counts(leader);
    for (const [i, entries] of [frameEntries([randomBytes(5 * 1024 * 1024)], []), small].entries())
      await leader.appendUploaded(ids[i] ?? randomBytes(16), ALL, entries, 1);
    await expectSameLogs();
    expect((await counts(leader)).hits).toBe(hits);
    for (let node = 1; node <= clients.length; node += 1)
      expect(readFileSync(join(cluster.directory, `node-${node}.log`), 'utf8')).not.toContain('a reference to');
  });

  it('does not exist for a client that does not ask for it', async () => {
    const stranger = await RawClient.connect(leader.socket.url);
    expect(stranger.hello.features & 0b1100).toBe(0);
    stranger.send(encodeUpload(1, randomBytes(16), 0, 100, new Uint8Array(100)));
    expect(await stranger.errorOf(1)).toMatchObject({ code: 'UNKNOWN_OPCODE', fatal: true });
  });
});

it('keeps every promise to clients that upload while the leader dies', async () => {
  const logs = await Promise.all([1, 2].map(() => cluster.connect({ uploads: 'on' })));
  let isOver = false;
  const loads = logs.map(async (log) => {
    while (!isOver) await Promise.allSettled(Array.from({ length: 8 }, () => log.append(randomBytes(PAYLOAD))));
  });
  while (logs.some((log) => log.stats().uploadedMessageCount < 20)) await logs[0]?.end();
  const dead = await cluster.leader();
  await dead.kill();
  await cluster.leader({ not: dead });
  const before = logs.map((log) => log.stats().appendedEntryCount);
  while (logs.some((log, i) => log.stats().appendedEntryCount < (before[i] ?? 0) + 20)) await logs[0]?.end();
  await dead.restart();
  isOver = true;
  await Promise.all(loads);
  await cluster.check();
});
