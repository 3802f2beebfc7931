// Whether clients should put copies of their appends on followers: on a leader whose links to the others wait, when at least two clients are busy. One
// alone, whose link is no faster than the leader's, would be slower: it would send everything as many times as there are nodes.

import { BUSY_CLIENT_BYTES, BUSY_CLIENTS, MIN_UPLOAD_BYTES } from '../core/uploadLimits.ts';
import { STATE } from '../memory/map.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { Loop } from './loop.ts';

const LOOK_MS = 1_000;
/** Looks in a row with the reason before it is told: in one alone two clients may have been busy one after the other. And without it, before it is taken back. */
const REASON_LOOKS = 2;
const QUIET_LOOKS = 3;

export class UploadHelp {
  readonly #memory: TailMemory;
  readonly #loop: Pick<Loop, 'after'>;
  readonly #changed: () => void;
  /** Bytes of large appends since the last look. */
  readonly #clients = new Map<object, number>();
  #isLooking = false;
  #reasonLooks = 0;
  #quietLooks = 0;
  /** Whether uploads help, as clients are told. */
  isNeeded = false;

  /** `changed`: clients are to be told. */
  constructor(memory: TailMemory, loop: Pick<Loop, 'after'>, changed: () => void) {
    this.#memory = memory;
    this.#loop = loop;
    this.#changed = changed;
  }

  /** `client` has appended `bytes` in one message. */
  appended(client: object, bytes: number): void {
    if (bytes < MIN_UPLOAD_BYTES) return;
    this.#clients.set(client, (this.#clients.get(client) ?? 0) + bytes);
    this.#plan();
  }

  #plan(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#loop.after(LOOK_MS, () => this.#look(), true);
  }

  #look(): void {
    this.#isLooking = false;
    let busy = 0;
    for (const bytes of this.#clients.values()) if (bytes >= BUSY_CLIENT_BYTES) busy += 1;
    this.#clients.clear();
    const isReason = busy >= BUSY_CLIENTS && this.#memory.word32(STATE.LINKS_WAIT) !== 0;
    this.#quietLooks = isReason ? 0 : this.#quietLooks + 1;
    this.#reasonLooks = isReason ? this.#reasonLooks + 1 : 0;
    const isNeeded = this.isNeeded ? this.#quietLooks < QUIET_LOOKS : this.#reasonLooks >= REASON_LOOKS;
    if (isNeeded || isReason) this.#plan();
    if (isNeeded === this.isNeeded) return;
    this.isNeeded = isNeeded;
    this.#changed();
  }
}
