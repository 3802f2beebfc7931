// The ledger of a soak finds what is lost, there twice, or elsewhere; a trend, what grows. Neither keeps what it has compared.

import { expect, test } from 'vitest';
import { Ledger } from './ledger.ts';
import { Times, Trend } from './trends.ts';
import { identityOf } from './users.ts';

test('what is acknowledged and seen in its place is forgotten', () => {
  const ledger = new Ledger();
  for (let number = 0; number < 1000; number += 1) {
    ledger.begin(1, number);
    if (number % 2 === 0) ledger.see(1, number, number * 10);
    ledger.acknowledge(1, number, number * 10);
    if (number % 2 === 1) ledger.see(1, number, number * 10);
    ledger.passed((number + 1) * 10);
    expect(ledger.openCount).toBe(0);
  }
  ledger.close();
  expect(ledger.problems).toEqual([]);
});

test.each<readonly [string, (ledger: Ledger) => void, string]>([
  [
    'an entry that is missing',
    (ledger) => {
      ledger.acknowledge(1, 0, 50);
      ledger.passed(60);
    },
    'entry 1:0 was acknowledged at offset 50, and is not there',
  ],
  [
    'an entry that is there twice',
    (ledger) => {
      ledger.acknowledge(1, 0, 50);
      ledger.see(1, 0, 50);
      ledger.see(1, 0, 90);
    },
    'entry 1:0 at offset 90 is there twice, or was never appended',
  ],
  [
    'an entry that is elsewhere',
    (ledger) => {
      ledger.see(1, 0, 90);
      ledger.acknowledge(1, 0, 50);
    },
    'entry 1:0 is at offset 90, and was acknowledged at 50',
  ],
  [
    'an entry that was said to have failed',
    (ledger) => {
      ledger.reject(1, 0, 'failed', 10);
      ledger.see(1, 0, 90);
    },
    'entry 1:0 is at offset 90, and was said to have failed',
  ],
  ['an append that is never settled', (ledger) => ledger.close(), 'append 1:0 was never settled'],
])('finds %s', (_what, happen, sentence) => {
  const ledger = new Ledger();
  ledger.begin(1, 0);
  happen(ledger);
  expect(ledger.problems).toEqual([sentence]);
});

test('an append of unknown outcome may be there, or not', () => {
  const ledger = new Ledger();
  ledger.begin(1, 0);
  ledger.begin(1, 1);
  ledger.reject(1, 0, 'unknown', 10);
  ledger.reject(1, 1, 'unknown', 10);
  ledger.see(1, 1, 40);
  ledger.passed(100);
  ledger.close();
  expect([ledger.problems, ledger.unknown, ledger.unknownFound]).toEqual([[], 2, 1]);
});

test('a trend that grows in the last third is found, one that only goes up and down is not', () => {
  const flat = new Trend('flat', 'MiB', 'lowest', { part: 0.1, least: 16 });
  const grows = new Trend('grows', 'MiB', 'lowest', { part: 0.1, least: 16 });
  for (let i = 0; i < 90; i += 1) {
    flat.add(100 + (i % 7) * 10);
    grows.add(100 + i + (i % 7) * 10);
  }
  expect(flat.judge()).toBeUndefined();
  expect(grows.judge()).toBe('grows grew from 135 to 163 MiB (lowest of the second and the last third)');
  expect(new Trend('short', 'MiB', 'lowest', { part: 0, least: 0 }).judge()).toBe('short: only 0 values, too few to tell');
});

test('times are those since the last look', () => {
  const times = new Times();
  for (let ms = 1; ms <= 100; ms += 1) times.add(ms);
  expect(times.take()).toEqual({ p50: 51, p99: 100 });
  expect(times.take()).toBeUndefined();
});

test('an entry says who appended it', () => {
  expect(identityOf(new TextEncoder().encode('3:17:....'))).toEqual([3, 17]);
});
