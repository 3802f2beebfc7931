// The same producer at several sizes of entries: where the cost of an entry ends, and that of its bytes begins.

import { sizeText } from '../limits.ts';
import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';

/** The report's chart of it; other systems may stand beside this log there, by the same sizes. */
export const SIZES_CHART = 'Throughput by entry size';

async function measure(context: Context, payloadBytes: number): Promise<Sample[]> {
  const node = await context.startNode();
  try {
    const { entries, seconds } = await context.append(node.url, payloadBytes);
    const rate = entries / seconds;
    const group = sizeText(payloadBytes);
    return [
      { what: `${group}: entries`, value: rate, unit: 'entries/s', needsDisk: true },
      {
        what: `${group}: payload`,
        value: (rate * payloadBytes) / 1e6,
        unit: 'MB/s',
        needsDisk: true,
        bar: { chart: SIZES_CHART, group, series: 'LogLog' },
      },
    ];
  } finally {
    await node.remove();
  }
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
