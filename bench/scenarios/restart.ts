// How long a node takes to be ready again on a log of some gigabytes: after a clean stop, and after a kill under load.

import { setTimeout as sleep } from 'node:timers/promises';
import { ENTRY_OVERHEAD_BYTES } from '../../assembly/layout.ts';
import { until } from '../processes/cluster.ts';
import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';

/** Share of the log that is small entries, at its end, where recovery has to walk them. */
const SMALL_SHARE = 0.05;
const LOAD_MS = 1500;
const LOG = 'log';

export const restart: Scenario = {
  name: 'restart',
  about: 'from spawn to ready on a 4 GB log of 100 kB and 100 B entries: after a clean stop, and after kill -9 under load',
  async prepare(context: Context): Promise<void> {
    const { logBytes, largeBytes, smallBytes } = context.sizes;
    context.say(`restart: building a log of ${(logBytes / 1e9).toFixed(1)} GB`);
    const node = await context.startNode(LOG);
    const count = (share: number, payloadBytes: number): number => Math.ceil((logBytes * share) / (payloadBytes + ENTRY_OVERHEAD_BYTES));
    await context.fill(node, largeBytes, count(1 - SMALL_SHARE, largeBytes));
    await context.fill(node, smallBytes, count(SMALL_SHARE, smallBytes));
    await node.stop();
  },
  async run(context: Context): Promise<Sample[]> {
    const target = { is: 'at most', value: 1 } as const;
    const node = await context.startNode(LOG);
    try {
      const cleanMs = node.readyMs;
      const before = await node.commit();
      const cut = context.loadOn(node, 'cut', { payloadBytes: context.sizes.smallBytes });
      // A failure is seen below, where it is awaited.
      cut.catch(() => undefined);
      await until('the load appends', async () => ((await node.commit()) > before ? true : undefined));
      await sleep(LOAD_MS);
      await node.kill();
      await cut;
      await node.restart();
      const killedMs = node.readyMs;
      await context.check(node);
      return [
        { what: 'ready after a clean stop', value: cleanMs / 1000, unit: 's', target },
        { what: 'ready after kill -9 under load', value: killedMs / 1000, unit: 's', target },
      ];
    } finally {
      await node.stop();
    }
  },
};
