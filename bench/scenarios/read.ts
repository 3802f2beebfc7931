// Reading small entries back, verified: hot from tail memory; cold from the disk, after a restart, with and without the page cache.

import { ENTRY_OVERHEAD_BYTES } from '../../assembly/layout.ts';
import type { ReadResult } from '../load/types.ts';
import type { NodeUnderTest } from '../node.ts';
import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import { costSamples } from './cost.ts';
import { dropPageCache } from './pageCache.ts';

const HOT_TARGET = 2_000_000;
/** Entries between the cold and the hot range: the warm-up of the cold read reads there. */
const WARM_UP_ENTRIES = 300_000;

async function coldReads(node: NodeUnderTest): Promise<number> {
  return (await node.metrics()).get('cold_reads_total') ?? Number.NaN;
}

function rate(result: ReadResult): number {
  return result.entries / result.seconds;
}

async function readHot(context: Context, node: NodeUnderTest, end: number): Promise<Sample[]> {
  const { smallBytes, hotEntries: entries, warmUpSeconds, seconds } = context.sizes;
  const from = end - entries * (smallBytes + ENTRY_OVERHEAD_BYTES);
  const plan = { from, warmUpFrom: from, entries, warmUpSeconds, seconds };
  const before = await coldReads(node);
  const batches = await context.loadOn(node, 'read', { ...plan, how: 'batches' });
  const single = await context.loadOn(node, 'read', { ...plan, how: 'entries' });
  const missed = (await coldReads(node)) - before;
  if (missed > 0) throw new Error(`${missed} reads went to the disk: --hot-entries ${entries} are more than tail memory holds`);
  return [
    { what: 'hot, in batches', value: rate(batches), unit: 'entries/s', target: { is: 'at least', value: HOT_TARGET } },
    { what: 'hot, entry by entry', value: rate(single), unit: 'entries/s' },
    ...costSamples(node, batches, 'hot reads in batches'),
    ...costSamples(node, single, 'hot reads, entry by entry'),
  ];
}

async function readCold(context: Context, node: NodeUnderTest, from: number): Promise<Sample[]> {
  const { smallBytes, coldEntries: entries, warmUpSeconds, seconds } = context.sizes;
  const warmUpFrom = from + entries * (smallBytes + ENTRY_OVERHEAD_BYTES);
  const plan = { from, warmUpFrom, entries, how: 'batches', warmUpSeconds } as const;
  const target = { is: 'at least', value: HOT_TARGET / 2 } as const;
  dropPageCache(node.directory);
  const storageBefore = node.storageReadBytes();
  const coldBefore = await coldReads(node);
  const once = await context.loadOn(node, 'read', { ...plan, seconds: 0 });
  if ((await coldReads(node)) === coldBefore) throw new Error('what was to be read cold came from tail memory');
  const storageAfter = node.storageReadBytes();
  const samples: Sample[] = [{ what: 'cold, page cache dropped', value: rate(once), unit: 'entries/s', target }];
  if (storageBefore !== undefined && storageAfter !== undefined) {
    // The warm-up reads from storage too, hence more than 100 % where the cache was dropped.
    const share = Math.min(100, ((storageAfter - storageBefore) / once.bytes) * 100);
    samples.push({ what: 'cold, read from storage', value: share, unit: '%' });
  }
  const cached = await context.loadOn(node, 'read', { ...plan, seconds });
  samples.push({ what: 'cold, in the page cache', value: rate(cached), unit: 'entries/s', target });
  samples.push(...costSamples(node, cached, 'cold reads from the page cache'));
  return samples;
}

export const read: Scenario = {
  name: 'read',
  about: 'reading 100 B entries back, verified by the client: hot, cold from the disk, cold from the page cache',
  run(context: Context): Promise<Sample[]> {
    const { smallBytes, hotEntries, coldEntries } = context.sizes;
    const entries = coldEntries + WARM_UP_ENTRIES + hotEntries;
    return context.withNode(async (node) => {
      const { end } = await context.fill(node, smallBytes, entries);
      const hot = await readHot(context, node, end);
      // After a restart tail memory holds only the segment that is not sealed, so nothing of the log's beginning.
      await node.restart();
      const cold = await readCold(context, node, end - entries * (smallBytes + ENTRY_OVERHEAD_BYTES));
      return [...hot, ...cold];
    });
  },
};
