// The life of one open segment, from the time when everything before it is durable to its seal, in a thread that does nothing else: it
// waits on tail memory's words for as long as there is nothing to write.

import { SIGNAL, SLOT } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { SealedSegment, StorageContext } from './context.ts';
import { SegmentWriter } from './segmentWriter.ts';

/** The segment's facts when it was sealed; `open`: writers were to stop, and it is open still; `unmade`: nor was it even made. */
export type SegmentOutcome = SealedSegment | 'open' | 'unmade';

function isStopping(memory: TailMemory): boolean {
  return memory.signal(SIGNAL.STOP) !== 0;
}

/** Waits until everything before the segment at `base` is durable. Returns false when writers are to stop and the segment is empty. */
function waitForPredecessor(memory: TailMemory, base: number): boolean {
  for (;;) {
    const seen = memory.signal(SIGNAL.DURABLE);
    if (memory.durable === base) return true;
    if (isStopping(memory) && memory.tail <= base) return false;
    memory.waitSync(SIGNAL.DURABLE, seen);
  }
}

/**
 * Writes the segment in `slot` until it is sealed, or writers stop and all that was ordered is on disk. `spare` is the file to make it
 * of, as `SegmentWriter.create` takes it; undefined: recovery has loaded it, and it has a file. Blocks its thread.
 */
export function writeSegment(context: StorageContext, slot: number, spare: string | undefined): SegmentOutcome {
  const { memory } = context;
  const base = memory.slotWord(slot, SLOT.BASE);
  if (spare !== undefined && !waitForPredecessor(memory, base)) return 'unmade';
  const writer = spare === undefined ? SegmentWriter.resume(context, slot) : SegmentWriter.create(context, slot, spare);
  for (;;) {
    const seen = memory.signal(SIGNAL.TAIL);
    // Before the look at the log: what was ordered before the stop is to be written.
    const isLast = isStopping(memory);
    if (writer.step()) continue;
    if (writer.isComplete) return writer.seal();
    if (isLast) {
      writer.close();
      return 'open';
    }
    const timedOut = memory.waitSync(SIGNAL.TAIL, seen, writer.rest());
    if (timedOut) writer.writeMark();
  }
}
