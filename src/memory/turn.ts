// Whose turn it is to write the file of an open segment. Its writer has the turn, and lends it while there is nothing to write: then whoever orders an
// append that is alone takes it, writes, and gives it back, and no thread has to wake for that. What a writer knows stands in the slot's descriptor meanwhile.
//
//           ┌─ lend ──► LENT, LENT_ASLEEP ── take ──► TAKEN ─┐
//   KEPT ◄──┴─ go on ───────┘        ▲───── give back ───────┴─ failed ──► BROKEN

import { SLOT, TURN_LENT, TURN_LENT_ASLEEP } from './map.ts';
import type { TailMemory } from './tailMemory.ts';

/** Takes the turn in `slot`, if it is lent, so that it is `taken`. Returns what it was: only from TURN_LENT and TURN_LENT_ASLEEP on it is the caller's. */
export function takeTurn(memory: TailMemory, slot: number, taken: number): number {
  const at = memory.map.descriptorAt(slot) + SLOT.TURN;
  for (;;) {
    const found = memory.word32(at);
    if (found !== TURN_LENT && found !== TURN_LENT_ASLEEP) return found;
    // It may have changed hands since, and be lent again in the other way.
    if (memory.exchangeWord32(at, found, taken) === found) return found;
  }
}

/** Ends one's turn, and wakes the writer where it waits for that. */
export function setTurn(memory: TailMemory, slot: number, turn: number): void {
  const at = memory.map.descriptorAt(slot) + SLOT.TURN;
  memory.setWord32(at, turn);
  memory.notify(at);
}
