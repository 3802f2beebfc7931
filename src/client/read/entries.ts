// Log bytes as a consumer sees them: a batch of whole, verified entries, and the entries in it.

import { ENTRY_HEADER_BYTES, ENTRY_OVERHEAD_BYTES } from '../../../assembly/layout.ts';
import { viewOf } from '../../core/bytes.ts';
import { entryBytesOf, isData, kindSizeAt, payloadBytesOf, termAt } from '../../format/entry.ts';

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
    const size = this.#skipOwn();
    if (size < 0) return undefined;
    const at = this.#at;
    const base = this.#base;
    const end = at + size + ENTRY_OVERHEAD_BYTES;
    this.#at = end;
    const payload = this.#bytes.subarray(at + ENTRY_HEADER_BYTES, at + ENTRY_HEADER_BYTES + size);
    return { offset: base + at, nextOffset: base + end, term: termAt(this.#view, at), payload };
  }

  /** Moves to the next data entry, or to the end. Returns the bytes of its payload; -1 at the end. */
  #skipOwn(): number {
    const view = this.#view;
    const { byteLength } = view;
    let at = this.#at;
    let size = -1;
    while (at < byteLength) {
      const kindSize = kindSizeAt(view, at);
      if (isData(kindSize)) {
        size = payloadBytesOf(kindSize);
        break;
      }
      at += entryBytesOf(kindSize);
    }
    this.#at = at;
    return size;
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
    const kindSize = kindSizeAt(view, at);
    at += entryBytesOf(kindSize);
    if (isData(kindSize)) count += 1;
  }
  return { count, bytes: at };
}
