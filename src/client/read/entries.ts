// Log bytes as a consumer sees them: a batch of whole, verified entries, and the entries in it.

import { ENTRY_HEADER_BYTES, ENTRY_OVERHEAD_BYTES, KIND_DATA, KIND_MASK } from '../../../assembly/layout.ts';
import { viewOf } from '../../core/bytes.ts';

/** One entry of the log. */
export interface Entry {
  /** The entry's id: where it begins in the log. */
  readonly offset: number;
  /** Where the next entry begins: read on from here. */
  readonly nextOffset: number;
  /** Raft term of the leader that ordered it. */
  readonly term: number;
  /** A view of the batch it came in: copy it (`slice`) to keep one entry of many. */
  readonly payload: Uint8Array;
}

/** Whether an entry is one that a client appended; that its batch goes on does not matter. */
function isData(kindSize: number): boolean {
  return ((kindSize >>> 24) & KIND_MASK) === KIND_DATA;
}

/** Walks over a batch's data entries; entries of other kinds are the log's own and are skipped. */
export class EntryWalk implements IterableIterator<Entry> {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #base: number;
  #at = 0;

  constructor(bytes: Uint8Array, base: number) {
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
    this.#base = base;
  }

  /** Log offset up to which there are only entries that were yielded, and the log's own. */
  get position(): number {
    this.#skipOwn();
    return this.#base + this.#at;
  }

  next(): IteratorResult<Entry, undefined> {
    const value = this.nextEntry();
    return value === undefined ? { done: true, value } : { done: false, value };
  }

  /** The next data entry, or undefined at the end. */
  nextEntry(): Entry | undefined {
    this.#skipOwn();
    const view = this.#view;
    const at = this.#at;
    if (at >= view.byteLength) return undefined;
    const size = view.getUint32(at + 4, true) & 0xffffff;
    this.#at = at + size + ENTRY_OVERHEAD_BYTES;
    const payload = this.#bytes.subarray(at + ENTRY_HEADER_BYTES, at + ENTRY_HEADER_BYTES + size);
    return { offset: this.#base + at, nextOffset: this.#base + this.#at, term: view.getUint32(at, true), payload };
  }

  /** Moves to the next data entry, or to the end. */
  #skipOwn(): void {
    const view = this.#view;
    while (this.#at < view.byteLength) {
      const kindSize = view.getUint32(this.#at + 4, true);
      if (isData(kindSize)) return;
      this.#at += (kindSize & 0xffffff) + ENTRY_OVERHEAD_BYTES;
    }
  }

  [Symbol.iterator](): this {
    return this;
  }
}

/** Whole entries of the log, back to back, every check verified. What was appended as one batch may be spread over several. */
export class Batch implements Iterable<Entry> {
  /** Log offset of the first byte. */
  readonly offset: number;
  /** Log offset after the last byte: read on from here. */
  readonly nextOffset: number;
  /** The server's commit offset when it sent this. */
  readonly commit: number;
  /** The log's own bytes, [offset, nextOffset), in the format of docs/FORMAT.md. */
  readonly bytes: Uint8Array;
  #entryCount = -1;

  constructor(offset: number, commit: number, bytes: Uint8Array) {
    this.offset = offset;
    this.nextOffset = offset + bytes.length;
    this.commit = commit;
    this.bytes = bytes;
  }

  /** How many entries {@link entries} yields: the log's own (start of a term and the like) do not count. */
  get entryCount(): number {
    if (this.#entryCount < 0) this.#entryCount = countEntries(this.bytes, Number.POSITIVE_INFINITY).count;
    return this.#entryCount;
  }

  entries(): EntryWalk {
    return new EntryWalk(this.bytes, this.offset);
  }

  [Symbol.iterator](): Iterator<Entry> {
    return this.entries();
  }
}

/** Counts data entries from the front, up to `limit`; `bytes` is where the last one counted ends, or all when there are fewer. */
export function countEntries(bytes: Uint8Array, limit: number): { count: number; bytes: number } {
  const view = viewOf(bytes);
  let at = 0;
  let count = 0;
  while (at < bytes.length && count < limit) {
    const kindSize = view.getUint32(at + 4, true);
    at += (kindSize & 0xffffff) + ENTRY_OVERHEAD_BYTES;
    if (isData(kindSize)) count += 1;
  }
  return { count, bytes: at };
}
