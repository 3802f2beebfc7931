// How long a test waits for a cluster of its own (loglogd/testing), against the start of one node.

import { startCluster } from '../../src/testing/index.ts';
import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import { median } from '../statistics.ts';

/** Starts of either, in turn. */
const STARTS = 5;

/** From the call of `startCluster` to the first committed append of a client of it. */
async function clusterMs(): Promise<number> {
  const startedMs = performance.now();
  await using cluster = await startCluster({ nodes: 3 });
  const log = await cluster.connect();
  await log.append('the first entry');
  return performance.now() - startedMs;
}

export const testCluster: Scenario = {
  name: 'test-cluster',
  about: 'startCluster of three nodes, from the call to the first committed append, against one node from spawn to ready',
  takes: 'loglog',
  async run(context: Context): Promise<Sample[]> {
    const times: { readonly one: number[]; readonly cluster: number[] } = { one: [], cluster: [] };
    for (let start = 0; start < STARTS; start++) {
      const log = await context.startLogLog({ nodes: 1 });
      times.one.push(log.running.node(1).readyMs);
      await context.remove(log);
      times.cluster.push(await clusterMs());
    }
    const [one, cluster] = [median(times.one), median(times.cluster)];
    return [
      { what: 'startCluster to the first committed append', value: cluster, unit: 'ms' },
      { what: 'one node from spawn to ready', value: one, unit: 'ms' },
      { what: 'startCluster to one node', value: cluster / one, unit: '×', target: { is: 'at most', value: 3 } },
    ];
  },
};
