// The log's time at a place in a segment: what the last entry before it says that says one. Backwards over index points, which are some kilobytes
// apart, because such entries are at most a second apart. The same for a segment in tail memory and for one on disk.

import { SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { lastLogTime } from '../format/logTime.ts';
import { lastPointBefore } from './tailMemory.ts';

/** Some whole entries: where they stand in memory. */
export interface Walked {
  readonly at: number;
  readonly bytes: number;
}

/** What was found before a place. */
export interface TimeFound {
  /** Unix ms; 0: none yet. */
  readonly timeMs: number;
  /** File position of the first entry that was looked at. Where it is the segment's first one, and no time was found, the segment says none. */
  readonly from: number;
}

/**
 * Looks before file position `end`, an entry boundary, for about `maxBytes`. `points` are the segment's index points, `walk` gives the entries in file
 * positions [from, to), where `from` is an index point, in memory that `view` shows.
 */
export function timeBefore(
  points: Uint32Array,
  end: number,
  maxBytes: number,
  view: DataView,
  walk: (from: number, to: number) => Walked,
): TimeFound {
  let to = end;
  while (to > SEGMENT_HEADER_BYTES && end - to < maxBytes) {
    const from = lastPointBefore(points, to);
    const { at, bytes } = walk(from, to);
    const timeMs = lastLogTime(view, at, bytes);
    if (timeMs > 0) return { timeMs, from };
    to = from;
  }
  return { timeMs: 0, from: to };
}
