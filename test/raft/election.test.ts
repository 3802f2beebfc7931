import { describe, expect, test } from 'vitest';
import type { VoteRequest } from '../../src/raft/messages.ts';
import { Cluster, type ClusterOptions, only } from './testCluster.ts';
import { appendRequestOf, type Envelope, logOf, NOOP_BYTES } from './testLog.ts';

function led(options: ClusterOptions = {}): Cluster {
  const cluster = new Cluster(options);
  cluster.elect(1);
  cluster.calm();
  return cluster;
}

function voteRequest(part: Partial<VoteRequest>): VoteRequest {
  return { kind: 'voteRequest', term: 1, isPreVote: false, isTransfer: false, lastTerm: 0, end: 0, ...part };
}

/** The last answer to a vote that node `id` has sent. */
function lastVote(cluster: Cluster, id: number): boolean | undefined {
  const message = cluster.bag.findLast(({ from, message: { kind } }) => from === id && kind === 'voteResponse')?.message;
  return message?.kind === 'voteResponse' ? message.granted : undefined;
}

/** Node 1 campaigns in term 1; the votes for it are on their way, and kept back. */
function withholdVotes(cluster: Cluster): Envelope[] {
  cluster.timeOut(1);
  cluster.deliver(({ to }) => to === 2);
  cluster.deliver(({ to }) => to === 1);
  cluster.deliver(only('voteRequest'));
  return cluster.take(only('voteResponse'));
}

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
    node.turn((raft) => raft.transfer());
    expect(node.transfers).toEqual([false]);
  });

  test('a log is ahead by the term of its last entry, then by its end, never by its end alone (3.6.1)', () => {
    const voter = (): Cluster => new Cluster({ logs: [[], logOf([1, 2]), []], terms: [3, 3, 3] });
    const granted = (lastTerm: number, end: number): boolean | undefined => {
      const cluster = voter();
      cluster.node(2).turn((raft) => raft.step(1, voteRequest({ term: 4, lastTerm, end })));
      return lastVote(cluster, 2);
    };
    expect(granted(2, 200)).toBe(true);
    expect(granted(2, 199)).toBe(false);
    expect(granted(1, 900)).toBe(false);
    expect(granted(3, 100)).toBe(true);
    expect(granted(0, 0)).toBe(false);
  });

  test('a candidate whose log is behind makes way for one whose log is not', () => {
    const cluster = new Cluster({ logs: [logOf([1]), logOf([1, 1]), logOf([1, 1])] });
    cluster.pass(5_000);
    expect(cluster.leaders).toEqual([2]);
    expect(cluster.node(1).entries).toEqual(cluster.node(2).entries);
  });

  test('candidates that split the vote try again until one wins', () => {
    const cluster = new Cluster({ count: 2, random: () => 0 });
    // Directly after a start one of them would make way.
    cluster.nowMs = 2_000;
    for (const { id } of cluster.nodes) cluster.timeOut(id);
    cluster.calm();
    let turn = 0;
    for (const node of cluster.nodes) expect(node.raft.role).toBe('candidate');
    while (cluster.leaders.length === 0 && turn < 10) {
      cluster.timeOut(1 + (turn % 2));
      cluster.calm();
      turn += 1;
    }
    expect(cluster.leaders.length).toBe(1);
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
      cluster.pass(30 * electionTimeoutMs);
      expect(cluster.node(3).raft.currentTerm).toBe(1);
      cluster.node(1).crash();
      cluster.pass(2 * electionTimeoutMs);
      expect(cluster.leaders).toEqual([2]);
    },
  );
});

describe('votes (3.4, 3.8)', () => {
  test('a vote outlives a crash: the second candidate of a term is refused (hashicorp/raft#661)', () => {
    const cluster = new Cluster();
    const two = cluster.node(2);
    two.turn((raft) => raft.step(1, voteRequest({ term: 5 })));
    expect(two.vote).toEqual({ currentTerm: 5, votedFor: 1 });
    two.crash();
    two.restart();
    two.turn((raft) => raft.step(3, voteRequest({ term: 5 })));
    expect(lastVote(cluster, 2)).toBe(false);
    two.turn((raft) => raft.step(1, voteRequest({ term: 5 })));
    expect(lastVote(cluster, 2)).toBe(true);
  });

  test('a vote in a term that was known before is saved before it is given, too', () => {
    const cluster = new Cluster();
    const two = cluster.node(2);
    two.turn((raft) => raft.greeted(1, 5, true, true));
    expect(two.vote).toEqual({ currentTerm: 5, votedFor: 0 });
    two.turn((raft) => raft.step(3, voteRequest({ term: 5 })));
    expect(two.vote).toEqual({ currentTerm: 5, votedFor: 3 });
    two.turn((raft) => raft.step(1, voteRequest({ term: 5 })));
    expect(lastVote(cluster, 2)).toBe(false);
  });

  test('one that steps down in its own term keeps its vote (CCF#8094)', () => {
    const cluster = new Cluster();
    const two = cluster.node(2);
    cluster.timeOut(2);
    cluster.calm(only('voteRequest', 'voteResponse'));
    expect(two.raft.currentTerm).toBe(1);
    for (const other of [1, 3]) cluster.cut(other, 2);
    cluster.pass(1_200);
    expect([two.raft.role === 'leader', two.raft.currentTerm, two.raft.votedFor]).toEqual([false, 1, 2]);
    two.turn((raft) => raft.step(3, voteRequest({ term: 1, lastTerm: 9, end: 900 })));
    expect(lastVote(cluster, 2)).toBe(false);
  });

  test('a candidate that finds the leader of its term keeps its vote', () => {
    const cluster = new Cluster();
    const two = cluster.node(2);
    two.turn((raft) => raft.step(3, { kind: 'timeoutNow', term: 0 }));
    expect([two.raft.role, two.raft.currentTerm]).toEqual(['candidate', 1]);
    const heartbeat = appendRequestOf({
      term: 1,
      round: 1,
      prevTerm: 0,
      prevOffset: 0,
      entriesTerm: 0,
      end: 0,
      base: 0,
      commit: 0,
    });
    two.turn((raft) => raft.step(3, heartbeat));
    expect([two.raft.role, two.raft.leader, two.raft.votedFor]).toEqual(['follower', 3, 2]);
  });

  test('votes for an earlier campaign do not count in a later one (camunda#5356)', () => {
    const cluster = new Cluster();
    cluster.timeOut(1);
    cluster.deliver(({ to }) => to === 2);
    cluster.deliver(({ to }) => to === 1);
    expect(cluster.node(1).raft.role).toBe('candidate');
    cluster.take(({ to }) => to === 3);
    cluster.deliver(only('voteRequest'));
    const late = cluster.take(only('voteResponse'));
    // The answer is late: the next campaign has begun.
    cluster.timeOut(1);
    cluster.deliver(({ to }) => to === 2);
    cluster.deliver(({ to, message }) => to === 1 && message.kind === 'voteResponse');
    expect([cluster.node(1).raft.role, cluster.node(1).raft.currentTerm]).toEqual(['candidate', 2]);
    for (const envelope of late) cluster.hand(envelope);
    expect(cluster.leaders).toEqual([]);
    cluster.calm();
    expect(cluster.leaders).toEqual([1]);
  });

  test('votes that come when the next rehearsal has begun still elect, in their own term: a network may be slower than elections', () => {
    const cluster = new Cluster();
    const late = withholdVotes(cluster);
    cluster.timeOut(1);
    expect([cluster.node(1).raft.role, cluster.node(1).raft.currentTerm]).toEqual(['preCandidate', 1]);
    for (const envelope of late) cluster.hand(envelope);
    expect([cluster.leaders, cluster.node(1).raft.currentTerm]).toEqual([[1], 1]);
    cluster.pass(200);
    expect(cluster.nodes.map(({ raft }) => raft.commit)).toEqual([NOOP_BYTES, NOOP_BYTES, NOOP_BYTES]);
  });

  test('votes that were given to an earlier life of a node do not elect it: it may have lost what they were given for', () => {
    const cluster = new Cluster();
    const late = withholdVotes(cluster);
    cluster.node(1).crash();
    cluster.node(1).restart();
    cluster.timeOut(1);
    expect([cluster.node(1).raft.role, cluster.node(1).raft.currentTerm]).toEqual(['preCandidate', 1]);
    for (const envelope of late) cluster.hand(envelope);
    expect(cluster.leaders).toEqual([]);
  });

  test('overlapping rounds of votes leave nobody who never campaigns again (redpanda#21345)', () => {
    const cluster = new Cluster();
    for (let i = 0; i < 20; i += 1) {
      cluster.timeOut(1 + (i % 3));
      const late = cluster.take();
      cluster.timeOut(1 + ((i + 1) % 3));
      for (const envelope of late) cluster.hand(envelope);
    }
    cluster.pass(5_000);
    expect(cluster.leaders.length).toBe(1);
  });
});

describe('PreVote (9.6)', () => {
  test('a node that hears nobody does not raise its term, and disturbs nobody when it is back', () => {
    const cluster = led();
    cluster.isolate(3);
    cluster.pass(30_000);
    expect(cluster.node(3).raft.currentTerm).toBe(1);
    cluster.heal();
    cluster.pass(1_000);
    expect([cluster.leaders, cluster.node(1).raft.currentTerm]).toEqual([[1], 1]);
  });

  test('a node that sends but does not hear disturbs nobody (KIP-996)', () => {
    const cluster = led();
    cluster.cut(1, 3);
    cluster.cut(2, 3);
    cluster.pass(30_000);
    expect([cluster.leaders, cluster.node(1).raft.currentTerm]).toEqual([[1], 1]);
  });

  test('a node that was ahead in its term is brought back by one election at most', () => {
    const cluster = led();
    const three = cluster.node(3);
    three.crash();
    three.vote = { currentTerm: 9, votedFor: 3 };
    three.restart();
    cluster.pass(5_000);
    expect(cluster.leaders.length).toBe(1);
    expect(cluster.node(3).raft.currentTerm).toBeLessThanOrEqual(11);
    expect(new Set(cluster.nodes.map(({ raft }) => raft.commit)).size).toBe(1);
  });

  test('rehearsals change neither term nor vote of those who are asked', () => {
    const cluster = new Cluster();
    const { vote, raft } = cluster.node(2);
    cluster.node(2).turn((core) => core.step(1, voteRequest({ term: 7, isPreVote: true })));
    expect(lastVote(cluster, 2)).toBe(true);
    expect([raft.currentTerm, cluster.node(2).vote]).toEqual([0, vote]);
    cluster.node(2).turn((core) => core.step(3, voteRequest({ term: 7, isPreVote: true })));
    expect(lastVote(cluster, 2)).toBe(true);
  });
});

describe('leader stickiness (4.2.3)', () => {
  test('while a leader is heard from no candidate gets a vote or raises a term, unless the leader itself asked for it (3.10)', () => {
    const cluster = led();
    const two = cluster.node(2);
    two.turn((raft) => raft.step(3, voteRequest({ term: 9, lastTerm: 9, end: 900 })));
    expect([two.raft.currentTerm, lastVote(cluster, 2)]).toEqual([1, undefined]);
    two.turn((raft) => raft.step(3, voteRequest({ term: 9, lastTerm: 9, end: 900, isPreVote: true })));
    expect(lastVote(cluster, 2)).toBe(false);
    two.turn((raft) => raft.step(3, voteRequest({ term: 9, lastTerm: 9, end: 900, isTransfer: true })));
    expect([two.raft.currentTerm, lastVote(cluster, 2)]).toEqual([9, true]);
  });

  test('ends after an election timeout of silence', () => {
    const cluster = led();
    const two = cluster.node(2);
    cluster.nowMs += 999;
    two.turn((raft) => raft.step(3, voteRequest({ term: 2, lastTerm: 1, end: 900, isPreVote: true })));
    expect(lastVote(cluster, 2)).toBe(false);
    cluster.nowMs += 1;
    two.turn((raft) => raft.step(3, voteRequest({ term: 2, lastTerm: 1, end: 900, isPreVote: true })));
    expect(lastVote(cluster, 2)).toBe(true);
  });
});

describe('CheckQuorum (6.2)', () => {
  test('a leader that cannot be answered resigns within an election timeout and a heartbeat (KAFKA-15489)', () => {
    const cluster = led();
    cluster.pass(5_000);
    for (const other of [2, 3]) cluster.cut(other, 1);
    cluster.pass(1_100);
    expect(cluster.node(1).raft.role).not.toBe('leader');
    cluster.pass(3_000);
    expect(cluster.leaders.length).toBe(1);
    expect(cluster.leaders).not.toEqual([1]);
  });

  test('a leader that was stopped for long resigns before it says anything', () => {
    const cluster = led();
    cluster.nowMs += 30_000;
    cluster.node(1).turn((raft) => raft.tick());
    expect(cluster.node(1).raft.role).toBe('follower');
    expect(cluster.bag).toEqual([]);
  });

  test('one of two followers is enough', () => {
    const cluster = led();
    cluster.isolate(3);
    cluster.pass(30_000);
    expect(cluster.leaders).toEqual([1]);
  });

  test('a leader that only a minority can reach gives way, and the cluster settles (the outage of 2020-12-12)', () => {
    const cluster = led({ count: 5 });
    // Node 1 keeps its link to node 2 only; all others are connected.
    for (const other of [3, 4, 5]) {
      cluster.cut(1, other);
      cluster.cut(other, 1);
    }
    cluster.pass(10_000);
    expect(cluster.leaders.length).toBe(1);
    expect(cluster.leaders).not.toEqual([1]);
    const [leader] = cluster.leaders;
    const { currentTerm } = cluster.node(leader ?? 0).raft;
    cluster.pass(60_000);
    expect(cluster.leaders).toEqual([leader]);
    expect(cluster.node(leader ?? 0).raft.currentTerm).toBe(currentTerm);
  });
});

describe('a slow disk (B19)', () => {
  test('of 300 ms on the leader causes no election (etcd#7312)', () => {
    const cluster = led();
    const one = cluster.node(1);
    one.holds.flush = true;
    for (let i = 0; i < 20; i += 1) {
      one.append();
      cluster.pass(300);
      one.flush();
    }
    expect(cluster.leaders).toEqual([1]);
    expect(one.raft.currentTerm).toBe(1);
  });

  test('that hangs on the leader makes it hand over in bounded time (hashicorp/raft#683, etcd#13527)', () => {
    const cluster = led();
    const one = cluster.node(1);
    one.holds.flush = true;
    one.append();
    cluster.pass(5_000 + 500);
    expect(cluster.leaders).toEqual([2]);
    cluster.node(2).append();
    cluster.pass(1_000);
    expect(cluster.node(2).raft.commit).toBe(cluster.node(2).end);
  });
});
