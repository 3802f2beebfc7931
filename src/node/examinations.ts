// Whole sealed segments are examined piece by piece, at a pace, and not while appends wait: one piece at a time, each a task of the disk.

import { EXAMINE_BUSY_MS, EXAMINE_BYTES, EXAMINE_MIN_BYTES, EXAMINE_TOUCH_MS } from '../core/limits.ts';
import type { DiskTasks } from '../storage/diskTasks.ts';
import type { Examined, ExaminePurpose } from '../storage/examiner.ts';
import type { Loop } from './loop.ts';

export interface ExaminePorts {
  readonly tasks: Pick<DiskTasks, 'examine'>;
  readonly loop: Pick<Loop, 'after' | 'nowMs'>;
  /** Whether appends wait for memory or the disk: the next piece then waits, too. */
  isBusy(): boolean;
}

export interface ExaminedSegment {
  readonly base: number;
  readonly end: number;
}

/** How an examination ends. */
export type ExaminationEnd = Extract<Examined, { readonly outcome: 'whole' | 'damaged' }>;

export interface ExaminePace {
  /** Bytes of the disk a second, at most. */
  readonly bytesPerSecond: number;
  /** Asked before each piece; false ends the examination. */
  goesOn(): boolean;
  /** After each piece: bytes that it read. */
  readonly onRead?: (bytes: number) => void;
}

/**
 * Examines all of `segment`. Undefined: `goesOn` has ended it. Rejects with a LogError `IO` where what failed says nothing about the segment.
 * Each `purpose` has one examination at a time.
 */
export async function examineSegment(
  { tasks, loop, isBusy }: ExaminePorts,
  purpose: ExaminePurpose,
  { base, end }: ExaminedSegment,
  { bytesPerSecond, goesOn, onRead }: ExaminePace,
): Promise<ExaminationEnd | undefined> {
  // At a slow pace in small pieces; but an entry is read whole.
  const pace = Math.max(EXAMINE_MIN_BYTES, bytesPerSecond);
  const maxBytes = Math.min(EXAMINE_BYTES, pace);
  let from = base;
  let startedMs = loop.nowMs();
  let dueMs = startedMs;
  let touchedMs = startedMs;
  const examine = (bytes: number): Promise<Examined> => {
    touchedMs = loop.nowMs();
    return tasks.examine({ purpose, base, end, from, maxBytes: bytes });
  };
  for (;;) {
    for (let waitMs = dueMs - loop.nowMs(); goesOn() && (waitMs > 0 || isBusy()); waitMs = dueMs - loop.nowMs()) {
      // A thread that has nothing to do for long ends, and what it had begun with it.
      const dueTouchMs = Math.max(1, touchedMs + EXAMINE_TOUCH_MS - loop.nowMs());
      const ms = Math.min(waitMs > 0 ? Math.ceil(waitMs) : EXAMINE_BUSY_MS, dueTouchMs);
      await new Promise<void>((resolve) => void loop.after(ms, resolve, true));
      if (from > base && loop.nowMs() >= touchedMs + EXAMINE_TOUCH_MS && goesOn()) await examine(0);
    }
    if (!goesOn()) return undefined;
    startedMs = loop.nowMs();
    const piece = await examine(maxBytes);
    onRead?.(piece.readBytes);
    if (piece.outcome === 'whole' || piece.outcome === 'damaged') return piece;
    from = piece.outcome === 'lost' ? base : piece.next;
    dueMs = startedMs + (1000 * piece.readBytes) / pace;
  }
}
