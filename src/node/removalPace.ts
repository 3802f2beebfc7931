// How fast files go that a trim has left. What is given back to a disk keeps it from the writes and syncs of appends: so after each step there is a pause, many times as
// long as the step took. Exceptions: nobody appends; the disk has little room; or segments would fill faster than they go.

import { REMOVE_LEAST_GAIN, REMOVE_MOST_PAUSE_MS, REMOVE_PAUSE_MS, REMOVE_PAUSE_TIMES, REMOVE_PIECE_BYTES } from '../core/limits.ts';
import type { Removed } from '../storage/removal.ts';

/** The time by the loop's clock, and where the log ends then. */
export interface Moment {
  readonly nowMs: number;
  readonly logEnd: number;
}

export class RemovalPace {
  readonly #segmentBytes: number;
  #before: Moment;
  /** A piece of the next segment is gone. */
  #isPart = false;
  #isBehind = false;

  /** A removal begins; `segmentBytes`: those of a segment that is full. */
  constructor(segmentBytes: number, begins: Moment) {
    this.#segmentBytes = segmentBytes;
    this.#before = begins;
  }

  /** Bytes that may go in the next step: where there is no time for pieces, all of a segment. */
  get pieceBytes(): number {
    return this.#isBehind ? this.#segmentBytes : REMOVE_PIECE_BYTES;
  }

  /** A step, begun at `startedMs`, has ended `now`, with this outcome. Returns how long to wait before the next one, in milliseconds. */
  pauseMs(removed: Removed, startedMs: number, now: Moment, hasRoom: boolean): number {
    const tookMs = Math.max(0, now.nowMs - startedMs);
    const filled = (now.logEnd - this.#before.logEnd) / this.#segmentBytes;
    const filledMs = now.nowMs - this.#before.nowMs;
    const share = this.#shareOf(removed);
    this.#before = now;
    // In this time as much goes as is to go while segments fill as fast as since the last step.
    const longestMs = filled > 0 ? (share * filledMs) / (REMOVE_LEAST_GAIN * filled) - tookMs : Number.POSITIVE_INFINITY;
    this.#isBehind = longestMs < REMOVE_PAUSE_MS;
    const wantedMs = filled > 0 && hasRoom ? Math.max(REMOVE_PAUSE_MS, REMOVE_PAUSE_TIMES * tookMs) : REMOVE_PAUSE_MS;
    return Math.max(0, Math.min(wantedMs, longestMs, REMOVE_MOST_PAUSE_MS));
  }

  /** How many segments a step has removed; of one that goes in pieces, each piece is its part. */
  #shareOf({ gone, isPart }: Removed): number {
    const piece = Math.min(1, REMOVE_PIECE_BYTES / this.#segmentBytes);
    const share = gone - (this.#isPart && gone > 0 ? 1 - piece : 0) + (isPart ? piece : 0);
    this.#isPart = isPart;
    return share;
  }
}
