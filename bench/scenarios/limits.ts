// The machine's limits by themselves, for all sizes that the other scenarios compare with.

import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';

export const limits: Scenario = {
  name: 'limits',
  about: 'the limits of the machine, always run, before all others: (a) the disk, (b) the same client against a bare server, (c) loopback',
  takes: 'loglog',
  async run({ limits, sizes }: Context): Promise<Sample[]> {
    await limits.disk(4096);
    await limits.disk(1024 * 1024);
    await limits.sequential();
    await limits.bareAppend(sizes.smallBytes);
    await limits.bareAppend(sizes.largeBytes);
    await limits.bareRoundTrip(1);
    await limits.bareRoundTrip(sizes.connections);
    await limits.loopback();
    return [];
  },
};
