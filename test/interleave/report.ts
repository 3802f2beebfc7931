// What the program that explores says of a scenario, or of a planted bug.

import type { Exploration } from './explorer.ts';

export interface Report extends Exploration {
  /** Of the scenario or the planted bug. */
  readonly name: string;
  /** The scenario that was explored last. */
  readonly scenario: string;
  readonly ms: number;
}
