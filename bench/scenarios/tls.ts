// What TLS on the clients' port costs: a node with it and one without, in the same run; and the same of each other system that is here, as it has TLS.

import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import type { FoundSystem } from '../systems/system.ts';
import type { UnderTest } from '../underTest.ts';

/** Long enough that a switch costs nothing, short enough that both sides meet the same disturbances. */
const SLICE_SECONDS = 0.25;
const MIN_THROUGHPUT = 0.7;
const MAX_P50 = 1.3;

async function measure(context: Context, plain: UnderTest, secured: UnderTest, prefix = ''): Promise<Sample[]> {
  const { smallBytes: payloadBytes, warmUpSeconds, seconds } = context.sizes;
  const [open, encrypted] = await context.compare([plain, secured], { payloadBytes, sliceSeconds: SLICE_SECONDS, warmUpSeconds, seconds });
  if (open === undefined || encrypted === undefined) throw new Error('a side of the comparison has no answer');
  context.keep(`${prefix}one in flight, TLS`, encrypted.latency);
  context.keep(`${prefix}one in flight, without`, open.latency);
  const without = await plain.append(payloadBytes);
  const by = await secured.append(payloadBytes);
  const [rateWithout, rate] = [without.entries / without.seconds, by.entries / by.seconds];
  // What must be is of LogLog alone.
  const isOwn = prefix === '';
  const atLeast = isOwn ? { target: { is: 'at least', value: MIN_THROUGHPUT } as const } : {};
  const atMost = isOwn ? { target: { is: 'at most', value: MAX_P50 } as const } : {};
  return [
    { what: `${prefix}TLS: throughput`, value: rate, unit: 'entries/s' },
    { what: `${prefix}without: throughput`, value: rateWithout, unit: 'entries/s' },
    { what: `${prefix}throughput to that without`, value: rate / rateWithout, unit: '×', ...atLeast },
    { what: `${prefix}TLS: p50`, value: encrypted.latency.p50Ms, unit: 'ms' },
    { what: `${prefix}without: p50`, value: open.latency.p50Ms, unit: 'ms' },
    { what: `${prefix}p50 to that without`, value: encrypted.latency.p50Ms / open.latency.p50Ms, unit: '×', ...atMost },
    ...secured.costLines(by, 'appends', `${prefix}TLS: `),
    ...plain.costLines(without, 'appends', `${prefix}without: `),
  ];
}

/** The same of another system. */
async function measureOther(context: Context, found: FoundSystem): Promise<Sample[]> {
  const { secured } = found.system;
  if (secured === undefined) return [];
  context.say(`${found.system.label}, ${found.version}, with TLS and without`);
  const plain = await context.startSystem(found);
  try {
    const encrypted = await context.startSystem({ ...found, system: secured });
    try {
      const samples = await measure(context, plain, encrypted, `${plain.name}: `);
      await plain.check();
      await encrypted.check();
      return samples.map((sample) => ({ ...sample, ...(found.system.isDurable ? {} : { isUnsynced: true }) }));
    } finally {
      await encrypted.running.remove();
    }
  } finally {
    await plain.running.remove();
  }
}

export const tls: Scenario = {
  name: 'tls',
  about: 'one node with TLS and one without: appends of 100 B by one producer, and one in flight, and the ratios; other systems beside it',
  takes: 'all',
  async run(context: Context): Promise<Sample[]> {
    const samples = await context.withNode((plain) =>
      context.withLogLog({ nodes: 1, tls: true }, (secured) => measure(context, plain, secured)),
    );
    for (const found of context.systems) samples.push(...(await measureOther(context, found)));
    return samples;
  },
};
