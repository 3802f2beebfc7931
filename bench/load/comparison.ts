// Load: one append in flight, at one log and the other in turn, so that whatever else the machine does meets both alike.

import { connect } from '../../src/client/index.ts';
import { LatencyRecorder } from '../statistics.ts';
import { appendInTurn } from './inTurn.ts';
import { makePayload } from './payload.ts';
import { program } from './program.ts';
import type { ComparisonParams, ComparisonResult } from './types.ts';

program('comparison', async (params: ComparisonParams): Promise<ComparisonResult> => {
  const payload = makePayload(params.payloadBytes);
  const sides = await Promise.all(params.urls.map(async (url) => ({ log: await connect(url), latency: new LatencyRecorder() })));
  const run = async (seconds: number): Promise<void> => {
    const slices = Math.max(1, Math.round(seconds / params.sliceSeconds));
    for (let slice = 0; slice < slices; slice++) {
      for (const { log, latency } of sides) {
        await appendInTurn(log, payload, performance.now() + (seconds / slices) * 1000, latency);
      }
    }
  };
  await run(params.warmUpSeconds);
  for (const { latency } of sides) latency.clear();
  await run(params.seconds);
  await Promise.all(sides.map(({ log }) => log.close()));
  return { latencies: sides.map(({ latency }) => latency.summary()) };
});
