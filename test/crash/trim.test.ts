// A crash that random scripts find only rarely, kept as a test of its own.

import { expect, it } from 'vitest';
import { applyTrim, planTrim } from '../../src/storage/trim.ts';
import { Random } from '../assembly/random.ts';
import { makeBatch } from './batches.ts';
import { CrashModel } from './crashModel.ts';
import { type DiskImage, MemoryDisk } from './memoryDisk.ts';
import { DIRECTORY, smallMemory, TestNode } from './testNode.ts';

/** An instance of zeros is none. */
const IDENTITY = new Uint8Array(32).fill(7);

it('trim: a start that an earlier trim did not sync is durable before a segment goes', () => {
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

  // Everything above is synced; the model follows what comes now.
  const model = new CrashModel(first.image());
  const images: DiskImage[] = [];
  let lives = 4; // create, write, dataSync, rename of node.json; the process dies before it syncs the directory.
  const disk = new MemoryDisk(first.image(), (operation) => {
    if (lives === 0) throw new Error('the process died');
    lives -= 1;
    model.apply(operation);
    for (const { image } of model.states(64, random)) images.push(image);
  });
  expect(() => applyTrim(disk, planTrim(disk, DIRECTORY, end))).toThrow('the process died');
  disk.processDied();
  lives = Number.POSITIVE_INFINITY;
  applyTrim(disk, planTrim(disk, DIRECTORY, end));
  for (const image of images) {
    const { recovered } = new TestNode(new MemoryDisk(image), memory, IDENTITY, nowMs);
    expect(recovered.end).toBe(end);
  }
  expect(disk.list(DIRECTORY).filter((name) => name.endsWith('.index'))).toEqual([]);
});
