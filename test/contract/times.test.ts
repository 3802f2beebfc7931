// The log by time: where its own time reaches a moment, in memory, on disk, after a restart; and readings that begin there.

import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { KIND_STATE } from '../../assembly/layout.ts';
import { connect, type LogClient, type Reading } from '../../src/client/index.ts';
import { viewOf } from '../../src/core/bytes.ts';
import { MAX_TIME_MS } from '../../src/core/limits.ts';
import { MAX_REQUESTS_PER_CONNECTION } from '../../src/core/servingLimits.ts';
import { dataKindSize } from '../../src/format/entry.ts';
import { logTimeIn } from '../../src/format/logTime.ts';
import { eventually } from '../server/support/fixture.ts';
import { removeDirectory, temporaryDirectory } from '../server/support/processNode.ts';
import type { Refused } from '../server/support/rawClient.ts';
import { runCommand } from '../support/server.ts';
import { DOORS, type Door, type DoorNode, SOCKET_DOORS, type SocketNode } from './doors.ts';

/** Two entries of 30,000 bytes fill a segment, and three segments the memory. */
const OPTIONS = { segmentBytes: 65536, slots: 3, timeEntryMs: 1 } as const;
const COUNT = 12;

/** The clock has gone on since `timeMs`. */
const later = (timeMs: number): Promise<void> => eventually(() => Date.now() > timeMs, 'the clock goes on');

interface Appended {
  /** Just before it was appended; later than when the one before was committed. */
  readonly beforeMs: number;
  readonly offset: number;
  readonly end: number;
}

/** Appends entries of which each is later than the one before, by the clock. */
async function fill(node: DoorNode): Promise<Appended[]> {
  const client = await node.connect();
  const appended: Appended[] = [];
  for (let i = 0; i < COUNT; i += 1) {
    await later(Date.now());
    const beforeMs = Date.now();
    const { offset, end } = await client.append(Buffer.alloc(30_000, i));
    appended.push({ beforeMs, offset, end });
    await later(Date.now());
  }
  return appended;
}

/** Each moment leads to the entry that was appended then: between it and the one before stand only entries of the log's own. */
async function finds(node: DoorNode, appended: readonly Appended[]): Promise<void> {
  const client = await node.connect();
  const found = await Promise.all(appended.map(({ beforeMs }) => client.find(beforeMs)));
  for (const [i, { offset }] of appended.entries()) {
    expect(found[i]).toBeGreaterThan(appended[i - 1]?.offset ?? -1);
    expect(found[i]).toBeLessThanOrEqual(offset);
    expect(found[i]).toBeGreaterThanOrEqual(appended[i - 1]?.end ?? 0);
    const { entries } = await client.read(found[i] ?? 0, { maxBytes: 40_000 });
    expect(entries.find(({ kind }) => kind === 0)?.offset).toBe(offset);
  }
  const { start, commit } = await client.end();
  expect(await client.find(0)).toBe(start);
  expect(await client.find(Date.now() + 3_600_000)).toBe(commit);
  expect(await client.find(Number.MAX_SAFE_INTEGER)).toBe(commit);
}

/** At each entry, and at the end, a reading is told what time it was by the entries before. */
async function tellsTimes(node: DoorNode): Promise<void> {
  const client = await node.connect();
  const { start, commit } = await client.end();
  const places: { readonly from: number; readonly timeMs: number }[] = [];
  let timeMs = 0;
  for (const { offset, kind, payload } of await client.readAll(start, commit)) {
    // A segment that begins there says it itself, and so the node need not.
    if (kind !== KIND_STATE) places.push({ from: offset, timeMs });
    const size = dataKindSize(payload.length, false) | (kind << 24);
    const entry = Buffer.concat([Buffer.alloc(8), payload]);
    entry.writeUInt32LE(size >>> 0, 4);
    timeMs = Math.max(timeMs, logTimeIn(viewOf(entry), 0, size >>> 0));
  }
  places.push({ from: commit, timeMs });
  const told = await Promise.all(places.map(({ from }) => client.read(from, { maxBytes: 1, isTimed: true })));
  expect(told.map((answer) => ({ from: answer.from, timeMs: answer.timeMs }))).toEqual(places);
  expect((await client.read(commit)).timeMs).toBeUndefined();
}

describe.each(DOORS)('through $name', (door: Door) => {
  test('FIND gives the first entry that is not older than a time, also after a restart', async () => {
    const data = temporaryDirectory();
    onTestFinished(() => removeDirectory(data));
    const first = await door.open({ data, ...OPTIONS });
    const appended = await fill(first);
    await finds(first, appended);
    await tellsTimes(first);
    await first.stop();
    // Indexes that are made anew know less of times.
    for (const name of readdirSync(data).filter((each) => each.endsWith('.index'))) {
      if (Number.parseInt(name, 10) % 2 === 0) rmSync(join(data, name));
    }
    const second = await door.open({ data, ...OPTIONS });
    await finds(second, appended);
    await tellsTimes(second);
    await second.stop();
  });
});

test('a connection may have 256 lookups waiting, and the next one is refused', async () => {
  const data = temporaryDirectory();
  onTestFinished(() => removeDirectory(data));
  const [, , door] = DOORS;
  const node = await door?.open({ data, ...OPTIONS });
  if (node === undefined) throw new Error('there is a door');
  const client = await node.connect();
  await client.append(Buffer.alloc(1));
  const found = await Promise.allSettled(Array.from({ length: MAX_REQUESTS_PER_CONNECTION + 1 }, () => client.find(0)));
  const refused = found.flatMap((each) => (each.status === 'rejected' ? [(each.reason as Refused).code] : []));
  expect(refused).toEqual(['TOO_MANY_REQUESTS']);
  expect(await client.find(0)).toBe(0);
  await node.stop();
});

describe('a client', () => {
  let data: string;
  let node: SocketNode;
  let log: LogClient;
  let appended: Appended[];

  beforeAll(async () => {
    data = temporaryDirectory();
    const [door] = SOCKET_DOORS;
    if (door === undefined) throw new Error('there is a door');
    node = await door.open({ data, ...OPTIONS });
    appended = await fill(node);
    log = await connect(node.url);
  });

  afterAll(async () => {
    await log?.close();
    await node?.stop();
    removeDirectory(data);
  });

  const at = (i: number): Appended => appended[i] ?? { beforeMs: 0, offset: 0, end: 0 };

  test('is told when each entry was ordered, wherever it begins', async () => {
    const times: number[] = [];
    const timesOf = async (reading: Reading, count = COUNT): Promise<number[]> => {
      const found: number[] = [];
      for await (const { timeMs } of reading) {
        found.push(timeMs ?? -1);
        if (found.length === count) break;
      }
      return found;
    };
    times.push(...(await timesOf(log.read())));
    for (const [i, timeMs] of times.entries()) {
      expect(timeMs).toBeGreaterThanOrEqual(at(i).beforeMs);
      expect(timeMs).toBeLessThanOrEqual(i + 1 < COUNT ? at(i + 1).beforeMs : Date.now());
      expect(await timesOf(log.read({ from: at(i).offset }))).toEqual(times.slice(i));
      expect(await timesOf(log.subscribe({ from: at(i).offset }), COUNT - i)).toEqual(times.slice(i));
    }
    const { stdout } = await runCommand(['read', '--url', node.url, '--json', '--last', '2']);
    const lines = stdout.toString().trim().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { timeMs: number }).timeMs)).toEqual(times.slice(-2));
  });

  test('reads and subscribes from a time on', async () => {
    const read: number[] = [];
    for await (const { payload } of log.read({ since: at(5).beforeMs })) read.push(payload[0] ?? -1);
    expect(read).toEqual([5, 6, 7, 8, 9, 10, 11]);
    for await (const { payload } of log.subscribe({ since: new Date(at(9).beforeMs) })) {
      read.push(payload[0] ?? -1);
      if (read.at(-1) === 11) break;
    }
    expect(read.slice(7)).toEqual([9, 10, 11]);
    for await (const { offset } of log.read({ since: Date.now() + 60_000 })) expect(offset).toBe('nothing');
    expect(await log.offsetAt(new Date(0), { linearizable: true })).toBe(0);
    // After a trim what is older than the start is the start.
    await log.trim({ to: at(4).end });
    expect(await log.offsetAt(at(2).beforeMs)).toBe(at(4).end);
    expect(await log.offsetAt(at(8).beforeMs)).toBeGreaterThanOrEqual(at(7).end);
    const left: number[] = [];
    for await (const { payload } of log.read({ since: at(2).beforeMs })) left.push(payload[0] ?? -1);
    expect(left[0]).toBe(5);
  });

  test.each([Number.NaN, -1, 1.5, 2 ** 60, MAX_TIME_MS + 1, new Date(Number.NaN), new Date(-1), '2026-11-29', null, {}])(
    'refuses %s as a time in a sentence',
    async (time) => {
      await expect(log.offsetAt(time as number)).rejects.toThrow(/^the time must be /);
      expect(() => log.read({ since: time as number })).toThrow(/^since must be /);
      expect(() => log.subscribe({ since: time as number })).toThrow(/^since must be /);
    },
  );

  test('refuses two places to begin at', () => {
    expect(() => log.read({ since: 0, from: 0 })).toThrow('since and from exclude each other');
    expect(() => log.subscribe({ since: 0, last: 1 })).toThrow('since and last exclude each other');
  });

  test('and the command line read between two times, in the time zone that is given or this machine’s', async () => {
    const iso = (i: number): string => new Date(at(i).beforeMs).toISOString();
    const read = async (...args: string[]): Promise<{ firsts: number[]; stderr: string }> => {
      const { stdout, stderr, code } = await runCommand(['read', '--url', node.url, '--raw', ...args]);
      expect([code, stdout.length % 30_000]).toEqual([0, 0]);
      return { firsts: Array.from({ length: stdout.length / 30_000 }, (_, i) => stdout[i * 30_000] ?? -1), stderr };
    };
    expect(await read('--since', iso(6), '--until', iso(9))).toEqual({ firsts: [6, 7, 8], stderr: '' });
    expect((await read('--since', '2h', '--limit', '1')).firsts).toHaveLength(1);
    const { firsts, stderr } = await read('--since', '2099-01-01 10:00');
    expect(firsts).toEqual([]);
    expect(stderr).toMatch(/^loglog: 2099-01-01 10:00 is \S+Z, as the time zone of this machine is \S+\n$/);
  });

  test('and the command line trims what is older than a time', async () => {
    const trim = async (...args: string[]): Promise<{ newStart: number; start: number }> => {
      const { stdout, code } = await runCommand([
        'trim',
        '--url',
        node.url,
        '--json',
        '--before',
        new Date(at(8).beforeMs).toISOString(),
        ...args,
      ]);
      expect(code).toBe(0);
      return JSON.parse(stdout.toString()) as { newStart: number; start: number };
    };
    const would = await trim('--dry-run');
    expect(would.newStart).toBeGreaterThanOrEqual(at(7).end);
    expect(would.newStart).toBeLessThanOrEqual(at(8).offset);
    expect(await trim()).toMatchObject({ newStart: would.newStart });
    const left: number[] = [];
    for await (const { payload } of log.read({})) left.push(payload[0] ?? -1);
    expect(left[0]).toBe(8);
  });
});
