// A sync fails: the system forgets what it could not write, and goes on showing it (Rebello et al., ATC 2020). What the next start takes for
// durable must be on the disk.

import { expect, it } from 'vitest';
import { SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { MARK_BYTES } from '../../src/core/capacities.ts';
import { readFile } from '../../src/storage/disk.ts';
import { segmentName } from '../../src/storage/names.ts';
import { Random } from '../assembly/random.ts';
import { makeBatch } from '../crash/batches.ts';
import { DIRECTORY, smallMemory, TestNode } from '../crash/testNode.ts';
import { isSimulated, SimDisk } from '../sim/simDisk.ts';
import { IDENTITY_BYTES, NOW_MS, startNode } from './support.ts';

const memory = smallMemory();
/** More than the operations below. */
const OPERATIONS = 60;

/** Writes, puts a mark, cuts inside the segment, and writes again. */
function work(disk: SimDisk): void {
  const random = new Random(1);
  const node = startNode(disk, memory, []);
  const ends: number[] = [];
  for (const size of [300, 9_000, 5_000]) {
    expect(node.append(makeBatch([size], random).entries, 1)).toBe('ordered');
    ends.push(memory.tail);
    node.settle();
  }
  node.mark(0);
  node.truncate(ends[0] ?? 0);
  expect(node.append(makeBatch([50], random).entries, 1)).toBe('ordered');
  node.settle();
  node.stop();
}

it('E23: what a failed sync has lost is written again by the next start', () => {
  let failures = 0;
  for (let operation = 1; operation <= OPERATIONS; operation += 1) {
    const disk = new SimDisk(new Random(operation));
    disk.failIn(operation, 'EIO');
    try {
      work(disk);
    } catch (thrown) {
      if (!isSimulated(thrown)) throw thrown;
      failures += 1;
    }
    disk.processDied(false);
    const { recovered } = new TestNode(disk, memory, IDENTITY_BYTES, () => NOW_MS);
    const path = `${DIRECTORY}/${segmentName(0)}`;
    if (recovered.openBase === undefined) continue;
    const bytes = readFile(disk, path);
    const end = SEGMENT_HEADER_BYTES + recovered.end;
    expect(disk.surelyHas(path, 0, bytes.subarray(0, end)), `what was found, after a failure of operation ${operation}`).toBe(true);
    expect(disk.surelyHas(path, end, bytes.subarray(end)), `the zeros after it, after a failure of operation ${operation}`).toBe(true);
    expect(bytes.subarray(end + MARK_BYTES).every((byte) => byte === 0)).toBe(true);
  }
  expect(failures).toBeGreaterThan(20);
  expect(failures).toBeLessThan(OPERATIONS);
});
