// A system of any make as what an open loop appends to: entry after entry on one connection, without waiting for one another.

import type { Driver } from './drivers/driver.ts';
import type { NumberedPayloads } from './numbered.ts';
import type { Target } from './schedule.ts';

/** In flight at most: no system has its best rate only with more, and none refuses as many. */
const IN_FLIGHT_ENTRIES = 8192;

/** In flight at most, of payloads that are overwritten after `slots` others: half of them, so that none is made anew while a client holds it. */
export function mostInFlight(slots: number): number {
  return Math.max(1, Math.min(IN_FLIGHT_ENTRIES, Math.floor(slots / 2)));
}

export class PacedAppends implements Target {
  readonly #driver: Driver;
  readonly #payloads: NumberedPayloads;
  readonly #most: number;
  #next: number;
  #inFlight = 0;
  #wake: (() => void) | undefined;

  /** Entry `from` is the next one. */
  constructor(driver: Driver, payloads: NumberedPayloads, from: number) {
    this.#driver = driver;
    this.#payloads = payloads;
    this.#most = mostInFlight(payloads.slots);
    this.#next = from;
  }

  /** Index of the next entry. */
  get index(): number {
    return this.#next;
  }

  get hasRoom(): boolean {
    return this.#inFlight < this.#most;
  }

  async ready(): Promise<void> {
    while (!this.hasRoom) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async append(): Promise<void> {
    const index = this.#next;
    this.#next += 1;
    this.#inFlight += 1;
    await this.#driver.appendOne(this.#payloads.at(index), index);
    this.#inFlight -= 1;
    this.#wake?.();
  }
}
