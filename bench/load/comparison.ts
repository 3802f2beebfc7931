// Load: one append in flight, at one log and the other in turn, so that whatever else the machine does meets both alike.

import { LatencyRecorder } from '../statistics.ts';
import { openDriver } from './drivers/open.ts';
import { appendOneByOne } from './oneByOne.ts';
import { cpuSeconds, openLane, program } from './program.ts';
import type { ComparisonParams, ComparisonResult } from './types.ts';

program('comparison', async (params: ComparisonParams): Promise<ComparisonResult> => {
  const sides = await Promise.all(
    params.logs.map(async (target) => {
      const lane = openLane(target, params.payloadBytes);
      return { driver: await openDriver(target), lane, latency: new LatencyRecorder(), clientCpuSeconds: 0 };
    }),
  );
  const run = async (seconds: number): Promise<void> => {
    const slices = Math.max(1, Math.round(seconds / params.sliceSeconds));
    for (let slice = 0; slice < slices; slice++) {
      for (const side of sides) {
        const cpuBefore = cpuSeconds();
        await appendOneByOne(side.driver, side.lane, performance.now() + (seconds / slices) * 1000, side.latency);
        side.clientCpuSeconds += cpuSeconds() - cpuBefore;
      }
    }
  };
  await run(params.warmUpSeconds);
  for (const side of sides) {
    side.latency.clear();
    side.clientCpuSeconds = 0;
  }
  await run(params.seconds);
  await Promise.all(sides.map(({ driver }) => driver.close()));
  return {
    sides: sides.map(({ latency, clientCpuSeconds }) => ({ entries: latency.count, clientCpuSeconds, latency: latency.summary() })),
  };
});
