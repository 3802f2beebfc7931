// All scenarios.

import type { Scenario } from '../explorer.ts';
import { SLOT_SCENARIOS } from './slots.ts';

export const SCENARIOS: readonly Scenario[] = [...SLOT_SCENARIOS];
