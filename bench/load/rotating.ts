// Load: a fixed number of appends in flight, each on the connection whose turn it is, so that all connections append, however many they are.

import { LatencyRecorder } from '../statistics.ts';
import type { Driver } from './drivers/driver.ts';
import { openDriver } from './drivers/open.ts';
import { measureClosedLoop, openLanes, program } from './program.ts';
import type { InTurnResult, RotatingParams } from './types.ts';

program('rotating', async (params: RotatingParams): Promise<InTurnResult> => {
  const { log, connections, inFlight } = params;
  const drivers: Driver[] = [];
  while (drivers.length < connections) drivers.push(await openDriver(log));
  const lanes = openLanes(log, params.payloadBytes, connections);
  const latency = new LatencyRecorder();
  let turn = 0;
  const appendInTurn = async (deadline: number): Promise<void> => {
    let before = performance.now();
    while (before < deadline) {
      const lane = lanes[turn];
      const driver = drivers[turn];
      if (lane === undefined || driver === undefined) throw new RangeError(`there is no connection ${turn}`);
      turn = turn + 1 === connections ? 0 : turn + 1;
      const { index } = lane;
      const payload = lane.next();
      const place = lane.sent;
      await driver.appendOne(payload, index);
      const now = performance.now();
      // A connection's receipts come in the order of its appends.
      lane.acknowledgedTo(place);
      latency.record(now - before);
      before = now;
    }
  };
  const run = async (seconds: number): Promise<void> => {
    const deadline = performance.now() + seconds * 1000;
    await Promise.all(Array.from({ length: inFlight }, () => appendInTurn(deadline)));
  };
  const times = await measureClosedLoop(run, params, latency);
  await Promise.all(drivers.map((driver) => driver.close()));
  return { entries: latency.count, ...times, latency: latency.summary() };
});
