// What a node remembers of its last 15 minutes and 24 hours, for those who look at it: a few numbers for each step, in memory of fixed size.

import { quantile } from '../node/histogram.ts';
import type { Loop, Timer } from '../node/loop.ts';

/** What is counted since the start, and what is so now. */
export interface Measured {
  readonly entries: number;
  readonly bytes: number;
  /** Counts by powers of two from `firstAppendSeconds` on: from the arrival of an append to its receipt. */
  readonly appendCounts: readonly number[];
  /** The same from `firstSyncSeconds` on: writes of entries with their syncs. */
  readonly syncCounts: readonly number[];
  readonly connections: number;
  readonly residentBytes: number;
  /** Room for the log on the disk; undefined where the system does not say. */
  readonly roomBytes: number | undefined;
}

/** A step's numbers; null: there was none, as no append had a time in a step without appends. */
interface Step {
  /** When it ended, Unix milliseconds. */
  readonly atMs: number;
  readonly entriesPerSecond: number;
  readonly bytesPerSecond: number;
  readonly appendP50Ms: number | null;
  readonly appendP99Ms: number | null;
  readonly syncP99Ms: number | null;
  readonly connections: number;
  readonly residentBytes: number;
  readonly roomBytes: number | null;
}
export type SeriesName = Exclude<keyof Step, 'atMs'>;

/** Steps of one length, the oldest first. Times are Unix milliseconds, at the end of each step. */
export interface Span {
  readonly stepMs: number;
  readonly atMs: readonly number[];
  readonly series: { readonly [name in SeriesName]: readonly (number | null)[] };
}

export interface HistorySources {
  readonly loop: Pick<Loop, 'after' | 'nowMs' | 'wallMs'>;
  measure(): Measured;
  readonly firstAppendSeconds: number;
  readonly firstSyncSeconds: number;
}

/** 15 minutes and 24 hours. */
const SPANS = [
  { stepMs: 5_000, steps: 180 },
  { stepMs: 300_000, steps: 288 },
] as const;
const TICK_MS = SPANS[0].stepMs;

/** What share of the times counted between `before` and `now` took no longer, in milliseconds. */
function withinMs(now: readonly number[], before: readonly number[], firstSeconds: number, share: number): number | null {
  const counts = now.map((count, i) => count - (before[i] ?? 0));
  const seconds = quantile(counts, firstSeconds, share);
  return seconds === undefined ? null : seconds * 1e3;
}

/** The last steps of one length. */
class Steps {
  /** When the step under way is over, by the loop's clock. */
  dueMs: number;
  readonly #stepMs: number;
  readonly #most: number;
  readonly #kept: Step[] = [];
  #before: Measured;
  #beganMs: number;

  constructor({ stepMs, steps }: (typeof SPANS)[number], first: Measured, nowMs: number) {
    this.#stepMs = stepMs;
    this.#most = steps;
    this.dueMs = nowMs + stepMs;
    this.#before = first;
    this.#beganMs = nowMs;
  }

  /** Ends the step that is under way. */
  end(now: Measured, nowMs: number, wallMs: number, { firstAppendSeconds, firstSyncSeconds }: HistorySources): void {
    const before = this.#before;
    const seconds = Math.max(1e-3, (nowMs - this.#beganMs) / 1000);
    if (this.#kept.length === this.#most) this.#kept.shift();
    this.#kept.push({
      atMs: wallMs,
      entriesPerSecond: (now.entries - before.entries) / seconds,
      bytesPerSecond: (now.bytes - before.bytes) / seconds,
      appendP50Ms: withinMs(now.appendCounts, before.appendCounts, firstAppendSeconds, 0.5),
      appendP99Ms: withinMs(now.appendCounts, before.appendCounts, firstAppendSeconds, 0.99),
      syncP99Ms: withinMs(now.syncCounts, before.syncCounts, firstSyncSeconds, 0.99),
      connections: now.connections,
      residentBytes: now.residentBytes,
      roomBytes: now.roomBytes ?? null,
    });
    this.#before = now;
    this.#beganMs = nowMs;
    this.dueMs = nowMs + this.#stepMs;
  }

  span(): Span {
    const valuesOf = (name: SeriesName): (number | null)[] => this.#kept.map((step) => step[name]);
    return {
      stepMs: this.#stepMs,
      atMs: this.#kept.map(({ atMs }) => atMs),
      series: {
        entriesPerSecond: valuesOf('entriesPerSecond'),
        bytesPerSecond: valuesOf('bytesPerSecond'),
        appendP50Ms: valuesOf('appendP50Ms'),
        appendP99Ms: valuesOf('appendP99Ms'),
        syncP99Ms: valuesOf('syncP99Ms'),
        connections: valuesOf('connections'),
        residentBytes: valuesOf('residentBytes'),
        roomBytes: valuesOf('roomBytes'),
      },
    };
  }
}

export class History {
  readonly #sources: HistorySources;
  readonly #all: readonly Steps[];
  #timer: Timer | undefined;

  /** It measures from now on, until {@link stop}. */
  constructor(sources: HistorySources) {
    this.#sources = sources;
    const first = sources.measure();
    const nowMs = sources.loop.nowMs();
    this.#all = SPANS.map((span) => new Steps(span, first, nowMs));
    this.#wait();
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** The last 15 minutes, and the last 24 hours. */
  spans(): readonly Span[] {
    return this.#all.map((steps) => steps.span());
  }

  #wait(): void {
    this.#timer = this.#sources.loop.after(TICK_MS, () => this.#tick(), true);
  }

  #tick(): void {
    const { loop, measure } = this.#sources;
    const nowMs = loop.nowMs();
    const now = measure();
    // A timer may come a little early.
    for (const steps of this.#all) if (nowMs >= steps.dueMs - TICK_MS / 2) steps.end(now, nowMs, loop.wallMs(), this.#sources);
    this.#wait();
  }
}
