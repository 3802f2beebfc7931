// How a node stops: what it has ordered is decided, what it has not ordered is refused, both are said, and all of it within a time that is
// counted once. A wait that takes longer than its time is given up, and what it waited for is cut as by a crash.
//
//   0 ──────────────── settle ─────────────── answer ──── end
//     decide, hand over       answer, say goodbye    end the threads

import type { Loop, Timer } from './loop.ts';

/** Until when each part of a stop may last, in milliseconds since it began. Ascending. */
export interface StopTimes {
  readonly settleMs: number;
  readonly answerMs: number;
  readonly endMs: number;
  /** A client that has sent no append for so long has heard that none are taken. */
  readonly quietMs: number;
}

/** What a stop does to the node. */
export interface StopSteps {
  /** Takes nothing new: appends, those that wait for memory among them, are refused from now on, and no client can connect. */
  takeNoMore(): void;
  /** Resolves when everything that was ordered is committed and answered, or this node cannot decide it. */
  settled(): Promise<void>;
  /** Hands the leadership to another node, if this one has it. */
  handOver(): Promise<unknown>;
  /** Appends that were refused since {@link takeNoMore}; undefined when no client is left. */
  refusedAppends(): number | undefined;
  /** Tells the senders of what is still undecided that it is. Nothing is ordered any more, and every receipt has been sent. */
  giveUp(): void;
  /** Says goodbye to every client, as soon as its answers have left. */
  disconnect(): Promise<void>;
  /** Ends all threads, in order, so that they finish what they have. */
  endThreads(): Promise<void>;
  /** Rejects when the node can no longer go on. */
  readonly failed: Promise<never>;
}

/** Which parts of a stop were not done in time. */
export type CutStep = 'settle' | 'answer' | 'end';

/** What became of a stop. */
export interface StopReport {
  /** What was not done in time. */
  readonly cut: readonly CutStep[];
  /** Appends that were ordered, and whose senders were told that it is not known whether they stay in the log. */
  readonly undecidedAppends: number;
  /** Bytes at the end of the log that this node does not know to be committed. */
  readonly uncommittedBytes: number;
}

class Clock {
  readonly #loop: Loop;
  readonly #startedMs: number;
  readonly #failed: Promise<never>;

  constructor(loop: Loop, failed: Promise<never>) {
    this.#loop = loop;
    this.#startedMs = loop.nowMs();
    this.#failed = failed;
  }

  /** Whether `work` was done before the stop was `untilMs` old. */
  async within(untilMs: number, work: Promise<unknown>): Promise<boolean> {
    let timer: Timer | undefined;
    const late = new Promise<false>((resolve) => {
      timer = this.#loop.after(Math.max(0, untilMs - this.elapsedMs), () => resolve(false));
    });
    try {
      return await Promise.race([work.then(() => true), late, this.#failed]);
    } finally {
      timer?.cancel();
    }
  }

  get elapsedMs(): number {
    return this.#loop.nowMs() - this.#startedMs;
  }

  pause(forMs: number): Promise<void> {
    return new Promise((resolve) => this.#loop.after(forMs, resolve));
  }
}

/** Clients have sent before they could hear that no appends are taken: waits until none has come for a moment. */
async function untilQuiet(steps: StopSteps, { quietMs, answerMs }: StopTimes, clock: Clock): Promise<void> {
  let seen: number | undefined;
  for (let refused = steps.refusedAppends(); refused !== undefined && refused !== seen; refused = steps.refusedAppends()) {
    // Half of the time is for the answers.
    if (clock.elapsedMs + quietMs > answerMs / 2) return;
    seen = refused;
    await clock.pause(quietMs);
  }
}

/** Stops a node. Resolves to what was cut; rejects when the node fails meanwhile. Lasts no longer than `endMs`. */
export async function stopNode(steps: StopSteps, times: StopTimes, loop: Loop): Promise<readonly CutStep[]> {
  const clock = new Clock(loop, steps.failed);
  const cut: CutStep[] = [];
  steps.takeNoMore();
  const isSettled = await clock.within(times.settleMs, steps.settled());
  if (!isSettled) cut.push('settle');
  await clock.within(times.settleMs, steps.handOver());
  await clock.within(times.answerMs, untilQuiet(steps, times, clock));
  // The goodbye promises that what has no answer has no effect: by now everything that was ordered has one.
  steps.giveUp();
  if (!(await clock.within(times.answerMs, steps.disconnect()))) cut.push('answer');
  if (!(await clock.within(times.endMs, steps.endThreads()))) cut.push('end');
  return cut;
}
