// Load: one consumer that reads a range of a LogLog, verified by the client as every read is, batch by batch or entry by entry.

import { connect, type LogClient } from '../../src/client/index.ts';
import { cpuSeconds, program } from './program.ts';
import type { RangeParams, RangeResult } from './types.ts';

/** Entries of one pass of the warm-up. */
const WARM_UP_ENTRIES = 100_000;

interface Pass {
  readonly entries: number;
  readonly bytes: number;
}

async function readBatches(log: LogClient, from: number, limit: number): Promise<Pass> {
  let entries = 0;
  let bytes = 0;
  for await (const batch of log.read({ from }).batches()) {
    entries += batch.entryCount;
    bytes += batch.bytes.length;
    if (entries >= limit) break;
  }
  return { entries, bytes };
}

async function readEntries(log: LogClient, from: number, limit: number): Promise<Pass> {
  let entries = 0;
  let bytes = 0;
  for await (const entry of log.read({ from, limit })) {
    entries += 1;
    bytes += entry.nextOffset - entry.offset;
  }
  return { entries, bytes };
}

program('range', async (params: RangeParams): Promise<RangeResult> => {
  const log = await connect(params.log.urls);
  const read = params.how === 'batches' ? readBatches : readEntries;
  const warmUntil = performance.now() + params.warmUpSeconds * 1000;
  let warmUpEntries = 0;
  while (performance.now() < warmUntil) {
    warmUpEntries += (await read(log, params.warmUpFrom, Math.min(params.entries, WARM_UP_ENTRIES))).entries;
  }
  const cpuBefore = cpuSeconds();
  const started = performance.now();
  const deadline = started + params.seconds * 1000;
  let entries = 0;
  let bytes = 0;
  let passes = 0;
  do {
    const found = await read(log, params.from, params.entries);
    if (found.entries < params.entries) throw new Error(`a pass found ${found.entries} entries where there are ${params.entries}`);
    entries += found.entries;
    bytes += found.bytes;
    passes += 1;
  } while (performance.now() < deadline);
  const seconds = (performance.now() - started) / 1000;
  const clientCpuSeconds = cpuSeconds() - cpuBefore;
  await log.close();
  return { entries, allEntries: warmUpEntries + entries, bytes, passes, seconds, clientCpuSeconds };
});
