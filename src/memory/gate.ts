// The gate between the main thread, which orders clients' appends, and the raft thread, which hands the log's end out and takes it
// back. The main thread is inside only for the length of one synchronous call; the raft thread waits for it to come out.
//
//             open()                    enter()
//   CLOSED ───────────────► OPEN ◄───────────────► BUSY          CLOSED: the raft thread owns the log's end
//     ▲  ▲                   │       leave()        │ close()    OPEN, BUSY: the main thread does
//     │  └───────────────────┘                      ▼
//     │           close()                      BUSY_CLOSING      close() waits here
//     └─────────────────────────────────────────────┘ leave()

import { assert } from '../core/assert.ts';
import { STATE } from './map.ts';
import type { TailMemory } from './tailMemory.ts';

export const GATE_CLOSED = 0;
export const GATE_OPEN = 1;
export const GATE_BUSY = 2;
export const GATE_BUSY_CLOSING = 3;

/**
 * One thread's view of the gate, which is closed in a new memory. Whoever passes it sees all that the other side wrote before: its
 * word is a sequentially consistent atomic.
 */
export class Gate {
  readonly #memory: TailMemory;

  constructor(memory: TailMemory) {
    this.#memory = memory;
  }

  /** Raft thread: hands the log's end to the main thread. Nothing when it is open already. */
  open(): void {
    this.#memory.exchangeWord32(STATE.GATE, GATE_CLOSED, GATE_OPEN);
  }

  /** Raft thread: takes the log's end back; blocks while the main thread is inside. Nothing when it is closed already. */
  closeSync(): void {
    for (;;) {
      const found = this.#memory.exchangeWord32(STATE.GATE, GATE_OPEN, GATE_CLOSED);
      if (found === GATE_OPEN || found === GATE_CLOSED) return;
      // Either exchange fails when the main thread comes out in between: then the next turn finds the gate open or closed.
      if (found === GATE_BUSY) this.#memory.exchangeWord32(STATE.GATE, GATE_BUSY, GATE_BUSY_CLOSING);
      this.#memory.waitSync(STATE.GATE, GATE_BUSY_CLOSING);
    }
  }

  /** Main thread: goes in, and must {@link leave} before control returns to its event loop. False while the gate is closed. */
  enter(): boolean {
    const found = this.#memory.exchangeWord32(STATE.GATE, GATE_OPEN, GATE_BUSY);
    assert(found === GATE_OPEN || found === GATE_CLOSED, 'the main thread enters the gate once at a time');
    return found === GATE_OPEN;
  }

  /** Main thread: comes out, and lets the raft thread in if it waits. */
  leave(): void {
    const found = this.#memory.exchangeWord32(STATE.GATE, GATE_BUSY, GATE_OPEN);
    if (found === GATE_BUSY) return;
    assert(found === GATE_BUSY_CLOSING, 'only who is inside the gate leaves it');
    this.#memory.setWord32(STATE.GATE, GATE_CLOSED);
    this.#memory.notify(STATE.GATE);
  }
}
