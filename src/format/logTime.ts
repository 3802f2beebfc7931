// The log's time, as its entries say it.

import { ENTRY_HEADER_BYTES, KIND_STATE, KIND_TIME } from '../../assembly/layout.ts';
import { readTime } from './controlEntries.ts';
import { entryBytesOf, kindOf, kindSizeAt, payloadBytesOf } from './entry.ts';
import { readState } from './stateEntry.ts';

/** The log's time, Unix ms, as the entry at byte `at` says it, whose word of kind and size is `kindSize`; 0: it says none. */
export function logTimeIn(view: DataView, at: number, kindSize: number): number {
  const kind = kindOf(kindSize);
  if (kind === KIND_TIME) return readTime(view, at + ENTRY_HEADER_BYTES, payloadBytesOf(kindSize)) ?? 0;
  if (kind === KIND_STATE) return readState(view, at + ENTRY_HEADER_BYTES, payloadBytesOf(kindSize))?.timeMs ?? 0;
  return 0;
}

/** The log's time after the whole entries at [at, at + bytes), as they say it; 0: none of them does. */
export function lastLogTime(view: DataView, at: number, bytes: number): number {
  let timeMs = 0;
  for (let next = at; next < at + bytes; ) {
    const kindSize = kindSizeAt(view, next);
    if (kindOf(kindSize) >= KIND_TIME) timeMs = Math.max(timeMs, logTimeIn(view, next, kindSize));
    next += entryBytesOf(kindSize);
  }
  return timeMs;
}
