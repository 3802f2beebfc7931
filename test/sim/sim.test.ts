import { availableParallelism } from 'node:os';
import { expect, it } from 'vitest';
import { REGRESSIONS } from './regressions.ts';
import { replayCommand, runSeeds } from './runner.ts';
import { simulate } from './simulation.ts';

const SEEDS = 1_000;
const TIMEOUT_MS = 600_000;

it(
  `simulation: a cluster keeps every promise for ${SEEDS} seeds`,
  async () => {
    const { failures, crashes, totals } = await runSeeds({ from: 1, count: SEEDS, jobs: Math.min(2, availableParallelism()) });
    const report = failures.map(({ seed, invariant, sentence }) => `"${invariant}": ${sentence}\n  ${replayCommand(seed)}`);
    expect([...report, ...crashes]).toEqual([]);
    expect(totals.seeds).toBe(SEEDS);
    // So that a cluster which does nothing cannot pass.
    expect(totals.committedBytes / SEEDS).toBeGreaterThan(10_000);
    expect(totals.terms / SEEDS).toBeGreaterThan(2);
    expect(totals.operations / SEEDS).toBeGreaterThan(50);
  },
  TIMEOUT_MS,
);

it('simulation: the same seed makes the same trace, whatever ran before it', () => {
  const seeds = [1, 2, 3, 14];
  const first = seeds.map((seed) => simulate({ seed }).hash);
  const again = seeds.toReversed().map((seed) => simulate({ seed, keepLines: 100 }).hash);
  expect(again.toReversed()).toEqual(first);
  expect(new Set(first).size).toBe(seeds.length);
});

for (const { seed, what } of REGRESSIONS) {
  it(`simulation: seed ${seed}, which once found: ${what}`, () => {
    const { failure } = simulate({ seed });
    expect(failure?.sentence, replayCommand(seed)).toBeUndefined();
  });
}
