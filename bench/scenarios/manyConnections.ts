// Many clients that wait for each append: group commit must gather them.

import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import { eachSystem, heldAgainst } from './systems.ts';

export const manyConnections: Scenario = {
  name: 'many-connections',
  about: '64 connections (--connections) with one append of 100 B in flight each: entries/s, p50 and p99',
  takes: 'all',
  async run(context: Context): Promise<Sample[]> {
    const { smallBytes: payloadBytes, connections, warmUpSeconds, seconds } = context.sizes;
    const bare = await context.limits.bareRoundTrip(connections);
    const lines: Sample[] = [];
    const group = `${connections} connections`;
    const samples = await eachSystem(context, group, async (system) => {
      const result = await system.load('inTurn', { connections, isStorm: false, payloadBytes, warmUpSeconds, seconds });
      const rate = result.entries / result.seconds;
      const target = { is: 'at least', value: 60_000 } as const;
      system.keep(result.latency);
      system.note('appends', rate, 'entries/s', { chart: 'Appends of many connections', isCompared: true, target });
      system.noteTimes(result.latency);
      system.cost(result);
      if (!system.isOwn) return;
      lines.push({ what: `${system.prefix}appends, of limit (b)`, value: (rate / (bare.entries / bare.seconds)) * 100, unit: '%' });
    });
    const claims = heldAgainst(samples, group, [
      { own: 'loglog', other: 'redis-always', number: 'appends', target: { is: 'at least', value: 1 } },
    ]);
    return [...lines, ...claims, ...samples];
  },
};
