// Removes segments that a trim of a running node has left before the log's start, a few at a time. A crash in between leaves the rest to the
// next start, or to the next trim of a stopped node: the start says what is to go. docs/FORMAT.md, "Order of writes".

import { assert } from '../core/assert.ts';
import { LogFold } from '../memory/logFold.ts';
import { SLOT_FREE, STATE, WORD } from '../memory/map.ts';
import type { StorageContext } from './context.ts';
import { listSegments } from './layout.ts';
import { baseOfIndexName, indexName, segmentName } from './names.ts';

/** Removes the segments at `bases`, in order. `isLast`: what was removed, by the calls before, too, is gone durably when this returns. */
export function removeSegments({ disk, directory, memory }: StorageContext, bases: readonly number[], isLast: boolean): void {
  const start = memory.word(WORD.BASE);
  for (const base of bases) {
    assert(base < start, 'only what is before the log is removed');
    // One that is missing was damage, which goes with it.
    for (const path of [`${directory}/${indexName(base)}`, `${directory}/${segmentName(base)}`]) if (disk.has(path)) disk.remove(path);
  }
  if (!isLast) return;
  disk.syncDirectory(directory);
  // Readers let go of the files that they have open: those take their room until then.
  memory.addWord32(STATE.TRUNCATIONS, 1);
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
