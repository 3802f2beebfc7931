// What tests of readings share.

import { HotReader } from '../../src/memory/hotReader.ts';
import type { TailMemory } from '../../src/memory/tailMemory.ts';
import { Readings } from '../../src/node/reading.ts';
import type { Segments } from '../../src/node/segments.ts';
import type { DiskTasks } from '../../src/storage/diskTasks.ts';
import { TEST_LOOP } from '../support/loop.ts';

/** Readings of what is in `memory`, on the test's own loop: nothing is read from a disk. */
export function hotReadings(memory: TailMemory): Readings {
  return new Readings({
    memory,
    hot: new HotReader(memory),
    segments: {} as Segments,
    tasks: {} as DiskTasks,
    loop: TEST_LOOP,
    timeBefore: () => 0,
    awaitCommit: () => undefined,
    beforeTurn: () => undefined,
    heal: async () => false,
    isDifferent: () => false,
    reportDamage: () => undefined,
    broke: (thrown) => {
      throw thrown;
    },
  });
}
