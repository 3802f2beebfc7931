// A cluster with a leader, and answers of followers that a script makes up.

import { NO_INSTANCE } from '../../src/core/ids.ts';
import type { AppendResponse } from '../../src/raft/messages.ts';
import { Cluster, type ClusterOptions } from './testCluster.ts';

export function led(options: ClusterOptions = {}): Cluster {
  const cluster = new Cluster(options);
  cluster.elect(1);
  cluster.calm();
  return cluster;
}

export function appendResponse(part: Partial<AppendResponse>): AppendResponse {
  const zero = { round: 1, offset: 0, durable: 0, hintTerm: 0, hintLeader: NO_INSTANCE, rejected: 0 };
  return {
    kind: 'appendResponse',
    term: 1,
    accepted: true,
    isVoter: true,
    mayLead: true,
    awaitsCommit: false,
    isHung: false,
    isFull: false,
    isMissing: false,
    hasHeardAll: true,
    ...zero,
    ...part,
  };
}
