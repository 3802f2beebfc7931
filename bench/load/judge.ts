// The judge of every system: all entries that were acknowledged are there, once each, as they were appended, and no others; and in their
// order, where the load appended them so that they have one.

import { indexOf, type NumberedPayloads } from './numbered.ts';

/** What is wrong with a log. It makes the whole run fail. */
export class Mismatch extends Error {
  override readonly name = 'Mismatch';
}

/** Entries [from, to) whose outcome is not known: they were not acknowledged. */
export interface Lost {
  readonly from: number;
  readonly to: number;
}

export class Judge {
  readonly #payloads: NumberedPayloads;
  readonly #entries: number;
  /** Of entries without an order, those that were seen. */
  readonly #seen: Uint8Array | undefined;
  readonly #lost: readonly Lost[];
  #count = 0;

  /**
   * The log must hold the first `entries` of `payloads`; `isOrdered`: one after the other. Those of `lost`, which only entries without an
   * order can be, may be missing.
   */
  constructor(payloads: NumberedPayloads, entries: number, isOrdered: boolean, lost: readonly Lost[] = []) {
    this.#lost = lost;
    this.#payloads = payloads;
    this.#entries = entries;
    this.#seen = isOrdered ? undefined : new Uint8Array(entries);
  }

  /** Takes the next entry of the log. Throws a {@link Mismatch}. */
  see(payload: Uint8Array): void {
    const index = this.#seen === undefined ? this.#count : (indexOf(payload) ?? this.#entries);
    if (index >= this.#entries || this.#seen?.[index] === 1 || !this.#payloads.at(index).equals(payload)) {
      throw new Mismatch(this.#explain(payload));
    }
    if (this.#seen !== undefined) this.#seen[index] = 1;
    this.#count += 1;
  }

  /** The log ended. Throws a {@link Mismatch}. */
  finish(): void {
    if (this.#count === this.#entries) return;
    const isLost = (index: number): boolean => this.#lost.some(({ from, to }) => from <= index && index < to);
    const missing = this.#seen === undefined ? this.#count : this.#seen.findIndex((seen, index) => seen === 0 && !isLost(index));
    if (missing === -1) return;
    throw new Mismatch(`entry ${missing} is missing: the log ends after ${this.#count} entries, and ${this.#entries} were acknowledged`);
  }

  #explain(payload: Uint8Array): string {
    const at = this.#count;
    const found = indexOf(payload);
    if (found !== undefined && this.#payloads.at(found).equals(payload)) {
      if (found >= this.#entries) return `entry ${found} is there, and only ${this.#entries} entries were acknowledged`;
      if (this.#seen !== undefined || found < at) return `entry ${found} is there twice: it comes again in place ${at}`;
      return `entry ${at} is missing: entry ${found} stands in its place`;
    }
    if (at === this.#entries) return `${payload.length} bytes that were never appended follow the last entry`;
    const index = this.#seen === undefined ? at : found;
    if (index === undefined || index >= this.#entries) return `${payload.length} bytes that were never appended stand in place ${at}`;
    const expected = this.#payloads.at(index);
    if (payload.length !== expected.length) return `entry ${index} is changed: it has ${payload.length} bytes, and had ${expected.length}`;
    const byte = expected.findIndex((each, position) => each !== payload[position]);
    return `entry ${index} is changed: byte ${byte} is ${payload[byte]}, and was ${expected[byte]}`;
  }
}
