// How long it takes to be ready again when nobody appends.

import { sizeText } from '../machine/limits.ts';
import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import { eachSystem, heldAgainst } from './systems.ts';

export const restartIdle: Scenario = {
  name: 'restart-idle',
  about: 'from spawn to the first answer on a log of --restart-entries, after a clean stop and after kill -9 while idle',
  takes: 'all',
  async run(context: Context): Promise<Sample[]> {
    const { restartEntries: entries, restartBytes } = context.sizes;
    const samples: Sample[] = [];
    for (const payloadBytes of restartBytes) {
      const group = `${entries.toLocaleString('en-US')} entries of ${sizeText(payloadBytes)}`;
      const found = await eachSystem(context, group, async (system) => {
        await system.fill(payloadBytes, entries);
        const cleanMs = await system.restart('SIGTERM');
        const killedMs = await system.restart('SIGKILL');
        system.note('clean stop', cleanMs / 1000, 's', { isCompared: true });
        // Nobody appends when they are killed, so little is left half done.
        system.note('kill -9, idle', killedMs / 1000, 's', { isCompared: true });
      });
      const claims = ['clean stop', 'kill -9, idle'].map((number) => {
        return { own: 'loglog-3', other: 'etcd-3', number, target: { is: 'at most', value: 0.7 } } as const;
      });
      samples.push(...heldAgainst(found, group, claims), ...found);
    }
    return samples;
  },
};
