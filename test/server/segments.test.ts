// Files made ahead for the next segments. The threads' code is what the build made, so all of it comes from there.

import { expect, it, vi } from 'vitest';
import { WORD } from '../../dist/src/memory/map.js';
import { createIdentity } from '../../dist/src/storage/dataDirectory.js';
import { NodeDisk } from '../../dist/src/storage/nodeDisk.js';
import { Random } from '../assembly/random.ts';
import { makeBatch, stampBatch } from '../crash/batches.ts';
import { makeDirectory } from './support/fixture.ts';
import { CAPACITY, Writers } from './support/writers.ts';

const SEGMENTS = 8;

it('a node that lacks segments of what is committed makes no files ahead, until it has caught up', async () => {
  const directory = makeDirectory();
  const writers = new Writers(directory, createIdentity(new NodeDisk(), directory, new Uint8Array(32).fill(1)));
  const allocate = vi.spyOn(writers.pools, 'allocate');
  await writers.start();
  const segment = makeBatch([CAPACITY - 12], new Random(5)).entries;
  const append = (): Promise<void> => writers.append(stampBatch(segment, 1, writers.memory.tail), 1);
  writers.memory.setWord(WORD.TOLD_COMMIT, (SEGMENTS + 3) * CAPACITY);
  for (let i = 0; i < SEGMENTS; i += 1) await append();
  expect(writers.memory.tail).toBe(SEGMENTS * CAPACITY);
  // The one that was made at the start became the first segment.
  expect(allocate).toHaveBeenCalledTimes(1);
  for (let i = 0; i < 2; i += 1) await append();
  await writers.allocated();
  await writers.stop();
});
