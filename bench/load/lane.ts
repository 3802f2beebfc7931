// What one connection appends: a lane of numbered entries that nobody else appends, and what became of each of them.
//
//     index = lane × 2^32 + place
//
//     0            acknowledged       sent        places of a lane
//     ├─── all but ──┼─── unknown ────┤
//         the lost

import { LogError, type Outcome } from '../../src/client/index.ts';
import { NumberedPayloads, WORD } from './numbered.ts';

/** Entries [from, to) of a lane that were not acknowledged; `failed`: they surely are not in the log. */
export interface Lost {
  readonly from: number;
  readonly to: number;
  readonly outcome: Outcome;
}

/** All that a judge must know of a lane: every one of its entries [0, sent) was acknowledged but those of `lost`. */
export interface LaneRecord {
  readonly seed: number;
  /** Size of the random bytes that its payloads are cut from. */
  readonly ringBytes: number;
  readonly payloadBytes: number;
  readonly lane: number;
  readonly sent: number;
  /** By place. */
  readonly lost: readonly Lost[];
  /** Whether the log has them in the order of their places: not those that one client sent on several connections. */
  readonly isOrdered: boolean;
}

/** Few enough bytes to stay in a core's cache, as one payload would: LogLog's client copies each at once, so it may be overwritten soon. */
export const LANE_RING_BYTES = 1024 * 1024;

const rings = new Map<string, NumberedPayloads>();

/** The payloads of a lane, which it shares with the judges of this process. */
export function payloadsOf({
  payloadBytes,
  seed,
  ringBytes,
  lane,
}: Pick<LaneRecord, 'payloadBytes' | 'seed' | 'ringBytes' | 'lane'>): NumberedPayloads {
  const key = `${payloadBytes} ${seed} ${ringBytes} ${lane}`;
  const payloads = rings.get(key) ?? new NumberedPayloads(payloadBytes, seed, ringBytes);
  rings.set(key, payloads);
  return payloads;
}

export class Lane {
  /** As in the record. */
  isOrdered = true;
  readonly #payloads: NumberedPayloads;
  readonly #lane: number;
  readonly #lost: Lost[] = [];
  #sent = 0;
  #acknowledged = 0;
  #slot: number;

  /** `lane` counts from 0 on, and is nobody else's. */
  constructor(seed: number, payloadBytes: number, lane: number, ringBytes = LANE_RING_BYTES) {
    this.#payloads = payloadsOf({ seed, payloadBytes, ringBytes, lane });
    this.#lane = lane;
    this.#slot = (lane * WORD) % this.#payloads.slots;
  }

  get payloadBytes(): number {
    return this.#payloads.payloadBytes;
  }

  /** A payload is overwritten when that of as many entries later is made. */
  get slots(): number {
    return this.#payloads.slots;
  }

  /** Entries that {@link next} has given. */
  get sent(): number {
    return this.#sent;
  }

  /** Index of the entry that {@link next} gives. */
  get index(): number {
    return this.#lane * WORD + this.#sent;
  }

  /** The payload of the next entry; valid until as many others were given as the ring has. */
  next(): Buffer {
    const payload = this.#payloads.inSlot(this.#slot, this.#sent, this.#lane);
    this.#sent += 1;
    this.#slot = this.#slot + 1 === this.#payloads.slots ? 0 : this.#slot + 1;
    return payload;
  }

  /** The next `count` payloads, which must be valid together. */
  take(count: number): Buffer[] {
    if (count > this.#payloads.slots)
      throw new RangeError(`${count} payloads of ${this.#payloads.payloadBytes} bytes are too many at once`);
    return Array.from({ length: count }, () => this.next());
  }

  /** All entries before `place` were acknowledged, but those that are lost. */
  acknowledgedTo(place: number): void {
    this.#acknowledged = place;
  }

  /** The append of the entry at `place` was rejected. Rethrows what is no outcome of an append. */
  lose(place: number, thrown: unknown): void {
    if (!(thrown instanceof LogError)) throw thrown;
    this.#lost.push({ from: place, to: place + 1, outcome: thrown.outcome });
  }

  /** What is known now: the outcome of an entry that was neither acknowledged nor rejected yet is unknown. */
  record(): LaneRecord {
    const all = [...this.#lost].sort((a, b) => a.from - b.from);
    if (this.#acknowledged < this.#sent) all.push({ from: this.#acknowledged, to: this.#sent, outcome: 'unknown' });
    const lost: Lost[] = [];
    for (const each of all) {
      const before = lost.at(-1);
      if (before !== undefined && before.to === each.from && before.outcome === each.outcome)
        lost.splice(-1, 1, { ...before, to: each.to });
      else lost.push(each);
    }
    const { seed, ringBytes, payloadBytes } = this.#payloads;
    return { seed, ringBytes, payloadBytes, lane: this.#lane, sent: this.#sent, lost, isOrdered: this.isOrdered };
  }
}
