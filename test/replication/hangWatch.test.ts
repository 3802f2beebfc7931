import { describe, expect, test } from 'vitest';
import { HangWatch } from '../../src/replication/hangWatch.ts';

/** Looks every `everyMs` from `fromMs` until `toMs`; returns what was new, and when. */
function watch(hang: HangWatch, word: number, fromMs: number, toMs: number, everyMs = 100): string[] {
  const news: string[] = [];
  for (let nowMs = fromMs; nowMs <= toMs; nowMs += everyMs) {
    const what = hang.look(nowMs, word);
    if (what !== undefined) news.push(`${what} at ${nowMs}`);
  }
  return news;
}

describe('a word that the main thread has not moved', () => {
  test('is a hang after so many heartbeats, once, and over at the next look after it moved', () => {
    const hang = new HangWatch(0, 100, 3_000);
    expect(watch(hang, 0, 0, 10_000)).toEqual(['hangs at 3100']);
    expect(hang.silentMs).toBe(3_100);
    expect(hang.look(10_001, 1)).toBe('answers');
    expect(hang.silentMs).toBe(10_001);
    expect(watch(hang, 1, 10_100, 13_000)).toEqual([]);
    expect(watch(hang, 1, 13_100, 14_000)).toEqual(['hangs at 13100']);
  });

  test('is counted once for a time in which this thread stood still too', () => {
    const hang = new HangWatch(0, 100, 3_000);
    expect(watch(hang, 1, 0, 2_900)).toEqual([]);
    expect(watch(hang, 1, 1_000_000, 1_000_200)).toEqual(['hangs at 1000100']);
    const slept = new HangWatch(0, 100, 3_000);
    for (let i = 1; i <= 30; i += 1) expect(slept.look(i * 60_000, 0)).toBeUndefined();
  });

  test('is not counted faster because something happens all the time', () => {
    expect(watch(new HangWatch(0, 100, 3_000), 0, 0, 4_000, 1)).toEqual(['hangs at 3100']);
  });

  test('that moves now and then is no hang', () => {
    const hang = new HangWatch(0, 100, 3_000);
    for (let word = 1; word < 50; word += 1) expect(watch(hang, word, word * 3_000, word * 3_000 + 2_900)).toEqual([]);
  });
});
