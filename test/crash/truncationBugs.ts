// Bugs of a truncation, planted as faults of its disk. A start removes files and cuts tails too: a truncation is what does so after
// the node has voted.

import { MARK_BYTES } from '../../src/core/capacities.ts';
import { DIRECT_BYTES, type Disk, type FileHandle } from '../../src/storage/disk.ts';
import { FaultyDisk, INDEX_PATTERN, type PlantedBug, SEGMENT_PATTERN } from './faultyDisk.ts';

/** Knows when a node has started, and which writes are those of a cut. */
class TruncationDisk extends FaultyDisk {
  protected isRunning = false;

  override rename(from: string, to: string): void {
    super.rename(from, to);
    if (to.endsWith('/vote')) this.isRunning = true;
  }

  /** A write of a cut: the segment writer's are whole pages. A cut that begins at a page is overlooked. */
  protected isCut(file: FileHandle, position: number): boolean {
    return this.isRunning && position % DIRECT_BYTES !== 0 && SEGMENT_PATTERN.test(this.pathOf(file));
  }
}

/** Zeros where a mark stood, and nothing else. */
function isUnmark(parts: readonly Uint8Array[]): boolean {
  const [bytes] = parts;
  return parts.length === 1 && bytes !== undefined && bytes.length <= MARK_BYTES && bytes.every((byte) => byte === 0);
}

/** The mark that vouches for what is cut stays until it is overwritten. */
class MarkStays extends TruncationDisk {
  override write(file: FileHandle, parts: readonly Uint8Array[], position: number): void {
    if (!(this.isCut(file, position) && isUnmark(parts))) super.write(file, parts, position);
  }
}

/** That mark is overwritten, but not before what it vouches for. */
class NoSyncOfUnmark extends TruncationDisk {
  #unsynced: FileHandle | undefined;

  override write(file: FileHandle, parts: readonly Uint8Array[], position: number): void {
    this.#unsynced = this.isCut(file, position) && isUnmark(parts) ? file : undefined;
    super.write(file, parts, position);
  }

  override dataSync(file: FileHandle): void {
    if (this.#unsynced !== file) super.dataSync(file);
    this.#unsynced = undefined;
  }
}

/**
 * What is cut gets a mark in front of it, and stays. The mark takes the first of its entries along, so the others count again only where new
 * entries end exactly at the beginning of an old one, and the rest of their last page is lost in a crash: that is rare.
 */
class CutStays extends TruncationDisk {
  override write(file: FileHandle, parts: readonly Uint8Array[], position: number): void {
    const [patch] = parts;
    const leaves = this.isCut(file, position) && !isUnmark(parts) && patch !== undefined;
    super.write(file, leaves ? [patch.subarray(0, MARK_BYTES)] : parts, position);
  }
}

/** The log counts as cut before the zeros are on the disk. */
class NoSyncOfCut extends TruncationDisk {
  #unsynced: FileHandle | undefined;

  override write(file: FileHandle, parts: readonly Uint8Array[], position: number): void {
    this.#unsynced = this.isCut(file, position) && !isUnmark(parts) ? file : undefined;
    super.write(file, parts, position);
  }

  override dataSync(file: FileHandle): void {
    if (this.#unsynced !== file) super.dataSync(file);
    this.#unsynced = undefined;
  }
}

/** Removes what a truncation removes in the opposite order, each removal as durable as the right one. */
class FirstToLast extends TruncationDisk {
  readonly #removed: string[] = [];

  #flush(): void {
    const paths = this.#removed.splice(0);
    for (const path of paths.reverse()) {
      super.remove(path);
      super.syncDirectory(path.slice(0, path.lastIndexOf('/')));
    }
  }

  override remove(path: string): void {
    if (!this.isRunning) super.remove(path);
    else this.#removed.push(path);
  }

  override syncDirectory(path: string): void {
    if (this.#removed.length === 0) super.syncDirectory(path);
  }

  override openWrite(path: string): FileHandle {
    this.#flush();
    return super.openWrite(path);
  }

  override create(path: string): FileHandle {
    this.#flush();
    return super.create(path);
  }
}

/** Indexes stay where they are: those of removed segments, and that of the one that is opened again. */
class IndexStays extends TruncationDisk {
  override remove(path: string): void {
    if (!(this.isRunning && INDEX_PATTERN.test(path))) super.remove(path);
  }
}

/** The directory is not synced after a removal. */
class NoSyncOfRemoval extends TruncationDisk {
  readonly #pattern: RegExp;
  #unsynced = false;

  constructor(disk: Disk, pattern: RegExp) {
    super(disk);
    this.#pattern = pattern;
  }

  override remove(path: string): void {
    super.remove(path);
    this.#unsynced = this.isRunning && this.#pattern.test(path);
  }

  override syncDirectory(path: string): void {
    if (!this.#unsynced) super.syncDirectory(path);
    this.#unsynced = false;
  }
}

/** The removed segments' files stay, each until another one takes its name. */
class SegmentsStay extends TruncationDisk {
  override remove(path: string): void {
    if (!(this.isRunning && SEGMENT_PATTERN.test(path))) super.remove(path);
  }
}

export const TRUNCATION_BUGS: readonly PlantedBug[] = [
  { name: 'a truncation leaves the mark that vouches for what it cuts', plant: (disk) => new MarkStays(disk), foundAt: 4 },
  { name: 'a truncation cuts before the old mark is surely gone', plant: (disk) => new NoSyncOfUnmark(disk) },
  { name: 'a truncation leaves the bytes that it cuts', plant: (disk) => new CutStays(disk), foundAt: 7 },
  { name: 'a truncation does not sync its cut', plant: (disk) => new NoSyncOfCut(disk), foundAt: 4 },
  { name: 'a truncation removes segments from the first to the last', plant: (disk) => new FirstToLast(disk), foundAt: 2 },
  { name: 'a truncation leaves indexes behind', plant: (disk) => new IndexStays(disk), foundAt: 2 },
  { name: 'a truncation does not sync that indexes are gone', plant: (disk) => new NoSyncOfRemoval(disk, INDEX_PATTERN), foundAt: 2 },
  { name: 'a truncation does not sync that segments are gone', plant: (disk) => new NoSyncOfRemoval(disk, SEGMENT_PATTERN), foundAt: 2 },
  { name: 'a truncation leaves segments behind the new end', plant: (disk) => new SegmentsStay(disk), foundAt: 2 },
];
