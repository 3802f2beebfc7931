// Writes what was ordered in the thread that ordered it, where the segment's writer rests (turn.ts). For an append that is alone the disk is then all that
// there is to wait for; it blocks the thread for as long.

import { assert } from '../core/assert.ts';
import { LONE_WRITE_BYTES } from '../core/limits.ts';
import { SIGNAL, STATE, TURN_BROKEN, TURN_LENT, TURN_LENT_ASLEEP, TURN_TAKEN } from '../memory/map.ts';
import { setTurn, takeTurn } from '../memory/turn.ts';
import type { StorageContext } from './context.ts';
import { SegmentWriter } from './segmentWriter.ts';

export class LoneWriter {
  readonly #context: StorageContext;
  #writer: SegmentWriter | undefined;
  /** How often the log had been cut when that began: a segment may be made anew at the same place, in another file that has the same number. */
  #truncations = 0;

  constructor(context: StorageContext) {
    this.#context = context;
  }

  /**
   * Makes all that was ordered durable, if that is at most LONE_WRITE_BYTES. False: it is not, the writer is at work, or it has to wake: it is to be woken, and does it.
   * Throws what the disk throws: nothing is written to the segment after that.
   */
  write(): boolean {
    const { memory } = this.#context;
    const slot = memory.openSlot;
    if (slot < 0 || memory.tail - memory.durable > LONE_WRITE_BYTES) return false;
    const turn = takeTurn(memory, slot, TURN_TAKEN);
    if (turn !== TURN_LENT && turn !== TURN_LENT_ASLEEP) return false;
    try {
      const writer = this.#writerOf(slot);
      writer.loadTurn();
      const isWritten = writer.write();
      if (isWritten) writer.sync();
      assert(memory.word32(writer.turnSignal) === TURN_TAKEN, 'nobody else writes in a turn');
      writer.saveTurn();
      setTurn(memory, slot, turn);
      // A writer whose rest nothing ends wakes for a time now, and then puts the mark.
      if (isWritten && turn === TURN_LENT_ASLEEP) memory.raise(SIGNAL.TAIL);
      return isWritten;
    } catch (thrown) {
      setTurn(memory, slot, TURN_BROKEN);
      throw thrown;
    }
  }

  #writerOf(slot: number): SegmentWriter {
    const truncations = this.#context.memory.word32(STATE.TRUNCATIONS);
    if (this.#writer?.isOf(slot) === true && this.#truncations === truncations) return this.#writer;
    this.#truncations = truncations;
    this.#writer = SegmentWriter.second(this.#context, slot);
    return this.#writer;
  }
}
