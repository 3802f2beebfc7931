// Bugs of the commit bound, planted as faults of a node's disk or memory.

import { SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { viewOf } from '../../src/core/bytes.ts';
import { xxh64 } from '../../src/format/xxh64.ts';
import type { TailMemory } from '../../src/memory/tailMemory.ts';
import type { FileHandle } from '../../src/storage/disk.ts';
import { FaultyDisk, type PlantedBug, SEGMENT_PATTERN } from './faultyDisk.ts';

/** Where the header page has the two records. */
const RECORDS_AT = [1024, 2048] as const;
const RECORD_BYTES = 24;

/** A new segment's header has no bound. */
class NoBoundInNewSegment extends FaultyDisk {
  override write(file: FileHandle, parts: readonly Uint8Array[], position: number): void {
    const [page] = parts;
    if (!this.pathOf(file).endsWith('.tmp') || position !== 0 || page?.length !== SEGMENT_HEADER_BYTES) super.write(file, parts, position);
    else {
      const bare = page.slice();
      for (const at of RECORDS_AT) bare.fill(0, at, at + RECORD_BYTES);
      super.write(file, [bare], position);
    }
  }
}

/**
 * Neither a truncation nor a recovery puts the bound into the segment that stays. They do not write directly, as the segment's writer does.
 * The bound is lost only where the cut takes the one mark that had it, and no vote was saved since: that is rare.
 */
class BoundIsNotKept extends FaultyDisk {
  readonly #direct = new Set<FileHandle>();

  override openDirect(path: string): FileHandle {
    const file = super.openDirect(path);
    this.#direct.add(file);
    return file;
  }

  override close(file: FileHandle): void {
    this.#direct.delete(file);
    super.close(file);
  }

  override write(file: FileHandle, parts: readonly Uint8Array[], position: number): void {
    const isPage = parts.length === 1 && parts[0]?.length === SEGMENT_HEADER_BYTES && position === 0;
    if (!(isPage && !this.#direct.has(file) && SEGMENT_PATTERN.test(this.pathOf(file)))) super.write(file, parts, position);
  }
}

/** A vote is saved without the bound. */
class VoteForgetsBound extends FaultyDisk {
  override write(file: FileHandle, parts: readonly Uint8Array[], position: number): void {
    const [bytes] = parts;
    if (!this.pathOf(file).endsWith('/vote.tmp') || bytes === undefined) {
      super.write(file, parts, position);
      return;
    }
    const vote = bytes.slice();
    const view = viewOf(vote);
    view.setBigUint64(16, 0n, true);
    view.setBigUint64(24, xxh64(vote.subarray(0, 24)), true);
    super.write(file, [vote], position);
  }
}

/** What is ordered counts as committed, before the disk has it. */
function boastOfCommit(memory: TailMemory): void {
  Object.defineProperty(memory, 'commitBound', { get: () => memory.tail });
}

export const BOUND_BUGS: readonly PlantedBug[] = [
  { name: 'the commit bound is above what is durable', plant: (disk) => disk, plantInMemory: boastOfCommit },
  { name: 'a new segment has no commit bound', plant: (disk) => new NoBoundInNewSegment(disk), foundAt: 2 },
  { name: 'truncation and recovery forget the commit bound', plant: (disk) => new BoundIsNotKept(disk), foundAt: 27 },
  { name: 'the vote forgets the commit bound', plant: (disk) => new VoteForgetsBound(disk), foundAt: 2 },
];
