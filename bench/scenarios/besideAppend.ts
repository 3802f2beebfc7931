// Appends by one producer beside the systems that LogLog could be exchanged for: each in its best batching, three sizes of entries.

import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import { besideEach } from './beside.ts';

const MIDDLE_BYTES = 1024;

export const besideAppend: Scenario = {
  name: 'beside-append',
  about: 'appends of 100 B, 1 KiB and 100 kB by one producer, many in flight, beside NATS, Redis and etcd: entries/s',
  async run(context: Context): Promise<Sample[]> {
    const { smallBytes, largeBytes, besideWarmUpSeconds: warmUpSeconds, besideSeconds: seconds, entries } = context.sizes;
    const samples: Sample[] = [];
    for (const payloadBytes of [smallBytes, MIDDLE_BYTES, largeBytes]) {
      const found = await besideEach(context, payloadBytes, async (system) => {
        const result = await system.load('besideAppend', { warmUpSeconds, seconds, entries });
        system.note('appends', result.entries / result.seconds, 'entries/s', {
          chart: 'Appends beside other systems',
          isCompared: true,
          isBySize: true,
        });
        system.cost(result);
        await system.check(result.allEntries, 'by driver');
      });
      samples.push(...found);
    }
    return samples;
  },
};
