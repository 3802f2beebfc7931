// What it costs that the servers remember how far a consumer has come, entry by entry, beside reading the same without that.

import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import { chosenSystems, eachSystem } from './systems.ts';

export const consumers: Scenario = {
  name: 'consumers',
  about: 'reading --hot-entries of 100 B as a consumer that commits each entry to the servers, and without that: entries/s',
  takes: 'all',
  run(context: Context): Promise<Sample[]> {
    const { smallBytes: payloadBytes, hotEntries: entries, warmUpSeconds, seconds } = context.sizes;
    // etcd has nothing of the kind.
    const systems = chosenSystems(context).filter(({ system }) => system.driver !== 'etcd');
    const measure = async (system: Parameters<Parameters<typeof eachSystem>[2]>[0]): Promise<void> => {
      await system.fill(payloadBytes, entries);
      const plain = await system.load('readBack', { payloadBytes, entries, warmUpSeconds, seconds });
      const consumed = await system.load('readBack', { payloadBytes, entries, warmUpSeconds, seconds, isConsumer: true });
      const [rate, plainRate] = [consumed.entries / consumed.seconds, plain.entries / plain.seconds];
      system.note('entries that are committed one by one', rate, 'entries/s', { chart: 'Consumers', isCompared: true });
      system.note('to reading alone', rate / plainRate, '×');
      system.cost(consumed);
    };
    return eachSystem(context, `${entries.toLocaleString('en-US')} entries`, measure, systems);
  },
};
