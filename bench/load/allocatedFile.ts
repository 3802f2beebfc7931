// A file whose blocks were written before, as those of a node's segments are, and bytes to write that O_DIRECT takes.

import * as fs from 'node:fs';
import { join } from 'node:path';
import { NumberedPayloads } from './numbered.ts';
import type { FileParams } from './types.ts';

const MIB = 1024 * 1024;
const WASM_PAGE_BYTES = 65536;

export function writeFully(file: number, bytes: Uint8Array, position: number): void {
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

/** Makes the file, hands it to `work` with what is to be written at a time, and removes it. */
export function withAllocatedFile<T>(params: FileParams, work: (file: number, payload: Uint8Array) => T): T {
  const path = join(params.directory, `disk-${process.pid}`);
  const { O_RDWR, O_DIRECT } = fs.constants;
  let file = fs.openSync(path, 'wx+', 0o600);
  try {
    allocate(file, params.fileBytes);
    if (params.direct) {
      fs.closeSync(file);
      file = fs.openSync(path, O_RDWR | O_DIRECT);
    }
    return work(file, makeAlignedPayload(params.writeBytes));
  } finally {
    fs.closeSync(file);
    fs.rmSync(path);
  }
}
