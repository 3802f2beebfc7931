// Files that are made ahead: only where there is room beside what is kept free.

import { expect, it } from 'vitest';
import { SPARE_SEGMENTS } from '../../src/core/limits.ts';
import { Segments } from '../../src/node/segments.ts';
import type { DiskTasks } from '../../src/storage/diskTasks.ts';
import type { RecoveredLog } from '../../src/storage/recovery.ts';
import { smallMemory } from '../crash/testNode.ts';

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
