// Who has how much of the memory for uploads. Whoever is to give some up is found without a look at everybody: any client can ask for room as often as it
// likes, and thousands may have a little.

import { STAGING_BLOCK_BYTES } from '../core/uploadLimits.ts';

export class Shares<Holder> {
  /** Holders by the blocks that they have; from 1 on. */
  readonly #byBlocks: Set<Holder>[] = [];
  /** Nobody has more blocks. */
  #most = 0;

  /** `holder` has `to` bytes now, and had `from`: both are whole blocks. */
  moved(holder: Holder, from: number, to: number): void {
    this.#at(from / STAGING_BLOCK_BYTES).delete(holder);
    if (to === 0) return;
    this.#at(to / STAGING_BLOCK_BYTES).add(holder);
    this.#most = Math.max(this.#most, to / STAGING_BLOCK_BYTES);
  }

  /** Who has most, if that is more than `bytes`. */
  withMoreThan(bytes: number): Holder | undefined {
    while (this.#most > 0 && this.#at(this.#most).size === 0) this.#most -= 1;
    if (this.#most * STAGING_BLOCK_BYTES <= bytes) return undefined;
    const [first] = this.#at(this.#most);
    return first;
  }

  #at(blocks: number): Set<Holder> {
    const known = this.#byBlocks[blocks] ?? new Set<Holder>();
    this.#byBlocks[blocks] = known;
    return known;
  }
}
