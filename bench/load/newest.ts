// Load: consumers that read what is newest while others append, each pass from the end of the log less a number of entries.

import { ENTRY_OVERHEAD_BYTES } from '../../assembly/layout.ts';
import { connect } from '../../src/client/index.ts';
import { cpuSeconds, program } from './program.ts';
import type { NewestParams, NewestResult } from './types.ts';

program('newest', async (params: NewestParams): Promise<NewestResult> => {
  const logs = await Promise.all(Array.from({ length: params.consumers }, () => connect(params.log.urls)));
  const passBytes = params.entries * (params.payloadBytes + ENTRY_OVERHEAD_BYTES);
  const run = async (seconds: number): Promise<{ readonly entries: number; readonly passes: number }> => {
    const deadline = performance.now() + seconds * 1000;
    let entries = 0;
    let passes = 0;
    const consume = async (log: (typeof logs)[number]): Promise<void> => {
      while (performance.now() < deadline) {
        const { end } = await log.end();
        let found = 0;
        for await (const batch of log.read({ from: end - passBytes }).batches()) found += batch.entryCount;
        if (found < params.entries) throw new Error(`a pass found ${found} entries where there are ${params.entries}`);
        entries += found;
        passes += 1;
      }
    };
    await Promise.all(logs.map(consume));
    return { entries, passes };
  };
  await run(params.warmUpSeconds);
  const cpuBefore = cpuSeconds();
  const started = performance.now();
  const found = await run(params.seconds);
  const seconds = (performance.now() - started) / 1000;
  const clientCpuSeconds = cpuSeconds() - cpuBefore;
  await Promise.all(logs.map((log) => log.close()));
  return { ...found, seconds, clientCpuSeconds };
});
