// Files of segments that were trimmed, some of which are not there.

import { expect, it } from 'vitest';
import { STATE, WORD } from '../../src/memory/map.ts';
import { indexName, segmentName } from '../../src/storage/names.ts';
import { emptyLog, removeSegments } from '../../src/storage/removal.ts';
import { Random } from '../assembly/random.ts';
import { makeBatch } from '../crash/batches.ts';
import { smallMemory } from '../crash/testNode.ts';
import { startNode, TemporaryDisk } from './support.ts';

it('what is missing of a trimmed segment was damage, and goes with it: no removal fails by that', () => {
  const disk = new TemporaryDisk();
  const memory = smallMemory();
  const node = startNode(disk, memory, []);
  const random = new Random(3);
  while (node.sealed.length < 3) {
    const { entries, entryCount } = makeBatch([random.below(9000), random.below(900)], random);
    node.append(entries, entryCount);
    node.settle();
  }
  const bases = node.sealed.slice(0, 2).map(({ base }) => base);
  const { directory } = node.context;
  const [first = 0, second = 0] = bases;
  node.context.disk.remove(`${directory}/${indexName(first)}`);
  node.context.disk.remove(`${directory}/${segmentName(second)}`);
  memory.setWord(WORD.BASE, node.sealed[2]?.base ?? 0);
  expect(removeSegments(node.context, { bases, pieceBytes: 1 << 20, isLast: true })).toEqual({ gone: 2, isPart: false });
  const left = node.context.disk.list(directory);
  for (const base of bases) for (const name of [indexName(base), segmentName(base)]) expect(left).not.toContain(name);
  expect(left).toContain(segmentName(node.sealed[2]?.base ?? 0));
});

it('a large file goes in pieces, each of which is a step, after small ones have gone together', () => {
  const disk = new TemporaryDisk();
  const memory = smallMemory();
  const node = startNode(disk, memory, []);
  const random = new Random(3);
  while (node.sealed.length < 3) {
    const { entries, entryCount } = makeBatch([random.below(9000), random.below(900)], random);
    node.append(entries, entryCount);
    node.settle();
  }
  const { directory } = node.context;
  const [first, second, third] = node.sealed.map(({ base }) => base);
  if (first === undefined || second === undefined || third === undefined) throw new Error('three are sealed');
  const segment = `${directory}/${segmentName(second)}`;
  const bytes = disk.sizeOf(segment);
  memory.setWord(WORD.BASE, third);
  const pieceBytes = Math.ceil(bytes / 2.5);
  const sizes: number[] = [];
  const step = (bases: readonly number[]): unknown => {
    const removed = removeSegments(node.context, { bases, pieceBytes, isLast: true });
    sizes.push(disk.has(segment) ? disk.sizeOf(segment) : 0);
    return removed;
  };
  // The first one is as good as gone: what is left of it is a step with nothing else.
  const opened = disk.openWrite(`${directory}/${segmentName(first)}`);
  disk.truncate(opened, 10);
  disk.close(opened);
  const generation = memory.word32(STATE.TRUNCATIONS);
  expect(step([first, second])).toEqual({ gone: 1, isPart: false });
  expect(step([second])).toEqual({ gone: 0, isPart: true });
  expect(step([second])).toEqual({ gone: 0, isPart: true });
  expect(memory.word32(STATE.TRUNCATIONS)).toBe(generation);
  expect(step([second])).toEqual({ gone: 1, isPart: false });
  expect(sizes).toEqual([bytes, bytes - pieceBytes, bytes - 2 * pieceBytes, 0]);
  expect(memory.word32(STATE.TRUNCATIONS)).toBe(generation + 1);
});

it('a file that has another name, too, keeps its bytes under that one', () => {
  const disk = new TemporaryDisk();
  const memory = smallMemory();
  const node = startNode(disk, memory, []);
  const random = new Random(3);
  while (node.sealed.length < 2) {
    const { entries, entryCount } = makeBatch([random.below(9000), random.below(900)], random);
    node.append(entries, entryCount);
    node.settle();
  }
  const { directory } = node.context;
  const segment = `${directory}/${segmentName(0)}`;
  const bytes = disk.sizeOf(segment);
  expect(disk.link(segment, `${directory}/copy`)).toBe(true);
  memory.setWord(WORD.BASE, node.sealed[1]?.base ?? 0);
  expect(removeSegments(node.context, { bases: [0], pieceBytes: 1000, isLast: true })).toEqual({ gone: 1, isPart: false });
  expect([disk.has(segment), disk.sizeOf(`${directory}/copy`)]).toEqual([false, bytes]);
});

it('a log that begins anew leaves no index whose segment is missing: it would keep the node from starting', () => {
  const disk = new TemporaryDisk();
  const memory = smallMemory();
  const node = startNode(disk, memory, []);
  const random = new Random(3);
  while (node.sealed.length < 2) {
    const { entries, entryCount } = makeBatch([random.below(9000), random.below(900)], random);
    node.append(entries, entryCount);
    node.settle();
  }
  node.stop();
  const { directory } = node.context;
  node.context.disk.remove(`${directory}/${segmentName(node.sealed[0]?.base ?? 0)}`);
  const base = memory.tail + 1000;
  memory.setWord(WORD.BASE, base);
  emptyLog(node.context, base);
  expect(node.context.disk.list(directory).filter((name) => /\.(segment|index)$/.test(name))).toEqual([]);
});
