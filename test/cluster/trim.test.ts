// Trims of a log whose nodes run, as clients and the command line ask for them.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { LogError } from '../../dist/src/core/errors.js';
import { startCluster, type TestNode } from '../../dist/src/testing/index.js';
import { eventually } from '../server/support/fixture.ts';
import { runCommand } from '../support/server.ts';

const identityOf = ({ data }: TestNode): { start: number; removeFrom: number } => JSON.parse(readFileSync(join(data, 'node.json'), 'utf8'));

const segmentsOf = ({ data }: TestNode): string[] => readdirSync(data).filter((name) => name.endsWith('.segment'));

const codeOf = (thrown: unknown): string => (thrown as LogError).code;

test('a trim is the same on all nodes, also on one that slept, one that is killed, and after a change of leaders', async () => {
  const cluster = await startCluster({ nodes: 3, segmentBytes: 65536, slots: 3, sealBytesPerSecond: 0, timeEntryMs: 3_600_000 });
  onTestFinished(() => cluster.close());
  const log = await cluster.connect();
  const payload = (i: number): Buffer => Buffer.alloc(20_000, i);
  const ends: number[] = [];
  for (let i = 0; i < 24; i += 1) ends.push((await log.append(payload(i))).end);
  const to = ends[15] ?? 0;
  const slow = log.subscribe({ from: ends[0] ?? 0, creditBytes: 4096 })[Symbol.asyncIterator]();
  const skipping = log.subscribe({ from: ends[0] ?? 0, creditBytes: 4096, onTrimmed: 'skip' })[Symbol.asyncIterator]();
  for (const each of [slow, skipping]) await each.next();
  const follower = await cluster.follower();
  await follower.pause();

  // In the middle of an entry: the trim is up to where that begins.
  expect(await log.trim({ to: to + 5_000, dryRun: true })).toMatchObject({ start: to });
  expect((await log.end()).start).toBe(0);
  await expect(log.trim({ to: (ends.at(-1) ?? 0) + 1_000_000 }).catch((thrown: unknown) => Promise.reject(codeOf(thrown)))).rejects.toBe(
    'OFFSET_BEYOND_END',
  );
  const { start, end } = await log.trim({ to: to + 5_000 });
  expect([start, end >= (ends.at(-1) ?? 0)]).toEqual([to, true]);
  expect(await log.trim({ to: 1 })).toMatchObject({ start: to });
  await follower.resume();
  const nodes = [1, 2, 3].map((id) => cluster.node(id));
  for (const node of nodes) await eventually(async () => (await node.status())?.log.start === to, `node ${node.id} starts at ${to}`);
  for (const node of nodes)
    await eventually(
      () => identityOf(node).start > 0 && identityOf(node).removeFrom === identityOf(node).start,
      `node ${node.id} has removed what it can`,
    );
  const [files] = nodes.map(segmentsOf);
  expect(nodes.map(segmentsOf)).toEqual([files, files, files]);

  // What is left is read from its beginning; what is gone says so.
  const left: number[] = [];
  for await (const { payload: bytes } of log.read()) left.push(bytes[0] ?? -1);
  expect(left).toEqual([16, 17, 18, 19, 20, 21, 22, 23]);
  await expect(
    log
      .read({ from: ends[3] ?? 0 })
      [Symbol.asyncIterator]()
      .next(),
  ).rejects.toMatchObject({ code: 'OFFSET_TRIMMED', details: { start: to } });
  // What was on its way is handed out; then one ends, and the other goes on at the start.
  const seen: unknown[] = [];
  for (let more = true; more; ) {
    const next = await slow.next().catch((thrown: unknown) => thrown as LogError);
    if (next instanceof Error) seen.push([next.code, next.details.start]);
    more = !(next instanceof Error);
  }
  expect(seen).toEqual([['OFFSET_TRIMMED', to]]);
  const numbers: number[] = [];
  while (numbers.at(-1) !== 17) numbers.push((await skipping.next()).value?.payload[0] ?? -1);
  expect(numbers.slice(-2)).toEqual([16, 17]);
  expect(numbers).not.toContain(15);
  await skipping.return?.();

  // A node that is killed finds the same; and so does one that leads next.
  const leader = await cluster.leader();
  await leader.kill();
  const heir = await cluster.leader({ not: leader });
  expect((await heir.status())?.log.start).toBe(to);
  await log.append(payload(24));
  await leader.start();
  await eventually(async () => (await leader.status())?.log.start === to, 'the one that was killed starts there, too');
  // Only who leads, and is known to, is asked.
  await cluster.converged();
  const { code, stdout, stderr } = await runCommand(['trim', '--url', cluster.urls.join(','), '--keep', '70KiB', '--json']);
  expect([code, String(stderr)]).toEqual([0, '']);
  const { newStart } = JSON.parse(stdout.toString()) as { newStart: number };
  expect(newStart).toBeGreaterThan(to);
  for (const node of nodes)
    await eventually(async () => (await node.status())?.log.start === newStart, `node ${node.id} starts at ${newStart}`);
  // One that has lost its disk begins at the start, and counts again; and one that slept for so long that the others have trimmed what it lacks.
  const lost = await cluster.follower();
  await lost.kill();
  await lost.wipe();
  await lost.start();
  await eventually(async () => (await lost.status())?.log.start === newStart, 'the one that lost its disk starts there, too');
  const sleeper = nodes.find((node) => node !== lost && node.id !== heir.id) ?? lost;
  await sleeper.kill();
  for (let i = 25; i < 35; i += 1) ends.push((await log.append(payload(i))).end);
  const last = ends[ends.length - 2] ?? 0;
  await log.trim({ to: last });
  await sleeper.start();
  for (const node of nodes) await eventually(async () => (await node.status())?.log.start === last, `node ${node.id} starts at ${last}`);
  await cluster.converged();
  const again = await runCommand(['trim', '--url', cluster.urls.join(','), '--to', String(last)]);
  expect(String(again.stdout)).toBe(`nothing to trim: the log starts at offset ${last}\n`);
  expect((await runCommand(['trim-offline', '--data', leader.data, '--before', '1'])).stderr).toContain(
    'a cluster is trimmed while it runs',
  );
}, 240_000);
