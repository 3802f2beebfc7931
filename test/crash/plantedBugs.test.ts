import { expect, it } from 'vitest';
import { explore } from './explorer.ts';
import { PLANTED_BUGS } from './plantedBugs.ts';

/** From seed 1 on. `BoundIsNotKept` takes 26,000, `CutStays` 8,500; the others fewer than 6,000. */
const WITHIN_STATES = 40_000;

for (const { name, plant, plantInMemory, foundAt = 1 } of PLANTED_BUGS) {
  it(`the crash test finds that ${name}`, () => {
    const bug = { wrap: plant, plantInMemory };
    // One script, and only where that finds nothing any more all from the first one on.
    const known = explore({ ...bug, seed: foundAt, states: 1 });
    const { states, failure } = known.failure === undefined ? explore({ ...bug, seed: 1, states: WITHIN_STATES }) : known;
    expect(failure, `not found in ${states} states`).toBeDefined();
    if (process.env.CRASH_VERBOSE)
      console.log(`${name}: ${states} states: seed ${failure?.seed}:${failure?.place} ${failure?.error.message}`);
  }, 300_000);
}
