// Load: one append in flight at a system of any make: the next one leaves when this one is acknowledged.

import { LatencyRecorder } from '../statistics.ts';
import { openDriver } from './drivers/open.ts';
import { NumberedPayloads } from './numbered.ts';
import { measureClosedLoop, program } from './program.ts';
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
  const times = await measureClosedLoop(run, params, latency);
  await driver.close();
  return { entries: latency.count, ...times, allEntries, latency: latency.summary() };
});
