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

/** The numbers of each step; null where there was none, as no append had a time in a step without appends. */
export const SERIES = [
  'entriesPerSecond',
  'bytesPerSecond',
  'appendP50Ms',
  'appendP99Ms',
  'syncP99Ms',
  'connections',
  'residentBytes',
  'roomBytes',
] as const;
export type SeriesName = (typeof SERIES)[number];

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

/** Steps of one length in a ring. */
class Ring {
  readonly stepMs: number;
  /** When the step under way is over, by the loop's clock. */
  dueMs: number;
  readonly #steps: number;
  readonly #atMs: Float64Array;
  readonly #values: ReadonlyMap<SeriesName, Float64Array>;
  #count = 0;
  #before: Measured;
  #beganMs: number;

  constructor({ stepMs, steps }: (typeof SPANS)[number], first: Measured, nowMs: number) {
    this.stepMs = stepMs;
    this.dueMs = nowMs + stepMs;
    this.#steps = steps;
    this.#atMs = new Float64Array(steps);
    this.#values = new Map(SERIES.map((name) => [name, new Float64Array(steps)]));
    this.#before = first;
    this.#beganMs = nowMs;
  }

  /** Ends the step that is under way. */
  end(now: Measured, nowMs: number, wallMs: number, { firstAppendSeconds, firstSyncSeconds }: HistorySources): void {
    const before = this.#before;
    const seconds = Math.max(1e-3, (nowMs - this.#beganMs) / 1000);
    const within = (counts: readonly number[], earlier: readonly number[], first: number, share: number): number => {
      const found = quantile(
        counts.map((count, i) => count - (earlier[i] ?? 0)),
        first,
        share,
      );
      return found === undefined ? Number.NaN : found * 1e3;
    };
    const at = this.#count % this.#steps;
    const set = (name: SeriesName, value: number): void => {
      const values = this.#values.get(name);
      if (values !== undefined) values[at] = value;
    };
    this.#atMs[at] = wallMs;
    set('entriesPerSecond', (now.entries - before.entries) / seconds);
    set('bytesPerSecond', (now.bytes - before.bytes) / seconds);
    set('appendP50Ms', within(now.appendCounts, before.appendCounts, firstAppendSeconds, 0.5));
    set('appendP99Ms', within(now.appendCounts, before.appendCounts, firstAppendSeconds, 0.99));
    set('syncP99Ms', within(now.syncCounts, before.syncCounts, firstSyncSeconds, 0.99));
    set('connections', now.connections);
    set('residentBytes', now.residentBytes);
    set('roomBytes', now.roomBytes ?? Number.NaN);
    this.#count += 1;
    this.#before = now;
    this.#beganMs = nowMs;
    this.dueMs = nowMs + this.stepMs;
  }

  span(): Span {
    const kept = Math.min(this.#count, this.#steps);
    const places = Array.from({ length: kept }, (_, i) => (this.#count - kept + i) % this.#steps);
    const valuesOf = (name: SeriesName): (number | null)[] => {
      const values = this.#values.get(name);
      return places.map((place) => values?.[place] ?? Number.NaN).map((value) => (Number.isNaN(value) ? null : value));
    };
    const series = {
      entriesPerSecond: valuesOf('entriesPerSecond'),
      bytesPerSecond: valuesOf('bytesPerSecond'),
      appendP50Ms: valuesOf('appendP50Ms'),
      appendP99Ms: valuesOf('appendP99Ms'),
      syncP99Ms: valuesOf('syncP99Ms'),
      connections: valuesOf('connections'),
      residentBytes: valuesOf('residentBytes'),
      roomBytes: valuesOf('roomBytes'),
    };
    return { stepMs: this.stepMs, atMs: places.map((place) => this.#atMs[place] ?? 0), series };
  }
}

export class History {
  readonly #sources: HistorySources;
  readonly #rings: readonly Ring[];
  #timer: Timer | undefined;

  /** It measures from now on, until {@link stop}. */
  constructor(sources: HistorySources) {
    this.#sources = sources;
    const first = sources.measure();
    const nowMs = sources.loop.nowMs();
    this.#rings = SPANS.map((span) => new Ring(span, first, nowMs));
    this.#wait();
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** The last 15 minutes, and the last 24 hours. */
  spans(): readonly Span[] {
    return this.#rings.map((ring) => ring.span());
  }

  #wait(): void {
    this.#timer = this.#sources.loop.after(TICK_MS, () => this.#tick(), true);
  }

  #tick(): void {
    const { loop, measure } = this.#sources;
    const nowMs = loop.nowMs();
    const now = measure();
    // A timer may come a little early.
    for (const ring of this.#rings) if (nowMs >= ring.dueMs - TICK_MS / 2) ring.end(now, nowMs, loop.wallMs(), this.#sources);
    this.#wait();
  }
}
