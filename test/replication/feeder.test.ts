// What the feeder shows of the other nodes.

import { describe, expect, test, vi } from 'vitest';
import { NO_INSTANCE } from '../../src/core/ids.ts';
import { PEER_REPLICATING, PEER_UNKNOWN } from '../../src/memory/map.ts';
import { TailMemory } from '../../src/memory/tailMemory.ts';
import { Feeder } from '../../src/replication/feeder.ts';
import type { ReplicaPorts } from '../../src/replication/ports.ts';
import { Cluster } from '../raft/testCluster.ts';
import { only } from '../support/only.ts';

describe('E66: a feeder', () => {
  test('blames the client of an upload for a rejection that says that it is missing, and for no other one', () => {
    const cluster = new Cluster();
    cluster.elect(1);
    const memory = TailMemory.create({ segmentBytes: 65_536, slots: 3 });
    const ports = { nowMs: () => 7, log: () => undefined } satisfies Partial<ReplicaPorts>;
    const feeder = new Feeder(cluster.node(1).raft, memory, [], only<ReplicaPorts>(ports), (input) => input());
    const missing = vi.spyOn(feeder.references, 'missing');
    const { raft } = cluster.node(1);
    const base = { kind: 'appendResponse', term: raft.currentTerm, round: 1, isVoter: true, mayLead: true, hasHeardAll: true } as const;
    const rest = { awaitsCommit: false, isHung: false, isFull: false, durable: 0, hintTerm: 0, hintLeader: NO_INSTANCE } as const;
    const rejection = { ...base, ...rest, accepted: false, offset: 100, rejected: 200 };
    feeder.answered(2, { ...rejection, isMissing: false });
    expect(missing).not.toHaveBeenCalled();
    feeder.answered(2, { ...rejection, isMissing: true });
    expect(missing.mock.calls).toEqual([[2, 200, 100, 7]]);
  });
});

test('a feeder gives nobody a segment that is not what the log says, and offers the office to a node that has it all', () => {
  const cluster = new Cluster();
  cluster.elect(1);
  cluster.calm();
  const [memory, { raft }] = [TailMemory.create({ segmentBytes: 65_536, slots: 3 }), cluster.node(1)];
  let { nowMs } = cluster;
  const lines: string[] = [];
  const reads: number[] = [];
  const ports = {
    nowMs: () => nowMs,
    canSend: () => true,
    log: (_level, text) => void lines.push(text),
    readCold: ({ from }) => void reads.push(from),
  } satisfies Partial<ReplicaPorts>;
  const feeder = new Feeder(raft, memory, [{ base: 0, end: 1000 }], only<ReplicaPorts>(ports), (input) => input());
  vi.spyOn(raft, 'due').mockImplementation((to) => (to === 3 ? { from: 100, limit: 1000, maxBytes: 500 } : undefined));
  const transfer = vi.spyOn(raft, 'transfer').mockImplementation(() => undefined);
  feeder.feed.different([0]);
  // It comes back to it, without the disk.
  expect(feeder.run()).toBeGreaterThan(nowMs);
  expect([reads, transfer.mock.calls.length]).toEqual([[], 1]);
  expect(lines).toEqual([
    'cannot feed node 3 from offset 100: the segment there is not what the log says on this node: another node must lead',
  ]);
  // Nor is the office offered again and again.
  nowMs += 2000;
  feeder.run();
  expect(transfer).toHaveBeenCalledTimes(1);
  feeder.feed.different([]);
  nowMs += 2000;
  feeder.run();
  expect(reads).toEqual([100]);
});

describe('R7: a feeder', () => {
  test('shows nothing of a node that has not answered in this term, and what it heard of the others', () => {
    const cluster = new Cluster();
    cluster.node(3).crash();
    cluster.elect(1);
    cluster.calm();
    cluster.pass(200);
    const [memory, one] = [TailMemory.create({ segmentBytes: 65_536, slots: 3 }), cluster.node(1)];
    const ports = { nowMs: () => cluster.nowMs, log: () => undefined } satisfies Partial<ReplicaPorts>;
    const feeder = new Feeder(one.raft, memory, [], only<ReplicaPorts>(ports), (input) => input());
    feeder.publish();
    expect(memory.peers.get(2)).toMatchObject({ match: one.end, isVoter: true, state: PEER_REPLICATING });
    expect(memory.peers.get(3)).toMatchObject({ match: null, isVoter: null, state: PEER_UNKNOWN });
    cluster.node(3).restart();
    cluster.pass(300);
    feeder.publish();
    expect(memory.peers.get(3)).toMatchObject({ match: one.end, isVoter: true, state: PEER_REPLICATING });
  });
});
