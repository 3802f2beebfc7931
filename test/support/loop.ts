// The loop of a test's thread, for what waits on no memory.

import type { TailMemory } from '../../src/memory/tailMemory.ts';
import { NodeLoop } from '../../src/node/loop.ts';

/** For what is to be told of mistakes, where there are to be none. */
export function rethrow(thrown: unknown): never {
  throw thrown;
}

export const TEST_LOOP = new NodeLoop({} as TailMemory, rethrow);
