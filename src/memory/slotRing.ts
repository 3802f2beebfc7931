// The slots as a ring, for whoever owns the log's end: the next segment takes a slot that nobody reads or sends from, and then it is the open one.
//
//   free ── takeNext ──► free, prepared ── roll ──► in use ── (its writer) ──► sealed ── takeNext ──► …

import { SLOT, SLOT_FREE, SLOT_IN_USE, SLOT_SEALED } from './map.ts';
import type { TailMemory } from './tailMemory.ts';

export class SlotRing {
  readonly #memory: TailMemory;
  readonly #openSegment: (slot: number) => void;

  /** `openSegment` is told each slot that becomes the open one, so that it starts the slot's writer. */
  constructor(memory: TailMemory, openSegment: (slot: number) => void) {
    this.#memory = memory;
    this.#openSegment = openSegment;
  }

  /**
   * Takes a slot and prepares it for the segment at `base`: the next one around that is free or sealed and that nobody reads or sends from.
   * It stays free until {@link roll}. -1 when there is none. A slot that a stalled connection holds is passed over: others need not wait.
   */
  takeNext(base: number): number {
    const memory = this.#memory;
    const { slots } = memory.map.shape;
    for (let step = 1; step <= slots; step += 1) {
      const slot = (memory.openSlot + step) % slots;
      if (!this.#take(slot)) continue;
      memory.prepareSlot(slot, base, memory.lastEntry);
      return slot;
    }
    return -1;
  }

  /** Takes a slot unless it is in use or pinned. */
  #take(slot: number): boolean {
    const memory = this.#memory;
    const state = memory.slotState(slot);
    if (state !== SLOT_FREE && state !== SLOT_SEALED) return false;
    // Readers pin a slot first and look at its state second: one of the two sees the other.
    memory.setSlotState(slot, SLOT_FREE);
    if (!memory.isPinned(slot) || !memory.wantSlot(slot)) return true;
    memory.setSlotState(slot, state);
    return false;
  }

  /** Closes the open segment at `tail`, and opens the one that `next` was prepared for. */
  roll(next: number, tail: number): void {
    const memory = this.#memory;
    const open = memory.openSlot;
    if (open >= 0) memory.setSlotWord(open, SLOT.CLOSED_END, tail);
    memory.setSlotState(next, SLOT_IN_USE);
    memory.openSlot = next;
    this.#openSegment(next);
  }
}
