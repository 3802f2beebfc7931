// How much room a disk has: its levels, what gives way first, and what the disks of others have to do with it.

import { expect, test } from 'vitest';
import { configure } from '../../src/core/config.ts';
import { asProperties } from '../../src/core/giving.ts';
import { DISK_IDLE_LOOK_MS, DISK_LOOK_MS } from '../../src/core/limits.ts';
import { DISK_CRITICAL, DISK_OK, STATE, WORD } from '../../src/memory/map.ts';
import { type DiskLevel, DiskRoom, levelOf } from '../../src/node/diskRoom.ts';
import { smallMemory } from '../crash/testNode.ts';

const SEGMENT = 10;
const BOUNDS = { diskLowBytes: 200, diskCriticalBytes: 100, segmentBytes: SEGMENT };

test('a level begins below its bound, and ends only with a quarter more', () => {
  const seen = (rooms: readonly number[], first: DiskLevel): DiskLevel[] => {
    let level = first;
    return rooms.map((room) => {
      level = levelOf(room, level, BOUNDS);
      return level;
    });
  };
  expect(seen([200, 199, 200, 249, 250, 199], 'ok')).toEqual(['ok', 'low', 'low', 'low', 'ok', 'low']);
  expect(seen([100, 99, 100, 124, 125, 100, 99], 'low')).toEqual(['low', 'critical', 'critical', 'critical', 'low', 'low', 'critical']);
  expect(seen([1000], 'critical')).toEqual(['ok']);
  expect(seen([0], 'ok')).toEqual(['critical']);
});

test('the bounds: 8 segments, and 2 segments and 64 MiB; low is never below critical', () => {
  const levels = (given: Parameters<typeof configure>[0]) => {
    const { diskLowBytes, diskCriticalBytes } = configure(given, asProperties());
    return [diskLowBytes, diskCriticalBytes].map((bytes) => bytes / 2 ** 20);
  };
  expect(levels({})).toEqual([256, 128]);
  expect(levels({ segmentBytes: 65_536 })).toEqual([128.125, 64.125]);
  expect(levels({ diskCriticalBytes: '1GiB' })).toEqual([1088, 1024]);
  expect(levels({ diskLowBytes: '8MiB' })).toEqual([8, 8]);
  expect(() => levels({ diskLowBytes: 5, diskCriticalBytes: 6 })).toThrow('diskLowBytes 5 is below diskCriticalBytes 6');
});

interface Room {
  readonly room: DiskRoom;
  readonly memory: ReturnType<typeof smallMemory>;
  readonly refusals: string[];
  readonly lines: string[];
  readonly discarded: string[];
  readonly state: { free: number | undefined; spares: string[]; owedBytes: number };
  look(free: number | undefined): Promise<void>;
  /** How long it is until the next look. */
  readonly dueMs: number;
}

async function make(others: readonly number[] = []): Promise<Room> {
  const memory = smallMemory();
  for (const id of [1, 2, 3, 4, 5]) memory.peers.set(id, { isFull: false });
  const state: Room['state'] = { free: 1000, spares: [], owedBytes: 0 };
  const [refusals, lines, discarded]: string[][] = [[], [], []];
  let due = (): void => undefined;
  let dueMs = 0;
  const room = new DiskRoom({
    memory,
    bounds: BOUNDS,
    others,
    loop: {
      after: (ms, run) => {
        due = run;
        dueMs = ms;
        return { cancel: () => undefined };
      },
    },
    log: { info: (text) => lines?.push(text), warn: (text) => lines?.push(text) },
    segments: {
      get spareBytes() {
        return state.spares.length * SEGMENT;
      },
      get owedBytes() {
        return state.owedBytes;
      },
      giveUpSpare: () => state.spares.pop(),
    },
    freeBytes: async () => {
      if (state.free === undefined) throw new Error('no such call');
      return state.free;
    },
    discard: (spare) => {
      discarded?.push(spare);
      state.free = (state.free ?? 0) + SEGMENT;
    },
    refuse: (sentence) => refusals?.push(sentence),
  });
  await room.start();
  const look = async (free: number | undefined): Promise<void> => {
    state.free = free;
    due();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return {
    ...{ room, memory, refusals: refusals ?? [], lines: lines ?? [], discarded: discarded ?? [], state, look },
    get dueMs() {
      return dueMs;
    },
  };
}

test('a critical disk refuses appends until there is clearly more room, and says each once', async () => {
  const { room, memory, refusals, lines, look } = await make();
  expect(memory.word32(STATE.DISK_LEVEL)).toBe(DISK_OK);
  await look(150);
  expect(room.status).toMatchObject({ level: 'low', freeBytes: 150, roomBytes: 150, whyRefused: null });
  await look(99);
  await look(98);
  expect(memory.word32(STATE.DISK_LEVEL)).toBe(DISK_CRITICAL);
  expect(refusals).toEqual([expect.stringContaining('nothing of this append was done')]);
  await look(110);
  expect(refusals).toHaveLength(1);
  await look(130);
  expect(refusals).toEqual([expect.anything(), '']);
  await look(1000);
  expect(lines).toEqual([
    expect.stringContaining('the disk is low'),
    expect.stringContaining('the disk is full'),
    expect.stringContaining('there is room again, and appends are taken, but the disk is low'),
    expect.stringContaining('the disk has room again'),
  ]);
});

test('a node on which nothing is appended looks less often, unless it waits for room', async () => {
  const node = await make();
  await node.look(1000);
  expect(node.dueMs).toBe(DISK_IDLE_LOOK_MS);
  node.memory.setWord(WORD.TAIL, 1);
  await node.look(1000);
  expect(node.dueMs).toBe(DISK_LOOK_MS);
  for (const [free, ms] of [
    [1000, DISK_IDLE_LOOK_MS],
    [150, DISK_IDLE_LOOK_MS],
    [150, DISK_LOOK_MS],
    [50, DISK_LOOK_MS],
    [50, DISK_LOOK_MS],
    [1000, DISK_LOOK_MS],
    [1000, DISK_IDLE_LOOK_MS],
  ]) {
    await node.look(free);
    expect([free, node.dueMs]).toEqual([free, ms]);
  }
});

test('files made ahead are room, what open segments have yet to take is none, and nothing is made ahead of what is kept', async () => {
  const { room, state, look } = await make();
  state.spares = ['a', 'b'];
  state.owedBytes = 5;
  await look(90);
  expect(room.status).toMatchObject({ roomBytes: 105, level: 'low' });
  expect(room.mayAllocate()).toBe(false);
  await look(109);
  expect(room.mayAllocate()).toBe(false);
  await look(110);
  expect(room.mayAllocate()).toBe(true);
});

test('files made ahead give way, one after the other, where others take what is kept', async () => {
  const { room, state, discarded, look } = await make();
  state.spares = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
  await look(35);
  expect(discarded).toEqual(['g', 'f']);
  expect(state.free).toBe(55);
  expect(room.status).toMatchObject({ level: 'low', roomBytes: 105 });
  await look(0);
  expect(discarded).toHaveLength(7);
  expect(room.level).toBe('critical');
});

test('a leader refuses appends once so many others have no room that no majority has, and no sooner', async () => {
  const { room, memory, refusals, lines } = await make([2, 3]);
  memory.peers.set(2, { isFull: true });
  room.nodesChanged();
  expect(refusals).toEqual([]);
  memory.peers.set(3, { isFull: true });
  room.nodesChanged();
  room.nodesChanged();
  expect(refusals).toEqual([expect.stringContaining('the disks of nodes 2, 3 have no room')]);
  memory.peers.set(2, { isFull: false });
  room.nodesChanged();
  expect(refusals).toEqual([expect.anything(), '']);
  expect(lines).toHaveLength(2);
  expect(room.level).toBe('ok');
});

test('of five, three must have room', async () => {
  const { room, memory, refusals } = await make([2, 3, 4, 5]);
  for (const id of [2, 3]) memory.peers.set(id, { isFull: true });
  room.nodesChanged();
  expect(refusals).toEqual([]);
  memory.peers.set(4, { isFull: true });
  room.nodesChanged();
  expect(refusals).toHaveLength(1);
});

test('a system that does not say how much is free makes no level, and is asked again', async () => {
  const { room, lines, look } = await make();
  await look(undefined);
  await look(undefined);
  expect(lines).toEqual([expect.stringContaining('cannot be found out: Error: no such call')]);
  expect(room.status).toMatchObject({ level: 'ok', freeBytes: null, roomBytes: null });
  expect(room.mayAllocate()).toBe(true);
  await look(50);
  expect(room.level).toBe('critical');
});
