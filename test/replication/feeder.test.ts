// What the feeder shows of the other nodes.

import { describe, expect, test } from 'vitest';
import { PEER_REPLICATING, PEER_UNKNOWN } from '../../src/memory/map.ts';
import { TailMemory } from '../../src/memory/tailMemory.ts';
import { Feeder } from '../../src/replication/feeder.ts';
import type { ReplicaPorts } from '../../src/replication/ports.ts';
import { Cluster } from '../raft/testCluster.ts';

describe('R7: a feeder', () => {
  test('shows nothing of a node that has not answered in this term, and what it heard of the others', () => {
    const cluster = new Cluster();
    cluster.node(3).crash();
    cluster.elect(1);
    cluster.calm();
    cluster.pass(200);
    const [memory, one] = [TailMemory.create({ segmentBytes: 65_536, slots: 3 }), cluster.node(1)];
    const ports = { nowMs: () => cluster.nowMs, log: () => undefined } satisfies Partial<ReplicaPorts>;
    const feeder = new Feeder(one.raft, memory, [], ports as unknown as ReplicaPorts, (input) => input());
    feeder.publish();
    expect(memory.peers.get(2)).toMatchObject({ match: one.end, isVoter: true, state: PEER_REPLICATING });
    expect(memory.peers.get(3)).toMatchObject({ match: null, isVoter: null, state: PEER_UNKNOWN });
    cluster.node(3).restart();
    cluster.pass(300);
    feeder.publish();
    expect(memory.peers.get(3)).toMatchObject({ match: one.end, isVoter: true, state: PEER_REPLICATING });
  });
});
