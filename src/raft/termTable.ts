// Which term each byte of the log belongs to, and who led in it: all that Raft has to know of a log whose ids are byte offsets. One record
// a term, so that two logs are compared without looking at an entry (KIP-595 has the same table as "leader epoch cache").
//
//   offsets   0        40            190      260
//             ├ term 1 ┼─── term 4 ──┼ term 5 ┤ end

import { assert } from '../core/assert.ts';
import { type EntryTerm, NO_TERM } from '../core/ids.ts';

/** The first entry of `term` begins at log offset `offset`. */
export interface TermStart extends EntryTerm {
  readonly offset: number;
}

export class TermTable {
  #start: number;
  /** Of the entry that ends at the start. */
  #before: EntryTerm;
  /** Ascending in term and offset. */
  #starts: TermStart[];
  #end: number;

  /** A log of [start, end) whose terms begin at `starts`, after an entry of `before`. */
  constructor(start: number, end: number, starts: readonly TermStart[], before: EntryTerm = NO_TERM) {
    this.#start = start;
    this.#before = before;
    this.#end = end;
    this.#starts = [...starts];
    assert((end === start) === (starts.length === 0), 'a log has terms exactly when it has entries');
    assert(starts.length === 0 || starts[0]?.offset === start, 'the first term begins where the log does');
  }

  /** First offset kept; what lies before it is committed and was trimmed. */
  get start(): number {
    return this.#start;
  }

  /** Offset past the last entry. */
  get end(): number {
    return this.#end;
  }

  /** Term of the last entry, which may have been trimmed; 0 when there never was one. */
  get lastTerm(): number {
    return this.last.term;
  }

  /** Whose the last entry is. */
  get last(): EntryTerm {
    return this.#starts.at(-1) ?? this.#before;
  }

  get starts(): readonly TermStart[] {
    return this.#starts;
  }

  /** Whose the entry is that ends at `offset`, or that `offset` lies in; NO_TERM before the log's start. */
  before(offset: number): EntryTerm {
    if (offset < this.start) return NO_TERM;
    return this.#starts[this.#countWhile((each) => each.offset < offset) - 1] ?? this.#before;
  }

  /** Whose the entry is that begins at `offset`, in [start, end). */
  at(offset: number): EntryTerm {
    assert(offset >= this.start && offset < this.#end, 'an entry of the log is asked for');
    return this.before(offset + 1);
  }

  /** Term of the entry that ends at `offset`; 0 where {@link before} knows none. */
  termBefore(offset: number): number {
    return this.before(offset).term;
  }

  /** Where the entries of terms up to `term` end; the log's start when there are none. */
  endOf(term: number): number {
    return this.#starts[this.#countWhile((each) => each.term <= term)]?.offset ?? this.#end;
  }

  /**
   * Where a log that has entries of `other` cannot be the same as this one any more: the end of this log's entries up to that term, or their
   * beginning when another leader wrote those.
   */
  endShared(other: EntryTerm): number {
    const last = this.#starts[this.#countWhile((each) => each.term <= other.term) - 1];
    if (last?.term === other.term && last.leader !== other.leader) return last.offset;
    return this.endOf(other.term);
  }

  /** The log has grown to `end` by entries of `term`, which `leader` led. */
  extend(term: number, leader: string, end: number): void {
    assert(end >= this.#end, 'a log is extended forwards');
    const { last } = this;
    assert(term >= last.term && term > 0, 'terms never fall along the log');
    assert(term > last.term || leader === last.leader, 'a term goes on under the leader that it began with');
    if (end === this.#end) return;
    if (term > last.term || this.#starts.length === 0) this.#starts.push({ term, offset: this.#end, leader });
    this.#end = end;
  }

  /** Everything from `end` on is gone. */
  truncate(end: number): void {
    assert(end >= this.start && end <= this.#end, 'a log is truncated to a place inside it');
    while ((this.#starts.at(-1)?.offset ?? -1) >= end) this.#starts.pop();
    this.#end = end;
  }

  /** Everything before `start` is committed, and is gone. */
  trim(start: number): void {
    assert(start >= this.#start && start <= this.#end, 'a log is trimmed to a place inside it');
    const before = this.before(start);
    const first = start < this.#end ? this.at(start) : undefined;
    const rest = this.#starts.filter(({ offset }) => offset > start);
    this.#starts = first === undefined ? [] : [{ ...first, offset: start }, ...rest];
    this.#before = before;
    this.#start = start;
  }

  /** The log begins anew, and empty, at `start`, after an entry of `before`. */
  beginAt(start: number, before: EntryTerm): void {
    assert(start > this.#end, 'a log begins anew past its end');
    this.#starts = [];
    this.#before = before;
    this.#start = start;
    this.#end = start;
  }

  /** How many terms at the front `holds` is true for; after the first one that it is false for, it stays so. */
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
