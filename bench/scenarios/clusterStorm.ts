// A crowd comes to one node of a cluster at once, and everyone appends: the others must not lose sight of it.

import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import { countElections } from './elections.ts';

export const clusterStorm: Scenario = {
  name: 'cluster-storm',
  about: 'three nodes: 1,000 connections at once to the leader, one committed append of 100 B in flight on each: elections, entries/s',
  takes: 'loglog',
  run(context: Context): Promise<Sample[]> {
    const { stormConnections: connections, smallBytes: payloadBytes, warmUpSeconds, seconds } = context.sizes;
    return context.withCluster(async (log) => {
      const { url } = log.running.node(await log.running.leader());
      return await countElections(log, async () => {
        const plan = { connections, isStorm: true, payloadBytes, warmUpSeconds, seconds };
        const result = await log.load('inTurn', plan, { urls: [url] });
        const { entries, latency, seconds: tookSeconds } = result;
        context.keep('append to receipt', latency);
        return [
          { what: 'throughput', value: entries / tookSeconds, unit: 'entries/s' },
          { what: 'p50', value: latency.p50Ms, unit: 'ms' },
          { what: 'p99', value: latency.p99Ms, unit: 'ms' },
          ...log.costLines(result, 'appends'),
        ];
      });
    });
  },
};
