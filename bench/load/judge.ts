// The judge of every system: all entries that were acknowledged are there, once each, in their order, as they were appended, and no others.

import { indexOf, type NumberedPayloads } from './numbered.ts';

/** What is wrong with a log. It makes the whole run fail. */
export class Mismatch extends Error {
  override readonly name = 'Mismatch';
}

export class Judge {
  readonly #payloads: NumberedPayloads;
  readonly #entries: number;
  #next = 0;

  /** The log must hold the first `entries` of `payloads`. */
  constructor(payloads: NumberedPayloads, entries: number) {
    this.#payloads = payloads;
    this.#entries = entries;
  }

  /** Takes the next entry of the log. Throws a {@link Mismatch}. */
  see(payload: Uint8Array): void {
    if (this.#next < this.#entries && this.#payloads.at(this.#next).equals(payload)) {
      this.#next += 1;
      return;
    }
    throw new Mismatch(this.#explain(payload));
  }

  /** The log ended. Throws a {@link Mismatch}. */
  finish(): void {
    if (this.#next === this.#entries) return;
    throw new Mismatch(`entry ${this.#next} is missing: the log ends there, and ${this.#entries} entries were acknowledged`);
  }

  #explain(payload: Uint8Array): string {
    const next = this.#next;
    const found = indexOf(payload);
    if (found !== undefined && this.#payloads.at(found).equals(payload)) {
      if (found < next) return `entry ${found} is there twice: it comes again after entry ${next - 1}`;
      if (found >= this.#entries) return `entry ${found} is there, and only ${this.#entries} entries were acknowledged`;
      return `entry ${next} is missing: entry ${found} stands in its place`;
    }
    if (next === this.#entries) return `${payload.length} bytes that were never appended follow the last entry`;
    const expected = this.#payloads.at(next);
    if (payload.length !== expected.length) return `entry ${next} is changed: it has ${payload.length} bytes, and had ${expected.length}`;
    const at = expected.findIndex((byte, position) => byte !== payload[position]);
    return `entry ${next} is changed: byte ${at} is ${payload[at]}, and was ${expected[at]}`;
  }
}
