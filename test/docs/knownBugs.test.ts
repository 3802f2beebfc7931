// docs/KNOWN-BUGS.md names tests, planted bugs and faults: each of them is there, so that a name that changes changes there, too.

import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { PLANTED_BUGS } from '../crash/plantedBugs.ts';
import { MUTANTS as INTERLEAVINGS } from '../interleave/mutants.ts';
import { SCENARIOS } from '../interleave/scenarios/all.ts';
import { MUTANTS } from '../sim/mutants/catalogue.ts';
import { MEMBER_MUTANTS } from '../sim/mutants/members.ts';
import { FAULTS } from '../sim/profile.ts';

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

/** The cells of each row of the tables. */
const ROWS = read('docs/KNOWN-BUGS.md')
  .split('\n')
  .filter((line) => line.startsWith('| '))
  .map((line) => line.slice(2, -2).split(' | '))
  .filter(([first]) => first !== '#' && first !== 'rule' && first !== 'point');

const NAMES: Readonly<Record<string, readonly string[]>> = {
  planted: [...MUTANTS, ...MEMBER_MUTANTS].map(({ name }) => name),
  'crash plant': PLANTED_BUGS.map(({ name }) => name),
  fault: FAULTS,
  interleaving: INTERLEAVINGS.map(({ name }) => name),
  'every schedule': SCENARIOS.map(({ name }) => name),
};

/** What a last cell names: pairs of a place and a name in it. */
function namesOf(cell: string): (readonly [place: string, name: string])[] {
  const names: (readonly [string, string])[] = [];
  let place = '';
  for (const [, inTicks, inQuotes] of cell.matchAll(/`([^`]+)`|"([^"]+)"/g)) {
    if (inTicks !== undefined) place = inTicks;
    if (inQuotes !== undefined) names.push([place, inQuotes]);
  }
  return names;
}

/** Whether a name is there; names of tests may be cut at their end. */
function isThere(place: string, name: string): boolean {
  const names = NAMES[place];
  if (names !== undefined) return names.includes(name);
  const source = read(`test/${place}.test.ts`);
  return ["'", '"', '`'].some((quote) => source.includes(quote + name));
}

type Point = readonly [name: string, point: number, letter: string];

function byPlace([, a, letterOfA]: Point, [, b, letterOfB]: Point): number {
  return a - b || letterOfA.localeCompare(letterOfB);
}

describe('docs/KNOWN-BUGS.md', () => {
  const bugs = ROWS.flatMap(([first = '']) => (/^B\d+$/.test(first) ? [first] : []));

  test('gives each number once', () => {
    const ids = ROWS.flatMap(([first = '']) => (/^[A-Z]\d+[a-z]?$/.test(first) ? [first] : []));
    expect(ids.filter((id, i) => ids.indexOf(id) !== i)).toEqual([]);
  });

  /** Name, number and letter of each row R1a, R1b, R2, … of the review, and A1a, … of the attack. */
  const points = ROWS.flatMap(([first = '']) => {
    const [, number, letter] = /^[RA](\d+)([a-z]?)$/.exec(first) ?? [];
    return number === undefined ? [] : [[first, Number(number), letter ?? ''] as const];
  });

  test('has a row for each bug, in order', () => {
    expect(bugs).toEqual(Array.from({ length: 59 }, (_, i) => `B${i + 1}`));
  });

  test.each([
    ['R', 14],
    ['A', 13],
  ])('has a row for each point %s1 to %i, in order, and no two of one name', (table, last) => {
    const rows = points.filter(([name]) => name.startsWith(table));
    expect(rows.map(([name]) => name)).toEqual([...rows].sort(byPlace).map(([name]) => name));
    expect(rows.map(([name]) => name).filter((name, i, names) => names.indexOf(name) !== i)).toEqual([]);
    expect([...new Set(rows.map(([, point]) => point))]).toEqual(Array.from({ length: last }, (_, i) => i + 1));
  });

  test.each(ROWS.map((cells) => [cells[0] ?? '', cells] as const))('%s', (first, cells) => {
    expect(cells).toHaveLength(bugs.includes(first) ? 4 : 3);
    const last = cells.at(-1) ?? '';
    const names = namesOf(last);
    expect(names.length > 0 || /^see B\d+/.test(last)).toBe(true);
    expect(names.filter(([place, name]) => !isThere(place, name))).toEqual([]);
    const rows = [...bugs, ...points.map(([name]) => name)];
    for (const [, row] of last.matchAll(/\bsee (?:[ABR]\d+[a-z]?, )*([ABR]\d+[a-z]?)/g)) expect(rows).toContain(row);
    for (const [row] of last.matchAll(/\bB\d+\b/g)) expect(bugs).toContain(row);
  });
});
