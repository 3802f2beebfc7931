// The latency of one append beside the systems that LogLog could be exchanged for.

import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import { besideEach } from './beside.ts';

export const besideOneInFlight: Scenario = {
  name: 'beside-one-in-flight',
  about: 'one append of 100 B in flight, beside NATS, Redis and etcd: p50 and p99',
  run(context: Context): Promise<Sample[]> {
    const { smallBytes, besideWarmUpSeconds: warmUpSeconds, besideSeconds: seconds } = context.sizes;
    return besideEach(context, smallBytes, async (system) => {
      const result = await system.load('besideInTurn', { connections: 1, warmUpSeconds, seconds });
      system.keep(result.latency);
      system.noteTimes(result.latency);
      system.cost(result);
      await system.check(result.allEntries, 'kept');
    });
  },
};
