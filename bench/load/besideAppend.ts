// Load: one producer that appends to a system of any make, as many in flight as are best for it.

import { openDriver } from './drivers/open.ts';
import { NumberedPayloads, Source } from './numbered.ts';
import { cpuSeconds, program } from './program.ts';
import type { BesideAppendParams, BesideAppendResult } from './types.ts';

program('besideAppend', async (params: BesideAppendParams): Promise<BesideAppendResult> => {
  const payloads = new NumberedPayloads(params.payloadBytes, params.seed);
  const driver = await openDriver(params.target);
  const warmUp = new Source(payloads, 0, params.warmUpSeconds, 0);
  await driver.appendAll(warmUp);
  const cpuBefore = cpuSeconds();
  const started = performance.now();
  const source = new Source(payloads, warmUp.count, params.seconds, params.entries);
  await driver.appendAll(source);
  const seconds = (performance.now() - started) / 1000;
  const clientCpuSeconds = cpuSeconds() - cpuBefore;
  await driver.close();
  return { entries: source.count, seconds, clientCpuSeconds, allEntries: warmUp.count + source.count };
});
