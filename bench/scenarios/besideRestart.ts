// How long it takes to be ready again, beside the systems that LogLog could be exchanged for.

import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import { besideEach } from './beside.ts';

export const besideRestart: Scenario = {
  name: 'beside-restart',
  about:
    'from spawn to the first answer on a log of --restart-entries, after a clean stop and after kill -9 while idle, beside NATS, Redis and etcd',
  async run(context: Context): Promise<Sample[]> {
    const { besideRestartEntries: entries, besideRestartBytes } = context.sizes;
    const samples: Sample[] = [];
    for (const payloadBytes of besideRestartBytes) {
      const found = await besideEach(context, payloadBytes, async (system) => {
        system.group = `${entries.toLocaleString('en-US')} entries of ${system.group}`;
        await system.load('besideAppend', { warmUpSeconds: 0, seconds: 0, entries });
        const cleanMs = await system.restart('SIGTERM');
        const killedMs = await system.restart('SIGKILL');
        system.note('clean stop', cleanMs / 1000, 's', { isCompared: true });
        // Nobody appends when they are killed, so little is left half done.
        system.note('kill -9, idle', killedMs / 1000, 's', { isCompared: true });
        await system.check(entries, 'by driver');
      });
      samples.push(...found);
    }
    return samples;
  },
};
