// The time that the core is told. A thread that was stopped (SIGSTOP, a sleeping machine, a long collection) must not believe that it has
// heard nothing all that time: what it should have heard waits in its sockets. So the core's clock never jumps far past the next thing due.

export class CoreClock {
  readonly #slackMs: number;
  #realMs: number;
  #nowMs = 0;

  /** `realMs` is now; the clock may go `slackMs` past a deadline in one step. */
  constructor(realMs: number, slackMs: number) {
    this.#realMs = realMs;
    this.#slackMs = slackMs;
  }

  /** The core's time when the real clock says `realMs`, and the next thing is due at `deadlineMs` of the core's time. */
  advance(realMs: number, deadlineMs: number): number {
    const passedMs = Math.max(0, realMs - this.#realMs);
    const mostMs = Math.max(0, deadlineMs - this.#nowMs) + this.#slackMs;
    this.#realMs = Math.max(this.#realMs, realMs);
    this.#nowMs += Math.min(passedMs, mostMs);
    return this.#nowMs;
  }

  /** When the real clock will say that `coreMs` of the core's time has come. */
  realOf(coreMs: number): number {
    return this.#realMs + Math.max(0, coreMs - this.#nowMs);
  }
}
