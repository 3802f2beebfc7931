// Load: connections with one append in flight each, closed loop.

import { LatencyRecorder } from '../statistics.ts';
import type { Driver } from './drivers/driver.ts';
import { openDriver } from './drivers/open.ts';
import { appendOneByOne } from './oneByOne.ts';
import { measureClosedLoop, openLanes, program } from './program.ts';
import type { InTurnParams, InTurnResult } from './types.ts';

program('inTurn', async (params: InTurnParams): Promise<InTurnResult> => {
  const { log, connections, isStorm } = params;
  const drivers: Driver[] = [];
  if (isStorm) drivers.push(...(await Promise.all(Array.from({ length: connections }, () => openDriver(log)))));
  else while (drivers.length < connections) drivers.push(await openDriver(log));
  const lanes = openLanes(log, params.payloadBytes, connections);
  const latency = new LatencyRecorder();
  const run = async (seconds: number): Promise<void> => {
    const deadline = performance.now() + seconds * 1000;
    await Promise.all(lanes.map((lane, i) => appendOneByOne(drivers[i] as Driver, lane, deadline, latency)));
  };
  const times = await measureClosedLoop(run, params, latency);
  await Promise.all(drivers.map((driver) => driver.close()));
  return { entries: latency.count, ...times, latency: latency.summary() };
});
