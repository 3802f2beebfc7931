// Load: the disk alone, as a node's writer could use it: pwrite and fdatasync, over blocks that were written before, through the page
// cache or past it.

import * as fs from 'node:fs';
import { LatencyRecorder } from '../statistics.ts';
import { withAllocatedFile, writeFully } from './allocatedFile.ts';
import { program } from './program.ts';
import type { DiskParams, DiskResult } from './types.ts';

/** Writes and syncs for `seconds`. Returns the bytes written. */
function measure(file: number, payload: Uint8Array, fileBytes: number, seconds: number, latency: LatencyRecorder): number {
  const deadline = performance.now() + seconds * 1000;
  let bytes = 0;
  let position = 0;
  for (let before = performance.now(); before < deadline; ) {
    if (position + payload.length > fileBytes) position = 0;
    writeFully(file, payload, position);
    fs.fdatasyncSync(file);
    const now = performance.now();
    latency.record(now - before);
    before = now;
    position += payload.length;
    bytes += payload.length;
  }
  return bytes;
}

program('disk', async (params: DiskParams): Promise<DiskResult> => {
  const { fileBytes, seconds: runSeconds } = params;
  return withAllocatedFile(params, (file, payload) => {
    const latency = new LatencyRecorder();
    measure(file, payload, fileBytes, runSeconds / 4, latency);
    latency.clear();
    const started = performance.now();
    const bytes = measure(file, payload, fileBytes, runSeconds, latency);
    const seconds = (performance.now() - started) / 1000;
    return { latency: latency.summary(), megabytesPerSecond: bytes / seconds / 1e6 };
  });
});
