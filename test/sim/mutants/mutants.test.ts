import { afterAll, describe, expect, it } from 'vitest';
import { replayCommand, runSeeds } from '../runner.ts';
import { MUTANTS } from './catalogue.ts';
import { type Copy, type Mutant, patch, plant } from './mutant.ts';

/** A seed that is known finds nearly all within seconds; a search for the next one may take minutes beside others. */
const TIMEOUT_MS = 900_000;

/** Copies of the program in which no bug is planted now: as many as bugs are looked for at once, because a copy costs as much as many seeds. */
const copies: Copy[] = [];

/** Does `work` with a program that has the bug. */
async function withBug<T>(mutant: Mutant, work: (program: string) => Promise<T>): Promise<T> {
  const copy = copies.pop() ?? plant({ name: 'none', patches: [] });
  let pull: () => void;
  try {
    pull = patch(copy.directory, mutant.name, mutant.patches);
  } catch (thrown) {
    // Some of its patches may be in it.
    copy.remove();
    throw thrown;
  }
  try {
    return await work(copy.program);
  } finally {
    pull();
    copies.push(copy);
  }
}

afterAll(() => {
  for (const copy of copies.splice(0)) copy.remove();
});

describe('the simulator finds', () => {
  it('has a planted bug for each row of the catalogue that it must find', () => {
    const rows = new Set(MUTANTS.flatMap(({ what }) => what.match(/^B\d+/)?.[0] ?? []));
    const due = ['B1', 'B2', 'B3', 'B4', 'B5', 'B6', 'B7', 'B8', 'B9', 'B14', 'B16', 'B22', 'B23', 'B25', 'B26', 'B35', 'B36'];
    expect(due.filter((row) => !rows.has(row))).toEqual([]);
    expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
  });

  for (const mutant of MUTANTS) {
    it.concurrent(
      `${mutant.name} (${mutant.what})`,
      () =>
        withBug(mutant, async (program) => {
          const search = { program, jobs: 1, stopsAtFirst: true };
          const known = mutant.foundAt === undefined ? undefined : await runSeeds({ ...search, from: mutant.foundAt, count: 1 });
          const isKnown = known !== undefined && known.failures.length > 0;
          const { failures, crashes } = isKnown ? known : await runSeeds({ ...search, from: mutant.from ?? 1, count: mutant.withinSeeds });
          const [first] = failures;
          // The search costs as much as a hundred others are found with.
          if (known !== undefined && !isKnown && first !== undefined)
            console.warn(`${mutant.name}: found at seed ${first.seed} now, no more at ${mutant.foundAt}`);
          expect(first, `not found in ${mutant.withinSeeds} seeds ${crashes.join(' ')}`).toBeDefined();
          if (first !== undefined) expect(mutant.foundBy, replayCommand(first.seed, mutant.name)).toContain(first.invariant);
        }),
      TIMEOUT_MS,
    );
  }
});
