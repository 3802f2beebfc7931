// Load: appends at a fixed rate, whatever becomes of them. Each is timed from the moment at which it was due, not from the one at which it
// could leave, so that a log that stalls is charged with all that had to wait meanwhile.

import { LatencyRecorder } from '../statistics.ts';
import { openDriver } from './drivers/open.ts';
import { appendPaced } from './paced.ts';
import { cpuSeconds, openLane, program } from './program.ts';
import type { OpenLoopRun } from './schedule.ts';
import { Ticker } from './ticker.ts';
import type { OpenLoopParams, OpenLoopResult } from './types.ts';

program('openLoop', async (params: OpenLoopParams): Promise<OpenLoopResult> => {
  const driver = await openDriver(params.log);
  const lane = openLane(params.log, params.payloadBytes);
  const ticker = new Ticker();
  const latency = new LatencyRecorder();
  const lateness = new LatencyRecorder();
  const run = (seconds: number): Promise<OpenLoopRun> => {
    latency.clear();
    lateness.clear();
    return appendPaced({ driver, lane, ticker }, { rate: params.rate, seconds }, { latency, lateness });
  };
  if (params.warmUpSeconds > 0) await run(params.warmUpSeconds);
  const cpuBefore = cpuSeconds();
  const outcome = await run(params.seconds);
  const clientCpuSeconds = cpuSeconds() - cpuBefore;
  await ticker.end();
  await driver.close();
  return { run: outcome, clientCpuSeconds, latency: latency.summary(), lateness: lateness.summary() };
});
