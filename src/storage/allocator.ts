// Files written with zeros ahead of their use. A durable write into blocks that were written before takes half the time of one that
// makes the file grow, and sparse or fallocated blocks count as growing (ARCHITECTURE.md, "Allocation").

import { LogError } from '../core/errors.ts';
import type { Disk } from './disk.ts';

const CHUNK_BYTES = 1024 * 1024;
/** Synced often, so that the zeros never queue up in front of an append's fdatasync. */
const SYNC_BYTES = 4 * CHUNK_BYTES;

/** In a WebAssembly memory, because that begins at a page, as direct writes ask. */
const zeros = new Uint8Array(new WebAssembly.Memory({ initial: CHUNK_BYTES / 65536, maximum: CHUNK_BYTES / 65536 }).buffer);

/** What stays free beside a spare file and one more segment: a vote, indexes, the name of a trim. */
const RESERVE_BYTES = CHUNK_BYTES;

/**
 * Makes `directory/name`, `bytes` long, all zero and durable. Throws a LogError `IO` with errno ENOSPC, and makes nothing, when not as much again
 * and a little more would stay free: the last bytes of a disk are for entries, and for what a start and a trim must write.
 */
export function allocateFile(disk: Disk, directory: string, name: string, bytes: number): void {
  const freeBytes = disk.freeBytes(directory);
  if (freeBytes < 2 * bytes + RESERVE_BYTES) {
    throw new LogError('IO', `only ${freeBytes} bytes are free on the disk of ${directory}`, {
      file: `${directory}/${name}`,
      errno: 'ENOSPC',
    });
  }
  const path = `${directory}/${name}`;
  disk.close(disk.create(path));
  const file = disk.openDirect(path);
  try {
    for (let position = 0; position < bytes; position += CHUNK_BYTES) {
      disk.write(file, [zeros.subarray(0, Math.min(CHUNK_BYTES, bytes - position))], position);
      if ((position + CHUNK_BYTES) % SYNC_BYTES === 0) disk.dataSync(file);
    }
    disk.dataSync(file);
  } finally {
    // It is tried again as long as the node runs: what stayed open of each failed try would add up.
    disk.close(file);
  }
}
