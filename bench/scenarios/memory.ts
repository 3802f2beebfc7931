// Resident memory of a node: idle after its start, and the most it ever had under appends of both sizes.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';

const SETTLE_MS = 2000;

export const memory: Scenario = {
  name: 'memory',
  about: 'resident memory of a node: idle, and the peak under full append load of 100 B and of 100 kB',
  takes: 'loglog',
  run(context: Context): Promise<Sample[]> {
    const { smallBytes, largeBytes } = context.sizes;
    return context.withNode(async (log) => {
      const node = log.running.node(1);
      await sleep(SETTLE_MS);
      const idle = await node.resident();
      await log.append(smallBytes);
      await log.append(largeBytes);
      const loaded = await node.resident();
      await sleep(SETTLE_MS);
      const after = await node.resident();
      return [
        { what: 'idle', value: idle.now / 1e6, unit: 'MB', target: { is: 'at most', value: 80 } },
        { what: 'peak under load', value: loaded.peak / 1e6, unit: 'MB', target: { is: 'at most', value: 400 } },
        { what: 'idle again after the load', value: after.now / 1e6, unit: 'MB' },
      ];
    });
  },
};
