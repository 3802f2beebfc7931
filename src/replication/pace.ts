// How fast a node that lags behind is fed from disk while clients append: reading, checking and sending what it lacks takes processors and
// disk from the appends. So after each piece there is a pause, many times as long as the piece took: whatever the machine, most of its
// time is left to the appends. Two exceptions: nobody appends, or the node would not come nearer to the log's end.

/** A pause is this many times as long as what was fed before it took. */
const PAUSE_TIMES = 24;
/** And no longer than this, however slow the disk or the link was for a moment. */
const MOST_PAUSE_MS = 1_000;
/** Pieces whose pauses are shorter are fed without one, and the next pause is longer: timers are no finer than this allows. */
const LEAST_PAUSE_MS = 4;
/** A node that lags behind is fed at least this many times as fast as the log grows. */
const LEAST_GAIN = 1.5;

export class Pace {
  /** Before this time of the caller's clock nothing is to be fed. */
  readyAtMs = Number.NEGATIVE_INFINITY;
  /** When the last pause began, and where the log ended then; how long feeding took since, and how much it fed. */
  #sinceMs: number;
  #logEnd: number;
  #busyMs = 0;
  #bytes = 0;
  /** The pause before that. */
  #pauseMs = 0;
  #startedMs = 0;

  /** Feeding begins at `nowMs`, when the log ends at `logEnd`. */
  constructor(nowMs: number, logEnd: number) {
    this.#sinceMs = nowMs;
    this.#logEnd = logEnd;
  }

  /** A piece is begun. */
  start(nowMs: number): void {
    this.#startedMs = nowMs;
  }

  /** Nothing more is to be fed before `untilMs`. */
  pause(untilMs: number): void {
    this.readyAtMs = untilMs;
  }

  /** The piece that was begun last is on its way: it had `bytes`, and the log ends at `logEnd` now. */
  finish(nowMs: number, bytes: number, logEnd: number): void {
    this.#busyMs += nowMs - this.#startedMs;
    this.#bytes += bytes;
    if (this.#busyMs < LEAST_PAUSE_MS) return;
    const grownBytes = logEnd - this.#logEnd;
    const passedMs = nowMs - this.#sinceMs;
    // At this rate of growth, `#bytes` may take `#bytes` × passed / (LEAST_GAIN × grown) with the pause, and have taken passed − #pauseMs.
    const longestMs = (this.#bytes * passedMs) / (LEAST_GAIN * grownBytes) - (passedMs - this.#pauseMs);
    this.#pauseMs = grownBytes === 0 ? 0 : Math.max(0, Math.min(PAUSE_TIMES * this.#busyMs, longestMs, MOST_PAUSE_MS));
    this.readyAtMs = nowMs + this.#pauseMs;
    this.#sinceMs = nowMs;
    this.#logEnd = logEnd;
    this.#busyMs = 0;
    this.#bytes = 0;
  }
}
