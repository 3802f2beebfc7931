// Load: one producer that appends as fast as the system takes it, in the batches that are best for it or in those that it is told.

import { openDriver } from './drivers/open.ts';
import { cpuSeconds, mustEnd, openLane, program } from './program.ts';
import { Source } from './source.ts';
import type { AppendParams, AppendResult } from './types.ts';

program('append', async (params: AppendParams): Promise<AppendResult> => {
  const { warmUpSeconds, seconds, entries, batchEntries } = params;
  const driver = await openDriver(params.log);
  const lane = openLane(params.log, params.payloadBytes);
  lane.isOrdered = driver.keepsOrder;
  const produce = async (plan: { readonly seconds: number; readonly entries: number }): Promise<number> => {
    const source = new Source(lane, { ...plan, batchEntries, mustEnd });
    await driver.appendAll(source);
    lane.acknowledgedTo(lane.sent);
    return source.count;
  };
  await produce({ seconds: warmUpSeconds, entries: 0 });
  const cpuBefore = cpuSeconds();
  const started = performance.now();
  const count = await produce({ seconds, entries });
  const tookSeconds = (performance.now() - started) / 1000;
  const clientCpuSeconds = cpuSeconds() - cpuBefore;
  await driver.close();
  return { entries: count, seconds: tookSeconds, clientCpuSeconds };
});
