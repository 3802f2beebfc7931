// Payloads that say which they are, made at next to no cost: random bytes by seed, with the entry's index before them.
//
//     0       4       8                     payloadBytes
//     ├───────┴───────┼──────────────────────┤
//     │ index, u64 LE │ random, of the slot  │   slot = index % slots
//     └───────────────┴──────────────────────┘

/** The least that a payload has. */
export const INDEX_BYTES = 8;
export const RING_BYTES = 64 * 1024 * 1024;
const MAX_SLOTS = 65_535;
/** An index is two words: the lane, and the place in it. */
export const WORD = 2 ** 32;

/** Payloads that are there at once: cut from `ringBytes`, odd, so that an index with a flipped bit is that of another slot. */
export function slotsOf(payloadBytes: number, ringBytes: number): number {
  return (Math.max(1, Math.min(MAX_SLOTS, Math.floor(ringBytes / payloadBytes))) - 1) | 1;
}

export class NumberedPayloads {
  readonly payloadBytes: number;
  readonly seed: number;
  readonly ringBytes: number;
  /** A payload is overwritten when that of `slots` entries later is made, so fewer may be in flight. */
  readonly slots: number;
  readonly #view: DataView;
  readonly #payloads: readonly Buffer[];

  /** `payloadBytes` must be at least 8; `seed` is a whole number of 32 bits; `ringBytes` are made by it, and cut into slots. */
  constructor(payloadBytes: number, seed: number, ringBytes = RING_BYTES) {
    if (payloadBytes < INDEX_BYTES) throw new RangeError(`payloads must have ${INDEX_BYTES} bytes or more, not ${payloadBytes}`);
    this.payloadBytes = payloadBytes;
    this.seed = seed;
    this.ringBytes = ringBytes;
    this.slots = slotsOf(payloadBytes, ringBytes);
    const words = new Uint32Array(Math.ceil((this.slots * payloadBytes) / 4));
    let state = seed ^ 0x9e3779b9 || 1;
    for (let i = 0; i < words.length; i++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      words[i] = state;
    }
    this.#view = new DataView(words.buffer);
    // Buffers, because one of the clients takes no other bytes.
    this.#payloads = Array.from({ length: this.slots }, (_, slot) => Buffer.from(words.buffer, slot * payloadBytes, payloadBytes));
  }

  /** The payload of entry `index`; valid until that of `index + slots` is made. */
  at(index: number): Buffer {
    return this.inSlot(index % this.slots, index % WORD, Math.floor(index / WORD));
  }

  /** The same for who counts slots along: `slot` must be that of the index, which is given in its two words. */
  inSlot(slot: number, low: number, high: number): Buffer {
    const payload = this.#payloads[slot];
    if (payload === undefined) throw new RangeError(`there is no slot ${slot}`);
    this.#view.setUint32(slot * this.payloadBytes, low, true);
    this.#view.setUint32(slot * this.payloadBytes + 4, high, true);
    return payload;
  }
}

/** Index that a payload says it has, whatever the rest of it is; undefined when it is too short to say. */
export function indexOf(payload: Uint8Array): number | undefined {
  if (payload.length < INDEX_BYTES) return undefined;
  const view = new DataView(payload.buffer, payload.byteOffset, INDEX_BYTES);
  return view.getUint32(4, true) * WORD + view.getUint32(0, true);
}
