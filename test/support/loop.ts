// The loop of a test's thread, for what waits on no memory.

import type { TailMemory } from '../../src/memory/tailMemory.ts';
import { NodeLoop } from '../../src/node/loop.ts';

export const TEST_LOOP = new NodeLoop({} as TailMemory, (thrown) => {
  throw thrown;
});
