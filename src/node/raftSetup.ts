// What the raft thread begins with: the node's place in its cluster, and what was recovered.

import { advertisedBy } from '../core/config.ts';
import { LEVELS } from '../core/levels.ts';
import type { SharedTailMemory } from '../memory/memoryWords.ts';
import type { NodeAddress } from '../protocol/peerAddresses.ts';
import { type Identity, readVote } from '../storage/dataDirectory.ts';
import type { Disk } from '../storage/disk.ts';
import type { OpenDamage } from '../storage/openSegment.ts';
import type { RecoveredLog } from '../storage/recovery.ts';
import type { RaftSetup } from '../threads/messages.ts';
import type { EngineConfig } from './engineOptions.ts';
import { nodesByIds } from './membership.ts';
import { policyOf } from './retention.ts';

/** Reads the vote that is kept in `directory` of `disk`; the term of the last entry is the current one at least. */
export function raftSetup(
  disk: Disk,
  config: EngineConfig,
  processNumber: string,
  directory: string,
  recovered: RecoveredLog,
  shared: SharedTailMemory,
  learned: readonly NodeAddress[] = [],
): Omit<RaftSetup, 'directLog' | 'proof'> {
  const { node, peerHost, peers, electionTimeoutMs, stagingBytes, fsync, spin } = config;
  const { identity, start, end, commit, lastTerm, terms, sealed, damage, nodes } = recovered;
  const vote = readVote(disk, directory);
  return {
    directory,
    identity,
    shared,
    fsync,
    spin,
    node,
    process: processNumber,
    host: peerHost,
    advertise: advertisedBy(config),
    peers: [...peers],
    learned: [...learned],
    nodes: [...nodesByIds(identity)],
    electionTimeoutMs,
    takesUploads: stagingBytes > 0,
    trustsClock: config.trustClock,
    policy: policyOf(config),
    vote: vote.currentTerm < lastTerm ? { ...vote, currentTerm: lastTerm, votedFor: node } : vote,
    log: {
      start,
      end,
      commit,
      terms: [...terms],
      membership: nodes,
      damage: damage === undefined ? undefined : damageOf(recovered.identity, damage),
    },
    levels: LEVELS,
    sealed: sealed.map((segment) => ({ base: segment.base, end: segment.end })),
  };
}

/** What the core knows of a damage: committed entries are asked of others first, where the node can be what it was by that. */
function damageOf({ beforeDamage }: Identity, { from, bound }: OpenDamage): RaftSetup['log']['damage'] {
  return { bound, before: beforeDamage, isMending: beforeDamage !== undefined && from < bound };
}
