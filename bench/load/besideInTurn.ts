// Load: one append in flight on each of one or more connections to a system of any make: the next one leaves when this one is acknowledged.

import { LatencyRecorder } from '../statistics.ts';
import type { Driver } from './drivers/driver.ts';
import { openDriver } from './drivers/open.ts';
import { NumberedPayloads } from './numbered.ts';
import { measureClosedLoop, program } from './program.ts';
import type { BesideInTurnParams, BesideInTurnResult } from './types.ts';

program('besideInTurn', async (params: BesideInTurnParams): Promise<BesideInTurnResult> => {
  const payloads = new NumberedPayloads(params.payloadBytes, params.seed);
  const drivers: Driver[] = [];
  while (drivers.length < params.connections) drivers.push(await openDriver(params.target));
  const latency = new LatencyRecorder();
  let allEntries = 0;
  const runOne = async (driver: Driver, deadline: number): Promise<void> => {
    let before = performance.now();
    while (before < deadline) {
      const index = allEntries;
      allEntries += 1;
      await driver.appendOne(payloads.at(index), index);
      const now = performance.now();
      latency.record(now - before);
      before = now;
    }
  };
  const run = async (seconds: number): Promise<void> => {
    const deadline = performance.now() + seconds * 1000;
    await Promise.all(drivers.map((driver) => runOne(driver, deadline)));
  };
  const times = await measureClosedLoop(run, params, latency);
  await Promise.all(drivers.map((driver) => driver.close()));
  return { entries: latency.count, ...times, allEntries, latency: latency.summary() };
});
