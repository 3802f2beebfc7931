// A live subscriber: how much later than the producer's receipt an entry is delivered.

import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import { costSamples } from './cost.ts';

export const tail: Scenario = {
  name: 'tail',
  about: 'live tail: from an append to its delivery at a subscriber, above the append itself: p50',
  run(context: Context): Promise<Sample[]> {
    return context.withNode(async (node) => {
      const { smallBytes: payloadBytes, warmUpSeconds, seconds, isChecked } = context.sizes;
      const result = await context.loadOn(node, 'tail', { payloadBytes, warmUpSeconds, seconds, isChecked });
      const { append, delivery } = result;
      context.keep('append to receipt', append);
      context.keep('append to delivery', delivery);
      return [
        { what: 'append to receipt: p50', value: append.p50Ms, unit: 'ms' },
        { what: 'append to delivery: p50', value: delivery.p50Ms, unit: 'ms' },
        { what: 'append to delivery: p99', value: delivery.p99Ms, unit: 'ms' },
        {
          what: 'delivery above append: p50',
          value: delivery.p50Ms - append.p50Ms,
          unit: 'ms',
          target: { is: 'at most', value: 1 },
        },
        ...costSamples(node, { ...result, entries: append.count }, 'appends'),
      ];
    });
  },
};
