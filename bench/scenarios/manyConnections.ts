// Many clients that wait for each append: group commit must gather them by itself.

import type { LogUnderTest } from '../processes/log.ts';
import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import { costSamples } from './cost.ts';
import { onNodes, prefixOf } from './onNodes.ts';

async function measure(context: Context, log: LogUnderTest, connections: number): Promise<Sample[]> {
  const { smallBytes: payloadBytes, warmUpSeconds, seconds } = context.sizes;
  const bare = await context.limits.bareRoundTrip(connections);
  const result = await context.loadOn(log, 'roundTrip', { connections, isStorm: false, payloadBytes, warmUpSeconds, seconds });
  context.keep(`${prefixOf(log)}append to receipt`, result.latency);
  const rate = result.entries / result.seconds;
  return [
    { what: 'throughput', value: rate, unit: 'entries/s', target: { is: 'at least', value: 60_000 } },
    { what: 'of limit (b)', value: (rate / (bare.entries / bare.seconds)) * 100, unit: '%' },
    { what: 'p50', value: result.latency.p50Ms, unit: 'ms' },
    { what: 'p99', value: result.latency.p99Ms, unit: 'ms' },
    ...costSamples(log, result, 'appends'),
  ];
}

export const manyConnections: Scenario = {
  name: 'many-connections',
  about: '64 connections with one durable append of 100 B in flight each: entries/s',
  run(context: Context): Promise<Sample[]> {
    return onNodes(context, [context.sizes.connections], (log, connections) => measure(context, log, connections));
  },
};
