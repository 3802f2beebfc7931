// The latency of one append on three nodes and on one, in turn in the same run: what the majority costs.

import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';

/** Long enough that a switch costs nothing, short enough that both sides meet the same disturbances. */
const SLICE_SECONDS = 0.25;

export const clusterOneInFlight: Scenario = {
  name: 'cluster-one-in-flight',
  about: 'three nodes and a single one in turn, one committed append of 100 B in flight: p50, p99, and the ratio',
  async run(context: Context): Promise<Sample[]> {
    const { smallBytes: payloadBytes, warmUpSeconds, seconds } = context.sizes;
    const single = await context.startNode();
    try {
      const cluster = await context.startCluster();
      try {
        const plan = { urls: [single.url, cluster.urls], payloadBytes, sliceSeconds: SLICE_SECONDS, warmUpSeconds, seconds };
        const [alone, together] = (await context.load('comparison', plan)).latencies;
        if (alone === undefined || together === undefined) throw new Error('a side of the comparison has no answer');
        context.keep('three nodes', together);
        context.keep('single node', alone);
        return [
          { what: 'three nodes: p50', value: together.p50Ms, unit: 'ms', needsDisk: true },
          { what: 'three nodes: p99', value: together.p99Ms, unit: 'ms', needsDisk: true },
          { what: 'single node: p50', value: alone.p50Ms, unit: 'ms', needsDisk: true },
          { what: 'single node: p99', value: alone.p99Ms, unit: 'ms', needsDisk: true },
          {
            what: 'p50 to that of the single node',
            value: together.p50Ms / alone.p50Ms,
            unit: '×',
            target: { is: 'at most', value: 2.5 },
            needsDisk: true,
          },
        ];
      } finally {
        await cluster.remove();
      }
    } finally {
      await single.remove();
    }
  },
};
