// Reading everything back, entry by entry: again and again, and once after a restart with the page cache dropped, which is not compared:
// LogLog has its open segment in memory by then, Redis all of its data.

import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import type { UnderTest } from '../underTest.ts';
import { dropPageCache } from './pageCache.ts';
import { eachSystem } from './systems.ts';

async function readAfterRestart(system: UnderTest, payloadBytes: number, entries: number): Promise<void> {
  const { running } = system;
  const forget = (): void => running.folders.forEach(dropPageCache);
  await system.restart('SIGTERM', forget);
  // What the servers have read to start is cached again.
  forget();
  const before = running.storageReadBytes();
  const once = await system.load('readBack', { payloadBytes, entries, warmUpSeconds: 0, seconds: 0 });
  const after = running.storageReadBytes();
  system.note('first read after a restart', once.entries / once.seconds, 'entries/s');
  if (before !== undefined && after !== undefined) system.note('of it from storage', (after - before) / 1e6, 'MB');
}

export const readBack: Scenario = {
  name: 'read-back',
  about: 'reading --hot-entries of 100 B back, entry by entry, again and again, and once after a restart: entries/s',
  takes: 'all',
  run(context: Context): Promise<Sample[]> {
    const { smallBytes: payloadBytes, hotEntries: entries, warmUpSeconds, seconds } = context.sizes;
    return eachSystem(context, `${entries.toLocaleString('en-US')} entries`, async (system) => {
      await system.fill(payloadBytes, entries);
      const result = await system.load('readBack', { payloadBytes, entries, warmUpSeconds, seconds });
      system.note('reads', result.entries / result.seconds, 'entries/s', { chart: 'Reads', isCompared: true });
      system.cost(result);
      // What the servers have after the restart is judged, too.
      await readAfterRestart(system, payloadBytes, entries);
    });
  },
};
