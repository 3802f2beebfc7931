// All scenarios.

import type { Scenario } from '../explorer.ts';
import { COMMIT_SCENARIOS } from './commit.ts';
import { OFFICE_SCENARIOS } from './office.ts';
import { ORDERED_SCENARIOS } from './orderedUploads.ts';
import { SEGMENT_SCENARIOS } from './segments.ts';
import { SLOT_SCENARIOS } from './slots.ts';
import { SPIN_SCENARIOS } from './spins.ts';
import { STAGING_SCENARIOS } from './staging.ts';
import { TRUNCATION_SCENARIOS } from './truncations.ts';
import { TURN_SCENARIOS } from './turns.ts';

export const SCENARIOS: readonly Scenario[] = [
  ...SLOT_SCENARIOS,
  ...SEGMENT_SCENARIOS,
  ...OFFICE_SCENARIOS,
  ...COMMIT_SCENARIOS,
  ...SPIN_SCENARIOS,
  ...TURN_SCENARIOS,
  ...TRUNCATION_SCENARIOS,
  ...STAGING_SCENARIOS,
  ...ORDERED_SCENARIOS,
];
