// A log whose beginning is gone, as a trim leaves it.

import { NodeDisk } from '../../../src/storage/nodeDisk.ts';
import { applyTrim, planTrim } from '../../../src/storage/trim.ts';

/** Removes the segments before the one that holds `offset` from a stopped node's directory; returns the new start. */
export function trimTo(directory: string, offset: number): number {
  const disk = new NodeDisk();
  const plan = planTrim(disk, directory, offset);
  applyTrim(disk, plan);
  return plan.newStart;
}
