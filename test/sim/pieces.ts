// Log bytes of a simulated node, wherever they stand: in tail memory, or in files.

import { positionOf } from '../../src/core/position.ts';
import { SLOT, SLOT_FREE } from '../../src/memory/map.ts';
import { segmentName } from '../../src/storage/names.ts';
import { DIRECTORY } from './identity.ts';
import type { Process } from './process.ts';
import { promise } from './violation.ts';

/** Calls `take` with the bytes of [from, to) of a node's log, segment by segment, and the base of each. */
export function forEachPiece(
  process: Process,
  from: number,
  to: number,
  take: (from: number, bytes: Uint8Array, base: number) => void,
): void {
  const { memory } = process;
  const { slots } = memory.map.shape;
  let at = from;
  while (at < to) {
    let found = false;
    for (let slot = 0; slot < slots && !found; slot += 1) {
      const base = memory.slotWord(slot, SLOT.BASE);
      const end = memory.slotWord(slot, SLOT.CLOSED_END) || to;
      if (memory.slotState(slot) === SLOT_FREE || base > at || end <= at) continue;
      const pieceEnd = Math.min(end, to);
      take(at, memory.slotBytes(slot, positionOf(at, base), positionOf(pieceEnd, base)), base);
      at = pieceEnd;
      found = true;
    }
    if (found) continue;
    const place = at;
    const segment = process.engine.segments.find(place);
    promise(segment !== undefined, 'soundness', () => `node ${process.id} has nowhere the entry at ${place}`);
    const pieceEnd = Math.min(segment.end, to);
    const bytes = process.node.disk.writtenBytes(`${DIRECTORY}/${segmentName(segment.base)}`);
    promise(bytes !== undefined, 'soundness', () => `node ${process.id} has no file of its segment at ${segment.base}`);
    take(at, bytes.subarray(positionOf(at, segment.base), positionOf(pieceEnd, segment.base)), segment.base);
    at = pieceEnd;
  }
}
