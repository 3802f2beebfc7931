// Load: one append in flight at a system of any make: the next one leaves when this one is acknowledged.

import { LatencyRecorder } from '../statistics.ts';
import { openDriver } from './drivers/open.ts';
import { NumberedPayloads } from './numbered.ts';
import { cpuSeconds, program } from './program.ts';
import type { BesideInTurnParams, BesideInTurnResult } from './types.ts';

program('besideInTurn', async (params: BesideInTurnParams): Promise<BesideInTurnResult> => {
  const payloads = new NumberedPayloads(params.payloadBytes, params.seed);
  const driver = await openDriver(params.target);
  const latency = new LatencyRecorder();
  let allEntries = 0;
  const run = async (runSeconds: number): Promise<void> => {
    let before = performance.now();
    const deadline = before + runSeconds * 1000;
    while (before < deadline) {
      await driver.appendOne(payloads.at(allEntries), allEntries);
      allEntries += 1;
      const now = performance.now();
      latency.record(now - before);
      before = now;
    }
  };
  await run(params.warmUpSeconds);
  latency.clear();
  const cpuBefore = cpuSeconds();
  const started = performance.now();
  await run(params.seconds);
  const seconds = (performance.now() - started) / 1000;
  const clientCpuSeconds = cpuSeconds() - cpuBefore;
  await driver.close();
  return { entries: latency.count, seconds, clientCpuSeconds, allEntries, latency: latency.summary() };
});
