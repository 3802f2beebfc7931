// One append after the other, each timed: the next one leaves when this one is acknowledged.

import type { LatencyRecorder } from '../statistics.ts';
import type { Driver } from './drivers/driver.ts';
import type { Lane } from './lane.ts';

/** Appends entries of `lane` until `deadline`, by `performance.now()`. */
export async function appendOneByOne(driver: Driver, lane: Lane, deadline: number, latency: LatencyRecorder): Promise<void> {
  let before = performance.now();
  while (before < deadline) {
    const { index } = lane;
    await driver.appendOne(lane.next(), index);
    const now = performance.now();
    lane.acknowledgedTo(lane.sent);
    latency.record(now - before);
    before = now;
  }
}
