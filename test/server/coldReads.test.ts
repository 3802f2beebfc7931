// Reads from sealed segments: on a follower a segment may be sealed before all of it is committed.

import { describe, expect, test } from 'vitest';
import { HotReader } from '../../src/memory/hotReader.ts';
import { WORD } from '../../src/memory/map.ts';
import { Readings } from '../../src/server/reading.ts';
import type { Segments } from '../../src/server/segments.ts';
import type { Reading, Session } from '../../src/server/session.ts';
import type { ColdRange } from '../../src/storage/segmentReader.ts';
import type { Pools } from '../../src/threads/pools.ts';
import { smallMemory } from '../crash/testNode.ts';

/** Offsets [1000, 5000) are in one sealed segment, and none of it is in tail memory. */
const SEGMENT = { base: 1000, end: 5000 };

interface Cold {
  readonly memory: ReturnType<typeof smallMemory>;
  readonly readings: Readings;
  readonly ranges: ColdRange[];
  readonly sent: number[];
  read(from: number, isSubscription?: boolean): Reading;
}

/** Readings on a disk that returns all bytes up to the limit that it is given. */
function makeCold(commit: number): Cold {
  const memory = smallMemory();
  memory.setWord(WORD.COMMIT, commit);
  const ranges: ColdRange[] = [];
  const sent: number[] = [];
  const segments = { find: (offset: number) => (offset < SEGMENT.end ? SEGMENT : undefined) } as unknown as Segments;
  const pools = {
    readCold: ({ range }: { range: ColdRange }) => {
      ranges.push(range);
      return Promise.resolve(Math.min(range.limit - range.from, range.maxBytes));
    },
  } as unknown as Pools;
  const session = {
    readings: new Map(),
    isClosed: false,
    canSend: true,
    sendData: (_id: number, from: number, _commit: number, entries: Uint8Array) => sent.push(from, from + entries.length),
  } as unknown as Session;
  const readings = new Readings(
    memory,
    new HotReader(memory),
    segments,
    pools,
    () => undefined,
    (error) => {
      throw error;
    },
  );
  const read = (from: number, isSubscription = true): Reading => {
    const reading: Reading = {
      session,
      requestId: 1,
      isSubscription,
      next: from,
      isBoundary: true,
      creditBytes: 100_000,
      timer: undefined,
      mayWait: true,
      state: 'ready',
    };
    readings.start(reading);
    return reading;
  };
  return { memory, readings, ranges, sent, read };
}

/** Until the promises that are there have been kept. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe('a cold read', () => {
  test('ends at the commit, inside a segment that is sealed further', async () => {
    const { ranges, sent, read } = makeCold(3000);
    const reading = read(2000);
    await settled();
    expect(ranges.map(({ from, limit }) => [from, limit])).toEqual([[2000, 3000]]);
    expect(sent).toEqual([2000, 3000]);
    expect([reading.next, reading.state]).toEqual([3000, 'waiting']);
  });

  test('goes on when the commit moves, and no further than it moved', async () => {
    const { memory, readings, ranges, sent, read } = makeCold(3000);
    read(2000);
    await settled();
    memory.setWord(WORD.COMMIT, 3500);
    readings.committed();
    await settled();
    expect(ranges.map(({ from, limit }) => [from, limit])).toEqual([
      [2000, 3000],
      [3000, 3500],
    ]);
    expect(sent.at(-1)).toBe(3500);
  });

  test("ends at its segment's end, when the commit is further", async () => {
    const { ranges, read } = makeCold(9000);
    read(2000, false);
    await settled();
    expect(ranges[0]).toMatchObject({ base: 1000, from: 2000, limit: 5000 });
  });

  test('from the commit on waits, and asks no disk', async () => {
    const { ranges, read } = makeCold(3000);
    expect(read(3000).state).toBe('waiting');
    expect(read(4000).state).toBe('waiting');
    await settled();
    expect(ranges).toEqual([]);
  });
});
