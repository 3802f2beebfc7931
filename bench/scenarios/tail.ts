// A live subscriber: how much later than the producer's receipt an entry is delivered.

import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';

export const tail: Scenario = {
  name: 'tail',
  about: 'live tail: from an append to its delivery at a subscriber, above the append itself: p50',
  async run(context: Context): Promise<Sample[]> {
    const node = await context.startNode();
    try {
      const { smallBytes: payloadBytes, warmUpSeconds, seconds } = context.sizes;
      const { append, delivery } = await context.load('tail', { url: node.url, payloadBytes, warmUpSeconds, seconds });
      context.keep('append to receipt', append);
      context.keep('append to delivery', delivery);
      return [
        { what: 'append to receipt: p50', value: append.p50Ms, unit: 'ms', needsDisk: true },
        { what: 'append to delivery: p50', value: delivery.p50Ms, unit: 'ms', needsDisk: true },
        { what: 'append to delivery: p99', value: delivery.p99Ms, unit: 'ms', needsDisk: true },
        {
          what: 'delivery above append: p50',
          value: delivery.p50Ms - append.p50Ms,
          unit: 'ms',
          target: { is: 'at most', value: 1 },
          needsDisk: true,
        },
      ];
    } finally {
      await node.remove();
    }
  },
};
