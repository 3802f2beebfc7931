// One append after the other, each timed: the next one leaves when this one is acknowledged.

import type { LogClient } from '../../src/client/index.ts';
import type { LatencyRecorder } from '../statistics.ts';

/** Appends `payload` again and again until `deadline`, by `performance.now()`. */
export async function appendInTurn(log: LogClient, payload: Uint8Array, deadline: number, latency: LatencyRecorder): Promise<void> {
  let before = performance.now();
  while (before < deadline) {
    await log.append(payload);
    const now = performance.now();
    latency.record(now - before);
    before = now;
  }
}
