// A wrong order of loads and stores, to be planted by name.

import type { Patch } from '../sim/mutants/mutant.ts';

export interface Interleaving {
  readonly name: string;
  /** Which bug it is. */
  readonly what: string;
  readonly patches: readonly Patch[];
  /** The scenarios to explore, in this order, until one of them breaks. */
  readonly foundBy: readonly string[];
}
