// Load: appends at a fixed rate to a system of any make, each timed from the moment at which it was due.

import { LatencyRecorder } from '../statistics.ts';
import { PacedAppends } from './besidePaced.ts';
import { openDriver } from './drivers/open.ts';
import { NumberedPayloads } from './numbered.ts';
import { cpuSeconds, program } from './program.ts';
import { type OpenLoopRun, runOpenLoop } from './schedule.ts';
import { Ticker } from './ticker.ts';
import type { BesideOpenLoopParams, BesideOpenLoopResult } from './types.ts';

program('besideOpenLoop', async (params: BesideOpenLoopParams): Promise<BesideOpenLoopResult> => {
  const { rate, from } = params;
  const payloads = new NumberedPayloads(params.payloadBytes, params.seed);
  const driver = await openDriver(params.target);
  const target = new PacedAppends(driver, payloads, from);
  const ticker = new Ticker();
  const latency = new LatencyRecorder();
  const lateness = new LatencyRecorder();
  const run = async (seconds: number): Promise<OpenLoopRun> => {
    latency.clear();
    lateness.clear();
    const schedule = await ticker.begin(rate, Math.max(1, Math.round(rate * seconds)));
    return runOpenLoop({ schedule, target, clock: ticker, patienceMs: seconds * 1000, latency, lateness });
  };
  await run(params.warmUpSeconds);
  const cpuBefore = cpuSeconds();
  const outcome = await run(params.seconds);
  const clientCpuSeconds = cpuSeconds() - cpuBefore;
  await ticker.end();
  await driver.close();
  return {
    run: outcome,
    entries: outcome.acknowledged,
    allEntries: target.index - from,
    clientCpuSeconds,
    latency: latency.summary(),
    lateness: lateness.summary(),
  };
});
