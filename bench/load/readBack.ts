// Load: one consumer that reads back everything, entry by entry.

import { openDriver } from './drivers/open.ts';
import { cpuSeconds, program } from './program.ts';
import type { ReadBackParams, ReadBackResult } from './types.ts';

program('readBack', async (params: ReadBackParams): Promise<ReadBackResult> => {
  const driver = await openDriver(params.log);
  let allEntries = 0;
  let passes = 0;
  const readOnce = async (see: (payload: Uint8Array) => void): Promise<void> => {
    passes += 1;
    if (params.isConsumer !== true) await driver.readAll(see);
    else if (driver.consumeAll === undefined) throw new Error('this system has no consumers that it remembers');
    // In a process of its own each load begins to count anew.
    else await driver.consumeAll(`bench-${process.pid}-${passes}`, params.entries, see);
  };
  /** Passes until `seconds` are over, at least one. Returns the entries seen. */
  const readFor = async (seconds: number): Promise<number> => {
    const deadline = performance.now() + seconds * 1000;
    let entries = 0;
    do {
      let found = 0;
      let bytes = 0;
      await readOnce((payload) => {
        found += 1;
        bytes += payload.length;
      });
      if (found !== params.entries || bytes !== found * params.payloadBytes) {
        throw new Error(
          `a pass found ${found} entries of ${bytes} bytes in all, where there are ${params.entries} of ${params.payloadBytes} each`,
        );
      }
      entries += found;
    } while (performance.now() < deadline);
    allEntries += entries;
    return entries;
  };
  if (params.warmUpSeconds > 0) await readFor(params.warmUpSeconds);
  const cpuBefore = cpuSeconds();
  const started = performance.now();
  const entries = await readFor(params.seconds);
  const seconds = (performance.now() - started) / 1000;
  const clientCpuSeconds = cpuSeconds() - cpuBefore;
  await driver.close();
  return { entries, seconds, clientCpuSeconds, allEntries };
});
