// The latency of one append: the next one leaves only when this one is acknowledged.

import { sizeText } from '../machine/limits.ts';
import type { Sample } from '../sample.ts';
import type { Context, Scenario } from '../scenario.ts';
import { eachSystem, heldAgainst } from './systems.ts';

export const oneInFlight: Scenario = {
  name: 'one-in-flight',
  about: 'one append of 100 B in flight: p50 and p99; one node of LogLog also against (a) at 4 KiB plus the round trip of (b)',
  takes: 'all',
  async run(context: Context): Promise<Sample[]> {
    const { limits, sizes } = context;
    const { smallBytes: payloadBytes, warmUpSeconds, seconds } = sizes;
    const disk = await limits.disk(4096);
    const bare = await limits.bareRoundTrip(1);
    const floorMs = disk.p50Ms + bare.latency.p50Ms;
    const lines: Sample[] = [];
    const group = sizeText(payloadBytes);
    const samples = await eachSystem(context, group, async (system) => {
      const result = await system.load('inTurn', { connections: 1, isStorm: false, payloadBytes, warmUpSeconds, seconds });
      const { p50Ms } = result.latency;
      system.keep(result.latency);
      system.noteTimes(result.latency);
      system.cost(result);
      if (!system.isOwn || system.system.nodes !== 1) return;
      lines.push(
        { what: 'p50 of limits (a) + (b)', value: floorMs, unit: 'ms' },
        { what: '1 node: p50 to that of the limits', value: p50Ms / floorMs, unit: '×', target: { is: 'at most', value: 1.1 } },
      );
    });
    const claims = heldAgainst(samples, group, [
      { own: 'loglog', other: 'redis-always', number: 'p50', target: { is: 'at most', value: 0.9 } },
      { own: 'loglog-3', other: 'etcd-3', number: 'p50', target: { is: 'at most', value: 0.4 } },
    ]);
    return [...lines, ...claims, ...samples];
  },
};
