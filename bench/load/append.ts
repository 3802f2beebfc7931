// Load: one producer that appends as fast as the client takes it. The loop allocates nothing itself.

import { connect, type LogClient, type Receipt } from '../../src/client/index.ts';
import { makePayload } from './payload.ts';
import { cpuSeconds, program } from './program.ts';
import type { AppendParams, AppendResult } from './types.ts';

/** Appends between two looks at the clock. */
const STRIDE = 64;

// Nobody handles the promise of each entry: a rejection ends this process (program.ts). Appends of one connection settle in their order, so
// the last receipt stands for all.

/** Appends for `seconds`, or `entries` when not 0, and waits for the last receipt. Returns how many entries, and where they end. */
async function produce(log: LogClient, payload: Uint8Array, seconds: number, entries: number): Promise<{ count: number; end: number }> {
  const most = entries === 0 ? Number.POSITIVE_INFINITY : entries;
  const deadline = entries === 0 ? performance.now() + seconds * 1000 : Number.POSITIVE_INFINITY;
  let count = 0;
  let last: Promise<Receipt> | undefined;
  while (count < most && performance.now() < deadline) {
    for (let i = 0; i < STRIDE && count < most; i++) {
      if (!log.hasRoom) await log.ready();
      last = log.append(payload);
      count += 1;
    }
  }
  return { count, end: (await last)?.end ?? 0 };
}

program('append', async (params: AppendParams): Promise<AppendResult> => {
  const log = await connect(params.url);
  const payload = makePayload(params.payloadBytes);
  const warmUp = await produce(log, payload, params.warmUpSeconds, 0);
  const cpuBefore = cpuSeconds();
  const started = performance.now();
  const { count: entries, end } = await produce(log, payload, params.seconds, params.entries);
  const seconds = (performance.now() - started) / 1000;
  const clientCpuSeconds = cpuSeconds() - cpuBefore;
  const result = { entries, seconds, clientCpuSeconds, allEntries: warmUp.count + entries, end };
  await log.close();
  return result;
});
