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
  const found = memory.exchangeWord32(at, TURN_LENT, taken);
  return found === TURN_LENT_ASLEEP ? memory.exchangeWord32(at, TURN_LENT_ASLEEP, taken) : found;
}

/** Ends one's turn, and wakes the writer where it waits for that. */
export function setTurn(memory: TailMemory, slot: number, turn: number): void {
  const at = memory.map.descriptorAt(slot) + SLOT.TURN;
  memory.setWord32(at, turn);
  memory.notify(at);
}
