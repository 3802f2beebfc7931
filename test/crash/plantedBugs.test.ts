import { expect, it } from 'vitest';
import { explore } from './explorer.ts';
import { PLANTED_BUGS } from './plantedBugs.ts';

const WITHIN_STATES = 10_000;
/** Two of the bugs take a script with a rare combination. From here on one comes soon. */
const SEED = 1_001;

for (const { name, plant, plantInMemory } of PLANTED_BUGS) {
  it(`the crash test finds that ${name}`, () => {
    const { states, failure } = explore({ seed: SEED, states: WITHIN_STATES, wrap: plant, plantInMemory });
    expect(failure, `not found in ${states} states`).toBeDefined();
    if (process.env.CRASH_VERBOSE)
      console.log(`${name}: ${states} states: seed ${failure?.seed}:${failure?.place} ${failure?.error.message}`);
  });
}
