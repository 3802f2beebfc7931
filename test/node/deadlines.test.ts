// Waits with one timer for all, and the heap behind them.

import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Deadlines } from '../../src/node/deadlines.ts';
import { Heap, type HeapNode } from '../../src/node/heap.ts';
import { TEST_LOOP } from '../support/loop.ts';

describe('waits', () => {
  let ended: string[] = [];
  let waits = new Deadlines<string>(TEST_LOOP, () => undefined);

  beforeEach(() => {
    vi.useFakeTimers();
    ended = [];
    waits = new Deadlines(TEST_LOOP, (item) => ended.push(item));
  });

  afterEach(() => {
    vi.useRealTimers();
  });

  test('end in the order of their times, with one timer', async () => {
    for (const ms of [500, 20, 100, 20]) waits.add(`${ms}`, ms);
    expect(vi.getTimerCount()).toBe(1);
    await vi.advanceTimersByTimeAsync(19);
    expect(ended).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(ended).toEqual(['20', '20']);
    await vi.advanceTimersByTimeAsync(480);
    expect([ended.slice(2), vi.getTimerCount()]).toEqual([['100', '500'], 0]);
  });

  test('that are given up do not end, and leave no timer', async () => {
    const given = [waits.add('a', 10), waits.add('b', 20)];
    waits.add('c', 30);
    for (const deadline of given) waits.remove(deadline);
    await vi.advanceTimersByTimeAsync(30);
    expect(ended).toEqual(['c']);
    const last = waits.add('d', 10);
    waits.remove(last);
    waits.remove(last);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('may begin and be given up while others end', async () => {
    const items = new Map<string, HeapNode<string>>();
    const chained = new Deadlines<string>(TEST_LOOP, (item) => {
      ended.push(item);
      const other = items.get('given up');
      if (other !== undefined) chained.remove(other);
      if (ended.length < 3) chained.add(`after ${item}`, 10);
    });
    chained.add('first', 10);
    items.set('given up', chained.add('given up', 10));
    await vi.advanceTimersByTimeAsync(40);
    expect(ended).toEqual(['first', 'after first', 'after after first']);
    expect(vi.getTimerCount()).toBe(0);
  });
});

test('many that end at once do so over several turns of the event loop', async () => {
  let count = 0;
  const waits = new Deadlines<number>(TEST_LOOP, () => {
    count += 1;
    const untilMs = performance.now() + 0.1;
    while (performance.now() < untilMs);
  });
  for (let i = 0; i < 200; i += 1) waits.add(i, 1);
  const counts: number[] = [];
  while (count < 200) {
    await new Promise((resolve) => setImmediate(resolve));
    counts.push(count);
  }
  const steps = counts.map((now, i) => now - (counts[i - 1] ?? 0));
  expect(Math.max(...steps)).toBeLessThan(100);
});

test('a heap gives its items in order, whatever is taken out of its midst', () => {
  const key = fc.integer({ min: 0, max: 50 });
  const property = fc.property(fc.array(fc.tuple(key, fc.nat({ max: 3 })), { maxLength: 200 }), (actions) => {
    const heap = new Heap<number>();
    const nodes: HeapNode<number>[] = [];
    const left = (): number[] => nodes.map((node) => node.key).sort((a, b) => a - b);
    for (const [value, what] of actions) {
      if (what < 2) nodes.push(heap.add(value, value));
      else if (what === 2) {
        const [node] = nodes.splice(value % (nodes.length + 1), 1);
        if (node === undefined) continue;
        heap.remove(node);
        heap.remove(node);
      } else {
        const least = heap.takeUpTo(value);
        const expected = left()[0];
        expect(least).toBe(expected !== undefined && expected <= value ? expected : undefined);
        if (least !== undefined)
          nodes.splice(
            nodes.findIndex(({ index }) => index < 0),
            1,
          );
      }
      expect([heap.size, heap.leastKey]).toEqual([nodes.length, left()[0] ?? Number.POSITIVE_INFINITY]);
    }
  });
  void fc.assert(property);
});
