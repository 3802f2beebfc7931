// What it costs that there are many: an append where 10,000 connections take turns and where few do, and deliveries to 1,000 subscribers and to 10.

import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';

/** Appends in flight: one alone, and as many as share syncs. */
const IN_FLIGHT: readonly number[] = [1, 64];
const FEW_SUBSCRIBERS = 10;
const MOST_COST = 1.2;
const LEAST_DELIVERED = 0.8;

const countText = (count: number): string => count.toLocaleString('en-US');

/** Of a log of its own. Seconds for each append, and the lines of it. */
async function rotate(context: Context, connections: number, inFlight: number): Promise<{ seconds: number; samples: Sample[] }> {
  const { smallBytes: payloadBytes, warmUpSeconds, seconds } = context.sizes;
  const where = `${inFlight} in flight over ${countText(connections)} ${connections === 1 ? 'connection' : 'connections'}`;
  context.say(where);
  return context.withNode(async (log) => {
    const result = await log.load('rotating', { connections, inFlight, payloadBytes, warmUpSeconds, seconds });
    context.keep(where, result.latency);
    const samples: Sample[] = [
      { what: `${where}: appends`, value: result.entries / result.seconds, unit: 'entries/s' },
      { what: `${where}: p50`, value: result.latency.p50Ms, unit: 'ms' },
      { what: `${where}: client CPU`, value: (result.clientCpuSeconds / result.entries) * 1e6, unit: 's/million' },
    ];
    return { seconds: result.seconds / result.entries, samples };
  });
}

async function connectionsOf(context: Context): Promise<Sample[]> {
  const many = context.sizes.growthConnections;
  const samples: Sample[] = [];
  for (const inFlight of IN_FLIGHT) {
    const few = await rotate(context, inFlight, inFlight);
    const all = await rotate(context, many, inFlight);
    samples.push(...few.samples, ...all.samples, {
      what: `${inFlight} in flight over ${countText(many)} connections: time of an append to that over ${inFlight}`,
      value: all.seconds / few.seconds,
      unit: '×',
      target: { is: 'at most', value: MOST_COST },
    });
  }
  return samples;
}

/** MB/s that all of them together are delivered at full speed. */
async function deliver(context: Context, subscribers: number): Promise<number> {
  const { smallBytes: payloadBytes, fanOutRate: rate, warmUpSeconds, seconds, isChecked } = context.sizes;
  context.say(`${countText(subscribers)} subscribers`);
  return context.withNode(async (log) => {
    const result = await log.load('fanOut', { payloadBytes, subscribers, rate, warmUpSeconds, seconds, isChecked });
    return (result.delivered * payloadBytes) / result.seconds / 1e6;
  });
}

async function subscribersOf(context: Context): Promise<Sample[]> {
  const many = context.sizes.growthSubscribers;
  const few = await deliver(context, FEW_SUBSCRIBERS);
  const all = await deliver(context, many);
  return [
    { what: `${FEW_SUBSCRIBERS} subscribers: payload delivered`, value: few, unit: 'MB/s' },
    { what: `${countText(many)} subscribers: payload delivered`, value: all, unit: 'MB/s' },
    {
      what: `${countText(many)} subscribers: payload delivered to that of ${FEW_SUBSCRIBERS}`,
      value: all / few,
      unit: '×',
      target: { is: 'at least', value: LEAST_DELIVERED },
    },
  ];
}

export const growth: Scenario = {
  name: 'growth',
  about:
    'appends of 100 B over 10,000 connections in turn (--growth-connections) against few, and 1,000 live subscribers (--growth-subscribers) against 10',
  takes: 'loglog',
  async run(context: Context): Promise<Sample[]> {
    return [...(await connectionsOf(context)), ...(await subscribersOf(context))];
  },
};
