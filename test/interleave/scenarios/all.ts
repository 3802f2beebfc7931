// All scenarios.

import type { Scenario } from '../explorer.ts';
import { COMMIT_SCENARIOS } from './commit.ts';
import { OFFICE_SCENARIOS } from './office.ts';
import { SEGMENT_SCENARIOS } from './segments.ts';
import { SLOT_SCENARIOS } from './slots.ts';
import { TRUNCATION_SCENARIOS } from './truncations.ts';

export const SCENARIOS: readonly Scenario[] = [
  ...SLOT_SCENARIOS,
  ...SEGMENT_SCENARIOS,
  ...OFFICE_SCENARIOS,
  ...COMMIT_SCENARIOS,
  ...TRUNCATION_SCENARIOS,
];
