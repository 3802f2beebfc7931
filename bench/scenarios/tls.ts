// What TLS on the clients' port costs: a node with it and one without, in the same run.

import type { Sample } from '../sample.ts';
import type { Context, LogUnderTest, Scenario } from '../scenario.ts';

/** Long enough that a switch costs nothing, short enough that both sides meet the same disturbances. */
const SLICE_SECONDS = 0.25;

async function measure(context: Context, plain: LogUnderTest, secured: LogUnderTest): Promise<Sample[]> {
  const { smallBytes: payloadBytes, warmUpSeconds, seconds } = context.sizes;
  const [open, encrypted] = await context.compare([plain, secured], { payloadBytes, sliceSeconds: SLICE_SECONDS, warmUpSeconds, seconds });
  if (open === undefined || encrypted === undefined) throw new Error('a side of the comparison has no answer');
  context.keep('one in flight, TLS', encrypted.latency);
  context.keep('one in flight, without', open.latency);
  const without = await plain.append(payloadBytes);
  const by = await secured.append(payloadBytes);
  const [rateWithout, rate] = [without.entries / without.seconds, by.entries / by.seconds];
  return [
    { what: 'TLS: throughput', value: rate, unit: 'entries/s' },
    { what: 'without: throughput', value: rateWithout, unit: 'entries/s' },
    { what: 'throughput to that without', value: rate / rateWithout, unit: '×', target: { is: 'at least', value: 0.7 } },
    { what: 'TLS: p50', value: encrypted.latency.p50Ms, unit: 'ms' },
    { what: 'without: p50', value: open.latency.p50Ms, unit: 'ms' },
    { what: 'p50 to that without', value: encrypted.latency.p50Ms / open.latency.p50Ms, unit: '×', target: { is: 'at most', value: 1.3 } },
    ...secured.costLines(by, 'appends', 'TLS: '),
    ...plain.costLines(without, 'appends', 'without: '),
  ];
}

export const tls: Scenario = {
  name: 'tls',
  about: 'one node with TLS and one without: appends of 100 B by one producer, and one in flight, and the ratios',
  takes: 'loglog',
  run(context: Context): Promise<Sample[]> {
    return context.withNode((plain) => context.withLogLog({ nodes: 1, tls: true }, (secured) => measure(context, plain, secured)));
  },
};
