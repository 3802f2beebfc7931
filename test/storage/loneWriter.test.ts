// An append that is alone is written by whoever ordered it, in place of the segment's writer, while that rests.

import { statSync } from 'node:fs';
import { beforeEach, describe, expect, test } from 'vitest';
import { SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { LogError } from '../../src/core/errors.ts';
import { LONE_WRITE_BYTES, MARK_IDLE_MS } from '../../src/core/limits.ts';
import { findMark } from '../../src/format/durableMark.ts';
import { SIGNAL, TURN_BROKEN, TURN_KEPT, TURN_LENT } from '../../src/memory/map.ts';
import { Tail } from '../../src/memory/tail.ts';
import { setTurn } from '../../src/memory/turn.ts';
import { allocateFile } from '../../src/storage/allocator.ts';
import type { StorageContext } from '../../src/storage/context.ts';
import { createIdentity, IDENTITY_RANDOM_BYTES } from '../../src/storage/dataDirectory.ts';
import { readFile } from '../../src/storage/disk.ts';
import { LoneWriter } from '../../src/storage/loneWriter.ts';
import { segmentName } from '../../src/storage/names.ts';
import { NodeDisk } from '../../src/storage/nodeDisk.ts';
import { type Pause, SegmentTask } from '../../src/storage/segmentTask.ts';
import { truncateLog } from '../../src/storage/truncation.ts';
import { Random } from '../assembly/random.ts';
import { makeBatch } from '../crash/batches.ts';
import { MemoryDisk } from '../crash/memoryDisk.ts';
import { DIRECTORY, openIdentity, resetMemory, smallMemory } from '../crash/testNode.ts';
import { temporaryDirectory } from './support.ts';

const memory = smallMemory(4 * 65_536);
const random = new Random(1);
const SMALL = makeBatch([20], random).entries;

let disk: MemoryDisk;
let context: StorageContext;
let tail: Tail;
let task: SegmentTask;
let lone: LoneWriter;

function order(entries = SMALL, entryCount = 1): void {
  expect(tail.append(entries, entryCount, 1, 256_000, 5)).toBe('ordered');
}

/** Steps of the writer until it rests, or is done. */
function untilRest(timedOut = false): Pause {
  let pause = task.step(timedOut);
  while (pause === 'disk') pause = task.step();
  return pause;
}

function slotOf(): number {
  return memory.openSlot;
}

beforeEach(() => {
  resetMemory(memory);
  disk = new MemoryDisk();
  context = { disk, directory: DIRECTORY, identity: openIdentity(disk, new Uint8Array(IDENTITY_RANDOM_BYTES)), memory, nowMs: () => 1_000 };
  tail = new Tail(memory, (slot) => {
    task = new SegmentTask(context, slot, 'spare-1.tmp');
  });
  tail.start(0, 0, undefined);
  lone = new LoneWriter(context);
});

describe('a writer at rest', () => {
  beforeEach(() => {
    order();
    expect(untilRest()).toBe('wait');
  });

  test('has what was ordered written in its place, and puts the mark of that once it is quiet', () => {
    expect(task.timeoutMs).toBe(MARK_IDLE_MS);
    order();
    expect(lone.write()).toBe(true);
    expect(memory.durable).toBe(2 * SMALL.length);
    // Something was written since its rest began: it rests again before the mark.
    expect(untilRest(true)).toBe('wait');
    expect(task.timeoutMs).toBe(MARK_IDLE_MS);
    expect(task.step(true)).toBe('disk');
    expect(untilRest()).toBe('wait');
    expect(task.timeoutMs).toBeUndefined();
    const file = readFile(disk, `${DIRECTORY}/${segmentName(0)}`);
    const mark = findMark(file.subarray(SEGMENT_HEADER_BYTES + 2 * SMALL.length), 2 * SMALL.length, context.identity.markSeed);
    expect(mark?.durable).toBe(2 * SMALL.length);
  });

  test('that nothing would wake is woken once something was written in its place', () => {
    // The mark is there: it rests for ever.
    expect(untilRest(true)).toBe('wait');
    expect(task.timeoutMs).toBeUndefined();
    order();
    const { seen } = task;
    expect(lone.write()).toBe(true);
    expect(memory.signal(SIGNAL.TAIL)).not.toBe(seen);
    expect(untilRest()).toBe('wait');
    expect(task.timeoutMs).toBe(MARK_IDLE_MS);
  });

  test('writes what comes after that itself, and all of it is in the file', () => {
    for (let i = 0; i < 200; i += 1) {
      order();
      if (i % 3 > 0) expect(lone.write()).toBe(true);
      else expect(untilRest()).toBe('wait');
    }
    const expected = memory.slotBytes(slotOf(), SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES + 201 * SMALL.length).slice();
    memory.raise(SIGNAL.STOP);
    expect(untilRest()).toBe('done');
    expect(task.outcome).toBe('open');
    expect(disk.openFiles).toBe(0);
    const file = readFile(disk, `${DIRECTORY}/${segmentName(0)}`);
    expect(file.subarray(SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES + expected.length)).toEqual(expected);
    expect(findMark(file.subarray(SEGMENT_HEADER_BYTES + expected.length), expected.length, context.identity.markSeed)?.durable).toBe(
      expected.length,
    );
  });

  test('writes what is more than the loop is to wait for', () => {
    const large = makeBatch([LONE_WRITE_BYTES / 2], random).entries;
    order(large);
    order(large);
    expect(lone.write()).toBe(false);
    expect(untilRest()).toBe('wait');
    expect(memory.durable).toBe(memory.tail);
  });

  test('waits while another thread has its turn, and ends with an error when that has failed', () => {
    order();
    const write = disk.write.bind(disk);
    disk.write = () => {
      throw new LogError('IO', 'the disk is gone');
    };
    expect(() => lone.write()).toThrow('the disk is gone');
    disk.write = write;
    expect(memory.durable).toBe(SMALL.length);
    expect(lone.write()).toBe(false);
    expect(() => task.step()).toThrow('a write by another thread has failed, and nothing is written after it');
    setTurn(memory, slotOf(), TURN_BROKEN);
    expect(lone.write()).toBe(false);
    expect(memory.durable).toBe(SMALL.length);
  });

  test('goes on with the file that it has, where its segment was full and another has its slot', () => {
    order();
    expect(lone.write()).toBe(true);
    const first = task;
    // Does not fit: the segment is closed, and the next one is open.
    order(makeBatch([200_000], random).entries);
    expect(untilRest()).toBe('wait');
    const end = memory.tail;
    order(makeBatch([100_000], random).entries);
    expect(task).not.toBe(first);
    // The next one's writer has not begun.
    expect(lone.write()).toBe(false);
    while (first.outcome === undefined) first.step();
    expect(typeof first.outcome).toBe('object');
    expect(untilRest()).toBe('wait');
    order();
    expect(lone.write()).toBe(true);
    expect(memory.durable).toBe(memory.tail);
    expect(readFile(disk, `${DIRECTORY}/${segmentName(end)}`).length).toBeGreaterThan(100_000);
  });
});

test('a writer at work, or none yet, is not stood in for', () => {
  expect(lone.write()).toBe(false);
  order();
  expect(lone.write()).toBe(false);
  // Made, and written, but not synced.
  while (memory.openSlot < 0 || !disk.list(DIRECTORY).includes(segmentName(0))) task.step();
  expect(lone.write()).toBe(false);
  setTurn(memory, slotOf(), TURN_KEPT);
  expect(untilRest()).toBe('wait');
  expect(memory.durable).toBe(SMALL.length);
  expect(lone.write()).toBe(false);
  expect(TURN_LENT).not.toBe(TURN_KEPT);
});

test('a segment that was cut, and begins again at the same place in another file, is written at once again', () => {
  resetMemory(memory);
  const directory = temporaryDirectory();
  const [writers, main] = [new NodeDisk(), new NodeDisk()];
  const identity = createIdentity(writers, directory, new Uint8Array(IDENTITY_RANDOM_BYTES));
  const real: StorageContext = { disk: writers, directory, identity, memory, nowMs: () => 1_000 };
  const tasks: SegmentTask[] = [];
  for (const i of [0, 1, 2]) allocateFile(writers, directory, `spare-${i}.tmp`, 4 * 65_536);
  const log = new Tail(memory, (slot) => void tasks.push(new SegmentTask(real, slot, `spare-${tasks.length}.tmp`)));
  const append = (entries: Uint8Array): void => void expect(log.append(entries, 1, 1, 256_000, 5)).toBe('ordered');
  const rest = (): void => {
    task = tasks.at(-1) ?? task;
    untilRest();
  };
  const end = (ending: SegmentTask | undefined): void => {
    while (ending?.outcome === undefined) ending?.step();
  };
  const [large, next] = [200_000, 100_000].map((bytes) => makeBatch([bytes], random).entries);
  log.start(0, 0, undefined);
  append(large ?? SMALL);
  rest();
  const base = memory.tail;
  append(next ?? SMALL);
  end(tasks[0]);
  rest();
  const writer = new LoneWriter({ ...real, disk: main });
  append(SMALL);
  expect(writer.write()).toBe(true);
  const [slot, file] = [memory.openSlot, statSync(`${directory}/${segmentName(base)}`).ino];

  // Another node led meanwhile, and had nothing from there on.
  memory.raise(SIGNAL.STOP);
  end(tasks[1]);
  truncateLog(real, base);
  memory.addWord32(SIGNAL.STOP, -1);
  tasks.push(new SegmentTask(real, memory.openSlot, undefined));
  rest();
  const resumed = tasks.at(-1);
  append(next ?? SMALL);
  end(resumed);
  rest();
  expect([memory.openSlot, statSync(`${directory}/${segmentName(base)}`).ino === file]).toEqual([slot, false]);
  append(SMALL);
  expect(writer.write()).toBe(true);
  expect(memory.durable).toBe(memory.tail);
});
