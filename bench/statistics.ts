// Medians, and distributions of times as HDR histograms: three significant digits from a nanosecond to an hour, in memory that is allocated
// once. They are merged and kept as text, in the V2 encoding that HdrHistogram's tools in every language read.

import { build, decodeFromCompressedBase64, encodeIntoCompressedBase64, type Histogram } from 'hdr-histogram-js';

const NANOSECONDS_PER_MS = 1e6;
/** What takes longer than an hour counts as an hour. */
const MOST_NANOSECONDS = 3600e9;
const SIGNIFICANT_DIGITS = 3;

/** Middle value; of an even number of values the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** Sum of what is known of all processes; undefined when it is not known of one. */
export function sumOf(values: readonly (number | undefined)[]): number | undefined {
  let sum = 0;
  for (const value of values) {
    if (value === undefined) return undefined;
    sum += value;
  }
  return sum;
}

/** A distribution of times, in milliseconds. Without any, the times are NaN. */
export interface Latency {
  readonly count: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
  /** All of it: an HDR histogram of nanoseconds, V2, compressed, in base64. */
  readonly histogram: string;
}

function makeHistogram(): Histogram {
  return build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: MOST_NANOSECONDS,
    numberOfSignificantValueDigits: SIGNIFICANT_DIGITS,
    bitBucketSize: 32,
    autoResize: false,
    useWebAssembly: false,
  });
}

/** Collects times. Recording makes no garbage. */
export class LatencyRecorder {
  readonly #histogram = makeHistogram();

  get count(): number {
    return this.#histogram.totalCount;
  }

  /** Records a time, `times` times. Below 0 counts as 0. */
  record(ms: number, times = 1): void {
    const nanoseconds = Math.min(MOST_NANOSECONDS, Math.max(0, Math.round(ms * NANOSECONDS_PER_MS)));
    this.#histogram.recordValueWithCount(nanoseconds, times);
  }

  clear(): void {
    this.#histogram.reset();
  }

  /** Adds what {@link Latency.histogram} of others holds. */
  merge(encoded: string): void {
    this.#histogram.add(decodeFromCompressedBase64(encoded));
  }

  /** The smallest time, within three digits, that `share` of all do not exceed; `share` in [0, 1]. NaN when there are none. */
  percentileMs(share: number): number {
    if (this.count === 0) return Number.NaN;
    return this.#histogram.getValueAtPercentile(share * 100) / NANOSECONDS_PER_MS;
  }

  summary(): Latency {
    return {
      count: this.count,
      p50Ms: this.percentileMs(0.5),
      p90Ms: this.percentileMs(0.9),
      p99Ms: this.percentileMs(0.99),
      p999Ms: this.percentileMs(0.999),
      maxMs: this.percentileMs(1),
      histogram: encodeIntoCompressedBase64(this.#histogram),
    };
  }
}
