// A log whose beginning is gone, as a trim leaves it.

import { readIdentity, writeIdentity } from '../../../src/storage/dataDirectory.ts';
import { listSegments } from '../../../src/storage/layout.ts';
import { indexName, segmentName } from '../../../src/storage/names.ts';
import { NodeDisk } from '../../../src/storage/nodeDisk.ts';

/** Removes the segments before the one that holds `offset` from a stopped node's directory; returns the new start. */
export function trimTo(directory: string, offset: number): number {
  const disk = new NodeDisk();
  const identity = readIdentity(disk, directory);
  if (identity === undefined) throw new Error(`${directory} holds no log`);
  const bases = listSegments(disk, directory);
  const start = bases.filter((base) => base <= offset).at(-1) ?? 0;
  writeIdentity(disk, directory, { ...identity, start, removeFrom: start });
  for (const base of bases) {
    if (base >= start) continue;
    disk.remove(`${directory}/${segmentName(base)}`);
    disk.remove(`${directory}/${indexName(base)}`);
  }
  return start;
}
