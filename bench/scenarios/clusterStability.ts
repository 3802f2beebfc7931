// Full load for long: no node may take its leader for dead. The log's old segments are emptied on the way, so that hours fit on any disk,
// unless they are to be read back.

import { readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { baseOfName } from '../../src/storage/names.ts';
import type { Sample } from '../sample.ts';
import type { Context, LogUnderTest, Scenario } from '../scenario.ts';
import { countElections } from './elections.ts';

/** Bytes of each node's newest segments that stay as they are: far more than a follower that keeps up can lack. */
export const KEPT_BYTES = 2e9;
const LOOK_MS = 1000;

/** Replaces the content of old segments by nothing, in place: their names and sizes stay, as the node knows them. */
function emptyOldSegments(directory: string, segmentBytes: number, emptied: Set<string>): void {
  const names = readdirSync(directory).filter((name) => baseOfName(name) !== undefined);
  names.sort();
  for (const name of names.slice(0, -Math.ceil(KEPT_BYTES / segmentBytes))) {
    const path = join(directory, name);
    if (emptied.has(path)) continue;
    emptied.add(path);
    const { size } = statSync(path);
    truncateSync(path, 0);
    truncateSync(path, size);
  }
}

/** Looks on while `load` runs. Returns the fewest entries that were committed in one second, warm-up left out. */
async function watch(context: Context, { running }: LogUnderTest, load: Promise<unknown>): Promise<number> {
  const { segmentBytes, warmUpSeconds, isChecked } = context.sizes;
  const emptied = new Set<string>();
  const fromMs = performance.now() + warmUpSeconds * 1000;
  let isOver = false;
  const over = (): void => {
    isOver = true;
  };
  load.then(over, over);
  let fewest = Number.POSITIVE_INFINITY;
  let before: { readonly atMs: number; readonly commit: number } | undefined;
  for (;;) {
    await Promise.race([sleep(LOOK_MS), load.catch(() => undefined)]);
    const commit = await running.commit();
    if (isOver) return fewest;
    const now = { atMs: performance.now(), commit };
    if (before !== undefined) fewest = Math.min(fewest, ((now.commit - before.commit) / (now.atMs - before.atMs)) * 1000);
    before = now.atMs < fromMs ? undefined : now;
    // What is to be read back stays.
    if (isChecked) continue;
    for (const folder of running.folders) emptyOldSegments(folder, segmentBytes, emptied);
  }
}

export const clusterStability: Scenario = {
  name: 'cluster-stability',
  about: 'three nodes under full load of 100 B appends: elections, for as long as --stability says, and the slowest second',
  takes: 'loglog',
  run(context: Context): Promise<Sample[]> {
    const { smallBytes, warmUpSeconds, stabilitySeconds } = context.sizes;
    return context.withCluster(async (log) => {
      return await countElections(log, async () => {
        const plan = { payloadBytes: smallBytes, warmUpSeconds, seconds: stabilitySeconds, entries: 0, batchEntries: 0 };
        const load = log.load('append', plan);
        const [result, fewest] = await Promise.all([load, watch(context, log, load)]);
        return [
          { what: 'length of the load', value: result.seconds, unit: 's' },
          { what: 'throughput', value: result.entries / result.seconds, unit: 'entries/s' },
          { what: 'committed in the slowest second', value: fewest / 1e6, unit: 'MB/s' },
          ...log.costLines(result, 'appends'),
        ];
      });
    });
  },
};
