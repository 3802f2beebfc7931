// Where a segment's index points go as entries are put at the log's end: the rule of assembly/entry.ts, for what is put there without a walk.

import { INDEX_INTERVAL_BYTES, SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { assert } from '../core/assert.ts';
import type { TailMemory } from './tailMemory.ts';

/** Whether an entry at `filePosition` is an index point, after `lastPoint` (0: none). */
function isPointDue(lastPoint: number, filePosition: number): boolean {
  return lastPoint === 0 || Math.floor(filePosition / INDEX_INTERVAL_BYTES) > Math.floor(lastPoint / INDEX_INTERVAL_BYTES);
}

/** Where the next index point of `slot` goes. Walks look for the last one in front of it, but for an entry that is the segment's first. */
export function nextPointAt(memory: TailMemory, slot: number, position: number): number {
  const pointCount = memory.pointCount(slot);
  assert(pointCount > 0 === position > SEGMENT_HEADER_BYTES, 'the first entry of a segment, and only that, has no index point before it');
  return memory.map.pointsAt(slot) + pointCount * 4;
}

/** Writes the index point of a head of `headBytes` at file position `position`, if there is one (0: none) and one is due. Returns how many. Nothing counts yet. */
export function pointHead(memory: TailMemory, slot: number, position: number, headBytes: number): number {
  if (headBytes === 0 || !isPointDue(memory.lastPoint(slot), position)) return 0;
  memory.setWord32(nextPointAt(memory, slot, position), position);
  return 1;
}

/** The same for the entry after the head, which has `headPoints`. Returns how many both have. */
export function pointAfterHead(memory: TailMemory, slot: number, position: number, headBytes: number, headPoints: number): number {
  const lastPoint = headPoints > 0 ? position - headBytes : memory.lastPoint(slot);
  if (!isPointDue(lastPoint, position)) return headPoints;
  memory.setWord32(memory.map.pointsAt(slot) + (memory.pointCount(slot) + headPoints) * 4, position);
  return headPoints + 1;
}
