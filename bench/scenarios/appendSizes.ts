// Appends by one producer, each system in its best batching, at several sizes of entries: where the cost of an entry ends, and that of its
// bytes begins.

import { sizeText } from '../machine/limits.ts';
import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import { eachSystem } from './systems.ts';

export const appendSizes: Scenario = {
  name: 'append-sizes',
  about: 'appends by one producer, many in flight, by entry size (--entry-sizes): entries/s and MB/s',
  takes: 'all',
  async run(context: Context): Promise<Sample[]> {
    const samples: Sample[] = [];
    for (const payloadBytes of context.sizes.entryBytes) {
      const found = await eachSystem(context, sizeText(payloadBytes), async (system) => {
        const result = await system.append(payloadBytes);
        const rate = result.entries / result.seconds;
        system.note('appends', rate, 'entries/s', { chart: 'Appends by entry size', isCompared: true, payloadBytes });
        system.note('payload', (rate * payloadBytes) / 1e6, 'MB/s', { chart: 'Throughput by entry size' });
        system.cost(result);
      });
      samples.push(...found);
    }
    return samples;
  },
};
