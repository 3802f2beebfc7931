// The last end of a batch at or before a place in a segment, and where data ends before that: backwards over index points, which are few
// kilobytes apart. The same for a segment in tail memory and for one on disk.

import { ENTRY_HEADER_BYTES, KIND_STATE, SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { offsetOf, positionOf } from '../core/position.ts';
import type { TrimEntry } from '../format/controlEntries.ts';
import { kindOf, kindSizeAt, payloadBytesOf } from '../format/entry.ts';
import { readState } from '../format/stateEntry.ts';

/** What a walk over the bytes of a segment in file positions [from, to) found. */
export interface Step {
  /** Where they stand in memory. */
  readonly at: number;
  /** Bytes of them that are whole entries, or whole batches. */
  readonly bytes: number;
  /** Bytes up to the end of the last data entry among those; 0: there is none. */
  readonly dataEnd: number;
}

/** Walks over file positions [from, to), where `from` is an index point. Throws when what stands there is damaged. */
export type WalkStep = (from: number, to: number, wholeBatches: boolean) => Step;

/**
 * Where a trim to `offset` begins the log: at the last end of a batch at or before it in the segment at `base`, which it is past; the base at least. `points`
 * are the segment's index points, `view` is the memory that `walk` speaks of.
 */
export function batchBefore(points: Uint32Array, base: number, offset: number, view: DataView, walk: WalkStep): TrimEntry {
  let start: number | undefined;
  let end = positionOf(offset, base);
  for (let i = points.length - 1; i >= 0; i -= 1) {
    const from = points[i] ?? SEGMENT_HEADER_BYTES;
    if (from >= end) continue;
    const { at, bytes, dataEnd } = walk(from, end, start === undefined);
    if (bytes > 0) start ??= offsetOf(from + bytes, base);
    if (dataEnd > 0 && start !== undefined) return { start, dataEnd: offsetOf(from + dataEnd, base) };
    if (i === 0) return { start: start ?? base, dataEnd: dataEndAtHead(view, at) ?? start ?? base };
    end = from;
  }
  return { start: base, dataEnd: base };
}

/** Where data ends before the segment that begins at address `at`; undefined when it does not say so. */
function dataEndAtHead(view: DataView, at: number): number | undefined {
  const kindSize = kindSizeAt(view, at);
  if (kindOf(kindSize) !== KIND_STATE) return undefined;
  return readState(view, at + ENTRY_HEADER_BYTES, payloadBytesOf(kindSize))?.dataEnd;
}
