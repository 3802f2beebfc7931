// A start of a directory that has begun before: what recovery finds in it, and who it was before and is after.

import type { TailMemory } from '../../src/memory/tailMemory.ts';
import { type Identity, readIdentity } from '../../src/storage/dataDirectory.ts';
import type { Disk } from '../../src/storage/disk.ts';
import { type RecoveredLog, recover } from '../../src/storage/recovery.ts';
import { DIRECTORY } from './testNode.ts';

function identityIn(disk: Disk): Identity {
  const identity = readIdentity(disk, DIRECTORY);
  if (identity === undefined) throw new Error('the directory has an identity');
  return identity;
}

/** `memory` is as it is when a process begins. */
export function startIn(
  disk: Disk,
  memory: TailMemory,
  nowMs: () => number,
): { readonly recovered: RecoveredLog; readonly before: Identity; readonly identity: Identity } {
  const before = identityIn(disk);
  const recovered = recover({ disk, directory: DIRECTORY, identity: before, memory, nowMs });
  return { recovered, before, identity: identityIn(disk) };
}
