// Files written with zeros ahead of their use. A durable write into blocks that were written before takes half the time of one that
// makes the file grow, and sparse or fallocated blocks count as growing (ARCHITECTURE.md, "Allocation").

import type { Disk } from './disk.ts';

const CHUNK_BYTES = 1024 * 1024;
/** Synced often, so that the zeros never queue up in front of an append's fdatasync. */
const SYNC_BYTES = 4 * CHUNK_BYTES;

/** In a WebAssembly memory, because that begins at a page, as direct writes ask. */
const zeros = new Uint8Array(new WebAssembly.Memory({ initial: CHUNK_BYTES / 65536, maximum: CHUNK_BYTES / 65536 }).buffer);

/** Makes `directory/name`, `bytes` long, all zero and durable. */
export function allocateFile(disk: Disk, directory: string, name: string, bytes: number): void {
  const path = `${directory}/${name}`;
  disk.close(disk.create(path));
  const file = disk.openDirect(path);
  for (let position = 0; position < bytes; position += CHUNK_BYTES) {
    disk.write(file, [zeros.subarray(0, Math.min(CHUNK_BYTES, bytes - position))], position);
    if ((position + CHUNK_BYTES) % SYNC_BYTES === 0) disk.dataSync(file);
  }
  disk.dataSync(file);
  disk.close(file);
}
