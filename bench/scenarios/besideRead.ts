// Reading everything back, entry by entry, beside the systems that LogLog could be exchanged for.

import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import { besideEach } from './beside.ts';

export const besideRead: Scenario = {
  name: 'beside-read',
  about: 'reading the entries of --hot-entries of 100 B back, entry by entry, beside NATS, Redis and etcd: entries/s',
  run(context: Context): Promise<Sample[]> {
    const { smallBytes, besideReadEntries: entries, besideWarmUpSeconds: warmUpSeconds, besideSeconds: seconds } = context.sizes;
    return besideEach(context, smallBytes, async (system) => {
      await system.load('besideAppend', { warmUpSeconds: 0, seconds: 0, entries });
      await system.check(entries, 'by driver');
      const result = await system.load('besideRead', { entries, warmUpSeconds, seconds });
      system.note('reads', result.entries / result.seconds, 'entries/s', { chart: 'Reads beside other systems', isCompared: true });
      system.cost(result);
    });
  },
};
