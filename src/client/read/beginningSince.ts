// Where a reading begins that is given a time.

import type { ReadNodes } from '../nodes/readNodes.ts';
import type { FindBeginning } from './streamPlan.ts';

/** Finds the first entry that is not older than `timeMs`; the end where all are. */
export function beginningSince(readNodes: ReadNodes, timeMs: number): FindBeginning {
  return async ({ start, end }) => {
    const found = await readNodes.find(timeMs, { linearizable: false, atLeast: end, timeoutMs: undefined });
    return Math.max(start, Math.min(found, end));
  };
}
