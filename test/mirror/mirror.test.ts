// A mirror of a running log: the same bytes, whatever becomes of its source and of itself, and readers that see no difference.

import { expect, test } from 'vitest';
import type { LogError } from '../../dist/src/core/errors.js';
import { promote } from '../../dist/src/mirror/promote.js';
import { NodeDisk } from '../../dist/src/storage/nodeDisk.js';
import { eventually, payloadOf } from '../server/support/fixture.ts';
import { basesIn, bytesIn, client, directory, identityIn, mirrorOf, startNode, statusOf, stop } from './support.ts';

const codeOf = (thrown: unknown): string => (thrown as LogError).code;

test('a mirror has what its source has, serves readers, and takes nothing', async () => {
  const source = await startNode();
  const log = await client(source.url);
  const receipts = await Promise.all(Array.from({ length: 40 }, (_, i) => log.append(payloadOf(5_000, i))));
  const data = directory();
  const mirror = await mirrorOf(source.url, data);
  const reader = await client(mirror.url);
  await reader.end({ atLeast: receipts.at(-1)?.end ?? 0 });
  expect(reader.hello.clusterId).toBe(log.clusterId);
  expect(reader.hello.cluster?.generation).toBe(log.hello.cluster?.generation);

  const live = reader.subscribe({ from: receipts[38]?.end ?? 0 })[Symbol.asyncIterator]();
  const one = await live.next();
  const later = await log.append('later');
  const two = await live.next();
  expect([one.value?.offset, two.value?.offset]).toEqual([receipts[39]?.offset, later.offset]);
  expect(await reader.end({ linearizable: true })).toEqual(await log.end({ linearizable: true }));
  const seen: number[] = [];
  for await (const { offset } of reader.read()) seen.push(offset);
  expect(seen).toEqual([...receipts, later].map(({ offset }) => offset));
  expect(await reader.offsetAt(0)).toBe(await log.offsetAt(0));

  for (const refuse of [() => reader.append('no'), () => reader.trim({ to: 100 })]) expect(await refuse().catch(codeOf)).toBe('READ_ONLY');
  await expect(reader.createToken({ name: 'no', scopes: ['read'] })).rejects.toThrow(
    /^This log can only be read here: node 32 at .* says: this node is a read-only mirror of /,
  );
  expect(statusOf(mirror)).toMatchObject({ isConnected: true, awaySinceMs: null, behindBytes: 0, behindMs: 0, catchUp: null });
  const segments = (await (await fetch(`${mirror.url.replace('ws', 'http')}/log/${log.clusterId}/segments`)).json()) as {
    segments: unknown[];
  };
  expect(segments.segments.length).toBeGreaterThan(2);

  await stop(mirror);
  await stop(source);
  const { directory: sourceData } = source.engine;
  expect(basesIn(data)).toEqual(basesIn(sourceData));
  expect(bytesIn(data, 0, later.end).equals(bytesIn(sourceData, 0, later.end))).toBe(true);
  await expect(startNode(data)).rejects.toThrow(/loglog promote/);
  await expect(mirrorOf(source.url, sourceData)).rejects.toThrow(/is the directory of a node/);
});

test('a promoted mirror is a log of its own: the same entries, another generation, and it takes appends', async () => {
  const source = await startNode();
  const log = await client(source.url);
  const receipts = await Promise.all(Array.from({ length: 20 }, (_, i) => log.append(payloadOf(9_000, i))));
  const data = directory();
  const mirror = await mirrorOf(source.url, data);
  const end = receipts.at(-1)?.end ?? 0;
  await eventually(() => statusOf(mirror).sourceCommit === mirror.status().log.durable, 'the mirror has all of it');
  await stop(mirror);
  const before = bytesIn(data, 0, end);
  const options = { nodeId: 2, isSameCluster: false, random: new Uint8Array(32).fill(7), nowMs: 1_700_000_000_000 };
  const report = promote(new NodeDisk(), data, options);
  expect(report).toMatchObject({ clusterId: '07'.repeat(16), nodeId: 2, start: 0, mirrorEnd: end, term: 2 ** 20 });
  expect(identityIn(data)).toMatchObject({ clusterId: report.clusterId, nodeId: 2, isFounder: true, standing: 'voter' });
  expect(identityIn(data)).not.toHaveProperty('mirror');
  expect(bytesIn(data, 0, end).equals(before)).toBe(true);
  expect(() => promote(new NodeDisk(), data, options)).toThrow(/not the directory of a mirror/);

  const promoted = await startNode(data, { node: 2 });
  const own = await client(promoted.url);
  const receipt = await own.append('own');
  expect(receipt.term).toBeGreaterThan(2 ** 20);
  const seen: number[] = [];
  for await (const { offset } of own.read()) seen.push(offset);
  expect(seen).toEqual([...receipts.map(({ offset }) => offset), receipt.offset]);
  expect(own.hello.cluster?.generation).toBe('07'.repeat(8));
  expect(own.clusterId).not.toBe(log.clusterId);
});
