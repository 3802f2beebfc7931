// The log that a script's node should have.

import { entriesOf, type Place } from './batches.ts';

/** The log as it was ordered, from offset 0, between two restarts or truncations. Grows; what stands in it never changes. */
export class OrderedLog {
  #bytes: Uint8Array;
  end: number;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes.slice();
    this.end = bytes.length;
  }

  add(first: number, entries: Uint8Array): void {
    if (first !== this.end) throw new Error(`entries were ordered at ${first}, but the log ends at ${this.end}`);
    if (first + entries.length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(2 * this.#bytes.length, first + entries.length));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes.set(entries, first);
    this.end = first + entries.length;
  }

  slice(from: number, to: number): Uint8Array {
    return this.#bytes.subarray(from, to);
  }

  /** All its entries. */
  entries(): Place[] {
    return [...entriesOf(this.slice(0, this.end), 0)];
  }
}
