// A follower that begins anew at the start of the others' logs, and dies in the middle of it.

import { expect, it } from 'vitest';
import { WORD } from '../../src/memory/map.ts';
import { readIdentity, saveRemoved, saveStart } from '../../src/storage/dataDirectory.ts';
import { emptyLog } from '../../src/storage/removal.ts';
import { Random } from '../assembly/random.ts';
import { makeBatch } from './batches.ts';
import { CrashModel } from './crashModel.ts';
import { type DiskImage, MemoryDisk } from './memoryDisk.ts';
import { DIRECTORY, smallMemory, TestNode } from './testNode.ts';

/** An instance of zeros is none. */
const IDENTITY = new Uint8Array(32).fill(7);
const LEADER = '0123456789abcdef';

it('a log that begins anew is the old one or the new one, empty, after any crash in between', () => {
  const memory = smallMemory();
  const nowMs = (): number => 1_700_000_000_000;
  const random = new Random(1);
  const first = new MemoryDisk();
  const node = new TestNode(first, memory, IDENTITY, nowMs);
  node.begin();
  const batch = makeBatch([40_000], random);
  while (node.sealed.length < 3) {
    node.append(batch.entries, 1);
    node.settle();
  }
  node.stop();
  const end = node.durable;
  const start = end + 100_000;

  // Everything above is synced; the model follows what comes now.
  const model = new CrashModel(first.image());
  const images: DiskImage[] = [];
  const disk = new MemoryDisk(first.image(), (operation) => {
    model.apply(operation);
    for (const { image } of model.states(64, random)) images.push(image);
  });
  const identity = readIdentity(disk, DIRECTORY);
  if (identity === undefined) expect.fail('the directory has an identity');
  const begun = saveStart(disk, DIRECTORY, identity, start, { term: 9, leader: LEADER }, true);
  memory.setWord(WORD.BASE, start);
  emptyLog({ ...node.context, disk }, start);
  expect([memory.tail, memory.durable, memory.openSlot, memory.dataEnd]).toEqual([start, start, -1, start]);
  expect(saveRemoved(disk, DIRECTORY, begun)).not.toHaveProperty('isEmpty');
  images.push(disk.image());

  const found = new Set<string>();
  for (const image of images) {
    const left = new MemoryDisk(image);
    const { recovered } = new TestNode(left, memory, IDENTITY, nowMs);
    found.add(`${recovered.start} ${recovered.end}`);
    if (recovered.start === 0) continue;
    expect(readIdentity(left, DIRECTORY)).toMatchObject({ start, removeFrom: start, startTerm: 9, startLeader: LEADER });
    expect(readIdentity(left, DIRECTORY)).not.toHaveProperty('isEmpty');
    expect(left.list(DIRECTORY).filter((name) => /^\d/.test(name))).toEqual([]);
    // It goes on there.
    const next = new TestNode(left, memory, IDENTITY, nowMs);
    next.begin();
    expect(next.append(batch.entries, 1)).toBe('ordered');
    next.settle();
    next.stop();
    const { durable } = next;
    expect(new TestNode(left, memory, IDENTITY, nowMs).recovered).toMatchObject({ start, end: durable });
  }
  expect([...found].sort()).toEqual([`0 ${end}`, `${start} ${start}`]);
});
