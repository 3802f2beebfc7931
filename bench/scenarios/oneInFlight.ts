// The latency of one append: the next one leaves only when this one is acknowledged.

import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';

export const oneInFlight: Scenario = {
  name: 'one-in-flight',
  about: 'one durable append of 100 B in flight: p50, compared with (a) at 4 KiB plus the round trip of (b)',
  async run(context: Context): Promise<Sample[]> {
    const { limits, sizes } = context;
    const disk = await limits.disk(4096);
    const bare = await limits.bareRoundTrip(1);
    const node = await context.startNode();
    try {
      const { smallBytes: payloadBytes, warmUpSeconds, seconds } = sizes;
      const { latency } = await context.load('roundTrip', {
        url: node.url,
        connections: 1,
        isStorm: false,
        payloadBytes,
        warmUpSeconds,
        seconds,
      });
      context.keep('append to receipt', latency);
      const floorMs = disk.p50Ms + bare.latency.p50Ms;
      return [
        { what: 'p50', value: latency.p50Ms, unit: 'ms', needsDisk: true },
        { what: 'p99', value: latency.p99Ms, unit: 'ms', needsDisk: true },
        { what: 'p50 of limits (a) + (b)', value: floorMs, unit: 'ms', needsDisk: true },
        {
          what: 'p50 to that of the limits',
          value: latency.p50Ms / floorMs,
          unit: '×',
          target: { is: 'at most', value: 2 },
          needsDisk: true,
        },
      ];
    } finally {
      await node.remove();
    }
  },
};
