// The judge of every log: all entries that were acknowledged are there, once each, as they were appended, in the order of their lane, where
// the load appended them so that they have one; those whose outcome is not known are there at most once; and there are no others.

import { type Lane, type LaneRecord, type Lost, payloadsOf } from './lane.ts';
import { indexOf, type NumberedPayloads, WORD } from './numbered.ts';

/** What is wrong with a log. It makes the whole run fail. */
export class Mismatch extends Error {
  override readonly name = 'Mismatch';
}

/** One lane as the judge sees it: how far its entries were seen, or which of them, when they have no order. */
class JudgedLane {
  readonly record: LaneRecord;
  readonly #payloads: NumberedPayloads;
  /** Of entries without an order, those that were seen. */
  readonly #seen: Uint8Array | undefined;
  /** The place after the last entry seen. */
  next = 0;

  constructor(record: LaneRecord) {
    this.record = record;
    this.#payloads = payloadsOf(record);
    this.#seen = record.isOrdered ? undefined : new Uint8Array(record.sent);
  }

  /** Takes the entry at `place`, if the log may hold it here. */
  take(place: number, payload: Uint8Array): boolean {
    if (!this.isAt(place, payload) || this.#complaint(place) !== undefined) return false;
    if (this.#seen === undefined) this.next = place + 1;
    else this.#seen[place] = 1;
    return true;
  }

  /** What `place` holds as it was appended. */
  expected(place: number): Buffer {
    return this.#payloads.at(this.record.lane * WORD + place);
  }

  isAt(place: number, payload: Uint8Array): boolean {
    return this.expected(place).equals(payload);
  }

  /** The first place of [from, to) that was acknowledged and, among those without an order, not seen. */
  #firstMissing(from: number, to: number): number | undefined {
    for (let place = from; place < to; ) {
      const lost = this.#lostAt(place);
      if (lost !== undefined) place = lost.to;
      else if (this.#seen?.[place] === 1) place += 1;
      else return place;
    }
    return undefined;
  }

  #lostAt(place: number): Lost | undefined {
    return this.record.lost.find(({ from, to }) => from <= place && place < to);
  }

  /** Why the entry at `place` must not be the log's next one; undefined: it may. */
  #complaint(place: number): string | undefined {
    const { sent, lost } = this.record;
    if (place >= sent) return `is there, and only ${sent} entries were appended`;
    if (lost.length > 0 && this.#lostAt(place)?.outcome === 'failed') return 'is there, and its append failed';
    if (this.#seen !== undefined) return this.#seen[place] === 1 ? 'is there twice' : undefined;
    if (place === this.next) return undefined;
    if (place < this.next) return this.#lostAt(place) === undefined ? 'is there twice' : 'is there twice, or after later ones';
    const missing = this.#firstMissing(this.next, place);
    return missing === undefined ? undefined : `stands in the place of ${this.name(missing)}, which is missing`;
  }

  /** What is wrong with an entry that is as it was appended. */
  explain(place: number, at: number): string {
    return `${this.name(place)} ${this.#complaint(place) ?? 'is right'}, in place ${at} of the log`;
  }

  /** The first entry that was acknowledged and did not come. */
  get missing(): string | undefined {
    const missing = this.#firstMissing(this.#seen === undefined ? this.next : 0, this.record.sent);
    return missing === undefined ? undefined : this.name(missing);
  }

  name(place: number): string {
    const { lane } = this.record;
    return lane === 0 ? `entry ${place}` : `entry ${place} of lane ${lane}`;
  }
}

export class Judge {
  readonly #lanes: ReadonlyMap<number, JudgedLane>;
  /** That of the last entry: the next one is mostly of the same. */
  #lane: JudgedLane | undefined;
  #count = 0;

  /** The log must hold what `lanes` say, and nothing else. */
  constructor(lanes: readonly LaneRecord[]) {
    this.#lanes = new Map(lanes.map((record) => [record.lane, new JudgedLane(record)]));
    if (this.#lanes.size !== lanes.length) throw new TypeError('two lanes of a log have the same number');
  }

  /** How many entries were seen. */
  get count(): number {
    return this.#count;
  }

  /** Takes the next entry of the log. Throws a {@link Mismatch}. */
  see(payload: Uint8Array): void {
    const index = indexOf(payload);
    const lane = index === undefined ? undefined : this.#laneOf(index);
    if (index === undefined || lane === undefined || !lane.take(index % WORD, payload)) throw new Mismatch(this.#explain(payload));
    this.#count += 1;
  }

  /** The log ended. Throws a {@link Mismatch}. */
  finish(): void {
    for (const lane of this.#lanes.values()) {
      if (lane.missing !== undefined) throw new Mismatch(`${lane.missing} is missing: the log ends after ${this.#count} entries`);
    }
  }

  #laneOf(index: number): JudgedLane | undefined {
    const number = Math.floor(index / WORD);
    if (this.#lane?.record.lane !== number) this.#lane = this.#lanes.get(number);
    return this.#lane;
  }

  #explain(payload: Uint8Array): string {
    const index = indexOf(payload);
    const lane = index === undefined ? undefined : this.#laneOf(index);
    const place = (index ?? 0) % WORD;
    if (lane?.isAt(place, payload)) return lane.explain(place, this.#count);
    // Of a changed entry the index may be what was changed, so what it is like comes first.
    const due = this.#likely(payload);
    if (due !== undefined) return changed(due, due.next, payload);
    if (lane !== undefined && place < lane.record.sent) return changed(lane, place, payload);
    return `${payload.length} bytes that were never appended stand in place ${this.#count}`;
  }

  /** The lane whose next entry has more than half of its bytes in common with `payload`. */
  #likely(payload: Uint8Array): JudgedLane | undefined {
    return [...this.#lanes.values()].find((lane) => {
      if (lane.next >= lane.record.sent) return false;
      const expected = lane.expected(lane.next);
      const common = payload.reduce((sum, byte, at) => sum + (byte === expected[at] ? 1 : 0), 0);
      return common * 2 > expected.length;
    });
  }
}

function changed(lane: JudgedLane, place: number, payload: Uint8Array): string {
  const expected = lane.expected(place);
  if (payload.length !== expected.length)
    return `${lane.name(place)} is changed: it has ${payload.length} bytes, and had ${expected.length}`;
  const byte = expected.findIndex((each, position) => each !== payload[position]);
  return `${lane.name(place)} is changed: byte ${byte} is ${payload[byte]}, and was ${expected[byte]}`;
}

/** A judge of entries as they come, while `lane` is still appended to; how many there will be is not known. */
export function judgeOfComing(lane: Lane): Judge {
  return new Judge([{ ...lane.record(), sent: WORD, lost: [], isOrdered: true }]);
}
