// Load: appends at a fixed rate, whatever becomes of them. Each is timed from the moment at which it was due, not from the one at which it
// could leave, so that a log that stalls is charged with all that had to wait meanwhile.

import { connect } from '../../src/client/index.ts';
import { LatencyRecorder } from '../statistics.ts';
import { cpuSeconds, openLane, program } from './program.ts';
import { type OpenLoopRun, runOpenLoop } from './schedule.ts';
import { Ticker } from './ticker.ts';
import type { OpenLoopParams, OpenLoopResult } from './types.ts';

program('openLoop', async (params: OpenLoopParams): Promise<OpenLoopResult> => {
  const log = await connect(params.log.url);
  const lane = openLane(params.log, params.payloadBytes);
  const ticker = new Ticker();
  const latency = new LatencyRecorder();
  const lateness = new LatencyRecorder();
  const target = {
    get hasRoom(): boolean {
      return log.hasRoom;
    },
    ready: () => log.ready(),
    append: () => log.append(lane.next()),
  };
  const run = async (seconds: number): Promise<OpenLoopRun> => {
    latency.clear();
    lateness.clear();
    const schedule = await ticker.begin(params.rate, Math.max(1, Math.round(params.rate * seconds)));
    const outcome = await runOpenLoop({ schedule, target, clock: ticker, patienceMs: seconds * 1000, latency, lateness });
    lane.acknowledgedTo(lane.sent);
    return outcome;
  };
  if (params.warmUpSeconds > 0) await run(params.warmUpSeconds);
  const cpuBefore = cpuSeconds();
  const outcome = await run(params.seconds);
  const clientCpuSeconds = cpuSeconds() - cpuBefore;
  await ticker.end();
  await log.close();
  return { run: outcome, clientCpuSeconds, latency: latency.summary(), lateness: lateness.summary() };
});
