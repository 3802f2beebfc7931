// The same producer at several sizes of entries: where the cost of an entry ends, and that of its bytes begins.

import { sizeText } from '../machine/limits.ts';
import type { LogUnderTest } from '../processes/log.ts';
import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import { costSamples } from './cost.ts';
import { barOf, onNodes } from './onNodes.ts';

/** The report's chart of it; other systems may stand beside this log there, by the same sizes. */
export const SIZES_CHART = 'Throughput by entry size';

async function measure(context: Context, log: LogUnderTest, payloadBytes: number): Promise<Sample[]> {
  const result = await context.append(log, payloadBytes);
  const rate = result.entries / result.seconds;
  const group = sizeText(payloadBytes);
  return [
    { what: `${group}: entries`, value: rate, unit: 'entries/s' },
    { what: `${group}: payload`, value: (rate * payloadBytes) / 1e6, unit: 'MB/s', bar: barOf(log, SIZES_CHART, group) },
    ...costSamples(log, result, 'appends', `${group}: `),
  ];
}

export const appendSizes: Scenario = {
  name: 'append-sizes',
  about: 'durable appends by one producer, by entry size (--entry-sizes): entries/s and MB/s',
  run(context: Context): Promise<Sample[]> {
    return onNodes(context, context.sizes.entryBytes, (log, payloadBytes) => measure(context, log, payloadBytes));
  },
};
