// Explores scenarios by name. Mutants run this file from a copy of the compiled code.

import { smallMemory } from '../crash/testNode.ts';
import { type Exploration, Explorer } from './explorer.ts';
import { namesOf } from './names.ts';
import { SCENARIOS } from './scenarios/all.ts';

const memory = smallMemory();

/** Explores a scenario to its end, or to the first thing that is wrong. */
export function explore(name: string): Promise<Exploration> {
  const scenario = SCENARIOS.find((each) => each.name === name);
  if (scenario === undefined) throw new Error(`there is no scenario of the name ${name}`);
  return new Explorer(scenario, memory, namesOf(memory)).explore();
}
