// Log offsets and positions in segment files. A segment's entries are in its file as they are in the log, after one page of header.

import { SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';

/**
 * File position of the log offset `offset` in the segment that begins at `base`. Up to the last offset, 2^53 - 1: the difference is taken
 * first, because a sum above that would be rounded.
 */
export function positionOf(offset: number, base: number): number {
  return SEGMENT_HEADER_BYTES + (offset - base);
}

/** Log offset of what stands at file position `position` in the segment that begins at `base`. */
export function offsetOf(position: number, base: number): number {
  return base + (position - SEGMENT_HEADER_BYTES);
}
