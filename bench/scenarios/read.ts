// Reading small entries back, verified: hot from tail memory; cold from the disk, after a restart, with and without the page cache.

import { ENTRY_OVERHEAD_BYTES } from '../../assembly/layout.ts';
import type { ReadResult } from '../load/types.ts';
import type { LogUnderTest } from '../processes/log.ts';
import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import { sumOf } from '../statistics.ts';
import { costSamples } from './cost.ts';
import { onNodes } from './onNodes.ts';
import { dropPageCache } from './pageCache.ts';

const HOT_TARGET = 2_000_000;
/** Entries between the cold and the hot range: the warm-up of the cold read reads there. */
const WARM_UP_ENTRIES = 300_000;

/** Reads that went to the disk, of all nodes. */
async function coldReads({ nodes }: LogUnderTest): Promise<number> {
  const metrics = await Promise.all(nodes.map((node) => node.metrics()));
  return metrics.reduce((sum, values) => sum + (values.get('cold_reads_total') ?? Number.NaN), 0);
}

/** Bytes that all nodes fetched from storage; undefined where the system does not tell. */
function storageReadBytes({ nodes }: LogUnderTest): number | undefined {
  return sumOf(nodes.map((node) => node.storageReadBytes()));
}

function rate(result: ReadResult): number {
  return result.entries / result.seconds;
}

async function readHot(context: Context, log: LogUnderTest, end: number): Promise<Sample[]> {
  const { smallBytes, hotEntries: entries, warmUpSeconds, seconds } = context.sizes;
  const from = end - entries * (smallBytes + ENTRY_OVERHEAD_BYTES);
  const plan = { from, warmUpFrom: from, entries, warmUpSeconds, seconds };
  const before = await coldReads(log);
  const batches = await context.loadOn(log, 'read', { ...plan, how: 'batches' });
  const single = await context.loadOn(log, 'read', { ...plan, how: 'entries' });
  const missed = (await coldReads(log)) - before;
  if (missed > 0) throw new Error(`${missed} reads went to the disk: --hot-entries ${entries} are more than tail memory holds`);
  return [
    { what: 'hot, in batches', value: rate(batches), unit: 'entries/s', target: { is: 'at least', value: HOT_TARGET } },
    { what: 'hot, entry by entry', value: rate(single), unit: 'entries/s' },
    ...costSamples(log, batches, 'hot reads in batches'),
    ...costSamples(log, single, 'hot reads, entry by entry'),
  ];
}

async function readCold(context: Context, log: LogUnderTest, from: number): Promise<Sample[]> {
  const { smallBytes, coldEntries: entries, warmUpSeconds, seconds } = context.sizes;
  const warmUpFrom = from + entries * (smallBytes + ENTRY_OVERHEAD_BYTES);
  const plan = { from, warmUpFrom, entries, how: 'batches', warmUpSeconds } as const;
  const target = { is: 'at least', value: HOT_TARGET / 2 } as const;
  dropPageCache(log.directory);
  const storageBefore = storageReadBytes(log);
  const coldBefore = await coldReads(log);
  const once = await context.loadOn(log, 'read', { ...plan, seconds: 0 });
  if ((await coldReads(log)) === coldBefore) throw new Error('what was to be read cold came from tail memory');
  const storageAfter = storageReadBytes(log);
  const samples: Sample[] = [{ what: 'cold, page cache dropped', value: rate(once), unit: 'entries/s', target }];
  if (storageBefore !== undefined && storageAfter !== undefined) {
    // The warm-up reads from storage too, hence more than 100 % where the cache was dropped.
    const share = Math.min(100, ((storageAfter - storageBefore) / once.bytes) * 100);
    samples.push({ what: 'cold, read from storage', value: share, unit: '%' });
  }
  const cached = await context.loadOn(log, 'read', { ...plan, seconds });
  samples.push({ what: 'cold, in the page cache', value: rate(cached), unit: 'entries/s', target });
  samples.push(...costSamples(log, cached, 'cold reads from the page cache'));
  return samples;
}

export const read: Scenario = {
  name: 'read',
  about: 'reading 100 B entries back, verified by the client: hot, cold from the disk, cold from the page cache',
  run(context: Context): Promise<Sample[]> {
    const { smallBytes, hotEntries, coldEntries } = context.sizes;
    const entries = coldEntries + WARM_UP_ENTRIES + hotEntries;
    return onNodes(context, [undefined], async (log) => {
      const { end } = await context.fill(log, smallBytes, entries);
      const hot = await readHot(context, log, end);
      // After a restart tail memory holds only the segment that is not sealed, so nothing of the log's beginning.
      await log.restart();
      const cold = await readCold(context, log, end - entries * (smallBytes + ENTRY_OVERHEAD_BYTES));
      return [...hot, ...cold];
    });
  },
};
