// Hands out the workspace's slots to messages. Small messages share a slot, one after the other, and the slot is free again when
// the last of them is settled; a message larger than a slot gets a run of neighbouring ones for itself.

import { assert } from '../../core/assert.ts';
import { SLOT_BYTES, type Workspace } from '../wasm.ts';

/** Below this rest, a slot is not worth starting a message in while another slot is free. */
const WORTHWHILE_BYTES = 32 * 1024;

/** Neighbouring slots: [at, end) of the workspace; messages stand in [at, used). */
export interface Run {
  readonly at: number;
  readonly end: number;
  readonly slot: number;
  readonly slotCount: number;
  used: number;
  messageCount: number;
}

export class Arena {
  readonly #slotsAt: number;
  /** 1: taken. */
  readonly #taken: Uint8Array;
  /** The slot that small messages are put into. */
  #shared: Run | undefined;
  #messageCount = 0;

  constructor(workspace: Workspace) {
    this.#slotsAt = workspace.slotsAt;
    this.#taken = new Uint8Array(workspace.slotCount);
  }

  /** Messages that hold memory. */
  get messageCount(): number {
    return this.#messageCount;
  }

  /** A run with room for `bytes` after `used`, held until {@link release}. Undefined when there is none: wait for a release. */
  reserve(bytes: number): Run | undefined {
    let run = this.#shared;
    if (run === undefined || run.end - run.used < Math.max(bytes, WORTHWHILE_BYTES)) {
      const fresh = this.#take(Math.ceil(bytes / SLOT_BYTES));
      if (fresh !== undefined) {
        run = fresh;
        if (fresh.slotCount === 1) this.#share(fresh);
      } else if (run !== undefined && run.end - run.used < bytes) {
        run = undefined;
      }
    }
    if (run === undefined) return undefined;
    run.messageCount += 1;
    this.#messageCount += 1;
    return run;
  }

  /** A message in `run` is settled: its bytes are no longer needed. */
  release(run: Run): void {
    assert(run.messageCount > 0, 'a run is released once per message');
    run.messageCount -= 1;
    this.#messageCount -= 1;
    if (run.messageCount > 0) return;
    if (run === this.#shared) run.used = run.at;
    else this.#free(run);
  }

  #share(run: Run): void {
    const before = this.#shared;
    this.#shared = run;
    if (before !== undefined && before.messageCount === 0) this.#free(before);
  }

  #free(run: Run): void {
    assert(this.#taken[run.slot] === 1, 'memory that is freed was taken');
    this.#taken.fill(0, run.slot, run.slot + run.slotCount);
  }

  #take(slotCount: number): Run | undefined {
    let slot = this.#find(slotCount);
    const shared = this.#shared;
    if (slot < 0 && shared !== undefined && shared.messageCount === 0) {
      this.#shared = undefined;
      this.#free(shared);
      slot = this.#find(slotCount);
    }
    if (slot < 0) return undefined;
    this.#taken.fill(1, slot, slot + slotCount);
    const at = this.#slotsAt + slot * SLOT_BYTES;
    return { at, end: at + slotCount * SLOT_BYTES, slot, slotCount, used: at, messageCount: 0 };
  }

  /** First of `slotCount` free neighbours, the lowest, whose memory is most likely warm; -1 when there are none. */
  #find(slotCount: number): number {
    let free = 0;
    for (let slot = 0; slot < this.#taken.length; slot++) {
      free = this.#taken[slot] === 0 ? free + 1 : 0;
      if (free === slotCount) return slot - slotCount + 1;
    }
    return -1;
  }
}
