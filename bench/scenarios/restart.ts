// How long a node takes to be ready again on a log of some gigabytes: after a clean stop, and after a kill under load.

import { setTimeout as sleep } from 'node:timers/promises';
import { ENTRY_OVERHEAD_BYTES } from '../../assembly/layout.ts';
import { until } from '../processes/until.ts';
import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';

/** Share of the log that is small entries, at its end, where recovery has to walk them. */
const SMALL_SHARE = 0.05;
const LOAD_MS = 1500;
const LOG = 'log';

export const restart: Scenario = {
  name: 'restart',
  about: 'from spawn to ready on a 4 GB log of 100 kB and 100 B entries: after a clean stop, and after kill -9 under load',
  takes: 'loglog',
  async prepare(context: Context): Promise<void> {
    const { logBytes, largeBytes, smallBytes } = context.sizes;
    context.say(`restart: building a log of ${(logBytes / 1e9).toFixed(1)} GB`);
    const log = await context.startLogLog({ nodes: 1 }, LOG);
    const count = (share: number, payloadBytes: number): number => Math.ceil((logBytes * share) / (payloadBytes + ENTRY_OVERHEAD_BYTES));
    await log.fill(largeBytes, count(1 - SMALL_SHARE, largeBytes));
    await log.fill(smallBytes, count(SMALL_SHARE, smallBytes));
    await log.running.endAll('SIGTERM');
  },
  async run(context: Context): Promise<Sample[]> {
    const target = { is: 'at most', value: 1 } as const;
    const log = await context.startLogLog({ nodes: 1 }, LOG);
    const { running } = log;
    const node = running.node(1);
    try {
      const cleanMs = node.readyMs;
      const before = await running.commit();
      const cut = log.load('cut', { payloadBytes: context.sizes.smallBytes });
      // A failure is seen below, where it is awaited.
      cut.catch(() => undefined);
      await until('the load appends', async () => ((await running.commit()) > before ? true : undefined));
      await sleep(LOAD_MS);
      await node.end('SIGKILL');
      await cut;
      await node.start();
      const killedMs = node.readyMs;
      await log.check();
      return [
        { what: 'ready after a clean stop', value: cleanMs / 1000, unit: 's', target },
        { what: 'ready after kill -9 under load', value: killedMs / 1000, unit: 's', target },
      ];
    } finally {
      await node.end('SIGTERM');
    }
  },
};
