// Follows the commit for as long as something on the main thread waits for it: an append for its receipt, a reading for entries. While
// nothing does, as on a follower that nobody reads from, the raft thread wakes nobody. While something does, a follower lets the leader know.

import { SIGNAL, STATE } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { Loop } from './loop.ts';

export class CommitWatch {
  readonly #memory: TailMemory;
  readonly #loop: Loop;
  readonly #isAwaited: () => boolean;
  readonly #moved: () => void;
  /** The wake-up word before the last look at the commit. */
  #seen: number;
  #isFollowing = false;

  /** `moved` is called, never from within {@link need}, when the commit may have moved; it must not throw. */
  constructor(memory: TailMemory, loop: Loop, isAwaited: () => boolean, moved: () => void) {
    this.#memory = memory;
    this.#loop = loop;
    this.#isAwaited = isAwaited;
    this.#moved = moved;
    this.#seen = memory.signal(SIGNAL.COMMIT);
  }

  /** Something begins to wait. What moved since the last look, so also between the caller's own look and this call, is not missed. */
  need(): void {
    if (this.#isFollowing) return;
    this.#isFollowing = true;
    this.#memory.setWord32(STATE.COMMIT_AWAITED, 1);
    this.#goOn();
  }

  #goOn(): void {
    if (this.#isAwaited()) {
      this.#loop.wait(SIGNAL.COMMIT, this.#seen, this.#look);
      return;
    }
    this.#isFollowing = false;
    this.#memory.setWord32(STATE.COMMIT_AWAITED, 0);
  }

  readonly #look = (): void => {
    this.#seen = this.#memory.signal(SIGNAL.COMMIT);
    this.#moved();
    this.#goOn();
  };
}
