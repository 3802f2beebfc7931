// Turns of connections, and the budget that they have in each turn of the event loop.

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { READ_TURN_MS } from '../../src/core/servingLimits.ts';
import { WORD } from '../../src/memory/map.ts';
import { CallerReadings } from '../../src/node/caller.ts';
import { Turns } from '../../src/node/turns.ts';
import type { Session } from '../../src/server/session.ts';
import { Random } from '../assembly/random.ts';
import { makeBatch } from '../crash/batches.ts';
import { MemoryDisk } from '../crash/memoryDisk.ts';
import { smallMemory } from '../crash/testNode.ts';
import { startNode } from '../storage/support.ts';
import { TEST_LOOP } from '../support/loop.ts';
import { hotReadings } from './support.ts';

/** A connection with so many messages to send. */
interface Work {
  readonly name: string;
  left: number;
}

describe('the turns of connections', () => {
  /** What happened, in order. */
  let done: string[] = [];
  let nowMs = 0;
  /** What a message takes. */
  let costMs = 0;
  let turns = new Turns<Work>(
    TEST_LOOP,
    () => false,
    () => undefined,
  );

  beforeEach(() => {
    done = [];
    nowMs = 1000;
    costMs = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
    turns = new Turns<Work>(
      TEST_LOOP,
      (work) => {
        done.push(work.name);
        nowMs += costMs;
        work.left -= 1;
        return work.left > 0;
      },
      () => done.push('|'),
    );
  });

  afterEach(() => {
    vi.restoreAllMocks();
  });

  test('are by connections, not by what each has to do', () => {
    turns.add({ name: 'greedy', left: 256 });
    turns.add({ name: 'modest', left: 2 });
    turns.run();
    expect(done.slice(0, 5)).toEqual(['greedy', 'modest', 'greedy', 'modest', 'greedy']);
    expect(done).toHaveLength(258);
  });

  test('end with their budget, and go on after what comes first, in the next turn of the event loop', async () => {
    costMs = READ_TURN_MS / 2;
    for (const name of ['a', 'b', 'c', 'd', 'e']) turns.add({ name, left: 1 });
    turns.run();
    turns.run();
    expect([done.join(''), turns.isFree]).toEqual(['ab', false]);
    await expect.poll(() => done.join('')).toBe('ab|cd|e');
  });

  test('need no wait while nobody else waits and there is time', async () => {
    expect(turns.isFree).toBe(true);
    nowMs += READ_TURN_MS;
    expect(turns.isFree).toBe(false);
    await new Promise((resolve) => setImmediate(resolve));
    expect(turns.isFree).toBe(true);
    turns.add({ name: 'a', left: 1 });
    expect(turns.isFree).toBe(false);
    turns.run();
    expect(turns.isFree).toBe(true);
  });

  test('are not taken by who is gone', async () => {
    const gone = { name: 'gone', left: 1 };
    turns.add(gone);
    turns.add({ name: 'there', left: 1 });
    turns.remove(gone);
    await expect.poll(() => done.join('')).toBe('|there');
  });

  test('of 32,768 subscriptions are few in one turn, and a connection with one has its own among the first', async () => {
    vi.restoreAllMocks();
    const memory = smallMemory();
    const node = startNode(new MemoryDisk(), memory);
    const readings = hotReadings(memory);
    /** Who was sent DATA, in order. */
    const sent: number[] = [];
    const opened: CallerReadings[] = [];
    const open = (name: number, subscriptions: number): void => {
      const own = new CallerReadings();
      opened.push(own);
      const session = {
        readings: own,
        isClosed: false,
        dataRoom: Number.POSITIVE_INFINITY,
        hasUnsent: false,
        admits: () => true,
        sendData: () => void sent.push(name),
      } as unknown as Session;
      for (let requestId = 1; requestId <= subscriptions; requestId += 1) {
        const place = { next: memory.tail, isBoundary: true, creditBytes: 1e6, deadline: undefined, neededBytes: 0 };
        readings.start({ caller: session, requestId, isSubscription: true, ...place, state: 'ready' }, 0);
      }
    };
    for (let name = 1; name <= 128; name += 1) open(name, 256);
    open(0, 1);
    const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    while (opened.some(({ open, waiting }) => waiting.size < open.size)) await turn();
    const { entries, entryCount } = makeBatch([100], new Random(1));
    node.append(entries, entryCount);
    node.settle();
    memory.setWord(WORD.COMMIT, memory.tail);
    readings.committed();
    expect(sent.length).toBeLessThan(20_000);
    await vi.waitFor(() => expect(sent).toHaveLength(128 * 256 + 1), { timeout: 60_000 });
    expect(sent.indexOf(0)).toBe(128);
  });
});
