// Wrong orders of loads and stores, to be planted by name: each proves that the explorer would find it.

import { COMMIT_MUTANTS } from './commitMutants.ts';
import type { Interleaving } from './interleaving.ts';
import { OFFICE_MUTANTS } from './officeMutants.ts';
import { OPEN_SEGMENT_MUTANTS } from './openSegmentMutants.ts';
import { SLOT_MUTANTS } from './slotMutants.ts';
import { SPIN_MUTANTS } from './spinMutants.ts';
import { TRUNCATION_MUTANTS } from './truncationMutants.ts';
import { TURN_MUTANTS } from './turnMutants.ts';
import { UPLOAD_MUTANTS } from './uploadMutants.ts';

export const MUTANTS: readonly Interleaving[] = [
  ...SLOT_MUTANTS,
  ...OPEN_SEGMENT_MUTANTS,
  ...OFFICE_MUTANTS,
  ...COMMIT_MUTANTS,
  ...TRUNCATION_MUTANTS,
  ...SPIN_MUTANTS,
  ...TURN_MUTANTS,
  ...UPLOAD_MUTANTS,
];
