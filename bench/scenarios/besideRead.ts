// Reading everything back, entry by entry, beside the systems that LogLog could be exchanged for: again and again, and once after a restart
// with the page cache dropped, which is not compared: LogLog has its open segment in memory by then, Redis all of its data.

import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import { besideEach, type SystemUnderTest } from './beside.ts';
import { dropPageCache } from './pageCache.ts';

async function readAfterRestart(system: SystemUnderTest, entries: number): Promise<void> {
  const { running } = system;
  const forget = (): void => running.folders.forEach(dropPageCache);
  await system.restart('SIGTERM', forget);
  // What the servers have read to start is cached again.
  forget();
  const before = running.storageReadBytes();
  const once = await system.load('besideRead', { entries, warmUpSeconds: 0, seconds: 0 });
  const after = running.storageReadBytes();
  system.note('first read after a restart', once.entries / once.seconds, 'entries/s');
  if (before !== undefined && after !== undefined) system.note('of it from storage', (after - before) / 1e6, 'MB');
}

export const besideRead: Scenario = {
  name: 'beside-read',
  about:
    'reading --hot-entries of 100 B back, entry by entry, again and again, and once after a restart, beside NATS, Redis and etcd: entries/s',
  run(context: Context): Promise<Sample[]> {
    const { smallBytes, besideReadEntries: entries, besideWarmUpSeconds: warmUpSeconds, besideSeconds: seconds } = context.sizes;
    return besideEach(context, smallBytes, async (system) => {
      await system.load('besideAppend', { warmUpSeconds: 0, seconds: 0, entries });
      const result = await system.load('besideRead', { entries, warmUpSeconds, seconds });
      system.note('reads', result.entries / result.seconds, 'entries/s', { chart: 'Reads beside other systems', isCompared: true });
      system.cost(result);
      await readAfterRestart(system, entries);
      // What the servers have after the restart is judged, too.
      await system.check(entries, 'by driver');
    });
  },
};
