// Many clients that wait for each append: group commit must gather them by itself.

import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';

export const manyConnections: Scenario = {
  name: 'many-connections',
  about: '64 connections with one durable append of 100 B in flight each: entries/s',
  async run(context: Context): Promise<Sample[]> {
    const { connections, smallBytes: payloadBytes, warmUpSeconds, seconds } = context.sizes;
    const bare = await context.limits.bareRoundTrip(connections);
    const node = await context.startNode();
    try {
      const result = await context.load('roundTrip', { url: node.url, connections, isStorm: false, payloadBytes, warmUpSeconds, seconds });
      context.keep('append to receipt', result.latency);
      const rate = result.entries / result.seconds;
      return [
        { what: 'throughput', value: rate, unit: 'entries/s', target: { is: 'at least', value: 60_000 }, needsDisk: true },
        { what: 'of limit (b)', value: (rate / (bare.entries / bare.seconds)) * 100, unit: '%', needsDisk: true },
        { what: 'p50', value: result.latency.p50Ms, unit: 'ms', needsDisk: true },
        { what: 'p99', value: result.latency.p99Ms, unit: 'ms', needsDisk: true },
        { what: 'client CPU per entry', value: (result.clientCpuSeconds / result.entries) * 1e6, unit: 'µs' },
      ];
    } finally {
      await node.remove();
    }
  },
};
