// Identities of simulated nodes.

import { toHex } from '../../src/core/bytes.ts';
import type { NodeId, Standing } from '../../src/raft/messages.ts';
import { type Identity, readIdentity } from '../../src/storage/dataDirectory.ts';
import { readFile } from '../../src/storage/disk.ts';
import type { Random } from '../assembly/random.ts';
import type { SimDisk } from './simDisk.ts';

export const DIRECTORY = '/data';

/** All that node.json says. */
export interface NodeIdentity extends Identity {
  readonly instance: string;
  readonly standing: Standing;
  readonly isFounder: boolean;
  readonly known: Readonly<Record<string, string>>;
}

/** The identity on `disk`; undefined when it has none. */
export function identityOn(disk: SimDisk): NodeIdentity | undefined {
  const identity = readIdentity(disk, DIRECTORY);
  if (identity === undefined) return undefined;
  const { instance, standing, isFounder, known } = JSON.parse(new TextDecoder().decode(readFile(disk, `${DIRECTORY}/node.json`)));
  return { ...identity, instance, standing, isFounder, known };
}

/** A new node's identity: that of a founder, or of a stranger in the cluster that it found. */
export function newIdentity(nodeId: NodeId, clusterId: string | undefined, random: Random): NodeIdentity {
  const bytes = Uint8Array.from({ length: 32 }, () => random.below(256));
  return {
    clusterId: clusterId ?? toHex(bytes.subarray(0, 16)),
    nodeId,
    markSeed: BigInt(`0x${toHex(bytes.subarray(16, 24))}`),
    start: 0,
    instance: toHex(bytes.subarray(24, 32)),
    standing: clusterId === undefined ? 'voter' : 'stranger',
    isFounder: clusterId === undefined,
    known: {},
  };
}
