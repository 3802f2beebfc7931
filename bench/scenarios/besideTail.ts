// Subscribers at the live tail, beside the systems that LogLog could be exchanged for: what they get together at full speed, and how late
// at a fixed rate.

import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import { besideEach, type SystemUnderTest } from './beside.ts';
import { rateText } from './openLoop.ts';

async function measure(context: Context, system: SystemUnderTest, subscribers: number): Promise<void> {
  const { besideTailRate: rate, besideWarmUpSeconds: warmUpSeconds, besideSeconds: seconds } = context.sizes;
  system.group = `${subscribers} ${subscribers === 1 ? 'subscriber' : 'subscribers'}`;
  const result = await system.load('besideTail', { subscribers, rate, warmUpSeconds, seconds });
  const { isReached } = result.paced;
  if (!isReached) context.note(`${system.name} did not reach ${rateText(rate)} beside ${system.group}`);
  const delivered = result.entries * subscribers;
  system.keep(result.delivery);
  const chart = 'Live deliveries beside other systems';
  system.note('delivered', delivered / result.seconds, 'entries/s', { chart, isCompared: true });
  // Where the rate is not reached, the times are those of a queue.
  system.noteTimes(result.delivery, { when: ` at ${rateText(rate)}`, isCompared: isReached });
  system.note('client CPU', (result.clientCpuSeconds / delivered) * 1e6, 's/million');
  await system.check(result.allEntries, 'by driver');
}

export const besideTail: Scenario = {
  name: 'beside-tail',
  about: 'live subscribers (--beside-subscribers), beside NATS, Redis and etcd: delivered entries/s, and from append to delivery',
  async run(context: Context): Promise<Sample[]> {
    const samples: Sample[] = [];
    for (const subscribers of context.sizes.besideSubscribers) {
      samples.push(...(await besideEach(context, context.sizes.smallBytes, (system) => measure(context, system, subscribers))));
    }
    return samples;
  },
};
