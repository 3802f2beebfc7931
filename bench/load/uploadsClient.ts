// One client of the load `uploads`, a process on a host of its own: appends as it is told, in slices, with so much in flight, and answers each.

import { randomFillSync } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { type ClientEvent, connect, type LogClient } from '../../src/client/index.ts';
import { LatencyRecorder } from '../statistics.ts';
import { cpuSeconds } from './program.ts';
import type { UploadsMode, UploadsSlice, UploadsSliceAnswer } from './types.ts';

/** Payloads that differ from one another. */
const PAYLOADS = 4;

const clients = new Map<UploadsMode, LogClient>();
/** Why followers were left in this slice. */
let lost: string[] = [];

function heard(event: ClientEvent): void {
  if (event.type === 'uploadsLost') lost.push(`node ${event.nodeId}: ${event.reason}`);
}

async function clientOf(urls: readonly string[], mode: UploadsMode): Promise<LogClient> {
  const client = clients.get(mode) ?? (await connect([...urls], { uploads: mode, onEvent: (event) => heard(event) }));
  clients.set(mode, client);
  return client;
}

async function run({ urls, mode, payloadBytes, inFlightBytes, warmUpSeconds, seconds }: UploadsSlice): Promise<UploadsSliceAnswer> {
  const log = await clientOf(urls, mode);
  lost = [];
  const before = log.stats();
  const payloads = Array.from({ length: PAYLOADS }, () => randomFillSync(Buffer.alloc(payloadBytes)));
  const latency = new LatencyRecorder();
  const most = Math.max(2, Math.floor(inFlightBytes / payloadBytes));
  const cpuBefore = cpuSeconds();
  const measuredMs = performance.now() + warmUpSeconds * 1000;
  const endMs = measuredMs + seconds * 1000;
  let inFlight = 0;
  let entries = 0;
  let measured = 0;
  let wake: (() => void) | undefined;
  const committed = (sentMs: number): void => {
    const nowMs = performance.now();
    inFlight -= 1;
    if (nowMs >= measuredMs && nowMs < endMs) {
      measured += 1;
      latency.record(nowMs - sentMs);
    }
    wake?.();
  };
  const mayGo = async (): Promise<void> => {
    // Each append is a message of its own: those of one turn would travel in one.
    await turn();
    while (inFlight >= most) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  for (; performance.now() < endMs; await mayGo()) {
    const sentMs = performance.now();
    inFlight += 1;
    // A rejection that nobody handles ends the load.
    void log.append(payloads[entries % PAYLOADS] as Buffer).then(() => committed(sentMs));
    entries += 1;
  }
  while (inFlight > 0) {
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
  const after = log.stats();
  return {
    entries,
    measuredBytes: measured * payloadBytes,
    histogram: latency.summary().histogram,
    clientCpuSeconds: cpuSeconds() - cpuBefore,
    uploaded: after.uploadedMessageCount - before.uploadedMessageCount,
    missed: after.uploadMissCount - before.uploadMissCount,
    lost,
  };
}

process.once('disconnect', () => process.exit(1));
process.on('message', (slice: UploadsSlice) => {
  void run(slice).then((answer) => process.send?.(answer));
});
