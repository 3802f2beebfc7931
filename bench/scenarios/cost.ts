// What work costs beside its time: CPU of both sides, and the servers' memory. The same lines stand in all scenarios, beside-* too.

import { type LogUnderTest, residentBytesOf } from '../processes/log.ts';
import type { Sample } from '../sample.ts';

/** What a load did, and what it took. */
export interface Cost {
  readonly entries: number;
  /** With those of the warm-up, which the servers' time includes. */
  readonly allEntries: number;
  readonly clientCpuSeconds: number;
  /** Undefined where the system does not tell. */
  readonly serverCpuSeconds: number | undefined;
}

/** The lines of what a load that has just ended cost; `verb` is what it did, in the plural, and `prefix` begins each line. */
export function costSamples(log: LogUnderTest, cost: Cost, verb: string, prefix = ''): Sample[] {
  const { entries, allEntries, clientCpuSeconds, serverCpuSeconds } = cost;
  const samples: Sample[] = [];
  if (serverCpuSeconds !== undefined) {
    samples.push({ what: `${prefix}server CPU of ${verb}`, value: (serverCpuSeconds / allEntries) * 1e6, unit: 's/million' });
  }
  samples.push({ what: `${prefix}client CPU of ${verb}`, value: (clientCpuSeconds / entries) * 1e6, unit: 's/million' });
  const resident = residentBytesOf(log);
  if (resident !== undefined) samples.push({ what: `${prefix}server memory after ${verb}`, value: resident / 1e6, unit: 'MB' });
  return samples;
}
