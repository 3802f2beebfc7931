// How large a node's segments must be to hold those that its directory has. Found by names and sizes of files: nothing is read.

import { MARK_BYTES } from '../core/capacities.ts';
import { positionOf } from '../core/position.ts';
import type { Disk } from './disk.ts';
import { listSegments } from './layout.ts';
import { indexName, segmentName } from './names.ts';

/** `--segment-bytes` is a multiple of this. */
export const SEGMENT_BYTES_STEP = 65_536;

/**
 * The smallest `--segment-bytes` with which each segment in `directory` fits a slot of memory; 0 without segments. A node of a cluster needs it:
 * the segments begin at the same places on all nodes, so who is to be fed one must have room for it, and who feeds must not run with less.
 */
export function segmentBytesOf(disk: Disk, directory: string): number {
  const bases = listSegments(disk, directory);
  let largest = 0;
  for (const [i, base] of bases.entries()) {
    const next = bases[i + 1];
    const bytes = next === undefined ? lastBytes(disk, directory, base) : positionOf(next, base) + MARK_BYTES;
    largest = Math.max(largest, bytes);
  }
  return Math.ceil(largest / SEGMENT_BYTES_STEP) * SEGMENT_BYTES_STEP;
}

/** An open segment's file has the size that it was made with; a sealed one's ends with its last entry. */
function lastBytes(disk: Disk, directory: string, base: number): number {
  const bytes = disk.sizeOf(`${directory}/${segmentName(base)}`);
  return disk.has(`${directory}/${indexName(base)}`) ? bytes + MARK_BYTES : bytes;
}
