import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { advanceCommit, majorityDurable } from '../../src/raft/quorum.ts';
import { TermTable } from '../../src/raft/termTable.ts';

/** One record per byte: what the table must say, the slow way. */
class Bytes {
  readonly start: number;
  terms: number[] = [];

  constructor(start: number) {
    this.start = start;
  }

  get end(): number {
    return this.start + this.terms.length;
  }

  termBefore(offset: number): number {
    return offset <= this.start ? 0 : (this.terms[Math.min(offset, this.end) - 1 - this.start] ?? 0);
  }

  largestUpTo(term: number): number {
    return Math.max(0, ...this.terms.filter((each) => each <= term));
  }

  endOf(term: number): number {
    return this.start + this.terms.filter((each) => each <= term).length;
  }
}

describe('the term table', () => {
  test('answers as a record of every byte would, through growth and cuts', () => {
    const change = fc.record({ isCut: fc.integer({ min: 0, max: 4 }).map((n) => n === 0), skip: fc.nat(2), bytes: fc.nat(5) });
    fc.assert(
      fc.property(fc.constantFrom(0, 7), fc.array(change, { maxLength: 30 }), (start, changes) => {
        const table = new TermTable(start, start, []);
        const bytes = new Bytes(start);
        for (const { isCut, skip, bytes: count } of changes) {
          if (isCut) {
            const end = Math.max(start, bytes.end - count);
            table.truncate(end);
            bytes.terms.length = end - start;
          } else {
            const term = Math.max(1, table.lastTerm + skip);
            table.extend(term, table.end + count);
            for (let i = 0; i < count; i += 1) bytes.terms.push(term);
          }
          expect([table.end, table.lastTerm]).toEqual([bytes.end, bytes.terms.at(-1) ?? 0]);
          for (let offset = 0; offset <= bytes.end + 1; offset += 1) expect(table.termBefore(offset)).toBe(bytes.termBefore(offset));
          for (let offset = start; offset < bytes.end; offset += 1) expect(table.termAt(offset)).toBe(bytes.terms[offset - start]);
          for (let term = 0; term <= table.lastTerm + 1; term += 1) {
            expect(table.largestUpTo(term)).toBe(bytes.largestUpTo(term));
            expect(table.endOf(term)).toBe(bytes.endOf(term));
          }
        }
        const again = new TermTable(start, table.end, table.starts);
        expect(again.starts).toEqual(table.starts);
      }),
      { seed: 1, numRuns: 200 },
    );
  });

  test('refuses what no log can be', () => {
    expect(() => new TermTable(0, 10, [])).toThrow('exactly when it has entries');
    expect(() => new TermTable(0, 10, [{ term: 1, offset: 5 }])).toThrow('begins where the log does');
    const table = new TermTable(0, 10, [{ term: 3, offset: 0 }]);
    expect(() => table.extend(2, 20)).toThrow('terms never fall');
    expect(() => table.extend(3, 9)).toThrow('extended forwards');
    expect(() => table.truncate(11)).toThrow('inside it');
    expect(() => table.termAt(10)).toThrow('an entry of the log');
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
