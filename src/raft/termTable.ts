// Which term each byte of the log belongs to: all that Raft has to know of a log whose ids are byte offsets. One record a term, so
// that two logs are compared without looking at an entry (KIP-595 has the same table as "leader epoch cache").
//
//   offsets   0        40            190      260
//             ├ term 1 ┼─── term 4 ──┼ term 5 ┤ end

import { assert } from '../core/assert.ts';

/** The first entry of `term` begins at log offset `offset`. */
export interface TermStart {
  readonly term: number;
  readonly offset: number;
}

export class TermTable {
  /** First offset kept; what lies before it is committed and was trimmed. */
  readonly start: number;
  /** Ascending in term and offset. */
  readonly #starts: TermStart[];
  #end: number;

  /** A log of [start, end) whose terms begin at `starts`. */
  constructor(start: number, end: number, starts: readonly TermStart[]) {
    this.start = start;
    this.#end = end;
    this.#starts = [...starts];
    assert((end === start) === (starts.length === 0), 'a log has terms exactly when it has entries');
    assert(starts.length === 0 || starts[0]?.offset === start, 'the first term begins where the log does');
  }

  /** Offset past the last entry. */
  get end(): number {
    return this.#end;
  }

  /** Term of the last entry; 0 for an empty log. */
  get lastTerm(): number {
    return this.#starts.at(-1)?.term ?? 0;
  }

  get starts(): readonly TermStart[] {
    return this.#starts;
  }

  /** Term of the entry that ends at `offset`, or that `offset` lies in; 0 at or before the log's start. */
  termBefore(offset: number): number {
    return this.#starts[this.#countWhile((each) => each.offset < offset) - 1]?.term ?? 0;
  }

  /** Term of the entry that begins at `offset`, in [start, end). */
  termAt(offset: number): number {
    assert(offset >= this.start && offset < this.#end, 'an entry of the log is asked for');
    return this.termBefore(offset + 1);
  }

  /** The largest term of an entry that is at most `term`; 0 when there is none. */
  largestUpTo(term: number): number {
    return this.#starts[this.#countWhile((each) => each.term <= term) - 1]?.term ?? 0;
  }

  /** Where the entries of terms up to `term` end; the log's start when there are none. */
  endOf(term: number): number {
    return this.#starts[this.#countWhile((each) => each.term <= term)]?.offset ?? this.#end;
  }

  /** The log has grown to `end` by entries of `term`. */
  extend(term: number, end: number): void {
    assert(end >= this.#end, 'a log is extended forwards');
    assert(term >= this.lastTerm && term > 0, 'terms never fall along the log');
    if (end === this.#end) return;
    if (term > this.lastTerm) this.#starts.push({ term, offset: this.#end });
    this.#end = end;
  }

  /** Everything from `end` on is gone. */
  truncate(end: number): void {
    assert(end >= this.start && end <= this.#end, 'a log is truncated to a place inside it');
    while ((this.#starts.at(-1)?.offset ?? -1) >= end) this.#starts.pop();
    this.#end = end;
  }

  /** How many terms at the front `holds` is true for; behind the first one that it is false for, it stays so. */
  #countWhile(holds: (start: TermStart) => boolean): number {
    const starts = this.#starts;
    let low = 0;
    let high = starts.length;
    // Most questions are about the last term.
    const last = starts[high - 1];
    if (last !== undefined && holds(last)) return high;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const start = starts[middle];
      if (start !== undefined && holds(start)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
