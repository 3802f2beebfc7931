// Where the last data entry ends: what recovery and truncation say of it, when the log's last entries are its own. Conditions of appends are
// compared with it, so it may be too high, which refuses what would hold, and never too low.

import { describe, expect, it } from 'vitest';
import { KIND_TRIM, NO_OP_BYTES } from '../../assembly/layout.ts';
import { WORD } from '../../src/memory/map.ts';
import { lastDataEnd } from '../../src/storage/dataEnd.ts';
import { type Disk, readFile } from '../../src/storage/disk.ts';
import { indexName, segmentName } from '../../src/storage/names.ts';
import { applyTrim, planTrim } from '../../src/storage/trim.ts';
import { Random } from '../assembly/random.ts';
import { dataEndOf, makeBatch, stampBatch, stampNoOp } from '../crash/batches.ts';
import { MemoryDisk } from '../crash/memoryDisk.ts';
import { readLog } from '../crash/oracle.ts';
import { DIRECTORY, smallMemory, TestNode } from '../crash/testNode.ts';
import { createAt, IDENTITY_BYTES, NOW_MS } from './support.ts';

const memory = smallMemory();
const random = new Random(31);
const TERM = 3;
const LEADER = '00000000000000a1';

/** A node that follows in term 3. An empty log gets the no-op of that term, and nothing of its own. */
function follow(disk: Disk): TestNode {
  const node = new TestNode(disk, memory, IDENTITY_BYTES, () => NOW_MS);
  node.follow(TERM);
  if (memory.tail === node.recovered.start) store(node, stampNoOp(LEADER, TERM, memory.tail), false);
  return node;
}

/** Stores data of these payload sizes, as a leader sent it; `roll`: in a new segment. */
function data(node: TestNode, sizes: readonly number[], roll = false): void {
  store(node, stampBatch(makeBatch(sizes, random).entries, TERM, memory.tail), roll);
}

/** Stores so many entries of the log itself in one piece: no-ops, the only kind that a node takes; it does not matter here that they begin no term. */
function own(node: TestNode, count: number, roll = false): void {
  if (count === 0) return;
  const noOps = Array.from({ length: count }, (_, i) => stampNoOp(LEADER, TERM, memory.tail + i * NO_OP_BYTES));
  store(node, Buffer.concat(noOps), roll);
}

function store(node: TestNode, bytes: Uint8Array, roll: boolean): void {
  node.settle();
  expect(node.appendReplicated(bytes, TERM, roll ? memory.tail : (node.openBase ?? memory.tail))).toBe('ordered');
}

/** Stops the node, and starts it again. What recovery says is what the log's bytes say. */
function restart(disk: Disk, node: TestNode): TestNode {
  node.stop();
  const next = follow(disk);
  const { start, dataEnd } = next.recovered;
  expect(dataEnd).toBe(dataEndOf(readLog(disk, next.recovered), start, start));
  expect(memory.dataEnd).toBe(dataEnd);
  return next;
}

function overwrite(disk: Disk, name: string, position: number, bytes: Uint8Array): void {
  const file = disk.openWrite(`${DIRECTORY}/${name}`);
  disk.write(file, [bytes], position);
  disk.close(file);
}

describe('after a restart, the last data entry is found', () => {
  it('in the open segment, before entries of the log itself', () => {
    const disk = new MemoryDisk();
    let node = follow(disk);
    data(node, [10, 20]);
    const dataEnd = memory.tail;
    expect(memory.dataEnd).toBe(dataEnd);
    own(node, 5);
    expect(memory.dataEnd).toBe(dataEnd);
    node = restart(disk, node);
    expect(memory.dataEnd).toBe(dataEnd);
    own(node, 1);
    data(node, [7]);
    node = restart(disk, node);
    expect(memory.dataEnd).toBe(memory.tail);
  });

  it('in a sealed segment, behind other segments without data, at any of its index points', () => {
    for (const [sizes, after] of [
      [[10], 0],
      [[10, 20_000, 5], 3],
      // The last data entry crosses an index point, or several, or fills the segment.
      [[100, 40_000], 2],
      [[61_000 - 24], 0],
      [[16_000, 16_000, 16_000], 420],
    ] as const) {
      const disk = new MemoryDisk();
      let node = follow(disk);
      data(node, sizes);
      const dataEnd = memory.tail;
      own(node, after);
      for (const count of [5, 2_500]) own(node, count, true);
      own(node, 1, true);
      node = restart(disk, node);
      expect(memory.dataEnd).toBe(dataEnd);
      // Where the index was lost, it is made again first.
      node.stop();
      disk.remove(`${DIRECTORY}/${indexName(0)}`);
      node = restart(disk, follow(disk));
      expect(memory.dataEnd).toBe(dataEnd);
    }
  });

  it('nowhere: then it is where the log starts', () => {
    const disk = new MemoryDisk();
    expect(follow(disk).recovered.dataEnd).toBe(0);
    const trimmed = new MemoryDisk();
    createAt(trimmed, 5000);
    let node = follow(trimmed);
    expect(memory.dataEnd).toBe(5000);
    own(node, 3);
    own(node, 3, true);
    node = restart(trimmed, node);
    expect(memory.dataEnd).toBe(5000);
  });

  it('T1: before the start, where that was trimmed: the head of the first segment says it, after a cut of what is after it, too', () => {
    const disk = new MemoryDisk();
    const founder = new TestNode(disk, memory, IDENTITY_BYTES, () => NOW_MS);
    founder.tail.fold.found({ number: 1, id: LEADER });
    founder.begin();
    const first = makeBatch([40_000], random);
    expect(founder.append(first.entries, first.entryCount)).toBe('ordered');
    const { dataEnd } = memory;
    const rolls = (): void => {
      const base = founder.openBase;
      while (founder.openBase === base) founder.lead();
    };
    // The segments after the first one have no data; the last one is cut, and so is the one before.
    for (let i = 0; i < 3; i += 1) rolls();
    founder.settle();
    founder.stop();
    const start = founder.sealed[0]?.end ?? 0;
    applyTrim(disk, planTrim(disk, DIRECTORY, start));
    const open = new TestNode(disk, memory, IDENTITY_BYTES, () => NOW_MS);
    expect(open.recovered).toMatchObject({ start, dataEnd });
    open.begin();
    const offset = memory.tail;
    expect(open.append(makeBatch([10], random).entries, 1)).toBe('ordered');
    open.truncate(offset);
    expect(memory.dataEnd).toBe(dataEnd);
    expect(open.append(makeBatch([10], random).entries, 1)).toBe('ordered');
    open.truncate(start);
    expect([memory.tail, memory.dataEnd]).toEqual([start, dataEnd]);
    open.stop();
  });

  it('nowhere, because it was trimmed: the start is too high, which is safe', () => {
    const disk = new MemoryDisk();
    let node = follow(disk);
    data(node, [100]);
    own(node, 2, true);
    const start = node.openBase ?? 0;
    own(node, 2, true);
    node.stop();
    applyTrim(disk, planTrim(disk, DIRECTORY, start));
    node = follow(disk);
    expect([node.recovered.start, node.recovered.dataEnd, memory.dataEnd]).toEqual([start, start, start]);
  });

  it('without a batch whose end was lost', () => {
    const disk = new MemoryDisk();
    const node = follow(disk);
    data(node, [10]);
    const dataEnd = memory.tail;
    const torn = makeBatch([30], random).entries;
    node.stop();
    overwrite(disk, segmentName(0), 4096 + dataEnd, stampBatch(torn, TERM, dataEnd).subarray(0, 30));
    const next = follow(disk);
    expect([next.recovered.end, next.recovered.dataEnd]).toEqual([dataEnd, dataEnd]);
  });

  it('too high where a sealed segment is damaged, whichever byte of whichever entry it is: never too low', () => {
    const disk = new MemoryDisk();
    const node = follow(disk);
    const first = memory.tail;
    data(node, [10]);
    data(node, [10]);
    const dataEnd = memory.tail;
    own(node, 2);
    const end = memory.tail;
    own(node, 2, true);
    node.stop();
    const { context } = node;
    const sound = readFile(disk, `${DIRECTORY}/${segmentName(0)}`);
    for (let at = 4096 + first; at < 4096 + end; at += 1) {
      for (const bit of [1, 0x10, 0x80]) {
        overwrite(disk, segmentName(0), at, Uint8Array.of((sound[at] ?? 0) ^ bit));
        const found = lastDataEnd(context, [{ base: 0, end }]);
        // The term is under the check as well, but what it says is not looked at before the entry's end is known.
        expect([at, bit, found >= dataEnd]).toEqual([at, bit, true]);
        overwrite(disk, segmentName(0), at, sound.subarray(at, at + 1));
      }
    }
    // A kind of the log's own, and a size that goes on past everything.
    for (const [place, byte] of [
      [7, KIND_TRIM],
      [5, 0xff],
    ] as const) {
      overwrite(disk, segmentName(0), 4096 + first + 22 + place, Uint8Array.of(byte));
      expect(lastDataEnd(context, [{ base: 0, end }])).toBe(end);
      overwrite(disk, segmentName(0), 4096 + first + 22 + place, sound.subarray(4096 + first + 22 + place, 4096 + first + 23 + place));
    }
  });
});

describe('after a cut, the last data entry is', () => {
  /** Cuts at `offset`, checks what the log's bytes say, and again after a restart. */
  const cut = (disk: Disk, node: TestNode, offset: number): number => {
    node.truncate(offset);
    const { dataEnd } = memory;
    expect(memory.tail).toBe(offset);
    restart(disk, node);
    expect(memory.dataEnd).toBe(dataEnd);
    return dataEnd;
  };

  it('what it was, where only entries of the log itself are cut', () => {
    const disk = new MemoryDisk();
    const node = follow(disk);
    data(node, [10]);
    const dataEnd = memory.tail;
    own(node, 2);
    own(node, 2, true);
    expect(cut(disk, node, dataEnd + NO_OP_BYTES)).toBe(dataEnd);
  });

  it('measured in the segment that is cut', () => {
    const disk = new MemoryDisk();
    const node = follow(disk);
    data(node, [10]);
    const dataEnd = memory.tail;
    own(node, 2);
    const offset = memory.tail;
    data(node, [10, 20]);
    data(node, [5], true);
    expect(cut(disk, node, offset)).toBe(dataEnd);
  });

  it('found in an earlier segment, where the one that is cut keeps none', () => {
    const disk = new MemoryDisk();
    const node = follow(disk);
    data(node, [10, 20_000, 9]);
    const dataEnd = memory.tail;
    own(node, 2);
    own(node, 3, true);
    node.settle();
    own(node, 1, true);
    const offset = memory.tail;
    data(node, [5]);
    data(node, [5], true);
    expect(cut(disk, node, offset)).toBe(dataEnd);
  });

  it('the start, where none is left', () => {
    const disk = new MemoryDisk();
    createAt(disk, 7000);
    const node = follow(disk);
    own(node, 2);
    const offset = memory.tail;
    data(node, [5]);
    expect(cut(disk, node, offset)).toBe(7000);
    const again = follow(disk);
    data(again, [5]);
    memory.setWord(WORD.COMMIT, 7000);
    again.truncate(7000);
    expect([memory.tail, memory.dataEnd]).toEqual([7000, 7000]);
  });
});
