// What of each caller is not acknowledged yet, counted as appends come and are answered.

import { assert } from '../core/assert.ts';
import type { Appender } from './caller.ts';

/** An append of `caller` with so many bytes of entries waits for its answer. */
export function keep(caller: Appender, bytes: number): void {
  caller.unacknowledgedBytes += bytes;
  caller.unacknowledgedAppends += 1;
}

/** `count` appends of `caller`, with so many bytes of entries, are not unacknowledged any more. */
export function release(caller: Appender, count: number, bytes: number): void {
  caller.unacknowledgedBytes -= bytes;
  caller.unacknowledgedAppends -= count;
  const { unacknowledgedBytes, unacknowledgedAppends } = caller;
  assert(unacknowledgedAppends >= 0, 'no append is answered twice');
  assert(unacknowledgedBytes >= 0 && unacknowledgedBytes > 0 === unacknowledgedAppends > 0, 'unacknowledged bytes are counted');
}
