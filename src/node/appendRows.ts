// A queue of appends that are no objects: there may be hundreds of thousands of them while a disk stalls, and as objects they would cost three
// times as much, most of it in garbage. Each is one row of typed arrays, in a ring that grows with their number and shrinks when it is empty.

import { assert } from '../core/assert.ts';

const MIN_ROWS = 256;
/** A ring with more rows than this is not kept when it is empty. */
const KEPT_ROWS = 16_384;

/** Columns of the ring; `Owner` and `Extra` are whatever its user wants to keep with a row. */
class Columns<Owner, Extra> {
  readonly owners: (Owner | undefined)[];
  readonly extras: (Extra | undefined)[];
  readonly requestIds: Uint32Array;
  /** Bytes of entries. */
  readonly bytes: Uint32Array;
  /** Any number below 2^53. */
  readonly places: Float64Array;
  readonly arrivedMs: Float64Array;

  constructor(rows: number) {
    this.owners = new Array<Owner | undefined>(rows).fill(undefined);
    this.extras = new Array<Extra | undefined>(rows).fill(undefined);
    this.requestIds = new Uint32Array(rows);
    this.bytes = new Uint32Array(rows);
    this.places = new Float64Array(rows);
    this.arrivedMs = new Float64Array(rows);
  }

  copy(row: number, from: Columns<Owner, Extra>, fromRow: number): void {
    this.owners[row] = from.owners[fromRow];
    this.extras[row] = from.extras[fromRow];
    this.requestIds[row] = from.requestIds[fromRow] ?? 0;
    this.bytes[row] = from.bytes[fromRow] ?? 0;
    this.places[row] = from.places[fromRow] ?? 0;
    this.arrivedMs[row] = from.arrivedMs[fromRow] ?? 0;
  }
}

export class AppendRows<Owner extends object, Extra = never> {
  #rows = MIN_ROWS;
  #columns = new Columns<Owner, Extra>(MIN_ROWS);
  #head = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(owner: Owner, requestId: number, bytes: number, place: number, arrivedMs: number, extra?: Extra): void {
    if (this.#size === this.#rows) this.#resize(this.#rows * 2);
    const row = this.#row(this.#size);
    const columns = this.#columns;
    columns.owners[row] = owner;
    columns.extras[row] = extra;
    columns.requestIds[row] = requestId;
    columns.bytes[row] = bytes;
    columns.places[row] = place;
    columns.arrivedMs[row] = arrivedMs;
    this.#size += 1;
  }

  /** Of row `i`; 0, if not given, is the oldest. */
  owner(i = 0): Owner {
    const owner = i < this.#size ? this.#columns.owners[this.#row(i)] : undefined;
    assert(owner !== undefined, 'the row is there');
    return owner;
  }

  requestId(i = 0): number {
    return this.#columns.requestIds[this.#row(i)] ?? 0;
  }

  bytes(i = 0): number {
    return this.#columns.bytes[this.#row(i)] ?? 0;
  }

  place(i = 0): number {
    return this.#columns.places[this.#row(i)] ?? 0;
  }

  arrivedMs(i = 0): number {
    return this.#columns.arrivedMs[this.#row(i)] ?? 0;
  }

  extra(i = 0): Extra | undefined {
    return this.#columns.extras[this.#row(i)];
  }

  /** Takes the oldest one out. */
  shift(): void {
    assert(this.#size > 0, 'there is a row');
    this.#columns.owners[this.#head] = undefined;
    this.#columns.extras[this.#head] = undefined;
    this.#head = this.#row(1);
    this.#size -= 1;
    if (this.#size === 0 && this.#rows > KEPT_ROWS) this.#resize(MIN_ROWS);
  }

  /** Keeps only the rows for which `place` returns a number, which is their place from then on; they are asked in their order. */
  rewrite(place: (i: number) => number | undefined): void {
    const columns = this.#columns;
    let kept = 0;
    for (let i = 0; i < this.#size; i += 1) {
      const to = place(i);
      if (to === undefined) continue;
      if (kept < i) columns.copy(this.#row(kept), columns, this.#row(i));
      columns.places[this.#row(kept)] = to;
      kept += 1;
    }
    for (let i = kept; i < this.#size; i += 1) {
      columns.owners[this.#row(i)] = undefined;
      columns.extras[this.#row(i)] = undefined;
    }
    this.#size = kept;
  }

  #row(i: number): number {
    return (this.#head + i) & (this.#rows - 1);
  }

  #resize(rows: number): void {
    const columns = new Columns<Owner, Extra>(rows);
    for (let i = 0; i < this.#size; i += 1) columns.copy(i, this.#columns, this.#row(i));
    this.#columns = columns;
    this.#rows = rows;
    this.#head = 0;
  }
}
