// An open loop: when each entry is due, and a loop that sends what is due. The loop may be late, and the log may refuse; neither moves a
// due time, and every entry of the schedule is in the distribution in the end.
//
//   due      |   |   |   |   |   |   |        always
//   sent     |   |       ||| |   |   |        while the log has room
//   latency  due ──────────────→ receipt

import type { LatencyRecorder } from '../statistics.ts';

/** A rate is reached when the last receipt comes no later than this share of the schedule, or this long, after the schedule's end. */
const LATE_SHARE = 0.02;
const LATE_MS = 50;

/** Entries at a fixed rate: entry `i` of [0, count) is due at `startMs` + i / rate. */
export class Schedule {
  readonly startMs: number;
  readonly ratePerSecond: number;
  readonly count: number;

  constructor(startMs: number, ratePerSecond: number, count: number) {
    this.startMs = startMs;
    this.ratePerSecond = ratePerSecond;
    this.count = count;
  }

  dueMs(index: number): number {
    return this.startMs + (index * 1000) / this.ratePerSecond;
  }

  /** How many entries are due at `nowMs`: all of [0, result). */
  dueBy(nowMs: number): number {
    if (nowMs < this.startMs) return 0;
    let due = Math.min(this.count, Math.floor(((nowMs - this.startMs) * this.ratePerSecond) / 1000) + 1);
    // Rounding may be off by one either way, and dueMs is what counts.
    while (due > 0 && this.dueMs(due - 1) > nowMs) due -= 1;
    while (due < this.count && this.dueMs(due) <= nowMs) due += 1;
    return due;
  }

  /** When the entry after the last would be due. */
  get endMs(): number {
    return this.dueMs(this.count);
  }
}

export interface Clock {
  now(): number;
  /** Resolves at `untilMs` or later. */
  sleep(untilMs: number): Promise<void>;
}

/** What the loop appends to. */
export interface Target {
  readonly hasRoom: boolean;
  ready(): Promise<void>;
  append(): Promise<unknown>;
}

export interface OpenLoop {
  readonly schedule: Schedule;
  readonly target: Target;
  readonly clock: Clock;
  /** How long after the end of the schedule entries that had no room may still be sent. */
  readonly patienceMs: number;
  /** From the due time to the receipt; of an entry that was never sent, to the moment when that was given up. */
  readonly latency: LatencyRecorder;
  /** From the due time to the call that appends: what of the latency the load itself, or a log without room, is to blame for. */
  readonly lateness: LatencyRecorder;
  /** Told of each entry that was never sent: the time from when it was due to when it was given up. */
  readonly onUnsent?: (waitedMs: number) => void;
}

export interface OpenLoopRun {
  readonly due: number;
  readonly acknowledged: number;
  /** From the first due time to the last receipt. */
  readonly seconds: number;
  /** Whether the log kept up. */
  readonly isReached: boolean;
}

/** Runs the schedule to its end, and waits for all receipts. */
export async function runOpenLoop({ schedule, target, clock, patienceMs, latency, lateness, onUnsent }: OpenLoop): Promise<OpenLoopRun> {
  const giveUpMs = schedule.endMs + patienceMs;
  let sent = 0;
  let acknowledged = 0;
  let lastMs = schedule.startMs;
  let onLast: (() => void) | undefined;
  // Not every system answers in the order in which it was asked.
  const onReceipt = (index: number): void => {
    lastMs = clock.now();
    latency.record(lastMs - schedule.dueMs(index));
    acknowledged += 1;
    if (acknowledged === sent) onLast?.();
  };
  while (sent < schedule.count && clock.now() < giveUpMs) {
    const due = schedule.dueBy(clock.now());
    while (sent < due && target.hasRoom) {
      lateness.record(clock.now() - schedule.dueMs(sent));
      const index = sent;
      // A rejection that nobody handles ends the load (program.ts).
      void target.append().then(() => onReceipt(index));
      sent += 1;
    }
    if (sent < due) await target.ready();
    else if (sent < schedule.count) await clock.sleep(schedule.dueMs(sent));
  }
  await new Promise<void>((resolve) => {
    onLast = resolve;
    if (acknowledged === sent) resolve();
  });
  const nowMs = clock.now();
  for (let index = sent; index < schedule.count; index++) {
    const waitedMs = nowMs - schedule.dueMs(index);
    latency.record(waitedMs);
    lateness.record(waitedMs);
    onUnsent?.(waitedMs);
  }
  const allowedMs = Math.max(LATE_MS, (schedule.endMs - schedule.startMs) * LATE_SHARE);
  const isReached = acknowledged === schedule.count && lastMs <= schedule.endMs + allowedMs;
  return { due: schedule.count, acknowledged, seconds: (lastMs - schedule.startMs) / 1000, isReached };
}
