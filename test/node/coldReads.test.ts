// Reads from sealed segments: on a follower a segment may be sealed before all of it is committed.

import { describe, expect, test } from 'vitest';
import { LogError } from '../../src/core/errors.ts';
import { HotReader } from '../../src/memory/hotReader.ts';
import { SLOT, SLOT_SEALED, WORD } from '../../src/memory/map.ts';
import { CallerReadings, type Reading } from '../../src/node/caller.ts';
import { type ReadingPorts, Readings } from '../../src/node/reading.ts';
import type { Segments } from '../../src/node/segments.ts';
import type { Session } from '../../src/server/session.ts';
import type { DiskTasks } from '../../src/storage/diskTasks.ts';
import type { ColdRange } from '../../src/storage/segmentReader.ts';
import { smallMemory } from '../crash/testNode.ts';
import { TEST_LOOP } from '../support/loop.ts';

/** Offsets [1000, 5000) are in one sealed segment, and none of it is in tail memory. */
const SEGMENT = { base: 1000, end: 5000 };

/** Whose some connections are. */
const TOKEN = {};

/** What of a session a reading touches. */
class FakeSession {
  readonly readings = new CallerReadings();
  readonly isClosed = false;
  dataRoom = Number.POSITIVE_INFINITY;
  hasUnsent = false;
  party: object | undefined;
  /** Beginning and end of each DATA. */
  readonly sent: number[];

  constructor(sent: number[]) {
    this.sent = sent;
  }

  admits(): boolean {
    return true;
  }

  sendData(_id: number, from: number, _commit: number, entries: Uint8Array): void {
    this.sent.push(from, from + entries.length);
  }

  /** Codes of ERRORs, each with its offset. */
  readonly errors: string[] = [];

  sendError(_id: number, code: string, offset: number): void {
    this.errors.push(`${code} ${offset}`);
  }

  get session(): Session {
    return this as unknown as Session;
  }
}

interface Cold {
  readonly memory: ReturnType<typeof smallMemory>;
  readonly readings: Readings;
  readonly ranges: ColdRange[];
  readonly sent: number[];
  readonly session: FakeSession;
  read(from: number, isSubscription?: boolean, requestId?: number): Reading;
  /** A READ of another connection. */
  another(from: number, party?: object): void;
  /** The oldest read of the disk that runs is done. */
  finish(): Promise<void>;
}

/** Readings on a disk that returns all bytes up to the limit that it is given: at once, or when it `isHeld` by the test. */
function makeCold(
  commit: number,
  isHeld = false,
  failing: Partial<Omit<DiskTasks, 'heal'> & Pick<ReadingPorts, 'reportDamage' | 'isDifferent' | 'heal'>> = {},
): Cold {
  const memory = smallMemory();
  memory.setWord(WORD.COMMIT, commit);
  const ranges: ColdRange[] = [];
  const sent: number[] = [];
  const running: (() => void)[] = [];
  const segments = { find: (offset: number) => (offset < SEGMENT.end ? SEGMENT : undefined) } as unknown as Segments;
  const pools = {
    readCold: async ({ range }: { range: ColdRange }) => {
      ranges.push(range);
      if (isHeld) await new Promise<void>((resolve) => running.push(resolve));
      return Math.min(range.limit - range.from, range.maxBytes);
    },
    ...failing,
  } as unknown as DiskTasks;
  const readings = new Readings({
    memory,
    hot: new HotReader(memory),
    segments,
    tasks: pools,
    loop: TEST_LOOP,
    timeBefore: () => 0,
    awaitCommit: () => undefined,
    beforeTurn: () => undefined,
    heal: failing.heal ?? (async () => false),
    isDifferent: failing.isDifferent ?? (() => false),
    reportDamage:
      failing.reportDamage ??
      ((error) => {
        throw error;
      }),
    broke: (thrown) => {
      throw thrown;
    },
  });
  const start = (session: Session, from: number, isSubscription: boolean, requestId: number): Reading => {
    const place = { next: from, isBoundary: true, creditBytes: 100_000, deadline: undefined, neededBytes: 0 };
    const reading: Reading = { caller: session, requestId, isSubscription, ...place, state: 'ready' };
    readings.start(reading, isSubscription ? 0 : 60_000);
    return reading;
  };
  const fake = new FakeSession(sent);
  return {
    memory,
    readings,
    ranges,
    sent,
    session: fake,
    read: (from, isSubscription = true, requestId = 1) => start(fake.session, from, isSubscription, requestId),
    another: (from, party) => {
      const other = new FakeSession([]);
      other.party = party;
      start(other.session, from, false, 1);
    },
    finish: () => {
      running.shift()?.();
      return settled();
    },
  };
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
    const waiting = [read(3000), read(4000)];
    await settled();
    expect(waiting.map(({ state }) => state)).toEqual(['waiting', 'waiting']);
    expect(ranges).toEqual([]);
  });

  test('is not begun for a connection without room, and is when it has drained', async () => {
    const { readings, ranges, sent, read, session } = makeCold(5000);
    session.dataRoom = 0;
    read(2000);
    await settled();
    expect(ranges).toEqual([]);
    session.dataRoom = 1000;
    readings.drained(session.session);
    await settled();
    expect(ranges.map(({ from, maxBytes }) => [from, maxBytes])).toEqual([[2000, 1000]]);
    expect(sent.slice(0, 2)).toEqual([2000, 3000]);
  });

  test('that finds no room when it is done comes first, and is read again', async () => {
    const { readings, ranges, sent, read, session } = makeCold(3000);
    read(2000, false, 7);
    // Something else takes the room while the disk is read.
    session.dataRoom = 0;
    await settled();
    read(2500, false, 8);
    expect([ranges.length, sent]).toEqual([1, []]);
    session.dataRoom = 100_000;
    readings.drained(session.session);
    await settled();
    await settled();
    await settled();
    expect(ranges.map(({ from }) => from)).toEqual([2000, 2000, 2500]);
    expect(sent).toEqual([2000, 3000, 2500, 3000]);
  });

  test('of many connections take turns, and one has a second one only while nothing is unsent', async () => {
    const { ranges, read, session, another, finish } = makeCold(5000, true);
    session.hasUnsent = true;
    for (let i = 0; i < 5; i += 1) read(1000 + i, false, i + 1);
    another(4000);
    await settled();
    expect(ranges.map(({ from }) => from)).toEqual([1000, 4000]);
    await finish();
    expect(ranges.map(({ from }) => from)).toEqual([1000, 4000, 1001]);
    session.hasUnsent = false;
    await finish();
    expect(ranges.map(({ from }) => from)).toEqual([1000, 4000, 1001, 1002]);
  });

  test('of many connections of one token have a turn where one of another token has one', async () => {
    const { ranges, read, session, another, finish } = makeCold(5000, true);
    session.party = TOKEN;
    read(1000);
    await settled();
    for (const from of [1001, 1002, 1003]) another(from, TOKEN);
    another(4000);
    await settled();
    for (let i = 0; i < 4; i += 1) await finish();
    expect(ranges.map(({ from }) => from)).toEqual([1000, 1001, 1002, 4000, 1003]);
  });

  test('of copies for many downloads of one token come in turns with that of another', async () => {
    const { readings, ranges, finish } = makeCold(5000, true);
    const copy = (from: number, party: object): void => {
      const range = { base: SEGMENT.base, from, isBoundary: true, limit: 5000, maxBytes: 100 };
      void readings.diskReads.readCopy(range, { from, to: from + 100 }, () => false, party);
    };
    for (const from of [1000, 1001, 1002]) copy(from, TOKEN);
    copy(4000, {});
    for (let i = 0; i < 4; i += 1) await finish();
    expect(ranges.map(({ from }) => from)).toEqual([1000, 1001, 4000, 1002]);
  });

  test('that is given up makes way for the others of its connection', async () => {
    const { readings, sent, read, session } = makeCold(3000);
    const reading = read(2000, false, 7);
    session.dataRoom = 0;
    await settled();
    read(2500, false, 8);
    readings.drop(reading);
    session.dataRoom = 100_000;
    readings.drained(session.session);
    await settled();
    await settled();
    expect(sent).toEqual([2500, 3000]);
  });

  test('of a copy that cannot be read is said once, and not at all where nobody wants it any more', async () => {
    const said: string[] = [];
    const { readings } = makeCold(3000, false, {
      readCold: () => Promise.reject(new LogError('IO', 'a thread cannot be started')),
      reportDamage: ({ message }) => void said.push(message),
    });
    const range = { base: SEGMENT.base, from: 2000, isBoundary: true, limit: 3000, maxBytes: 1000 };
    const copy = (isOver: boolean): Promise<unknown> => readings.diskReads.readCopy(range, { from: 2000, to: 3000 }, () => isOver);
    await expect(copy(true)).rejects.toMatchObject({ code: 'IO' });
    expect(said).toEqual([]);
    for (let i = 0; i < 2; i++) await expect(copy(false)).rejects.toMatchObject({ code: 'IO' });
    expect(said).toEqual(['a thread cannot be started']);
  });

  test('of a segment that is not what the log says is refused, and its file is left alone', async () => {
    const said: string[] = [];
    const { read, ranges, sent, session } = makeCold(3000, false, {
      isDifferent: (base) => base === SEGMENT.base,
      // It passes its checks: to examine all of it for each reader would keep the disk from others.
      heal: () => Promise.reject(new Error('nothing is to be healed')),
      reportDamage: ({ message }) => void said.push(message),
    });
    read(2000);
    await settled();
    await settled();
    expect([ranges, sent, session.errors]).toEqual([[], [], ['DAMAGED 2000']]);
    expect(said.join()).toContain('is not what the log says that it is');
  });

  test('of a segment in memory that is not what the log says is refused, too', async () => {
    const { read, ranges, sent, session, memory } = makeCold(3000, true, { isDifferent: () => true, reportDamage: () => undefined });
    memory.prepareSlot(0, SEGMENT.base, { term: 1, leader: '0'.repeat(16) });
    memory.setSlotWord(0, SLOT.CLOSED_END, SEGMENT.end);
    memory.setSlotState(0, SLOT_SEALED);
    expect(new HotReader(memory).slotOf(2000)).toBe(0);
    read(2000);
    await settled();
    await settled();
    expect([ranges, sent, session.errors]).toEqual([[], [], ['DAMAGED 2000']]);
    expect(memory.slotWord(0, SLOT.PINS)).toBe(0);
  });
});
