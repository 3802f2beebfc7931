// Removes segments that a trim of a running node has left before the log's start, a little at a time. A crash in between leaves the rest to the
// next start, or to the next trim of a stopped node: the start says what is to go. docs/FORMAT.md, "Order of writes".
//
// A file system gives back all of a large file in one go, during which the disk may do nothing else. So a large file is shortened first, piece by piece. Whoever reads
// in it meanwhile finds what it finds where the file is gone: the log begins later, and that is the answer.

import { assert } from '../core/assert.ts';
import { isOutOfDescriptors } from '../core/descriptors.ts';
import { LogError } from '../core/errors.ts';
import { LogFold } from '../memory/logFold.ts';
import { SLOT_FREE, STATE, WORD } from '../memory/map.ts';
import type { StorageContext } from './context.ts';
import type { Disk } from './disk.ts';
import { listSegments } from './layout.ts';
import { baseOfIndexName, indexName, segmentName } from './names.ts';

/** What a step of a removal has done. */
export interface Removed {
  /** So many of the segments asked for are gone, the first ones. */
  readonly gone: number;
  /** A piece of the next one is. */
  readonly isPart: boolean;
}

/** What is to be removed, in order, and in one step: about `pieceBytes` at most. */
export interface RemoveRequest {
  readonly bases: readonly number[];
  readonly pieceBytes: number;
  /** Once all of them are gone, so is what was removed by the calls before, durably. */
  readonly isLast: boolean;
}

/** Removes segments, all of them before the log's durable start, or a piece of the first one. */
export function removeSegments({ disk, directory, memory }: StorageContext, { bases, pieceBytes, isLast }: RemoveRequest): Removed {
  const start = memory.word(WORD.BASE);
  let [gone, bytes] = [0, 0];
  for (const base of bases) {
    assert(base < start, 'only what is before the log is removed');
    const [index, segment] = [`${directory}/${indexName(base)}`, `${directory}/${segmentName(base)}`];
    // One that is missing was damage, which goes with it.
    if (disk.has(index)) disk.remove(index);
    if (disk.has(segment)) {
      const size = bytesIn(disk, segment);
      // What comes after others of this step has a step of its own.
      if (gone > 0 && bytes + size > pieceBytes) return { gone, isPart: false };
      if (size > pieceBytes && shorten(disk, segment, size - pieceBytes)) return { gone, isPart: true };
      disk.remove(segment);
      bytes += size;
    }
    gone += 1;
  }
  if (!isLast) return { gone, isPart: false };
  disk.syncDirectory(directory);
  // Readers let go of the files that they have open: those take their room until then.
  memory.addWord32(STATE.TRUNCATIONS, 1);
  return { gone, isPart: false };
}

/** What cannot be shortened, and may be removed none the less: no file of ours, or one with another name, too; and what a call may lack that a removal does not need. */
function isForRemoval(thrown: unknown): boolean {
  const errno = thrown instanceof LogError ? String(thrown.details.errno) : '';
  return errno === 'NOT_OURS' || errno === 'ENOSPC' || errno === 'EDQUOT' || isOutOfDescriptors(errno);
}

function bytesIn(disk: Disk, path: string): number {
  try {
    return disk.sizeOf(path);
  } catch (thrown) {
    if (isForRemoval(thrown)) return 0;
    throw thrown;
  }
}

/** Shortens a file to `bytes`. False: it is to be removed as it is. */
function shorten(disk: Disk, path: string, bytes: number): boolean {
  try {
    const file = disk.openWrite(path);
    try {
      disk.truncate(file, bytes);
    } finally {
      disk.close(file);
    }
    return true;
  } catch (thrown) {
    if (isForRemoval(thrown)) return false;
    throw thrown;
  }
}

/**
 * Drops the whole log, which ends before `base`, and lets it begin there, empty. Nothing may be appended meanwhile, and no segment may have a writer. That it
 * begins at `base`, empty, is durable: a crash in between leaves the rest to recovery.
 */
export function emptyLog({ disk, directory, memory }: StorageContext, base: number): void {
  assert(memory.durable === memory.tail && memory.tail < base, 'a log begins anew past its end, when all of it is durable');
  assert(base === memory.word(WORD.BASE), 'a log begins anew where readers know that it does');
  for (let slot = 0; slot < memory.map.shape.slots; slot += 1) memory.setSlotState(slot, SLOT_FREE);
  memory.openSlot = -1;
  memory.setWord32(STATE.DAMAGED, 0);
  new LogFold(memory).reset();
  memory.setWord(WORD.DURABLE, base);
  // Too high is safe: until the first state entry it is not known.
  memory.setWord(WORD.DATA_END, base);
  memory.setWord(WORD.TAIL, base);
  for (const each of listSegments(disk, directory)) {
    assert(each < base, 'a log that ends before a place has no segment there');
    if (disk.has(`${directory}/${indexName(each)}`)) disk.remove(`${directory}/${indexName(each)}`);
    disk.remove(`${directory}/${segmentName(each)}`);
  }
  // An index whose segment is missing, which was damage, would keep the node from starting.
  for (const name of disk.list(directory)) if (baseOfIndexName(name) !== undefined) disk.remove(`${directory}/${name}`);
  disk.syncDirectory(directory);
  memory.addWord32(STATE.TRUNCATIONS, 1);
}
