// One append after the other, each timed: the next one leaves when this one is acknowledged.

import type { LogClient } from '../../src/client/index.ts';
import type { LatencyRecorder } from '../statistics.ts';
import type { Lane } from './lane.ts';

/** Appends entries of `lane` until `deadline`, by `performance.now()`. */
export async function appendInTurn(log: LogClient, lane: Lane, deadline: number, latency: LatencyRecorder): Promise<void> {
  let before = performance.now();
  while (before < deadline) {
    await log.append(lane.next());
    const now = performance.now();
    lane.acknowledgedTo(lane.sent);
    latency.record(now - before);
    before = now;
  }
}
