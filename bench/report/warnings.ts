// What the reader of a report must beware of.

import type { Environment } from '../machine/environment.ts';
import { BUSY_PERCENT } from '../machine/otherLoad.ts';
import type { Line, RunRecord } from './report.ts';

/** A sync of a real disk takes longer; what is faster probably ends in a volatile cache. */
const IMPLAUSIBLE_SYNC_MS = 0.02;

/** The cores that targets are for. */
const TARGET_CORES = 2;

/** The fastest sync that was measured, of the limits' medians; undefined when none was. */
function syncMs(lines: readonly Line[]): number | undefined {
  const syncs = lines.filter(({ scenario, what }) => scenario === 'limits' && what.includes('fdatasync') && what.endsWith('p50'));
  return syncs.length === 0 ? undefined : Math.min(...syncs.map(({ median }) => median));
}

export function warningsOf(lines: readonly Line[], runs: readonly RunRecord[], environment: Environment): string[] {
  const { isDurable, fileSystem, cores } = environment;
  const texts: string[] = [];
  if (!isDurable) texts.push(`the data was on ${fileSystem}, which is memory: nothing of this is durable; name a disk with --dir`);
  const sync = syncMs(lines);
  if (isDurable && sync !== undefined && sync < IMPLAUSIBLE_SYNC_MS) {
    texts.push(`fdatasync takes ${(sync * 1000).toFixed(0)} µs here, too fast for a disk: it may end in a volatile cache`);
  }
  for (const { round, scenario, othersPercent, notes } of runs) {
    for (const note of notes) texts.push(`${scenario}, round ${round}: ${note}`);
    // That of the limits is of the whole round.
    if (scenario !== 'limits' && othersPercent > BUSY_PERCENT) {
      texts.push(`other processes used ${othersPercent.toFixed(0)} % of the machine in round ${round} of ${scenario}`);
    }
  }
  if (cores !== TARGET_CORES) texts.push(`the targets are for ${TARGET_CORES} cores, and this machine has ${cores}`);
  return texts;
}
