// Removes segments that a trim of a running node has left before the log's start, a few at a time. A crash in between leaves the rest to the
// next start, or to the next trim of a stopped node: the start says what is to go. docs/FORMAT.md, "Order of writes".

import { assert } from '../core/assert.ts';
import { STATE, WORD } from '../memory/map.ts';
import type { StorageContext } from './context.ts';
import { indexName, segmentName } from './names.ts';

/** Removes the segments at `bases`, in order. `isLast`: what was removed, by the calls before, too, is gone durably when this returns. */
export function removeSegments({ disk, directory, memory }: StorageContext, bases: readonly number[], isLast: boolean): void {
  const start = memory.word(WORD.BASE);
  for (const base of bases) {
    assert(base < start, 'only what is before the log is removed');
    disk.remove(`${directory}/${indexName(base)}`);
    disk.remove(`${directory}/${segmentName(base)}`);
  }
  if (!isLast) return;
  disk.syncDirectory(directory);
  // Readers let go of the files that they have open: those take their room until then.
  memory.addWord32(STATE.TRUNCATIONS, 1);
}
