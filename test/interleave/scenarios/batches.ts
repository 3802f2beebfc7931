// What the scenarios append.

import { ENTRY_OVERHEAD_BYTES } from '../../../assembly/layout.ts';
import { MIN_REFERRED_BYTES } from '../../../src/core/uploadLimits.ts';
import { Random } from '../../assembly/random.ts';
import { makeBatch } from '../../crash/batches.ts';

const random = new Random(4);

/** A batch of one entry, so large that each segment holds one. */
export const LARGE = makeBatch([40_000], random).entries;
/** Small ones. */
export const SMALL = makeBatch([20], random).entries;
export const OTHER = makeBatch([40], random).entries;
/** Just large enough that a leader refers to it. */
export const REFERRED = makeBatch([MIN_REFERRED_BYTES - ENTRY_OVERHEAD_BYTES], random).entries;
/** As long as {@link SMALL}, and something else. */
export const SMALL_TWIN = makeBatch([20], random).entries;
