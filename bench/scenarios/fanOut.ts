// Many subscribers at the live tail of one log: what they get together at full speed, and how late at a fixed rate.

import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import { costSamples } from './cost.ts';
import { rateText } from './openLoop.ts';

function measure(context: Context, subscribers: number): Promise<Sample[]> {
  const { smallBytes: payloadBytes, fanOutRate: rate, warmUpSeconds, seconds, isChecked } = context.sizes;
  return context.withNode(async (node) => {
    const plan = { payloadBytes, subscribers, rate, warmUpSeconds, seconds, isChecked };
    const result = await context.loadOn(node, 'fanOut', plan);
    const allEntries = result.allEntries * subscribers;
    const who = `${subscribers} ${subscribers === 1 ? 'subscriber' : 'subscribers'}`;
    context.keep(`append to delivery, ${who}`, result.delivery);
    if (!result.paced.isReached) context.note(`${rateText(rate)} were not reached beside ${who}`);
    return [
      { what: `${who}: delivered`, value: result.delivered / result.seconds, unit: 'entries/s' },
      {
        what: `${who}: delivered, payload`,
        value: (result.delivered * payloadBytes) / result.seconds / 1e6,
        unit: 'MB/s',
      },
      { what: `${who}: append to delivery at ${rateText(rate)}, p50`, value: result.delivery.p50Ms, unit: 'ms' },
      { what: `${who}: append to delivery at ${rateText(rate)}, p99`, value: result.delivery.p99Ms, unit: 'ms' },
      ...costSamples(node, { ...result, entries: result.delivered, allEntries }, 'deliveries', `${who}: `),
    ];
  });
}

export const fanOut: Scenario = {
  name: 'fan-out',
  about: '1, 10, 100 subscribers at the live tail (--subscribers): delivered entries/s, and from append to delivery at a fixed rate',
  async run(context: Context): Promise<Sample[]> {
    const samples: Sample[] = [];
    for (const subscribers of context.sizes.subscribers) samples.push(...(await measure(context, subscribers)));
    return samples;
  },
};
