// Callers whose next message finds no room in all send buffers: tried again after some time, if nothing has drained before.

import { ROOM_RETRY_MS } from '../core/servingLimits.ts';
import type { Caller } from './caller.ts';
import type { Loop } from './loop.ts';

export class Roomless {
  readonly #loop: Pick<Loop, 'after'>;
  readonly #again: (caller: Caller) => void;
  #callers = new Set<Caller>();

  constructor(loop: Pick<Loop, 'after'>, again: (caller: Caller) => void) {
    this.#loop = loop;
    this.#again = again;
  }

  add(caller: Caller): void {
    if (this.#callers.size === 0) this.#loop.after(ROOM_RETRY_MS, () => this.#retry(), true);
    this.#callers.add(caller);
  }

  #retry(): void {
    const callers = this.#callers;
    this.#callers = new Set();
    for (const caller of callers) {
      if (!caller.isClosed) this.#again(caller);
    }
  }
}
