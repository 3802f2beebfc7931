// Files of segments that were trimmed, some of which are not there.

import { expect, it } from 'vitest';
import { WORD } from '../../src/memory/map.ts';
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
  removeSegments(node.context, bases, true);
  const left = node.context.disk.list(directory);
  for (const base of bases) for (const name of [indexName(base), segmentName(base)]) expect(left).not.toContain(name);
  expect(left).toContain(segmentName(node.sealed[2]?.base ?? 0));
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
