import { describe, expect, test } from 'vitest';
import { Cluster, logOf, NOOP_BYTES, only } from './bench.ts';

describe('elections (dissertation, 3.4)', () => {
  test('a cluster elects one leader, commits its no-op, and tells all', () => {
    const cluster = new Cluster();
    cluster.pass(2_000);
    expect(cluster.leaders).toEqual([1]);
    for (const { raft } of cluster.nodes) expect([raft.currentTerm, raft.leader, raft.commit]).toEqual([1, 1, NOOP_BYTES]);
  });

  test('a single node elects itself at once and commits when its disk has the entries (etcd#14370)', () => {
    const cluster = new Cluster({ count: 1 });
    const node = cluster.node(1);
    node.holds.flush = true;
    node.turn((raft) => raft.tick());
    expect(node.raft.role).toBe('leader');
    node.append();
    expect(node.raft.commit).toBe(0);
    node.flush(NOOP_BYTES);
    expect(node.raft.commit).toBe(NOOP_BYTES);
    node.flush();
    expect(node.raft.commit).toBe(NOOP_BYTES + 100);
    node.turn((raft) => raft.readIndex(7));
    expect(node.reads.get(7)).toBe(NOOP_BYTES + 100);
  });

  test('a candidate whose log is behind is refused (3.6.1)', () => {
    const cluster = new Cluster({ logs: [logOf([1]), logOf([1, 1]), logOf([1, 1])] });
    cluster.timeOut(1);
    cluster.calm();
    expect(cluster.node(1).raft.role).toBe('preCandidate');
    cluster.elect(2);
    expect(cluster.node(2).raft.currentTerm).toBe(2);
    expect(only('voteRequest')({ from: 1, to: 2, message: { kind: 'timeoutNow', term: 1 }, entries: [] })).toBe(false);
  });

  test.each([
    [29, 271],
    [101, 521],
    [100, 2_000],
  ])(
    'heartbeats every %i ms hold a leader for good with an election timeout of %i ms (seaweedfs/raft#9)',
    (heartbeatMs, electionTimeoutMs) => {
      const cluster = new Cluster({ heartbeatMs, electionTimeoutMs });
      cluster.pass(2 * electionTimeoutMs);
      expect(cluster.leaders).toEqual([1]);
      cluster.pass(100 * electionTimeoutMs);
      expect(cluster.leaders).toEqual([1]);
      expect(cluster.node(3).raft.currentTerm).toBe(1);
    },
  );
});
