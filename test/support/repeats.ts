// Where a queue of appends looks for what was sent again, in tests without a disk: in memory alone.

import { LogError } from '../../src/core/errors.ts';
import { HotReader } from '../../src/memory/hotReader.ts';
import type { TailMemory } from '../../src/memory/tailMemory.ts';
import type { AppendPorts } from '../../src/node/appendPorts.ts';

export function repeatsIn(memory: TailMemory): AppendPorts['repeats'] {
  return {
    hot: new HotReader(memory),
    segments: { find: () => undefined },
    diskReads: { readCopy: () => Promise.reject(new LogError('OVERLOADED', 'this test has no disk')) },
    broke: (thrown) => {
      throw thrown;
    },
  };
}
