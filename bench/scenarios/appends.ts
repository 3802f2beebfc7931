// What both append scenarios do: one run against an empty log, and what it cost.

import type { Sample } from '../sample.ts';
import type { Context } from '../scenario.ts';

export interface AppendRun {
  /** Entries a second. */
  readonly rate: number;
  /** Bytes of entries in one write + fdatasync of the node, on average. */
  readonly meanWriteBytes: number;
  readonly samples: readonly Sample[];
}

/** Appends entries of `payloadBytes` to an empty log for the configured time; `segmentBytes` only where the node is not as the command line says. */
export function measureAppends(context: Context, payloadBytes: number, segmentBytes?: number): Promise<AppendRun> {
  return context.withLogLog({ nodes: 1, ...(segmentBytes === undefined ? {} : { segmentBytes }) }, async (log) => {
    const result = await log.append(payloadBytes);
    const metrics = await log.running.node(1).metrics();
    const of = (name: string): number => metrics.get(name) ?? Number.NaN;
    const syncs = of('fsync_duration_seconds_count');
    const meanWriteBytes = of('written_bytes_total') / syncs;
    const samples: Sample[] = [
      { what: "mean of the node's writes", value: meanWriteBytes, unit: 'bytes' },
      { what: 'mean write + fdatasync', value: (of('fsync_duration_seconds_sum') / syncs) * 1000, unit: 'ms' },
      { what: 'entries in a request', value: of('append_entries_total') / of('append_batches_total'), unit: '' },
      ...log.costLines(result, 'appends'),
    ];
    return { rate: result.entries / result.seconds, meanWriteBytes, samples };
  });
}
