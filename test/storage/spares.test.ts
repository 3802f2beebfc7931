// Files that are made ahead: only where there is room beside what is kept free.

import { expect, it } from 'vitest';
import { LogError } from '../../src/core/errors.ts';
import { SPARE_SEGMENTS } from '../../src/core/limits.ts';
import { Segments } from '../../src/node/segments.ts';
import { allocateFile } from '../../src/storage/allocator.ts';
import type { DiskTasks } from '../../src/storage/diskTasks.ts';
import type { RecoveredLog } from '../../src/storage/recovery.ts';
import { Random } from '../assembly/random.ts';
import { DIRECTORY, smallMemory } from '../crash/testNode.ts';
import { SimDisk } from '../sim/simDisk.ts';

it.each([
  [true, SPARE_SEGMENTS],
  [false, 0],
])('files are made ahead where they may be (%s): %i', async (mayAllocate, count) => {
  const names: string[] = [];
  const tasks = {
    allocate: ({ name }: { name: string }) => {
      names.push(name);
      return Promise.resolve(true);
    },
    write: () => Promise.resolve('open'),
  } as unknown as DiskTasks;
  const segments = new Segments(smallMemory(), tasks, {
    sealed: () => undefined,
    noSpare: () => undefined,
    opened: () => undefined,
    mayAllocate: () => mayAllocate,
    failed: () => undefined,
  });
  await segments.start({ sealed: [], openBase: 0 } as Partial<RecoveredLog> as RecoveredLog);
  segments.open(0, true);
  await new Promise(setImmediate);
  expect(names).toHaveLength(count);
});

it.each(['EIO', 'ENOSPC'] as const)(
  'E169: a file that cannot be made ahead, because its disk fails with %s, does not stay open',
  (errno) => {
    const disk = new SimDisk(new Random(1));
    for (const at of [1, 2, 3]) {
      disk.failIn(at, errno);
      expect(() => {
        for (;;) allocateFile(disk, DIRECTORY, 'spare-1.tmp', 3 * 1024 * 1024);
      }).toThrow(LogError);
      expect(disk.directFiles).toBe(0);
    }
  },
);
