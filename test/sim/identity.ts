// Identities of simulated nodes.

import type { NodeId } from '../../src/raft/messages.ts';
import { createIdentity, IDENTITY_RANDOM_BYTES, type Identity } from '../../src/storage/dataDirectory.ts';
import type { Random } from '../assembly/random.ts';
import type { SimDisk } from './simDisk.ts';

export const DIRECTORY = '/data';

/** Makes an empty disk that of a node: of a founder, or of a stranger in the cluster that it found. */
export function newIdentity(
  disk: SimDisk,
  nodeId: NodeId,
  clusterId: string | undefined,
  nodes: readonly NodeId[] | null,
  random: Random,
): Identity {
  const bytes = Uint8Array.from({ length: IDENTITY_RANDOM_BYTES }, () => random.below(256));
  return createIdentity(disk, DIRECTORY, bytes, clusterId === undefined ? { nodeId, nodes } : { nodeId, nodes, clusterId });
}
