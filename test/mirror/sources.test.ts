// What becomes of a mirror's source: leaders that die, trims, restores, other logs, and sources that lie.

import { cpSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { claimPorts } from '../../dist/src/cluster/portBlock.js';
import type { LogError } from '../../dist/src/core/errors.js';
import { DISK_CRITICAL, DISK_OK, STATE } from '../../dist/src/memory/map.js';
import { promote } from '../../dist/src/mirror/promote.js';
import { NodeDisk } from '../../dist/src/storage/nodeDisk.js';
import { examineDirectory } from '../../dist/src/storage/offline.js';
import { eventually, payloadOf } from '../server/support/fixture.ts';
import {
  abandon,
  basesIn,
  bytesIn,
  client,
  directory,
  hasRemoved,
  identityIn,
  Lines,
  mirrorOf,
  startCluster,
  startNode,
  statusOf,
  stop,
} from './support.ts';

test('a mirror of a cluster whose leader is killed under load, and that is killed itself, has the same bytes', async () => {
  const { nodes, start } = await startCluster({ sealBytesPerSecond: 8 * 2 ** 20 });
  const urls = nodes.map(({ url }) => url);
  const log = await client(...urls);
  await log.append('first');
  const data = directory();
  let mirror = await mirrorOf(urls, data);
  let isOver = false;
  let end = 0;
  const load = (async () => {
    for (let i = 0; !isOver; i += 1) {
      const appends = Array.from({ length: 8 }, (_, j) => log.append(payloadOf(1_000 + ((i * 37 + j) % 9_000), i)));
      // With the leader some may be lost.
      for (const done of await Promise.allSettled(appends)) if (done.status === 'fulfilled') end = done.value.end;
    }
  })();
  const grown = async (bytes: number): Promise<void> => {
    const from = mirror.status().log.durable;
    await eventually(() => mirror.status().log.durable > from + bytes, 'the mirror has more of the log');
  };
  await grown(400_000);
  await abandon(mirror);
  const leader = nodes.findIndex((node) => node.status().node.role === 'leader');
  mirror = await mirrorOf(urls, data);
  await grown(200_000);
  const dead = nodes[leader];
  if (dead !== undefined) await abandon(dead);
  await grown(400_000);
  nodes[leader] = await start(leader + 1);
  isOver = true;
  await load;
  const reader = await client(mirror.url);
  // Also what is appended automatically.
  const last = (await reader.end({ linearizable: true })).end;
  expect(last).toBeGreaterThanOrEqual(end);
  for (const node of nodes) await eventually(() => node.status().log.durable >= last, 'all nodes have it');
  const offsets = async (from: string): Promise<number[]> => {
    const seen: number[] = [];
    for await (const { offset } of (await client(from)).read({ atLeast: last })) if (offset < last) seen.push(offset);
    return seen;
  };
  expect(await offsets(mirror.url)).toEqual(await offsets(urls[(leader + 1) % 3] ?? ''));

  await eventually(() => mirror.status().seals.end > 0, 'it compares what it has sealed with what the log says');
  expect(mirror.status().seals.different).toEqual([]);
  for (const node of [mirror, ...nodes]) await stop(node);
  expect(examineDirectory(new NodeDisk(), data, { everyEntry: true }).damage).toEqual([]);
  const bases = (path: string): number[] => basesIn(path).filter((base) => base < last);
  const [first] = nodes.map((node) => node.engine.directory);
  expect(bases(data)).toEqual(bases(first ?? ''));
  expect(bases(data).length).toBeGreaterThan(10);
  expect(bytesIn(data, 0, last).equals(bytesIn(first ?? '', 0, last))).toBe(true);
});

test('a mirror follows trims, begins at a start inside a segment, and begins anew where it was away for too long', async () => {
  const source = await startNode();
  const log = await client(source.url);
  const ends: number[] = [];
  const append = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i += 1) ends.push((await log.append(payloadOf(9_000, i))).end);
  };
  await append(20);
  // In the open segment, some way after its beginning.
  const openBase = basesIn(source.engine.directory).at(-1) ?? 0;
  const inside = ends.find((end) => end > openBase + 10_000) ?? ends.at(-1) ?? 0;
  const data = directory();
  const mirror = await mirrorOf(source.url, data);
  const caughtUp = (): Promise<void> => eventually(() => statusOf(mirror).behindBytes === 0, 'the mirror has all of it');
  await caughtUp();
  await log.trim({ to: inside });
  await append(1);
  await eventually(() => mirror.status().log.start === inside, 'the mirror starts where its source does');
  await eventually(() => basesIn(data)[0] === openBase, 'what is before is gone');

  const lateData = directory();
  const late = await mirrorOf(source.url, lateData);
  await eventually(() => late.status().log.start === inside && statusOf(late).behindBytes === 0, 'a new mirror starts there, too');
  expect(identityIn(lateData)).toMatchObject({ start: openBase });
  const reader = await client(late.url);
  const seen: number[] = [];
  for await (const { nextOffset } of reader.read()) seen.push(nextOffset);
  expect(seen).toEqual(ends.filter((end) => end > inside));
  await stop(late);

  await append(20);
  await log.trim({ to: ends.at(-3) ?? 0 });
  await append(1);
  await eventually(
    () => hasRemoved(source.engine.directory) && (basesIn(source.engine.directory)[0] ?? 0) > inside + 65_536,
    'the source has removed what it can',
  );
  const lines = new Lines();
  const again = await mirrorOf(source.url, lateData, {}, lines);
  await eventually(() => again.status().log.start === ends.at(-4) && statusOf(again).behindBytes === 0, 'it begins anew');
  expect(lines.has('begins anew at')).toBe(true);
  const kept = basesIn(source.engine.directory)[0];
  for (const path of [data, lateData])
    await eventually(() => hasRemoved(path) && basesIn(path)[0] === kept, 'the mirrors have removed as much');
  for (const node of [again, mirror, source]) await stop(node);
  const from = basesIn(lateData)[0] ?? 0;
  const to = ends.at(-1) ?? 0;
  for (const path of [data, lateData]) expect(bytesIn(path, from, to).equals(bytesIn(source.engine.directory, from, to))).toBe(true);
  expect(basesIn(data)).toEqual(basesIn(source.engine.directory));
});

test('a mirror serves what it has while its source is away, and goes on with it', async () => {
  const data = directory();
  const { ports, release } = await claimPorts(1);
  onTestFinished(release);
  const [port] = ports;
  const source = await startNode(data, { port });
  await (await client(source.url)).append('one');
  const mirrored = directory();
  const lines = new Lines();
  const first = await mirrorOf(source.url, mirrored, {}, lines);
  await eventually(() => statusOf(first).behindBytes === 0 && first.status().log.durable > 116, 'the mirror has the entry');
  const chained = await mirrorOf(first.url);
  await eventually(() => chained.status().log.durable === first.status().log.durable, 'a mirror may be a source');
  await stop(chained);
  await abandon(source);
  await eventually(() => !statusOf(first).isConnected, 'the mirror knows that its source is away');
  expect(statusOf(first)).toMatchObject({ why: expect.stringContaining(source.url), awaySinceMs: expect.any(Number) });
  await stop(first);

  // Also from a start on.
  const mirror = await mirrorOf(source.url, mirrored, {}, lines);
  const reader = await client(mirror.url);
  const texts = async (): Promise<string[]> => {
    const found: string[] = [];
    for await (const { payload } of reader.read()) found.push(Buffer.from(payload).toString());
    return found;
  };
  expect(await texts()).toEqual(['one']);
  expect((await fetch(`${mirror.url.replace('ws', 'http')}/readyz`)).status).toBe(200);
  await startNode(data, { port });
  await (await client(source.url)).append('two');
  await eventually(async () => (await texts()).length === 2, 'the mirror goes on');
  expect(await texts()).toEqual(['one', 'two']);
  // A disk without room: nothing is taken before there is some.
  mirror.engine.memory.setWord32(STATE.DISK_LEVEL, DISK_CRITICAL);
  const receipt = await (await client(source.url)).append('three');
  await eventually(() => lines.has('takes nothing of its source until there is room'), 'it says that it waits');
  expect(mirror.status().log.tail).toBeLessThan(receipt.end);
  mirror.engine.memory.setWord32(STATE.DISK_LEVEL, DISK_OK);
  await eventually(async () => (await texts()).length === 3, 'the mirror goes on when there is room');
  expect(statusOf(mirror).why).toBe(null);
});

/** How a mirror ended. */
function ending(mirror: { readonly failed: Promise<never> }): Promise<LogError> {
  return mirror.failed.catch((thrown: unknown) => thrown as LogError);
}

test('a mirror stops, and changes nothing, where its source has another log by now', async () => {
  const [data, copy, mirrored] = [directory(), directory(), directory()];
  const source = await startNode(data);
  const log = await client(source.url);
  await log.append('one');
  await stop(source);
  cpSync(data, copy, { recursive: true });
  const again = await startNode(data);
  await (await client(again.url)).append('two');
  const mirror = await mirrorOf(again.url, mirrored);
  await eventually(() => statusOf(mirror).behindBytes === 0 && mirror.status().log.durable > 116, 'the mirror has it');
  for (const node of [mirror, again]) await stop(node);
  const { durable } = mirror.status().log;
  const before = bytesIn(mirrored, 0, durable);

  // A source that has lost its end; then one that has written something else there; then one that was restored; then another cluster.
  const old = await startNode(copy);
  await ends(old, /its log ends at offset \d+, and this mirror has it up to/);
  await (await client(old.url)).append('other');
  await (await client(old.url)).append(Buffer.alloc(5_000));
  await ends(old, /its entry at offset \d+ is not the one that is here/);
  await stop(old);
  const promoted = directory();
  cpSync(mirrored, promoted, { recursive: true });
  promote(new NodeDisk(), promoted, { nodeId: 1, isSameCluster: true, random: new Uint8Array(32).fill(9), nowMs: Date.now() });
  const restored = await startNode(promoted);
  await ends(restored, /its log is of generation 0909090909090909, and this is a mirror of generation/);
  await ends(await startNode(), /What answers is not this log/);

  // It is the same log, in larger segments from now on.
  const larger = await startNode(data, { segmentBytes: 131_072 });
  await ends(larger, /start it again/, 'USAGE');
  const log2 = await client(larger.url);
  const { end } = await log2.append(Buffer.alloc(90_000));
  const grown = await mirrorOf(larger.url, mirrored);
  await eventually(() => grown.status().log.durable >= end, 'it has room for them when it was started again');

  async function ends(node: { readonly url: string }, sentence: RegExp, code = 'OTHER_CLUSTER'): Promise<void> {
    const wrong = await mirrorOf(node.url, mirrored);
    const error = await ending(wrong);
    expect([error.code, error.message]).toEqual([code, expect.stringMatching(sentence)]);
    await wrong.engine.ended;
    expect(bytesIn(mirrored, 0, durable).equals(before)).toBe(true);
  }
});
