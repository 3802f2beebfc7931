// Reading small entries back, verified: hot from tail memory; cold from the disk, after a restart, with and without the page cache.

import type { RangeResult } from '../load/types.ts';
import type { Sample } from '../sample.ts';
import type { Context, LogUnderTest, Scenario } from '../scenario.ts';
import { LOG_START, onNodes } from './onNodes.ts';
import { dropPageCache } from './pageCache.ts';

const HOT_TARGET = 2_000_000;
/** Entries between the cold and the hot range: the warm-up of the cold read reads there. */
const WARM_UP_ENTRIES = 300_000;

/** Reads that went to the disk, of all nodes. */
async function coldReads({ running }: LogUnderTest): Promise<number> {
  const metrics = await Promise.all(running.nodes.map((node) => node.metrics()));
  return metrics.reduce((sum, values) => sum + (values.get('cold_reads_total') ?? Number.NaN), 0);
}

function rate(result: RangeResult): number {
  return result.entries / result.seconds;
}

async function readHot(context: Context, log: LogUnderTest, from: number): Promise<Sample[]> {
  const { hotEntries: entries, warmUpSeconds, seconds } = context.sizes;
  const plan = { from, warmUpFrom: from, entries, warmUpSeconds, seconds };
  const before = await coldReads(log);
  const batches = await log.load('range', { ...plan, how: 'batches' });
  const single = await log.load('range', { ...plan, how: 'entries' });
  const missed = (await coldReads(log)) - before;
  if (missed > 0) throw new Error(`${missed} reads went to the disk: --hot-entries ${entries} are more than tail memory holds`);
  return [
    { what: 'hot, in batches', value: rate(batches), unit: 'entries/s', target: { is: 'at least', value: HOT_TARGET } },
    { what: 'hot, entry by entry', value: rate(single), unit: 'entries/s' },
    ...log.costLines(batches, 'hot reads in batches'),
    ...log.costLines(single, 'hot reads, entry by entry'),
  ];
}

async function readCold(context: Context, log: LogUnderTest, warmUpFrom: number): Promise<Sample[]> {
  const { coldEntries: entries, warmUpSeconds, seconds } = context.sizes;
  const plan = { from: LOG_START, warmUpFrom, entries, how: 'batches', warmUpSeconds } as const;
  const target = { is: 'at least', value: HOT_TARGET / 2 } as const;
  dropPageCache(log.running.directory);
  const storageBefore = log.running.storageReadBytes();
  const coldBefore = await coldReads(log);
  const once = await log.load('range', { ...plan, seconds: 0 });
  if ((await coldReads(log)) === coldBefore) throw new Error('what was to be read cold came from tail memory');
  const storageAfter = log.running.storageReadBytes();
  const samples: Sample[] = [{ what: 'cold, page cache dropped', value: rate(once), unit: 'entries/s', target }];
  if (storageBefore !== undefined && storageAfter !== undefined) {
    // The warm-up reads from storage too, hence more than 100 % where the cache was dropped.
    const share = Math.min(100, ((storageAfter - storageBefore) / once.bytes) * 100);
    samples.push({ what: 'cold, read from storage', value: share, unit: '%' });
  }
  const cached = await log.load('range', { ...plan, seconds });
  samples.push({ what: 'cold, in the page cache', value: rate(cached), unit: 'entries/s', target });
  samples.push(...log.costLines(cached, 'cold reads from the page cache'));
  return samples;
}

export const read: Scenario = {
  name: 'read',
  about: 'reading 100 B entries back, verified by the client: hot, cold from the disk, cold from the page cache',
  takes: 'loglog',
  run(context: Context): Promise<Sample[]> {
    const { smallBytes, hotEntries, coldEntries } = context.sizes;
    return onNodes(context, [undefined], async (log) => {
      // The log has entries of its own between those of clients, so where some begin is not told by their number.
      await log.fill(smallBytes, coldEntries);
      const warmUpFrom = await log.running.commit();
      await log.fill(smallBytes, WARM_UP_ENTRIES);
      const hotFrom = await log.running.commit();
      await log.fill(smallBytes, hotEntries);
      const hot = await readHot(context, log, hotFrom);
      // After a restart tail memory holds only the segment that is not sealed, so nothing of the log's beginning.
      await log.restart();
      const cold = await readCold(context, log, warmUpFrom);
      return [...hot, ...cold];
    });
  },
};
