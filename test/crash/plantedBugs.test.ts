import { expect, it } from 'vitest';
import { explore } from './explorer.ts';
import { PLANTED_BUGS } from './plantedBugs.ts';

const WITHIN_STATES = 10_000;

for (const { name, plant, plantInMemory } of PLANTED_BUGS) {
  it(`the crash test finds that ${name}`, () => {
    const { states, failure } = explore({ seed: 1, states: WITHIN_STATES, wrap: plant, plantInMemory });
    expect(failure, `not found in ${states} states`).toBeDefined();
    if (process.env.CRASH_VERBOSE)
      console.log(`${name}: ${states} states: seed ${failure?.seed}:${failure?.place} ${failure?.error.message}`);
  });
}
