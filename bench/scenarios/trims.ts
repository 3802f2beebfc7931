// What appends notice of a trim of very much: of segments that are full, whose bytes the file system has to give back, and of very many that hold
// next to nothing. A thousand appends a second, before it and beside it.

import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ENTRY_OVERHEAD_BYTES } from '../../assembly/layout.ts';
import { connect } from '../../src/client/index.ts';
import { until } from '../processes/until.ts';
import type { Sample } from '../sample.ts';
import type { Context, LogUnderTest, Scenario } from '../scenario.ts';
import { makeSparseLog } from '../sparseLog.ts';

const RATE = 1000;
const WRITTEN_SEGMENTS = 128;
const SPARSE_SEGMENTS = 3200;
/** The segment that holds the start, the open one, and what else appends have made meanwhile. */
const FEW_FILES = 4;
/** Of `--seconds`, for each of the two loads: a minute by default. */
const LONGER = 20;
/** The trim comes when so much of its load is over. */
const TRIM_AFTER = 0.2;
/** A log of so many bytes is one of full size; a quick run has less to trim. */
const FULL_LOG_BYTES = 4e9;

/** Trims all that is committed, and returns how long it took until no segment of it was left, in milliseconds. */
async function trimAll({ running }: LogUnderTest): Promise<number> {
  const [url = ''] = running.urls;
  const client = await connect(url);
  const startedMs = performance.now();
  try {
    await client.trim({ to: (await client.end()).end });
  } finally {
    await client.close();
  }
  const files = (): number => readdirSync(running.directory).filter((name) => name.endsWith('.segment')).length;
  await until('all that was trimmed is gone', async () => (files() <= FEW_FILES ? true : undefined));
  return performance.now() - startedMs;
}

async function measure(context: Context, log: LogUnderTest, what: string): Promise<Sample[]> {
  const { smallBytes: payloadBytes, warmUpSeconds } = context.sizes;
  const seconds = LONGER * context.sizes.seconds;
  const load = { payloadBytes, rate: RATE, warmUpSeconds, seconds };
  const before = await log.load('openLoop', load);
  const beside = log.load('openLoop', load);
  // A failure is seen below, where it is awaited.
  beside.catch(() => undefined);
  await sleep((warmUpSeconds + TRIM_AFTER * seconds) * 1000);
  const trimMs = await trimAll(log);
  const during = await beside;
  context.keep(`before a trim of ${what}`, before.latency);
  context.keep(`beside a trim of ${what}`, during.latency);
  if (trimMs > (1 - TRIM_AFTER) * seconds * 1000) context.note(`the trim of ${what} took longer than the load beside it`);
  const target = { is: 'at most', value: 1.5 } as const;
  return [
    { what: `${what}: p99 before`, value: before.latency.p99Ms, unit: 'ms' },
    { what: `${what}: p99 beside the trim`, value: during.latency.p99Ms, unit: 'ms' },
    { what: `${what}: p99 beside the trim / before`, value: during.latency.p99Ms / before.latency.p99Ms, unit: '×', target },
    { what: `${what}: slowest before`, value: before.latency.maxMs, unit: 'ms' },
    { what: `${what}: slowest beside the trim`, value: during.latency.maxMs, unit: 'ms', target: { is: 'at most', value: 100 } },
    { what: `${what}: until all files are gone`, value: trimMs, unit: 'ms' },
  ];
}

/** A log whose beginning goes: nothing of it is judged, for the judge reads from the beginning. */
async function withLog(context: Context, work: (log: LogUnderTest) => Promise<Sample[]>): Promise<Sample[]> {
  const log = await context.startLogLog({ nodes: 1 });
  try {
    return await work(log);
  } finally {
    await context.remove(log);
  }
}

export const trims: Scenario = {
  name: 'trims',
  about: `1 k/s appends of 100 B before and beside a trim of ${WRITTEN_SEGMENTS} full segments, and of ${SPARSE_SEGMENTS} sparse ones: p99, slowest`,
  takes: 'loglog',
  async run(context: Context): Promise<Sample[]> {
    const { logBytes, segmentBytes, largeBytes } = context.sizes;
    const count = Math.max(4, Math.round(WRITTEN_SEGMENTS * Math.min(1, logBytes / FULL_LOG_BYTES)));
    const written = await withLog(context, async (log) => {
      await log.fill(largeBytes, Math.ceil((count * segmentBytes) / (largeBytes + ENTRY_OVERHEAD_BYTES)));
      return measure(context, log, `${count} written segments`);
    });
    const sparse = await withLog(context, async (log) => {
      await log.running.node(1).end('SIGTERM');
      makeSparseLog(log.running.directory, SPARSE_SEGMENTS);
      await log.running.node(1).start();
      return measure(context, log, `${SPARSE_SEGMENTS.toLocaleString('en-US')} sparse segments`);
    });
    return [...written, ...sparse];
  },
};
