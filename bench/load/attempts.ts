// Appends that go on at a fixed pace through the loss of any server, whatever becomes of each: so the first that is acknowledged after a loss
// waits for no timeout of a client, only for the servers and for the way to them.

import type { Driver } from './drivers/driver.ts';
import type { Lane, LaneRecord, Lost } from './lane.ts';

/** Between two attempts: the times that are found are exact to this. */
const PACE_MS = 5;
const PATIENCE_MS = 60_000;

export class Attempts {
  readonly #driver: Driver;
  readonly #lane: Lane;
  /** By place: when each was sent, and when it was acknowledged, which is NaN as long as it is not. */
  readonly #sentMs: number[] = [];
  readonly #acknowledgedMs: number[] = [];
  #timer: NodeJS.Timeout | undefined;
  #onAcknowledged: (place: number) => void = () => undefined;

  constructor(driver: Driver, lane: Lane) {
    this.#driver = driver;
    this.#lane = lane;
  }

  begin(): void {
    this.#timer = setInterval(() => void this.#attempt(), PACE_MS);
  }

  end(): void {
    clearInterval(this.#timer);
  }

  async #attempt(): Promise<void> {
    const { index, sent: place } = this.#lane;
    this.#sentMs.push(performance.now());
    this.#acknowledgedMs.push(Number.NaN);
    try {
      await this.#driver.appendOne(this.#lane.next(), index);
    } catch {
      // Its outcome is not known; the next one tells whether the servers are back.
      return;
    }
    this.#acknowledgedMs[place] = performance.now();
    this.#onAcknowledged(place);
  }

  /** When the first append was acknowledged that was sent at `sinceMs` or later. Rejects when that takes longer than any election may. */
  firstSince(sinceMs: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        this.#onAcknowledged = () => undefined;
        reject(new Error(`no append was acknowledged within ${PATIENCE_MS / 1000} s`));
      };
      const timer = setTimeout(giveUp, PATIENCE_MS);
      this.#onAcknowledged = (place) => {
        if ((this.#sentMs[place] ?? 0) < sinceMs) return;
        this.#onAcknowledged = () => undefined;
        clearTimeout(timer);
        resolve(this.#acknowledgedMs[place] ?? Number.NaN);
      };
    });
  }

  /** How many were acknowledged in each of `bins` of `binMs` from `fromMs` on. */
  countsFrom(fromMs: number, binMs: number, bins: number): number[] {
    const counts = new Array<number>(bins).fill(0);
    for (const atMs of this.#acknowledgedMs) {
      const bin = Math.floor((atMs - fromMs) / binMs);
      if (bin >= 0 && bin < bins) counts[bin] = (counts[bin] ?? 0) + 1;
    }
    return counts;
  }

  /** What became of all of them, for the judge. One that is lost may be done after a later one. */
  record(): LaneRecord {
    const lost = this.#acknowledgedMs.flatMap((atMs, place): Lost[] => {
      return Number.isNaN(atMs) ? [{ from: place, to: place + 1, outcome: 'unknown' }] : [];
    });
    return { ...this.#lane.record(), lost, isOrdered: false };
  }
}
