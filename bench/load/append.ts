// Load: one producer that appends as fast as the client takes it. The loop allocates nothing itself; the promise of each entry is
// handled by callbacks that all entries share.

import { connect, type LogClient, type Receipt } from '../../src/client/index.ts';
import { cpuSeconds, makePayload, program } from './program.ts';
import type { AppendParams, AppendResult } from './types.ts';

/** Appends between two looks at the clock. */
const STRIDE = 64;

let settled = 0;
let end = 0;
let failure: unknown;
let wake: () => void = () => undefined;
let wakeAt = Number.POSITIVE_INFINITY;

function onReceipt(receipt: Receipt): void {
  settled += 1;
  end = receipt.end;
  if (settled >= wakeAt) wake();
}

function onFailure(error: unknown): void {
  failure ??= error;
  settled += 1;
  if (settled >= wakeAt) wake();
}

async function untilSettled(count: number): Promise<void> {
  if (settled < count) {
    wakeAt = count;
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
    wakeAt = Number.POSITIVE_INFINITY;
  }
  if (failure !== undefined) throw failure;
}

/** Appends for `seconds`, or `entries` when not 0, and waits for the last receipt. Returns how many entries. */
async function produce(log: LogClient, payload: Uint8Array, seconds: number, entries: number): Promise<number> {
  const before = settled;
  const most = entries === 0 ? Number.POSITIVE_INFINITY : entries;
  const deadline = entries === 0 ? performance.now() + seconds * 1000 : Number.POSITIVE_INFINITY;
  let count = 0;
  while (count < most && performance.now() < deadline && failure === undefined) {
    for (let i = 0; i < STRIDE && count < most; i++) {
      if (!log.hasRoom) await log.ready();
      log.append(payload).then(onReceipt, onFailure);
      count += 1;
    }
  }
  await untilSettled(before + count);
  return count;
}

program('append', async (params: AppendParams): Promise<AppendResult> => {
  const log = await connect(params.url);
  const payload = makePayload(params.payloadBytes);
  const warmUp = await produce(log, payload, params.warmUpSeconds, 0);
  const cpuBefore = cpuSeconds();
  const started = performance.now();
  const entries = await produce(log, payload, params.seconds, params.entries);
  const seconds = (performance.now() - started) / 1000;
  const clientCpuSeconds = cpuSeconds() - cpuBefore;
  const result = { entries, seconds, clientCpuSeconds, allEntries: warmUp + entries, end };
  await log.close();
  return result;
});
