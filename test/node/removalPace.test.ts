// How long a removal of trimmed segments pauses between its steps.

import { describe, expect, test } from 'vitest';
import { REMOVE_MOST_PAUSE_MS, REMOVE_PAUSE_MS, REMOVE_PAUSE_TIMES, REMOVE_PIECE_BYTES } from '../../src/core/limits.ts';
import { RemovalPace } from '../../src/node/removalPace.ts';

const SEGMENT_BYTES = 32 * REMOVE_PIECE_BYTES;
const PIECE = { gone: 0, isPart: true } as const;

/** The pause after a step of `tookMs`, a second after the one before, in which so many bytes were appended. */
function pauseMs(
  tookMs: number,
  appendedBytes: number,
  { removed = PIECE, hasRoom = true }: { removed?: typeof PIECE | { gone: number; isPart: boolean }; hasRoom?: boolean } = {},
): number {
  const pace = new RemovalPace(SEGMENT_BYTES, { nowMs: 5000, logEnd: 77 });
  return pace.pauseMs(removed, 6000 - tookMs, { nowMs: 6000, logEnd: 77 + appendedBytes }, hasRoom);
}

describe('the pace of a removal', () => {
  test('pauses in proportion to what a step took while clients append, within bounds', () => {
    expect(pauseMs(2, 1000)).toBe(2 * REMOVE_PAUSE_TIMES);
    expect(pauseMs(0.01, 1000)).toBe(REMOVE_PAUSE_MS);
    expect(pauseMs(900, 1000, { removed: { gone: 8, isPart: false } })).toBe(REMOVE_MOST_PAUSE_MS);
  });

  test('hurries where nobody appends, and where the disk has little room', () => {
    expect(pauseMs(2, 0)).toBe(REMOVE_PAUSE_MS);
    expect(pauseMs(2, 1000, { hasRoom: false })).toBe(REMOVE_PAUSE_MS);
  });

  test('removes faster than segments fill, whole ones where pieces would be too slow', () => {
    const pace = new RemovalPace(SEGMENT_BYTES, { nowMs: 0, logEnd: 0 });
    expect(pace.pieceBytes).toBe(REMOVE_PIECE_BYTES);
    // Half a segment has filled in 100 ms, so a piece is to go each 3.125 ms, in which there is no time for the least pause.
    expect(pace.pauseMs(PIECE, 99, { nowMs: 100, logEnd: SEGMENT_BYTES / 2 }, true)).toBeCloseTo(2.125);
    expect(pace.pieceBytes).toBe(SEGMENT_BYTES);
    // The rest of it, then whole ones: as many as are to go in the time that they have.
    expect(
      pace.pauseMs({ gone: 1, isPart: false }, 101, { nowMs: 102, logEnd: SEGMENT_BYTES / 2 + SEGMENT_BYTES / 100 }, true),
    ).toBeCloseTo(2.125);
    expect(pace.pauseMs({ gone: 1, isPart: false }, 195, { nowMs: 202, logEnd: SEGMENT_BYTES + SEGMENT_BYTES / 100 }, true)).toBeCloseTo(
      93,
    );
    expect(pace.pieceBytes).toBe(REMOVE_PIECE_BYTES);
  });
});
