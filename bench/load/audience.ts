// Subscribers at the live tail of a system of any make, and what each of them has received.

import { Deliveries } from './deliveries.ts';
import type { Driver } from './drivers/driver.ts';
import { type Judge, judgeOfComing, Mismatch } from './judge.ts';
import type { Lane } from './lane.ts';
import { indexOf, WORD } from './numbered.ts';

/** What one subscriber has received of a lane that is appended to from its first entry on. */
class Receiver {
  count = 0;
  readonly #isOrdered: boolean;
  readonly #judge: Judge | undefined;
  /** Of all places, so that one that is there twice does not stand for one that is missing. */
  #sum = 0;

  /** `judge` compares every entry with what was appended; undefined: only the order of the entries is looked at. */
  constructor(isOrdered: boolean, judge: Judge | undefined) {
    this.#isOrdered = isOrdered;
    this.#judge = judge;
  }

  /** Returns the place of the entry. */
  see(payload: Uint8Array): number {
    const index = indexOf(payload);
    const place = index === undefined ? undefined : index % WORD;
    if (place === undefined || (this.#isOrdered && place !== this.count)) {
      throw new Mismatch(`a subscriber was due entry ${this.count}, and got ${place ?? `${payload.length} bytes that are none`}`);
    }
    this.#judge?.see(payload);
    this.count += 1;
    this.#sum += place;
    return place;
  }

  /** Throws unless each of the first `entries` was received once. */
  finish(entries: number): void {
    if (this.count !== entries || this.#sum !== (entries * (entries - 1)) / 2) {
      throw new Mismatch(`a subscriber got ${this.count} entries, not each of the ${entries} once`);
    }
  }
}

/** All subscribers. One that fails, or has a gap, ends the load (program.ts). */
export class Audience {
  readonly #lane: Lane;
  readonly #isChecked: boolean;
  readonly #receivers: Receiver[] = [];
  readonly #ends: (() => Promise<void>)[] = [];
  readonly deliveries = new Deliveries();
  /** Called with the place of each entry that is delivered, for each subscriber. */
  onEntry: (place: number) => void = () => undefined;

  /** Nothing of `lane` may have been appended. `isChecked`: every subscriber compares every entry, where they come in order. */
  constructor(lane: Lane, isChecked: boolean) {
    this.#lane = lane;
    this.#isChecked = isChecked;
  }

  /** Another one, on the connection of `driver`. */
  async add(driver: Driver): Promise<void> {
    const subscriber = this.deliveries.join();
    const isOrdered = driver.keepsLiveOrder;
    const receiver = new Receiver(isOrdered, this.#isChecked && isOrdered ? judgeOfComing(this.#lane) : undefined);
    this.#receivers.push(receiver);
    const see = (payload: Uint8Array): void => {
      this.onEntry(receiver.see(payload));
      this.deliveries.add(subscriber, 1);
    };
    this.#ends.push(await driver.subscribe(see));
  }

  /** Throws unless every subscriber received each entry of the lane once. */
  async finish(): Promise<void> {
    for (const receiver of this.#receivers) receiver.finish(this.#lane.sent);
    await Promise.all(this.#ends.map((end) => end()));
  }
}
