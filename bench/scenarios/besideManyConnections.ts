// Many clients that wait for each append, beside the systems that LogLog could be exchanged for.

import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import { besideEach } from './beside.ts';

export const besideManyConnections: Scenario = {
  name: 'beside-many-connections',
  about: '64 connections (--connections) with one append of 100 B in flight each, beside NATS, Redis and etcd: entries/s, p50 and p99',
  run(context: Context): Promise<Sample[]> {
    const { smallBytes, connections, besideWarmUpSeconds: warmUpSeconds, besideSeconds: seconds } = context.sizes;
    return besideEach(context, smallBytes, async (system) => {
      system.group = `${connections} connections`;
      const result = await system.load('besideInTurn', { connections, warmUpSeconds, seconds });
      system.keep(result.latency);
      const chart = 'Appends of many connections beside other systems';
      system.note('appends', result.entries / result.seconds, 'entries/s', { chart, isCompared: true });
      system.noteTimes(result.latency);
      system.cost(result);
      await system.check(result.allEntries, 'none');
    });
  },
};
