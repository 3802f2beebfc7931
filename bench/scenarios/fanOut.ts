// Many subscribers at the live tail of one log: what they get together at full speed, and how late at a fixed rate.

import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import type { UnderTest } from '../underTest.ts';
import { rateText } from './openLoop.ts';
import { chosenSystems, eachSystem } from './systems.ts';

/** With more in one process the clients of other systems take so long that nothing else is measured; LogLog alone has more. */
const MOST_BESIDE = 10;

async function measure(context: Context, system: UnderTest, subscribers: number): Promise<void> {
  const { smallBytes: payloadBytes, fanOutRate: rate, warmUpSeconds, seconds, isChecked } = context.sizes;
  const result = await system.load('fanOut', { payloadBytes, subscribers, rate, warmUpSeconds, seconds, isChecked });
  const { isReached } = result.paced;
  if (!isReached) context.note(`${system.name} did not reach ${rateText(rate)} beside ${system.group}`);
  const delivered = result.delivered / result.seconds;
  system.keep(result.delivery);
  system.note('delivered', delivered, 'entries/s', { chart: 'Live deliveries', isCompared: true });
  system.note('payload', (delivered * payloadBytes) / 1e6, 'MB/s');
  // Where the rate is not reached, the times are those of a queue.
  system.noteTimes(result.delivery, { when: ` at ${rateText(rate)}`, isCompared: isReached });
  system.cost({ ...result, entries: result.delivered, allEntries: result.allEntries * subscribers });
}

export const fanOut: Scenario = {
  name: 'fan-out',
  about: '1, 10, 100 live subscribers (--subscribers): delivered entries/s, and from append to delivery at a fixed rate (--fan-out-rate)',
  takes: 'all',
  async run(context: Context): Promise<Sample[]> {
    const samples: Sample[] = [];
    for (const subscribers of context.sizes.subscribers) {
      const systems = chosenSystems(context).filter(({ system }) => subscribers <= MOST_BESIDE || system.driver === 'loglog');
      const group = `${subscribers} ${subscribers === 1 ? 'subscriber' : 'subscribers'}`;
      samples.push(...(await eachSystem(context, group, (system) => measure(context, system, subscribers), systems)));
    }
    return samples;
  },
};
