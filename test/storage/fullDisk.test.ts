// A disk that is nearly full: what must be written finds room, because spare files leave some.

import { expect, it } from 'vitest';
import { LogError } from '../../src/core/errors.ts';
import { readIdentity, readVote, writeVote } from '../../src/storage/dataDirectory.ts';
import type { FileHandle } from '../../src/storage/disk.ts';
import { applyTrim, planTrim } from '../../src/storage/trim.ts';
import { Random } from '../assembly/random.ts';
import { makeBatch } from '../crash/batches.ts';
import { FaultyDisk } from '../crash/faultyDisk.ts';
import { MemoryDisk } from '../crash/memoryDisk.ts';
import { DIRECTORY, smallMemory } from '../crash/testNode.ts';
import { errorOf, startNode } from './support.ts';

const BLOCK_BYTES = 4096;
const memory = smallMemory();

/** A disk of so many bytes, in blocks. */
class SmallDisk extends FaultyDisk {
  readonly #memoryDisk: MemoryDisk;
  capacityBytes: number;

  constructor(capacityBytes: number, disk = new MemoryDisk()) {
    super(disk);
    this.#memoryDisk = disk;
    this.capacityBytes = capacityBytes;
  }

  override freeBytes(): number {
    let used = 0;
    for (const { bytes } of this.#memoryDisk.image().values()) used += Math.ceil(bytes.length / BLOCK_BYTES) * BLOCK_BYTES;
    return this.capacityBytes - used;
  }

  override write(file: FileHandle, parts: readonly Uint8Array[], position: number): void {
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    const before = Math.ceil(this.size(file) / BLOCK_BYTES);
    const after = Math.ceil(Math.max(this.size(file), position + bytes) / BLOCK_BYTES);
    if ((after - before) * BLOCK_BYTES > this.freeBytes()) throw new LogError('IO', 'no space is left', { errno: 'ENOSPC' });
    super.write(file, parts, position);
  }
}

it('R13: spare files leave room for one more segment, for votes, and for a trim', () => {
  const disk = new SmallDisk(4 * 1024 * 1024);
  const node = startNode(disk, memory);
  const batch = makeBatch([40_000], new Random(1));
  while (node.sealed.length < 3) {
    node.append(batch.entries, 1);
    node.settle();
  }
  let spares = 0;
  const full = errorOf(() => {
    for (; spares < 1000; spares += 1) node.allocate();
  });
  expect(full.details.errno).toBe('ENOSPC');
  expect(spares).toBeGreaterThan(10);
  expect(disk.freeBytes()).toBeGreaterThan(1024 * 1024);
  expect(disk.list(DIRECTORY).filter((name) => name.startsWith('spare')).length).toBeGreaterThanOrEqual(spares);
  node.stop();
  // Then something else takes all that is left.
  disk.capacityBytes -= disk.freeBytes();
  expect(errorOf(() => writeVote(disk, DIRECTORY, { currentTerm: 9, votedFor: 1, commit: 0 })).details.errno).toBe('ENOSPC');
  disk.remove(`${DIRECTORY}/vote.tmp`);
  const plan = planTrim(disk, DIRECTORY, node.durable);
  applyTrim(disk, plan);
  expect(readIdentity(disk, DIRECTORY)).toMatchObject({ start: plan.newStart, removeFrom: plan.newStart });
});

it('R13: a start on a full disk gives up its spare files first, and needs room for no more than a vote', () => {
  const disk = new SmallDisk(4 * 1024 * 1024);
  const node = startNode(disk, memory);
  const batch = makeBatch([40_000], new Random(1));
  node.append(batch.entries, 1);
  node.settle();
  node.allocate();
  disk.capacityBytes -= disk.freeBytes();
  // The process dies; nothing is free, and a spare file is there.
  expect(readVote(disk, DIRECTORY).currentTerm).toBe(1);
  const again = startNode(disk, memory);
  expect(readVote(disk, DIRECTORY).currentTerm).toBe(2);
  expect(again.recovered.end).toBe(40_032);
  again.settle();
  expect(disk.list(DIRECTORY).filter((name) => name.startsWith('spare'))).toEqual([]);
});
