// What it costs that nodes prove themselves to each other and encrypt what they say: three nodes with a secret and three without, in the same run.

import type { Sample } from '../sample.ts';
import type { Context, LogUnderTest, Scenario } from '../scenario.ts';

/** Long enough that a switch costs nothing, short enough that both sides meet the same disturbances. */
const SLICE_SECONDS = 0.25;

async function measure(context: Context, plain: LogUnderTest, secured: LogUnderTest): Promise<Sample[]> {
  const { smallBytes: payloadBytes, warmUpSeconds, seconds } = context.sizes;
  const [open, proven] = await context.compare([plain, secured], { payloadBytes, sliceSeconds: SLICE_SECONDS, warmUpSeconds, seconds });
  if (open === undefined || proven === undefined) throw new Error('a side of the comparison has no answer');
  context.keep('one in flight, with a secret', proven.latency);
  context.keep('one in flight, without', open.latency);
  const without = await plain.append(payloadBytes);
  const by = await secured.append(payloadBytes);
  const [rateWithout, rate] = [without.entries / without.seconds, by.entries / by.seconds];
  return [
    { what: 'with a secret: throughput', value: rate, unit: 'entries/s' },
    { what: 'without: throughput', value: rateWithout, unit: 'entries/s' },
    { what: 'throughput to that without', value: rate / rateWithout, unit: '×' },
    { what: 'with a secret: p50', value: proven.latency.p50Ms, unit: 'ms' },
    { what: 'without: p50', value: open.latency.p50Ms, unit: 'ms' },
    { what: 'p50 to that without', value: proven.latency.p50Ms / open.latency.p50Ms, unit: '×' },
    ...secured.costLines(by, 'appends', 'with a secret: '),
    ...plain.costLines(without, 'appends', 'without: '),
  ];
}

export const peerProof: Scenario = {
  name: 'peer-proof',
  about:
    'three nodes that prove a secret to each other and three that do not: appends of 100 B by one producer, and one in flight, and the ratios',
  takes: 'loglog',
  run(context: Context): Promise<Sample[]> {
    return context.withCluster((plain) => context.withLogLog({ nodes: 3, secret: true }, (secured) => measure(context, plain, secured)));
  },
};
