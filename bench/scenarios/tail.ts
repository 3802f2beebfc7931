// A live subscriber: how much later than the producer's receipt an entry is delivered.

import type { LogUnderTest } from '../processes/log.ts';
import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import { costSamples } from './cost.ts';
import { onNodes, prefixOf } from './onNodes.ts';

async function measure(context: Context, log: LogUnderTest): Promise<Sample[]> {
  const { smallBytes: payloadBytes, warmUpSeconds, seconds, isChecked } = context.sizes;
  const result = await context.loadOn(log, 'tail', { payloadBytes, warmUpSeconds, seconds, isChecked });
  const { append, delivery } = result;
  context.keep(`${prefixOf(log)}append to receipt`, append);
  context.keep(`${prefixOf(log)}append to delivery`, delivery);
  return [
    { what: 'append to receipt: p50', value: append.p50Ms, unit: 'ms' },
    { what: 'append to delivery: p50', value: delivery.p50Ms, unit: 'ms' },
    { what: 'append to delivery: p99', value: delivery.p99Ms, unit: 'ms' },
    { what: 'delivery above append: p50', value: delivery.p50Ms - append.p50Ms, unit: 'ms', target: { is: 'at most', value: 1 } },
    ...costSamples(log, { ...result, entries: append.count }, 'appends'),
  ];
}

export const tail: Scenario = {
  name: 'tail',
  about: 'live tail: from an append to its delivery at a subscriber, above the append itself: p50',
  run(context: Context): Promise<Sample[]> {
    return onNodes(context, [undefined], (log) => measure(context, log));
  },
};
