// A system of any make as what an open loop appends to: entry after entry on one connection, without waiting for one another.

import type { LatencyRecorder } from '../statistics.ts';
import type { Driver, Room } from './drivers/driver.ts';
import type { Lane } from './lane.ts';
import { type OpenLoopRun, runOpenLoop, type Schedule, type Target } from './schedule.ts';
import type { Ticker } from './ticker.ts';

/** In flight at most: no system has its best rate only with more, and none refuses as many. */
const IN_FLIGHT_ENTRIES = 8192;

/** In flight at most, of payloads that are overwritten after `slots` others: half of them, so that none is made anew while a client holds it. */
export function mostInFlight(slots: number): number {
  return Math.max(1, Math.min(IN_FLIGHT_ENTRIES, Math.floor(slots / 2)));
}

class PacedAppends implements Target {
  readonly #driver: Driver;
  readonly #lane: Lane;
  /** The client's own; undefined: what is in flight is counted here. */
  readonly #room: Room | undefined;
  readonly #most: number;
  #inFlight = 0;
  #wake: (() => void) | undefined;

  constructor(driver: Driver, lane: Lane) {
    this.#driver = driver;
    this.#room = driver.room;
    this.#lane = lane;
    this.#most = mostInFlight(lane.slots);
  }

  get hasRoom(): boolean {
    return this.#room === undefined ? this.#inFlight < this.#most : this.#room.hasRoom;
  }

  async ready(): Promise<void> {
    if (this.#room !== undefined) return this.#room.ready();
    while (!this.hasRoom) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  append(): Promise<unknown> {
    const { index } = this.#lane;
    const appended = this.#driver.appendOne(this.#lane.next(), index);
    return this.#room === undefined ? this.#counted(appended) : appended;
  }

  async #counted(appended: Promise<unknown>): Promise<void> {
    this.#inFlight += 1;
    await appended;
    this.#inFlight -= 1;
    this.#wake?.();
  }
}

/** What is timed of appends at a fixed rate; each as in an `OpenLoop`. */
export interface PacedTimes {
  readonly latency: LatencyRecorder;
  readonly lateness: LatencyRecorder;
  readonly onUnsent?: (waitedMs: number) => void;
}

export interface PacedPlan {
  /** Entries a second. */
  readonly rate: number;
  readonly seconds: number;
}

/** Appends entries of `lane` at a fixed rate. `onSchedule` is told when each is due, before the first is. */
export async function appendPaced(
  { driver, lane, ticker }: { readonly driver: Driver; readonly lane: Lane; readonly ticker: Ticker },
  { rate, seconds }: PacedPlan,
  times: PacedTimes,
  onSchedule: (schedule: Schedule) => void = () => undefined,
): Promise<OpenLoopRun> {
  const schedule = await ticker.begin(rate, Math.max(1, Math.round(rate * seconds)));
  onSchedule(schedule);
  const target = new PacedAppends(driver, lane);
  const run = await runOpenLoop({ schedule, target, clock: ticker, patienceMs: seconds * 1000, ...times });
  lane.acknowledgedTo(lane.sent);
  return run;
}
