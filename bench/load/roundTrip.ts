// Load: connections with one append in flight each, closed loop.

import { connect, type LogClient } from '../../src/client/index.ts';
import { LatencyRecorder } from '../statistics.ts';
import { appendInTurn } from './inTurn.ts';
import { measureClosedLoop, openLanes, program } from './program.ts';
import type { RoundTripParams, RoundTripResult } from './types.ts';

program('roundTrip', async (params: RoundTripParams): Promise<RoundTripResult> => {
  const logs: LogClient[] = [];
  if (params.isStorm) logs.push(...(await Promise.all(Array.from({ length: params.connections }, () => connect(params.log.url)))));
  else for (let i = 0; i < params.connections; i++) logs.push(await connect(params.log.url));
  const lanes = openLanes(params.log, params.payloadBytes, params.connections);
  const latency = new LatencyRecorder();
  const run = async (seconds: number): Promise<void> => {
    const deadline = performance.now() + seconds * 1000;
    await Promise.all(lanes.map((lane, i) => appendInTurn(logs[i] as LogClient, lane, deadline, latency)));
  };
  const times = await measureClosedLoop(run, params, latency);
  await Promise.all(logs.map((log) => log.close()));
  return { entries: latency.count, ...times, latency: latency.summary() };
});
