// The latency of one append: the next one leaves only when this one is acknowledged.

import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import { costSamples } from './cost.ts';

export const oneInFlight: Scenario = {
  name: 'one-in-flight',
  about: 'one durable append of 100 B in flight: p50, compared with (a) at 4 KiB plus the round trip of (b)',
  async run(context: Context): Promise<Sample[]> {
    const { limits, sizes } = context;
    const disk = await limits.disk(4096);
    const bare = await limits.bareRoundTrip(1);
    return context.withNode(async (node) => {
      const { smallBytes: payloadBytes, warmUpSeconds, seconds } = sizes;
      const result = await context.loadOn(node, 'roundTrip', { connections: 1, isStorm: false, payloadBytes, warmUpSeconds, seconds });
      const { latency } = result;
      context.keep('append to receipt', latency);
      const floorMs = disk.p50Ms + bare.latency.p50Ms;
      return [
        { what: 'p50', value: latency.p50Ms, unit: 'ms' },
        { what: 'p99', value: latency.p99Ms, unit: 'ms' },
        { what: 'p50 of limits (a) + (b)', value: floorMs, unit: 'ms' },
        {
          what: 'p50 to that of the limits',
          value: latency.p50Ms / floorMs,
          unit: '×',
          target: { is: 'at most', value: 2 },
        },
        ...costSamples(node, result, 'appends'),
      ];
    });
  },
};
