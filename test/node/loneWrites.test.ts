// When the event loop writes to disk itself: not soon after that has taken long.

import { expect, test } from 'vitest';
import { LogError } from '../../src/core/errors.ts';
import { LONE_WRITE_REST, LONE_WRITE_SLOW_MS, MAX_LONE_WRITE_REST, MAX_LONE_WRITE_REST_MS } from '../../src/core/limits.ts';
import { LoneWrites } from '../../src/node/loneWrites.ts';

class Bench {
  nowMs = 0;
  tookMs = 0;
  writes = 0;
  readonly errors: LogError[] = [];
  answer: () => boolean = () => true;
  readonly lone = new LoneWrites({
    loop: { nowMs: () => this.nowMs },
    tasks: {
      writeAtOnce: () => {
        this.writes += 1;
        this.nowMs += this.tookMs;
        return this.answer();
      },
    },
    failed: (error) => this.errors.push(error),
  });

  /** How long it leaves writes to others after one that took `tookMs`. */
  restAfter(tookMs: number): number {
    this.tookMs = tookMs;
    expect(this.lone.write()).toBe(true);
    this.tookMs = 0;
    const from = this.nowMs;
    while (!this.lone.write()) this.nowMs += 0.5;
    return this.nowMs - from;
  }
}

test('a quick disk is waited for each time', () => {
  const bench = new Bench();
  for (let i = 0; i < 10; i += 1) expect(bench.restAfter(LONE_WRITE_SLOW_MS)).toBe(0);
});

test('after a slow write the next ones are left to the writer, for longer each time as long as it stays slow', () => {
  const bench = new Bench();
  const slowMs = 2 * LONE_WRITE_SLOW_MS;
  expect(bench.restAfter(slowMs)).toBe(LONE_WRITE_REST * slowMs);
  // The write that ended the rest was quick.
  expect(bench.restAfter(slowMs)).toBe(LONE_WRITE_REST * slowMs);
});

test('a disk that is always slow holds the loop up for a small part of the time', () => {
  const bench = new Bench();
  bench.tookMs = 20;
  const untilMs = 600_000;
  while (bench.nowMs < untilMs) {
    bench.lone.write();
    bench.nowMs += 1;
  }
  expect(bench.writes * bench.tookMs).toBeLessThan(untilMs / 100);
  expect(bench.writes).toBeGreaterThan(untilMs / (20 * MAX_LONE_WRITE_REST) / 2);
});

test('where the writer is at work, nothing is counted', () => {
  const bench = new Bench();
  bench.answer = () => false;
  expect(bench.lone.write()).toBe(false);
  expect(bench.errors).toEqual([]);
});

test('a disk that fails ends the engine; what is no error of a disk is thrown on', () => {
  const bench = new Bench();
  bench.answer = () => {
    throw new LogError('IO', 'the disk is gone');
  };
  expect(bench.lone.write()).toBe(false);
  expect(bench.errors.map(({ message }) => message)).toEqual(['the disk is gone']);
  bench.answer = () => {
    throw new TypeError('a mistake');
  };
  expect(() => bench.lone.write()).toThrow('a mistake');
});

test('one that stood still for long is not held against the disk for longer than a minute', () => {
  const bench = new Bench();
  expect(bench.restAfter(3_600_000)).toBe(MAX_LONE_WRITE_REST_MS);
});
