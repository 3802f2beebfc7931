// loglog verify --cluster: nodes that are the same, one that has something else in a valid entry, one that is away.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TestCluster } from '../../dist/src/testing/index.js';
import { startCluster } from '../../dist/src/testing/index.js';
import type { Comparison } from '../../src/cli/comparison.ts';
import { fetchStatus } from '../../src/cli/nodeStatus.ts';
import { viewOf } from '../../src/core/bytes.ts';
import { entryBytesAt, isData, kindSizeAt, payloadBytesOf } from '../../src/format/entry.ts';
import { encodeEntry } from '../support/entryTwin.ts';
import { runCommand } from '../support/server.ts';

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await startCluster({ nodes: 3, segmentBytes: 65536, fsync: false });
  const log = await cluster.connect();
  for (let i = 0; i < 20; i += 1) await log.append(new Uint8Array(10_000).fill(i));
  await log.close();
});

afterAll(async () => cluster?.close());

async function verify(): Promise<{ code: number | null; found: Comparison & { ok: boolean } }> {
  const { code, stdout } = await runCommand(['verify', '--cluster', cluster.urls.join(','), '--json']);
  return { code, found: JSON.parse(stdout.toString()) as Comparison & { ok: boolean } };
}

/** Puts another payload, whose check is right, into the first data entry of a log's first segment. */
function forge(directory: string): void {
  const [name] = readdirSync(directory)
    .filter((each) => each.endsWith('.segment'))
    .sort();
  const path = join(directory, name ?? '');
  const bytes = readFileSync(path);
  const view = viewOf(bytes);
  let at = 4096;
  while (!isData(kindSizeAt(view, at))) at += entryBytesAt(view, at);
  const payload = new Uint8Array(payloadBytesOf(kindSizeAt(view, at))).fill(99);
  bytes.set(encodeEntry(payload, 0, { term: view.getUint32(at, true), offset: at - 4096 }), at);
  writeFileSync(path, bytes);
}

test('nodes that are the same are compared with the log up to what it seals, and with each other after that', async () => {
  const sealed = async (): Promise<number> =>
    Math.min(...(await Promise.all(cluster.urls.map(async (url) => (await fetchStatus(url, 9_000)).seals.end))));
  await expect.poll(sealed, { timeout: 60_000 }).toBeGreaterThan(150_000);
  const { code, found } = await verify();
  expect(code).toBe(0);
  expect(found.ok).toBe(true);
  expect(found.start).toBe(0);
  expect(found.end).toBeGreaterThan(200_000);
  expect(found.sealedEnd).toBe(await sealed());
  expect(found.nodes.map(({ id, bytes, reason, wrong }) => ({ id, bytes, reason, wrong }))).toEqual(
    [1, 2, 3].map((id) => ({ id, bytes: found.end, reason: null, wrong: [] })),
  );
  const { stdout } = await runCommand(['verify', '--cluster', cluster.urls[0] ?? '']);
  expect(stdout.toString()).toContain(`up to ${found.sealedEnd} with what the log says`);
  expect(stdout.toString()).toMatch(/node 3 \(ws:.*\): the same, [\d.]+ kB read/);
});

test('a node that has something else in a valid entry is named, with the segment, and the exit code is 5', async () => {
  const [, , node] = cluster.nodes;
  await node?.stop();
  forge(node?.data ?? '');
  await node?.restart();
  const { code, found } = await verify();
  expect(code).toBe(5);
  expect(found.ok).toBe(false);
  expect(found.nodes.map(({ wrong }) => wrong.length)).toEqual([0, 0, 1]);
  const [wrong] = found.nodes[2]?.wrong ?? [];
  expect(wrong?.base).toBe(0);
  expect(wrong?.sentence).toMatch(/is valid, and is not the same: its SHA-256 is [0-9a-f]{64}, and the log says [0-9a-f]{64}/);
});

test('a log of which a node has something else is found out offline; a node that is away is said not to be compared, and the exit code is 4 if the others are the same', async () => {
  const [, , node] = cluster.nodes;
  await node?.stop();
  // Offline the log says it of itself.
  const alone = await runCommand(['verify', node?.data ?? '']);
  expect(alone.code).toBe(5);
  expect(alone.stderr).toMatch(
    /00000000000000000000\.segment at byte 4096: its entries are valid, and have the SHA-256 [0-9a-f]{64}; the log says/,
  );
  const { code, found } = await verify();
  expect(code).toBe(4);
  expect(found.nodes[2]?.reason).toContain('did not say which segments are sealed');
  expect(found.nodes.map(({ wrong }) => wrong.length)).toEqual([0, 0, 0]);
});

test('what it is asked to verify is one of both', async () => {
  const both = await runCommand(['verify', './data', '--cluster', 'ws://127.0.0.1:1']);
  expect(both.code).toBe(2);
  expect((await runCommand(['verify'])).code).toBe(2);
});
