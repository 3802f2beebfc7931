// The named consumers that the log has at its end, in shared memory: whoever owns the log's end changes the table, as part of the log's state (logFold.ts). A
// commit moves eight bytes where they are, because there are many of them; other threads read a copy of one moment.

import { assert } from '../core/assert.ts';
import { MAX_CONSUMERS_BYTES } from '../core/limits.ts';
import { type ConsumerChange, foldConsumers, placesOfFences, putCommit } from '../format/consumers.ts';
import { CONSUMERS, STATE } from './map.ts';
import type { TailMemory } from './tailMemory.ts';

export class LogConsumers {
  readonly #memory: TailMemory;
  /** Where the record of each fence stands, as the table was in {@link #indexed}. */
  #places: ReadonlyMap<number, number> = new Map();
  #indexed = -1;

  constructor(memory: TailMemory) {
    this.#memory = memory;
  }

  /** The table, as format/consumers.ts has it: a view, for the owner of the log's end. */
  get table(): Uint8Array {
    const at = this.#memory.map.consumersAt;
    return this.#memory.bytes.subarray(at + CONSUMERS.TABLE, at + CONSUMERS.TABLE + this.#memory.word(at + CONSUMERS.BYTES));
  }

  /** Log offset of the end of the entry that changed the table last; 0 while none did, or the log began with it. */
  get end(): number {
    return this.#memory.word(this.#memory.map.consumersAt + CONSUMERS.END);
  }

  /** The table and {@link end} of one moment, a copy, for a thread that is not the owner of the log's end; undefined while they change: look again in a moment. */
  get settled(): { readonly table: Uint8Array; readonly end: number } | undefined {
    const version = this.#memory.word32(STATE.STATE_VERSION);
    if (version % 2 !== 0) return undefined;
    const found = { table: this.table.slice(), end: this.end };
    return this.#memory.word32(STATE.STATE_VERSION) === version ? found : undefined;
  }

  /** How many there are. */
  get count(): number {
    this.#index();
    return this.#places.size;
  }

  /** Where the record that has the fence `fence` stands in the table; undefined: none has it. */
  placeOf(fence: number): number | undefined {
    this.#index();
    return this.#places.get(fence);
  }

  #index(): void {
    const version = this.#memory.word(this.#memory.map.consumersAt + CONSUMERS.VERSION);
    if (version === this.#indexed) return;
    this.#places = placesOfFences(this.table);
    this.#indexed = version;
  }

  /** Folds `changes` of an entry that ends at log offset `end`, at the log's time `timeMs`. */
  apply(changes: readonly ConsumerChange[], timeMs: number, end: number): void {
    for (const change of changes) {
      if (change.what !== 'commit') {
        this.put(foldConsumers(this.table, change, timeMs), end);
        continue;
      }
      const at = this.placeOf(change.fence);
      if (at !== undefined) this.#change(() => putCommit(this.table, at, change.position, timeMs));
    }
    this.#setEnd(end);
  }

  /** Sets all of it; what it is already is a view of itself. */
  put(table: Uint8Array, end: number): void {
    assert(table.length <= MAX_CONSUMERS_BYTES, 'the consumers of a log have a bound');
    const at = this.#memory.map.consumersAt;
    if (table.buffer !== this.#memory.bytes.buffer) {
      this.#change(() => {
        this.#memory.copyIn(table, at + CONSUMERS.TABLE);
        this.#memory.setWord(at + CONSUMERS.BYTES, table.length);
        this.#memory.setWord(at + CONSUMERS.VERSION, this.#memory.word(at + CONSUMERS.VERSION) + 1);
      });
    }
    this.#setEnd(end);
  }

  #setEnd(end: number): void {
    this.#memory.setWord(this.#memory.map.consumersAt + CONSUMERS.END, end);
  }

  /** Changes what other threads read together: see {@link settled}. */
  #change(write: () => void): void {
    this.#memory.addWord32(STATE.STATE_VERSION, 1);
    write();
    this.#memory.addWord32(STATE.STATE_VERSION, 1);
  }
}
