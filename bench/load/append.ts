// Load: one producer that appends as fast as the client takes it, entry by entry or in batches. The loop allocates nothing itself.

import { connect, type LogClient, type Receipt } from '../../src/client/index.ts';
import type { Lane } from './lane.ts';
import { cpuSeconds, mustEnd, openLane, program } from './program.ts';
import type { AppendParams, AppendResult } from './types.ts';

/** Appends between two looks at the clock. */
const STRIDE = 64;

// Nobody handles the promise of each entry: a rejection ends this process (program.ts). Appends of one connection settle in their order, so
// the last receipt of a stride stands for all before it.

/** Appends for `seconds`, or `entries` when not 0, and waits for the last receipt. Returns where the entries end. */
async function produce(log: LogClient, lane: Lane, { seconds, entries, batchEntries }: Omit<AppendParams, 'log'>): Promise<number> {
  const most = entries === 0 ? Number.POSITIVE_INFINITY : lane.sent + entries;
  const deadline = entries === 0 ? performance.now() + seconds * 1000 : Number.POSITIVE_INFINITY;
  let last: Promise<Receipt> | undefined;
  while (lane.sent < most && performance.now() < deadline && !mustEnd()) {
    for (let i = 0; i < STRIDE && lane.sent < most; i++) {
      if (!log.hasRoom) await log.ready();
      last = batchEntries === 0 ? log.append(lane.next()) : log.appendBatch(lane.take(Math.min(batchEntries, most - lane.sent)));
    }
    const { sent } = lane;
    void last?.then(() => lane.acknowledgedTo(sent));
  }
  return (await last)?.end ?? 0;
}

program('append', async (params: AppendParams): Promise<AppendResult> => {
  const log = await connect(params.log.url);
  const lane = openLane(params.log, params.payloadBytes);
  await produce(log, lane, { ...params, seconds: params.warmUpSeconds, entries: 0 });
  const before = lane.sent;
  const cpuBefore = cpuSeconds();
  const started = performance.now();
  const end = await produce(log, lane, params);
  const seconds = (performance.now() - started) / 1000;
  const clientCpuSeconds = cpuSeconds() - cpuBefore;
  await log.close();
  return { entries: lane.sent - before, seconds, clientCpuSeconds, end };
});
