// Waits for something that a scenario brings about.

import { until as untilSeen } from '../../src/cluster/until.ts';

const LOOK_MS = 10;
const PATIENCE_MS = 120_000;

/** Looks at `condition` again and again until it is not undefined. Throws when that takes longer than any scenario may. */
export function until<T>(what: string, condition: () => Promise<T | undefined>, lookMs = LOOK_MS): Promise<T> {
  return untilSeen(`until ${what}`, condition, PATIENCE_MS, lookMs);
}
