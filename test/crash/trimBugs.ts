// Bugs of trims, as faults between a node and its disk: each of them deletes before that is decided for good, or forgets what it has deleted.

import { decodeIdentity } from '../../src/format/identity.ts';
import { readIdentity } from '../../src/storage/dataDirectory.ts';
import { type Disk, type FileHandle, readFile } from '../../src/storage/disk.ts';
import { baseOfName } from '../../src/storage/names.ts';
import { FaultyDisk, type PlantedBug } from './faultyDisk.ts';
import { DIRECTORY } from './testNode.ts';

const MAX_BYTES = 65536;

class TrimDisk extends FaultyDisk {
  /** Whether `path` is a segment that a trim removes. */
  protected isTrimmed(path: string): boolean {
    const base = baseOfName(path.slice(DIRECTORY.length + 1));
    return base !== undefined && base < this.startIn('node.json');
  }

  protected startIn(name: string): number {
    if (!this.disk.list(DIRECTORY).includes(name)) return 0;
    return decodeIdentity(readFile(this.disk, `${DIRECTORY}/${name}`, MAX_BYTES), name).start;
  }
}

/** node.json gets a later start only after the first segment has gone. */
class StartComesLate extends TrimDisk {
  #isLate = false;

  override rename(from: string, to: string): void {
    this.#isLate = to.endsWith('/node.json') && this.startIn('node.json.tmp') > (readIdentity(this.disk, DIRECTORY)?.start ?? 0);
    if (!this.#isLate) super.rename(from, to);
  }

  override remove(path: string): void {
    super.remove(path);
    if (baseOfName(path.slice(DIRECTORY.length + 1)) !== undefined) this.#catchUp();
  }

  override create(path: string): FileHandle {
    if (path.endsWith('/node.json.tmp')) this.#catchUp();
    return super.create(path);
  }

  #catchUp(): void {
    if (this.#isLate) super.rename(`${DIRECTORY}/node.json.tmp`, `${DIRECTORY}/node.json`);
    this.#isLate = false;
  }
}

/** Segments that a trim is to remove stay, but not their indexes. */
class SegmentsStay extends TrimDisk {
  override remove(path: string): void {
    if (!this.isTrimmed(path)) super.remove(path);
  }
}

export const TRIM_BUGS: readonly PlantedBug[] = [
  { name: 'a trim removes a segment before the start is durable', plant: (disk: Disk) => new StartComesLate(disk), foundAt: 3 },
  { name: 'a trim leaves the segments, and says that they are gone', plant: (disk: Disk) => new SegmentsStay(disk), foundAt: 3 },
];
