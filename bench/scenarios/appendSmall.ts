// Durable appends of small entries by one producer, as the client batches them automatically.

import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import { measureAppends } from './appends.ts';

export const appendSmall: Scenario = {
  name: 'append-small',
  about: 'durable appends of 100 B, one producer, automatic batching: entries/s, and compared with limit (b)',
  takes: 'loglog',
  async run(context: Context): Promise<Sample[]> {
    const { smallBytes } = context.sizes;
    const bare = await context.limits.bareAppend(smallBytes);
    const { rate, samples } = await measureAppends(context, smallBytes);
    return [
      { what: 'throughput', value: rate, unit: 'entries/s', target: { is: 'at least', value: 1_500_000 } },
      {
        what: 'of limit (b)',
        value: (rate / (bare.entries / bare.seconds)) * 100,
        unit: '%',
        target: { is: 'at least', value: 75 },
      },
      ...samples,
    ];
  },
};
