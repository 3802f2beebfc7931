// The disk of a node with --fsync off: nothing waits for the device. All that was written is there after the end of the process, however that
// comes, because the kernel has it; what is there after a power cut is chance.

import { NodeDisk } from './nodeDisk.ts';

class UnsyncedDisk extends NodeDisk {
  override dataSync(): void {
    // Nothing is promised of it.
  }

  override syncDirectory(): void {
    // Nor of this.
  }
}

/** A disk for one thread of a node; `patienceMs` as for {@link NodeDisk}. */
export function diskOf(fsync: boolean, patienceMs = 0): NodeDisk {
  return fsync ? new NodeDisk(patienceMs) : new UnsyncedDisk(patienceMs);
}
