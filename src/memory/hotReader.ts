// Reads of what is still in tail memory: finds the slot, checks the boundary, clips to whole entries. Returns places, copies nothing.

import { SCAN_FIRST_ALWAYS, SCAN_WHOLE_BATCHES, SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { viewOf } from '../core/bytes.ts';
import { offsetOf, positionOf } from '../core/position.ts';
import type { TrimEntry } from '../format/controlEntries.ts';
import { kindSizeAt } from '../format/entry.ts';
import { logTimeIn } from '../format/logTime.ts';
import { batchBefore } from './batchBefore.ts';
import { SLOT, SLOT_FREE } from './map.ts';
import { noWalk, type WalkResult } from './memoryWords.ts';
import type { TailMemory } from './tailMemory.ts';
import { type TimeFound, timeBefore } from './timeBefore.ts';

export class HotReader {
  readonly #memory: TailMemory;
  readonly #walk: WalkResult = noWalk();
  readonly #view: DataView;

  constructor(memory: TailMemory) {
    this.#memory = memory;
    this.#view = viewOf(memory.bytes);
  }

  /** The slot that holds the entry at `offset` (below the commit); -1 when it is only on disk. */
  slotOf(offset: number): number {
    const memory = this.#memory;
    const { slots } = memory.map.shape;
    for (let slot = 0; slot < slots; slot += 1) {
      if (memory.slotState(slot) === SLOT_FREE || memory.slotWord(slot, SLOT.BASE) > offset) continue;
      const closedEnd = memory.slotWord(slot, SLOT.CLOSED_END);
      if (closedEnd === 0 || offset < closedEnd) return slot;
    }
    return -1;
  }

  /**
   * The same, with the slot pinned: {@link release} it before control returns to the event loop. On a node that follows, the raft thread
   * may be taking slots at the same time.
   */
  pin(offset: number): number {
    const memory = this.#memory;
    const slot = this.slotOf(offset);
    if (slot < 0 || !memory.pinSlot(slot, memory.slotWord(slot, SLOT.BASE))) return -1;
    // Between the look and the pin the slot may have been taken for another segment; what it holds now, it keeps.
    const base = memory.slotWord(slot, SLOT.BASE);
    const closedEnd = memory.slotWord(slot, SLOT.CLOSED_END);
    if (base <= offset && (closedEnd === 0 || offset < closedEnd)) return slot;
    memory.unpinSlot(slot);
    return -1;
  }

  release(slot: number): void {
    this.#memory.unpinSlot(slot);
  }

  /** Where the entry begins that has the byte at `offset`, which `slot` holds: there, or before. Walks at most from the nearest index point. */
  beginningOf(slot: number, offset: number): number {
    const { map, wasm } = this.#memory;
    const base = this.#memory.slotWord(slot, SLOT.BASE);
    const position = positionOf(offset, base);
    const point = this.#memory.pointBefore(slot, position);
    const gap = position - point;
    if (gap === 0) return offset;
    const offsetOfPoint = offsetOf(point, base);
    wasm.clip(map.slotAt(slot) + point, gap, offsetOfPoint, gap, 0, map.mainResultAt);
    return offsetOfPoint + this.#memory.readResult(map.mainResultAt, this.#walk).bytes;
  }

  /** Where a trim to `offset`, which `slot` holds or ends at, begins the log: see {@link batchBefore}. */
  batchBefore(slot: number, offset: number): TrimEntry {
    const { map, wasm } = this.#memory;
    const base = this.#memory.slotWord(slot, SLOT.BASE);
    return batchBefore(this.#memory.points(slot), base, offset, this.#view, (from, to, wholeBatches) => {
      const at = map.slotAt(slot) + from;
      wasm.clip(at, to - from, offsetOf(from, base), to - from, wholeBatches ? SCAN_WHOLE_BATCHES : 0, map.mainResultAt);
      const { bytes, dataEnd } = this.#memory.readResult(map.mainResultAt, this.#walk);
      return { at, bytes, dataEnd };
    });
  }

  /**
   * The log's time before `offset`, an entry boundary after the base of the segment in `slot`: what is found in about `maxBytes` before it, see
   * {@link timeBefore}.
   */
  timeBefore(slot: number, offset: number, maxBytes: number): TimeFound {
    const memory = this.#memory;
    const headAt = memory.map.slotAt(slot) + SEGMENT_HEADER_BYTES;
    const headMs = logTimeIn(this.#view, headAt, kindSizeAt(this.#view, headAt));
    // Where its head and its newest entry are of one time, all are: the log's time never falls.
    if (headMs > 0 && memory.slotWord(slot, SLOT.LAST_MS) === headMs) return { timeMs: headMs, from: SEGMENT_HEADER_BYTES };
    const slotAt = memory.map.slotAt(slot);
    const end = positionOf(offset, memory.slotWord(slot, SLOT.BASE));
    return timeBefore(memory.points(slot), end, maxBytes, this.#view, (from, to) => ({ at: slotAt + from, bytes: to - from }));
  }

  /** End of the committed entries that `slot` holds. */
  endOf(slot: number): number {
    const commit = this.#memory.commit;
    const closedEnd = this.#memory.slotWord(slot, SLOT.CLOSED_END);
    return closedEnd === 0 ? commit : Math.min(closedEnd, commit);
  }

  /**
   * Whole entries from the boundary `from` in `slot`, at most `maxBytes` of them unless the first alone is larger. A view of tail
   * memory: use it before control returns to the event loop.
   */
  read(slot: number, from: number, maxBytes: number): Uint8Array {
    const { map, wasm } = this.#memory;
    const position = positionOf(from, this.#memory.slotWord(slot, SLOT.BASE));
    let bytes = this.endOf(slot) - from;
    if (bytes > maxBytes) {
      wasm.clip(map.slotAt(slot) + position, bytes, from, maxBytes, SCAN_FIRST_ALWAYS, map.mainResultAt);
      bytes = this.#memory.readResult(map.mainResultAt, this.#walk).bytes;
    }
    return this.#memory.slotBytes(slot, position, position + bytes);
  }
}
