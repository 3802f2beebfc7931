import { expect, it } from 'vitest';
import { explain, explore } from './explorer.ts';

const SEED = Number(process.env.CRASH_SEED ?? 1);
const STATES = 20_000;

it(`recovery: keeps every promise after any crash, in ${STATES} states`, () => {
  const { states, failure } = explore({ seed: SEED, states: STATES });
  expect(failure === undefined ? '' : explain(failure)).toBe('');
  expect(states).toBeGreaterThanOrEqual(STATES);
}, 600_000);
