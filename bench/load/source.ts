// What a driver appends: the entries of a lane one after the other, until the time is over or there were enough, and no faster than a gate
// lets them through.

import type { Deliveries } from './deliveries.ts';
import type { Lane } from './lane.ts';

/** Entries between two looks at the clock, and between two notes of what is acknowledged. */
const STRIDE = 64;
/** Larger entries are few: the clock is looked at before each of them. */
const LARGE_BYTES = 4096;

/** Lets a producer be `ahead` entries ahead of the slowest subscriber at most, so that all of them stay at the live tail. */
export class Gate {
  readonly #deliveries: Deliveries;
  readonly #ahead: number;
  /** Before this entry it is known to be open. */
  #openTo = 0;

  constructor(deliveries: Deliveries, ahead: number) {
    this.#deliveries = deliveries;
    this.#ahead = ahead;
  }

  isClosed(sent: number): boolean {
    if (sent < this.#openTo) return false;
    this.#openTo = this.#deliveries.slowest + this.#ahead;
    return sent >= this.#openTo;
  }

  /** Waits until several entries may follow. */
  open(sent: number): Promise<void> {
    return this.#deliveries.until(sent - this.#ahead + STRIDE);
  }
}

export interface SourcePlan {
  /** The end comes after this long, or after `entries` when that is not 0. */
  readonly seconds: number;
  readonly entries: number;
  /** Entries of each batch, for a system that makes batches all or nothing; 0: each entry alone, which clients batch as they think best. */
  readonly batchEntries?: number;
  readonly gate?: Gate;
  /** Whether the end is to come now. */
  readonly mustEnd?: () => boolean;
}

export class Source {
  readonly batchEntries: number;
  readonly #lane: Lane;
  readonly #first: number;
  readonly #end: number;
  readonly #deadline: number;
  readonly #gate: Gate | undefined;
  readonly #mustEnd: () => boolean;
  #waiting: Promise<void> | undefined;

  constructor(lane: Lane, { seconds, entries, batchEntries = 0, gate, mustEnd = () => false }: SourcePlan) {
    this.#lane = lane;
    this.batchEntries = batchEntries;
    this.#first = lane.sent;
    this.#end = entries === 0 ? Number.POSITIVE_INFINITY : lane.sent + entries;
    this.#deadline = entries === 0 ? performance.now() + seconds * 1000 : Number.POSITIVE_INFINITY;
    this.#gate = gate;
    this.#mustEnd = mustEnd;
  }

  get payloadBytes(): number {
    return this.#lane.payloadBytes;
  }

  /** Index of the entry that {@link next} gives. */
  get index(): number {
    return this.#lane.index;
  }

  /** How many were given. */
  get count(): number {
    return this.#lane.sent - this.#first;
  }

  next(): Buffer | undefined {
    return this.#isOver() ? undefined : this.#lane.next();
  }

  /** At most `most` payloads at once; none at the end. */
  take(most: number): Buffer[] {
    const taken: Buffer[] = [];
    while (taken.length < most) {
      const payload = this.next();
      if (payload === undefined) break;
      taken.push(payload);
    }
    return taken;
  }

  /** Whether {@link ready} must be awaited before the next entry. */
  get mustWait(): boolean {
    return this.#gate?.isClosed(this.#lane.sent) === true;
  }

  /** Resolves when the next entry may be appended. */
  async ready(): Promise<void> {
    while (this.#gate?.isClosed(this.#lane.sent) === true) {
      // Several loops of one driver may wait.
      this.#waiting ??= this.#gate.open(this.#lane.sent).finally(() => {
        this.#waiting = undefined;
      });
      await this.#waiting;
    }
  }

  /** For systems that acknowledge in order: with `last` all entries that were given are acknowledged, which is noted now and then. */
  noteAcknowledged(last: Promise<unknown>): void {
    const { sent } = this.#lane;
    if (this.batchEntries === 0 && sent % STRIDE !== 0) return;
    // A rejection that nobody handles ends the load (program.ts).
    void last.then(() => this.#lane.acknowledgedTo(sent));
  }

  #isOver(): boolean {
    const { sent, payloadBytes } = this.#lane;
    if (sent === this.#end) return true;
    const isLook = payloadBytes > LARGE_BYTES || sent % STRIDE === 0;
    return isLook && (performance.now() >= this.#deadline || this.#mustEnd());
  }
}
