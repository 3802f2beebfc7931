// A live subscriber: how much later than the producer's receipt an entry is delivered.

import { sizeText } from '../machine/limits.ts';
import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import type { UnderTest } from '../underTest.ts';
import { eachSystem } from './systems.ts';

async function measure(context: Context, system: UnderTest): Promise<void> {
  const { smallBytes: payloadBytes, warmUpSeconds, seconds, isChecked } = context.sizes;
  const result = await system.load('tail', { payloadBytes, warmUpSeconds, seconds, isChecked });
  const { append, delivery } = result;
  system.keep(append, 'append to receipt');
  system.keep(delivery, 'append to delivery');
  system.note('receipt, p50', append.p50Ms, 'ms');
  system.note('delivery, p50', delivery.p50Ms, 'ms', { isCompared: true });
  system.note('delivery, p99', delivery.p99Ms, 'ms');
  system.note('delivery above receipt, p50', delivery.p50Ms - append.p50Ms, 'ms', { target: { is: 'at most', value: 1 } });
  system.cost({ ...result, entries: append.count });
}

export const tail: Scenario = {
  name: 'tail',
  about: 'one append of 100 B at a time and a live subscriber: from the append to its receipt, and to its delivery',
  takes: 'all',
  run(context: Context): Promise<Sample[]> {
    return eachSystem(context, sizeText(context.sizes.smallBytes), (system) => measure(context, system));
  },
};
