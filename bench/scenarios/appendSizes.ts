// The same producer at several sizes of entries: where the cost of an entry ends, and that of its bytes begins.

import { sizeText } from '../limits.ts';
import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import { costSamples } from './cost.ts';

/** The report's chart of it; other systems may stand beside this log there, by the same sizes. */
export const SIZES_CHART = 'Throughput by entry size';

function measure(context: Context, payloadBytes: number): Promise<Sample[]> {
  return context.withNode(async (node) => {
    const result = await context.append(node, payloadBytes);
    const rate = result.entries / result.seconds;
    const group = sizeText(payloadBytes);
    return [
      { what: `${group}: entries`, value: rate, unit: 'entries/s' },
      {
        what: `${group}: payload`,
        value: (rate * payloadBytes) / 1e6,
        unit: 'MB/s',
        bar: { chart: SIZES_CHART, group, series: 'LogLog' },
      },
      ...costSamples(node, result, 'appends', `${group}: `),
    ];
  });
}

export const appendSizes: Scenario = {
  name: 'append-sizes',
  about: 'durable appends by one producer, by entry size (--entry-sizes): entries/s and MB/s',
  async run(context: Context): Promise<Sample[]> {
    const samples: Sample[] = [];
    for (const payloadBytes of context.sizes.entryBytes) samples.push(...(await measure(context, payloadBytes)));
    return samples;
  },
};
