import { describe, expect, it } from 'vitest';
import { replayCommand, runSeeds } from '../runner.ts';
import { MUTANTS } from './catalogue.ts';
import { plant } from './mutant.ts';

const TIMEOUT_MS = 300_000;

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
      async () => {
        const copy = plant(mutant);
        try {
          const search = { program: copy.program, jobs: 1, stopsAtFirst: true };
          const known = mutant.foundAt === undefined ? undefined : await runSeeds({ ...search, from: mutant.foundAt, count: 1 });
          const isKnown = known !== undefined && known.failures.length > 0;
          const { failures, crashes } = isKnown ? known : await runSeeds({ ...search, from: 1, count: mutant.withinSeeds });
          const [first] = failures;
          expect(first, `not found in ${mutant.withinSeeds} seeds ${crashes.join(' ')}`).toBeDefined();
          if (first !== undefined) expect(mutant.foundBy, replayCommand(first.seed, mutant.name)).toContain(first.invariant);
        } finally {
          copy.remove();
        }
      },
      TIMEOUT_MS,
    );
  }
});
