// Load: the disk alone, as a node's writer could use it: pwrite and fdatasync, over blocks that were written before, through the page
// cache or past it.

import * as fs from 'node:fs';
import { join } from 'node:path';
import { LatencyRecorder } from '../statistics.ts';
import { NumberedPayloads } from './numbered.ts';
import { program } from './program.ts';
import type { DiskParams, DiskResult } from './types.ts';

const MIB = 1024 * 1024;
const WASM_PAGE_BYTES = 65536;

function writeFully(file: number, bytes: Uint8Array, position: number): void {
  const written = fs.writeSync(file, bytes, 0, bytes.length, position);
  if (written !== bytes.length) throw new Error(`the disk is full: ${written} of ${bytes.length} bytes were written`);
}

function allocate(file: number, bytes: number): void {
  const zeros = new Uint8Array(MIB);
  for (let position = 0; position < bytes; position += MIB) writeFully(file, zeros.subarray(0, Math.min(MIB, bytes - position)), position);
  fs.fsyncSync(file);
}

/** What is written, at the start of a page, as O_DIRECT asks: a WebAssembly memory begins at one. */
function makeAlignedPayload(bytes: number): Uint8Array {
  const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / WASM_PAGE_BYTES) });
  const payload = new Uint8Array(memory.buffer, 0, bytes);
  payload.set(new NumberedPayloads(bytes, 0, bytes).at(0));
  return payload;
}

/** Writes and syncs for `seconds`. Returns the bytes written. */
function measure(file: number, params: DiskParams, seconds: number, latency: LatencyRecorder): number {
  const payload = makeAlignedPayload(params.writeBytes);
  const deadline = performance.now() + seconds * 1000;
  let bytes = 0;
  let position = 0;
  for (let before = performance.now(); before < deadline; ) {
    if (position + params.writeBytes > params.fileBytes) position = 0;
    writeFully(file, payload, position);
    fs.fdatasyncSync(file);
    const now = performance.now();
    latency.record(now - before);
    before = now;
    position += params.writeBytes;
    bytes += params.writeBytes;
  }
  return bytes;
}

program('disk', async (params: DiskParams): Promise<DiskResult> => {
  const path = join(params.directory, `disk-${process.pid}`);
  const { O_RDWR, O_DIRECT } = fs.constants;
  let file = fs.openSync(path, 'wx+', 0o600);
  try {
    allocate(file, Math.max(params.fileBytes, params.writeBytes));
    if (params.direct) {
      fs.closeSync(file);
      file = fs.openSync(path, O_RDWR | O_DIRECT);
    }
    const latency = new LatencyRecorder();
    measure(file, params, params.seconds / 4, latency);
    latency.clear();
    const started = performance.now();
    const bytes = measure(file, params, params.seconds, latency);
    const seconds = (performance.now() - started) / 1000;
    return { latency: latency.summary(), megabytesPerSecond: bytes / seconds / 1e6 };
  } finally {
    fs.closeSync(file);
    fs.rmSync(path);
  }
});
