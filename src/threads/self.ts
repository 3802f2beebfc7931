// What a node says of itself to the others, and judges them by: the parts that may change are asked for each time.

import { NO_INSTANCE } from '../core/ids.ts';
import { hasDirectory } from '../core/members.ts';
import type { TailMemory } from '../memory/tailMemory.ts';
import type { Self } from '../protocol/peerJudgement.ts';
import type { Admission } from '../replication/admission.ts';
import type { Replica } from '../replication/replica.ts';
import type { RaftHostOptions } from './raftHostPorts.ts';

/** Of the node with `setup`. */
export function selfOf(setup: RaftHostOptions['setup'], memory: TailMemory, replica: Replica, admission: Admission): Self {
  const { node: id, process, advertise, fsync: isSynced, takesUploads, identity, levels } = setup;
  const { clusterId, instance } = identity;
  const { segmentBytes } = memory.map.shape;
  const { members } = replica.raft;
  return {
    clusterId,
    id,
    instance,
    process,
    segmentBytes,
    isSynced,
    takesUploads,
    get nodes() {
      const { committedSet } = members;
      const ids = committedSet.length === 0 ? members.others : committedSet.map((member) => member.id);
      return [...new Set([...ids, ...replica.awaited, id])].sort((a, b) => a - b);
    },
    get saysNodes() {
      // What is not committed may go again, and then lists count.
      return members.committedEnd !== Number.POSITIVE_INFINITY;
    },
    get voters() {
      return members.voters;
    },
    isRemoved: (node, removed) => hasDirectory(members.removed, { id: node, instance: removed }),
    advertise,
    levels,
    get level() {
      return replica.level;
    },
    get generation() {
      return admission.identity.generation ?? NO_INSTANCE;
    },
    get standing() {
      return admission.identity.standing;
    },
    get term() {
      return replica.raft.currentTerm;
    },
  };
}
