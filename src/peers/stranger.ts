// What a node says of itself to others while it has no part in their cluster yet.

import { NO_CLUSTER, NO_INSTANCE } from '../core/ids.ts';
import { LEVELS } from '../core/levels.ts';
import type { NodeSet } from '../core/nodeSet.ts';
import type { Introduction } from '../protocol/peerHandshake.ts';
import type { Self } from '../protocol/peerJudgement.ts';

export interface Stranger {
  readonly id: number;
  /** The number of this process. */
  readonly process: string;
  readonly segmentBytes: number;
  /** Whether this node syncs what it writes. */
  readonly isSynced: boolean;
  /** Where clients reach this node; empty: where each node's own list says. */
  readonly advertise: string;
}

/** `nodes`: those that it was told of, itself among them. */
export function selfOfStranger({ id, process, segmentBytes, isSynced, advertise }: Stranger, nodes: NodeSet): Self {
  return {
    clusterId: NO_CLUSTER,
    id,
    instance: NO_INSTANCE,
    process,
    segmentBytes,
    isSynced,
    takesUploads: false,
    nodes,
    saysNodes: false,
    voters: nodes,
    isRemoved: () => false,
    advertise,
    levels: LEVELS,
    level: 0,
    generation: NO_INSTANCE,
    standing: 'stranger',
    term: 0,
  };
}

/** What such a node says to node `to`. */
export function introductionOf(self: Self, to: number): Introduction {
  const { id: from, level: _level, voters: _voters, isRemoved: _isRemoved, ...known } = self;
  return { ...known, from, to, isFounder: false };
}
