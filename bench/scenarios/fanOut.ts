// Many subscribers at the live tail of one log: what they get together at full speed, and how late at a fixed rate.

import type { LogUnderTest } from '../processes/log.ts';
import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import { costSamples } from './cost.ts';
import { onNodes, prefixOf } from './onNodes.ts';
import { rateText } from './openLoop.ts';

async function measure(context: Context, log: LogUnderTest, subscribers: number): Promise<Sample[]> {
  const { smallBytes: payloadBytes, fanOutRate: rate, warmUpSeconds, seconds, isChecked } = context.sizes;
  const plan = { payloadBytes, subscribers, rate, warmUpSeconds, seconds, isChecked };
  const result = await context.loadOn(log, 'fanOut', plan);
  const allEntries = result.allEntries * subscribers;
  const who = `${subscribers} ${subscribers === 1 ? 'subscriber' : 'subscribers'}`;
  context.keep(`${prefixOf(log)}append to delivery, ${who}`, result.delivery);
  if (!result.paced.isReached) context.note(`${prefixOf(log)}${rateText(rate)} were not reached beside ${who}`);
  return [
    { what: `${who}: delivered`, value: result.delivered / result.seconds, unit: 'entries/s' },
    {
      what: `${who}: delivered, payload`,
      value: (result.delivered * payloadBytes) / result.seconds / 1e6,
      unit: 'MB/s',
    },
    { what: `${who}: append to delivery at ${rateText(rate)}, p50`, value: result.delivery.p50Ms, unit: 'ms' },
    { what: `${who}: append to delivery at ${rateText(rate)}, p99`, value: result.delivery.p99Ms, unit: 'ms' },
    ...costSamples(log, { ...result, entries: result.delivered, allEntries }, 'deliveries', `${who}: `),
  ];
}

export const fanOut: Scenario = {
  name: 'fan-out',
  about: '1, 10, 100 subscribers at the live tail (--subscribers): delivered entries/s, and from append to delivery at a fixed rate',
  run(context: Context): Promise<Sample[]> {
    return onNodes(context, context.sizes.subscribers, (log, subscribers) => measure(context, log, subscribers));
  },
};
