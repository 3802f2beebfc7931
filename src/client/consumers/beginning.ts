// Where a name begins that has no position yet, and where one can go on.

import { LogError } from '../../core/errors.ts';
import type { ReadNodes } from '../nodes/readNodes.ts';
import type { SubscribeOptions } from '../options.ts';
import type { Reading } from '../read/reading.ts';
import type { StreamPlan } from '../read/streamPlan.ts';

/** Whether a beginning means another place each time it is looked up: that is done once for each name. */
export function isMoving({ from, since, last }: SubscribeOptions): boolean {
  return from === 'end' || since !== undefined || last !== undefined;
}

/** The offset that a subscription's beginning means now. Rejects like `log.end` and a subscription. */
export async function placeNow(readNodes: ReadNodes, from: StreamPlan['from']): Promise<number> {
  if (typeof from === 'number') return from;
  const bounds = await readNodes.end({ linearizable: false, atLeast: 0, timeoutMs: undefined });
  if (typeof from === 'function') return from(bounds, new AbortController().signal);
  return from === 'end' ? bounds.end : bounds.start;
}

/** Whether `reading`, of one entry, begins where one begins, or the log ends; true as well where that is trimmed. Rejects like the reading. */
export async function isBoundary(reading: Reading): Promise<boolean> {
  try {
    for await (const _ of reading) break;
    return true;
  } catch (thrown) {
    if (!(thrown instanceof LogError)) throw thrown;
    if (thrown.code === 'OFFSET_NOT_BOUNDARY') return false;
    if (thrown.code === 'OFFSET_TRIMMED') return true;
    throw thrown;
  }
}
