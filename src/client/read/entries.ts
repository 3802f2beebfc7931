// Log bytes as a consumer sees them: a batch of whole, verified entries, and the entries in it.

import { ENTRY_HEADER_BYTES, ENTRY_OVERHEAD_BYTES } from '../../../assembly/layout.ts';
import { viewOf } from '../../core/bytes.ts';
import { entryBytesOf, isData, kindSizeAt, payloadBytesOf, termAt } from '../../format/entry.ts';
import { logTimeIn } from '../../format/logTime.ts';

/** One entry of the log. */
export interface Entry {
  /** The entry's id: where it begins in the log. */
  readonly offset: number;
  /** Where the next entry begins: read on from here. */
  readonly nextOffset: number;
  /** Raft term of the leader that ordered it. */
  readonly term: number;
  /**
   * When it was ordered, in Unix milliseconds, by the log's own time: it is the same on every node and never falls along the log; right within a second
   * while the leader's clock is right. Undefined: the log has no times (level 0), or the node could not say it.
   */
  readonly timeMs: number | undefined;
  /** A view of the batch it came in: copy it (`slice`) to keep one entry of many. */
  readonly payload: Uint8Array;
}

/** Walks over a batch's data entries; entries of other kinds are the log's own and are skipped. */
export class EntryWalk implements IterableIterator<Entry> {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #base: number;
  #at = 0;
  /** The log's time there. */
  #timeMs: number | undefined;

  constructor(bytes: Uint8Array, base: number, timeMs: number | undefined) {
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
    this.#base = base;
    this.#timeMs = timeMs;
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
    return { offset: base + at, nextOffset: base + end, term: termAt(this.#view, at), timeMs: this.#timeMs, payload };
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
      const timeMs = logTimeIn(view, at, kindSize);
      if (timeMs > 0) this.#timeMs = timeMs;
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
  /** The log's time at {@link offset}, as {@link Entry.timeMs}: that of the first entry, unless {@link bytes} begin with one that says another. */
  readonly timeMs: number | undefined;
  #entryCount = -1;

  constructor(offset: number, commit: number, bytes: Uint8Array, timeMs: number | undefined) {
    this.offset = offset;
    this.nextOffset = offset + bytes.length;
    this.commit = commit;
    this.bytes = bytes;
    this.timeMs = timeMs;
  }

  /** How many entries {@link entries} yields: the log's own (start of a term and the like) do not count. */
  get entryCount(): number {
    if (this.#entryCount < 0) this.#entryCount = countEntries(this.bytes, Number.POSITIVE_INFINITY).count;
    return this.#entryCount;
  }

  entries(): EntryWalk {
    return new EntryWalk(this.bytes, this.offset, this.timeMs);
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

// V8 gives each object a box of its own for a number in a field that has only held numbers. So one entry without a time is made before all others:
// then those of a batch share the walk's number, and a time costs a word.
new EntryWalk(new Uint8Array(ENTRY_OVERHEAD_BYTES), 0, undefined).nextEntry();
