import { decodeFromCompressedBase64 } from 'hdr-histogram-js';
import { describe, expect, it } from 'vitest';
import { LatencyRecorder, median } from '../../bench/statistics.ts';

function recorderOf(times: readonly number[]): LatencyRecorder {
  const recorder = new LatencyRecorder();
  for (const ms of times) recorder.record(ms);
  return recorder;
}

/** Three significant digits. */
function expectClose(actual: number, expected: number): void {
  expect(Math.abs(actual - expected)).toBeLessThanOrEqual(expected * 1e-3);
}

describe('median', () => {
  it('is the middle value, or the mean of the two in the middle', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(median([])).toBeNaN();
  });
});

describe('distributions of times', () => {
  const times = Array.from({ length: 1000 }, (_, index) => index + 1);

  it('percentiles are within three significant digits, from a microsecond to minutes', () => {
    for (const unitMs of [0.001, 0.05, 1, 60]) {
      const latency = recorderOf(times.map((value) => value * unitMs)).summary();
      expect(latency.count).toBe(1000);
      expectClose(latency.p50Ms, 500 * unitMs);
      expectClose(latency.p90Ms, 900 * unitMs);
      expectClose(latency.p99Ms, 990 * unitMs);
      expectClose(latency.p999Ms, 999 * unitMs);
      expectClose(latency.maxMs, 1000 * unitMs);
    }
  });

  it('merging the parts gives what recording everything in one gives', () => {
    const parts = [times.slice(0, 10), times.slice(10, 700), times.slice(700)].map((part) => recorderOf(part).summary().histogram);
    const merged = new LatencyRecorder();
    for (const part of parts) merged.merge(part);
    expect(merged.summary()).toEqual(recorderOf(times).summary());
  });

  it('a distribution without times has none to tell, is kept and merged', () => {
    const empty = new LatencyRecorder().summary();
    expect(empty.count).toBe(0);
    expect(empty.p50Ms).toBeNaN();
    const merged = recorderOf([1]);
    merged.merge(empty.histogram);
    expect(merged.count).toBe(1);
  });

  it('is kept in the encoding of HdrHistogram, in nanoseconds', () => {
    const decoded = decodeFromCompressedBase64(recorderOf([1]).summary().histogram);
    expect(decoded.totalCount).toBe(1);
    expectClose(decoded.getValueAtPercentile(100), 1e6);
    // V2, compressed; other implementations look for these bytes.
    expect(Buffer.from(recorderOf([1]).summary().histogram, 'base64').readUInt32BE(0)).toBe(0x1c849314);
  });

  it('a time below 0 counts as 0, and one above an hour as an hour', () => {
    const recorder = recorderOf([-1, 1e9]);
    expect(recorder.count).toBe(2);
    expect(recorder.percentileMs(0.5)).toBe(0);
    expectClose(recorder.percentileMs(1), 3600e3);
  });

  it('a time is recorded as often as it is said, and clearing forgets all', () => {
    const recorder = new LatencyRecorder();
    recorder.record(5, 10);
    expect(recorder.count).toBe(10);
    recorder.clear();
    expect(recorder.count).toBe(0);
    expect(recorder.percentileMs(1)).toBeNaN();
  });
});
