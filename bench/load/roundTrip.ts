// Load: connections with one append in flight each, closed loop.

import { connect, type LogClient } from '../../src/client/index.ts';
import { LatencyRecorder } from '../statistics.ts';
import { cpuSeconds, makePayload, program } from './program.ts';
import type { RoundTripParams, RoundTripResult } from './types.ts';

const MAX_SAMPLES = 4_000_000;

async function loop(log: LogClient, payload: Uint8Array, deadline: number, latency: LatencyRecorder): Promise<void> {
  let before = performance.now();
  while (before < deadline) {
    await log.append(payload);
    const now = performance.now();
    latency.record(now - before);
    before = now;
  }
}

program('roundTrip', async (params: RoundTripParams): Promise<RoundTripResult> => {
  const logs: LogClient[] = [];
  for (let i = 0; i < params.connections; i++) logs.push(await connect(params.url));
  const payload = makePayload(params.payloadBytes);
  const latency = new LatencyRecorder(MAX_SAMPLES);
  const run = async (seconds: number): Promise<void> => {
    const deadline = performance.now() + seconds * 1000;
    await Promise.all(logs.map((log) => loop(log, payload, deadline, latency)));
  };
  await run(params.warmUpSeconds);
  latency.clear();
  const cpuBefore = cpuSeconds();
  const started = performance.now();
  await run(params.seconds);
  const seconds = (performance.now() - started) / 1000;
  const clientCpuSeconds = cpuSeconds() - cpuBefore;
  if (latency.isFull) throw new Error(`more than ${MAX_SAMPLES} round trips: measure for fewer seconds`);
  await Promise.all(logs.map((log) => log.close()));
  return { entries: latency.count, seconds, clientCpuSeconds, latency: latency.summary() };
});
