// What a setting of a system costs: a node with it and one without, in the same run; and the same of each other system that is here and has it.

import type { Target as Goal, Sample } from '../sample.ts';
import type { Context } from '../scenario.ts';
import type { LogLogPlan } from '../systems/loglogServers.ts';
import type { FoundSystem, System } from '../systems/system.ts';
import type { UnderTest } from '../underTest.ts';

/** Long enough that a switch costs nothing, short enough that both sides meet the same disturbances. */
const SLICE_SECONDS = 0.25;

export interface Pair {
  /** The setting, as lines begin. */
  readonly name: string;
  readonly plan: Omit<LogLogPlan, 'nodes'>;
  /** Another system with the setting; undefined: it is not measured so. */
  of(system: System): System | undefined;
  /** What must be of LogLog, as ratios to a node without: throughput at least, and p50 at most. */
  readonly minThroughput: number;
  readonly maxP50: number;
}

async function measure(context: Context, pair: Pair, plain: UnderTest, other: UnderTest, prefix = ''): Promise<Sample[]> {
  const { name } = pair;
  const { smallBytes: payloadBytes, warmUpSeconds, seconds } = context.sizes;
  const [without, by] = await context.compare([plain, other], { payloadBytes, sliceSeconds: SLICE_SECONDS, warmUpSeconds, seconds });
  if (without === undefined || by === undefined) throw new Error('a side of the comparison has no answer');
  context.keep(`${prefix}one in flight, ${name}`, by.latency);
  context.keep(`${prefix}one in flight, without`, without.latency);
  const manyWithout = await plain.append(payloadBytes);
  const many = await other.append(payloadBytes);
  const [rateWithout, rate] = [manyWithout.entries / manyWithout.seconds, many.entries / many.seconds];
  // What must be is of LogLog alone.
  const goal = (target: Goal): { readonly target?: Goal } => (prefix === '' ? { target } : {});
  return [
    { what: `${prefix}${name}: throughput`, value: rate, unit: 'entries/s' },
    { what: `${prefix}without: throughput`, value: rateWithout, unit: 'entries/s' },
    {
      what: `${prefix}throughput to that without`,
      value: rate / rateWithout,
      unit: '×',
      ...goal({ is: 'at least', value: pair.minThroughput }),
    },
    { what: `${prefix}${name}: p50`, value: by.latency.p50Ms, unit: 'ms' },
    { what: `${prefix}without: p50`, value: without.latency.p50Ms, unit: 'ms' },
    {
      what: `${prefix}p50 to that without`,
      value: by.latency.p50Ms / without.latency.p50Ms,
      unit: '×',
      ...goal({ is: 'at most', value: pair.maxP50 }),
    },
    ...other.costLines(many, 'appends', `${prefix}${name}: `),
    ...plain.costLines(manyWithout, 'appends', `${prefix}without: `),
  ];
}

async function measureOther(context: Context, pair: Pair, found: FoundSystem): Promise<Sample[]> {
  const system = pair.of(found.system);
  if (system === undefined) return [];
  context.say(`${found.system.label}, ${found.version}, with ${pair.name} and without`);
  const plain = await context.startSystem(found);
  try {
    const other = await context.startSystem({ ...found, system });
    try {
      const samples = await measure(context, pair, plain, other, `${plain.name}: `);
      await plain.check();
      await other.check();
      return samples.map((sample) => ({ ...sample, ...(found.system.isDurable ? {} : { isUnsynced: true }) }));
    } finally {
      await other.running.remove();
    }
  } finally {
    await plain.running.remove();
  }
}

/** Measures LogLog, then each other system that has it. */
export async function measurePair(context: Context, pair: Pair): Promise<Sample[]> {
  const samples = await context.withNode((plain) =>
    context.withLogLog({ nodes: 1, ...pair.plan }, (other) => measure(context, pair, plain, other)),
  );
  for (const found of context.systems) samples.push(...(await measureOther(context, pair, found)));
  return samples;
}
