import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NO_INSTANCE, NO_TERM } from '../../src/core/ids.ts';
import { advanceCommit, majorityDurable } from '../../src/raft/quorum.ts';
import { TermTable } from '../../src/raft/termTable.ts';
import { anyLeader } from './testLog.ts';

/** Whose the entry is that a log which begins at 7 has lost to a trim. */
const BEFORE = { term: 1, leader: anyLeader(1) };
const OTHER = '00000000000000ff';

/** One record per byte: what the table must say, the slow way. */
class Bytes {
  start: number;
  terms: number[] = [];
  /** Of the entry before the start. */
  #before: number;

  constructor(start: number) {
    this.start = start;
    this.#before = start === 0 ? 0 : BEFORE.term;
  }

  trim(start: number): void {
    this.#before = this.termBefore(start);
    this.terms = this.terms.slice(start - this.start);
    this.start = start;
  }

  get end(): number {
    return this.start + this.terms.length;
  }

  termBefore(offset: number): number {
    if (offset < this.start) return 0;
    return this.terms[Math.min(offset, this.end) - 1 - this.start] ?? this.#before;
  }

  endOf(term: number): number {
    return this.start + this.terms.filter((each) => each <= term).length;
  }
}

describe('the term table', () => {
  test('answers as a record of every byte would, through growth, cuts and trims', () => {
    const what = fc.constantFrom('cut', 'trim', 'growth', 'growth', 'growth');
    const change = fc.record({ what, skip: fc.nat(2), bytes: fc.nat(5) });
    fc.assert(
      fc.property(fc.constantFrom(0, 7), fc.array(change, { maxLength: 30 }), (start, changes) => {
        const table = new TermTable(start, start, [], start === 0 ? NO_TERM : BEFORE);
        const bytes = new Bytes(start);
        for (const { what: kind, skip, bytes: count } of changes) {
          if (kind === 'trim') {
            const to = Math.min(bytes.end, bytes.start + count);
            table.trim(to);
            bytes.trim(to);
          } else if (kind === 'cut') {
            const end = Math.max(bytes.start, bytes.end - count);
            table.truncate(end);
            bytes.terms.length = end - bytes.start;
          } else {
            const term = Math.max(1, table.lastTerm + skip);
            table.extend(term, anyLeader(term), table.end + count);
            for (let i = 0; i < count; i += 1) bytes.terms.push(term);
          }
          expect([table.end, table.lastTerm]).toEqual([bytes.end, bytes.termBefore(bytes.end)]);
          for (let offset = 0; offset <= bytes.end + 1; offset += 1) {
            const term = bytes.termBefore(offset);
            expect(table.before(offset)).toMatchObject({ term, leader: term === 0 ? NO_INSTANCE : anyLeader(term) });
          }
          for (let offset = bytes.start; offset < bytes.end; offset += 1)
            expect(table.at(offset).term).toBe(bytes.terms[offset - bytes.start]);
          for (let term = 0; term <= table.lastTerm + 1; term += 1) {
            expect(table.endOf(term)).toBe(bytes.endOf(term));
            expect(table.endShared({ term, leader: anyLeader(term) })).toBe(bytes.endOf(term));
            // Another leader's term has not a byte in common.
            expect(table.endShared({ term, leader: OTHER })).toBe(bytes.endOf(term - 1));
          }
        }
        const again = new TermTable(table.start, table.end, table.starts, BEFORE);
        expect(again.starts).toEqual(table.starts);
      }),
      { seed: 1, numRuns: 200 },
    );
  });

  test('refuses what no log can be', () => {
    expect(() => new TermTable(0, 10, [])).toThrow('exactly when it has entries');
    expect(() => new TermTable(0, 10, [{ term: 1, offset: 5, leader: OTHER }])).toThrow('begins where the log does');
    const table = new TermTable(0, 10, [{ term: 3, offset: 0, leader: anyLeader(3) }]);
    expect(() => table.extend(2, anyLeader(2), 20)).toThrow('terms never fall');
    expect(() => table.extend(3, anyLeader(3), 9)).toThrow('extended forwards');
    expect(() => table.extend(3, OTHER, 20)).toThrow('goes on under the leader');
    expect(() => table.truncate(11)).toThrow('inside it');
    expect(() => table.at(10)).toThrow('an entry of the log');
  });
});

describe('the majority (3.6.2)', () => {
  test('is what more than half have', () => {
    expect(majorityDurable([7])).toBe(7);
    expect(majorityDurable([7, 5])).toBe(5);
    expect(majorityDurable([9, 1, 5])).toBe(5);
    expect(majorityDurable([9, 1, 5, 3])).toBe(3);
    expect(majorityDurable([1, 2, 3, 4, 5])).toBe(3);
  });

  test("commits from the end of the term's no-op on, and never back", () => {
    expect(advanceCommit(0, [99, 99, 0], 100)).toBe(0);
    expect(advanceCommit(0, [100, 100, 0], 100)).toBe(100);
    expect(advanceCommit(150, [140, 140, 140], 100)).toBe(150);
  });
});
