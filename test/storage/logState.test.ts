// The state of a log that describes itself, as recovery finds it: in the open segment, or, where that has no entries, in the one before.

import { expect, it } from 'vitest';
import { LOG_LEVEL } from '../../src/core/levels.ts';
import { SLOT } from '../../src/memory/map.ts';
import { segmentName } from '../../src/storage/names.ts';
import { Random } from '../assembly/random.ts';
import { makeBatch } from '../crash/batches.ts';
import { MemoryDisk } from '../crash/memoryDisk.ts';
import { DIRECTORY, smallMemory, TestNode } from '../crash/testNode.ts';

const GENERATION = { number: 1, id: 'aabbccddeeff0011' };
const random = new Random(4);

/** A founded log of two segments. Returns the bases of its segments. */
function fill(node: TestNode): number[] {
  node.tail.fold.found(GENERATION);
  node.begin();
  const bases: number[] = [];
  while (bases.length < 2) {
    const { entries, entryCount } = makeBatch([20_000], random);
    expect(node.append(entries, entryCount)).toBe('ordered');
    node.settle();
    const base = node.openBase ?? 0;
    if (bases.at(-1) !== base) bases.push(base);
  }
  return bases;
}

it.each([
  ['stands in the open segment', 'whole'],
  ['stands in the segment before an open one that has no entries', 'empty'],
  ['stands in the last segment, which is sealed, while the next is not made', 'gone'],
])('the state of the log %s', (_where, lastSegment) => {
  const disk = new MemoryDisk();
  const memory = smallMemory();
  const first = new TestNode(disk, memory, new Uint8Array(32).fill(7), () => 1_000_000);
  const [, last = 0] = fill(first);
  const path = `${DIRECTORY}/${segmentName(last)}`;
  if (lastSegment === 'empty') {
    const file = disk.openWrite(path);
    disk.write(file, [new Uint8Array(disk.size(file) - 4096)], 4096);
    disk.close(file);
  } else if (lastSegment === 'gone') disk.remove(path);
  const before = { state: first.tail.fold.state, tail: memory.tail };
  const second = new TestNode(disk, memory, new Uint8Array(32).fill(7), () => 1_000_000);
  expect(second.recovered.end).toBe(lastSegment === 'whole' ? before.tail : last);
  expect(second.recovered.dataEnd).toBe(second.recovered.end);
  expect(second.tail.fold.state).toMatchObject({ level: LOG_LEVEL, generation: GENERATION, timeMs: before.state.timeMs });
  second.begin();
  second.settle();
  // It goes on as a log that describes itself: whoever follows would take nothing else.
  const base = memory.slotWord(memory.openSlot, SLOT.BASE);
  expect(base).toBe(last);
  expect(memory.slotBytes(memory.openSlot, 4096 + 7, 4096 + 8)[0]).toBe(6);
});
