// The latency of one append on three nodes and on one, in turn in the same run: what the majority costs.

import type { Sample } from '../sample.ts';
import type { Context, LogUnderTest, Scenario } from '../scenario.ts';

/** Long enough that a switch costs nothing, short enough that both sides meet the same disturbances. */
const SLICE_SECONDS = 0.25;

async function measure(context: Context, single: LogUnderTest, cluster: LogUnderTest): Promise<Sample[]> {
  const { smallBytes: payloadBytes, warmUpSeconds, seconds } = context.sizes;
  const [alone, together] = await context.compare([single, cluster], { payloadBytes, sliceSeconds: SLICE_SECONDS, warmUpSeconds, seconds });
  if (alone === undefined || together === undefined) throw new Error('a side of the comparison has no answer');
  context.keep('three nodes', together.latency);
  context.keep('single node', alone.latency);
  return [
    { what: 'three nodes: p50', value: together.latency.p50Ms, unit: 'ms' },
    { what: 'three nodes: p99', value: together.latency.p99Ms, unit: 'ms' },
    { what: 'single node: p50', value: alone.latency.p50Ms, unit: 'ms' },
    { what: 'single node: p99', value: alone.latency.p99Ms, unit: 'ms' },
    {
      what: 'p50 to that of the single node',
      value: together.latency.p50Ms / alone.latency.p50Ms,
      unit: '×',
      target: { is: 'at most', value: 2 },
    },
    ...cluster.costLines(together, 'appends', 'three nodes: '),
    ...single.costLines(alone, 'appends', 'single node: '),
  ];
}

export const clusterOneInFlight: Scenario = {
  name: 'cluster-one-in-flight',
  about: 'three nodes and a single one in turn, one committed append of 100 B in flight: p50, p99, and the ratio',
  takes: 'loglog',
  run(context: Context): Promise<Sample[]> {
    return context.withNode((single) => context.withCluster((cluster) => measure(context, single, cluster)));
  },
};
