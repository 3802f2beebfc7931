import { describe, expect, test } from 'vitest';
import type { VoteRequest } from '../../src/raft/messages.ts';
import { Cluster, type ClusterOptions, only } from './testCluster.ts';
import { appendRequestOf, logOf } from './testLog.ts';

const TIMEOUT_MS = 1_000;
/** Longer than it takes until a node that need not wait has campaigned. */
const SOON_MS = TIMEOUT_MS / 5;

function led(options: ClusterOptions = {}): Cluster {
  const cluster = new Cluster({ electionTimeoutMs: TIMEOUT_MS, ...options });
  cluster.elect(1);
  cluster.calm();
  return cluster;
}

/** The leader's process ends, and `seenBy` see that its port refuses. */
function die(cluster: Cluster, id: number, ...seenBy: number[]): void {
  cluster.node(id).crash();
  cluster.isolate(id);
  for (const other of seenBy) cluster.node(other).turn((raft) => raft.gone(id));
}

function terms(cluster: Cluster): number[] {
  return cluster.nodes.map(({ raft }) => raft.currentTerm);
}

function preVote(term: number): VoteRequest {
  return { kind: 'voteRequest', term, isPreVote: true, isTransfer: false, lastTerm: 1, end: 900 };
}

function isPromised(cluster: Cluster, by: number, to: number, term: number): boolean | undefined {
  cluster.node(by).turn((raft) => raft.step(to, preVote(term)));
  const answer = cluster.bag.findLast(({ from, message: { kind } }) => from === by && kind === 'voteResponse')?.message;
  return answer?.kind === 'voteResponse' ? answer.granted : undefined;
}

describe('the process of a leader that has ended', () => {
  test.each([3, 5])('is not waited for: of %i nodes another one leads, in the next term, before a timeout has passed', (count) => {
    const cluster = led({ count });
    die(cluster, 1, ...cluster.nodes.slice(1).map(({ id }) => id));
    cluster.pass(SOON_MS);
    expect([cluster.leaders, cluster.node(2).raft.currentTerm]).toEqual([[2], 2]);
    cluster.node(2).append();
    cluster.pass(TIMEOUT_MS / 10);
    expect(cluster.node(3).raft.commit).toBe(cluster.node(2).end);
  });

  test('is left to the timeout by those that see only its silence', () => {
    const cluster = led();
    die(cluster, 1);
    cluster.pass(TIMEOUT_MS - 1);
    expect([cluster.leaders, terms(cluster)]).toEqual([[], [1, 1, 1]]);
    cluster.pass(TIMEOUT_MS);
    expect(cluster.leaders).toEqual([2]);
  });

  test('is succeeded by the node that has the longer log, whoever saw it first', () => {
    const cluster = led();
    cluster.cut(1, 2);
    cluster.node(1).append();
    cluster.calm();
    die(cluster, 1, 2, 3);
    cluster.pass(SOON_MS);
    expect(cluster.leaders).toEqual([3]);
    expect(cluster.node(2).entries).toEqual(cluster.node(3).entries);
  });

  test('is succeeded as soon as the last of a majority has seen it: who was refused before that tries again soon', () => {
    const cluster = led();
    die(cluster, 1, 2);
    cluster.pass(TIMEOUT_MS / 2);
    expect([cluster.leaders, terms(cluster)]).toEqual([[], [1, 1, 1]]);
    cluster.node(3).turn((raft) => raft.gone(1));
    cluster.pass(SOON_MS);
    expect(cluster.leaders.length).toBe(1);
  });

  test('is nobody whose port refuses one follower alone: no term rises, and the leader stays', () => {
    const cluster = led();
    cluster.cut(1, 3);
    cluster.cut(3, 1);
    for (let i = 0; i < 30; i += 1) {
      cluster.node(3).turn((raft) => raft.gone(1));
      cluster.pass(TIMEOUT_MS / 10);
    }
    expect([cluster.leaders, terms(cluster)]).toEqual([[1], [1, 1, 1]]);
    cluster.heal();
    cluster.pass(TIMEOUT_MS);
    expect([cluster.leaders, terms(cluster), cluster.node(3).raft.leader]).toEqual([[1], [1, 1, 1], 1]);
  });

  test('is nobody who is heard again: a heartbeat is worth more, and timeouts begin anew', () => {
    const cluster = led();
    for (const id of [2, 3]) cluster.node(id).turn((raft) => raft.gone(1));
    cluster.node(2).turn((raft) => raft.step(1, appendRequestOf({ term: 1, round: 9 })));
    expect(isPromised(cluster, 2, 3, 2)).toBe(false);
    cluster.pass(5 * TIMEOUT_MS);
    expect([cluster.leaders, terms(cluster)]).toEqual([[1], [1, 1, 1]]);
  });

  test('does not count for stickiness: a voter that hears it refuses rehearsals, until it is gone', () => {
    const cluster = led();
    expect(isPromised(cluster, 2, 3, 2)).toBe(false);
    cluster.node(2).turn((raft) => raft.gone(3));
    expect(isPromised(cluster, 2, 3, 2)).toBe(false);
    cluster.node(2).turn((raft) => raft.gone(1));
    expect(isPromised(cluster, 2, 3, 2)).toBe(true);
    expect(cluster.node(2).vote).toEqual({ currentTerm: 1, votedFor: 1 });
  });

  test('is rehearsed for before any term rises (9.6)', () => {
    const cluster = led();
    die(cluster, 1, 2, 3);
    cluster.timeOut(2);
    const requests = cluster.take(only('voteRequest'));
    expect(requests.map(({ message }) => message.kind === 'voteRequest' && message.isPreVote)).toEqual([true, true]);
    expect([cluster.node(2).raft.role, cluster.node(2).vote.currentTerm]).toEqual(['preCandidate', 1]);
  });

  test('makes nobody campaign who has just promised another one a vote: one of two wins', () => {
    const cluster = led({ random: () => 0 });
    die(cluster, 1, 2, 3);
    cluster.timeOut(2);
    cluster.deliver(({ to }) => to === 3);
    // Its own time would have come, too.
    cluster.node(3).turn((raft) => raft.tick());
    expect(cluster.node(3).raft.role).toBe('follower');
    cluster.calm();
    expect(cluster.leaders).toEqual([2]);
  });

  test('does not split the votes of two that rehearse in the same moment: the one of the lower id is first', () => {
    const cluster = led({ random: () => 0 });
    die(cluster, 1, 2, 3);
    cluster.timeOut(3);
    cluster.node(2).turn((raft) => raft.tick());
    expect([2, 3].map((id) => cluster.node(id).raft.role)).toEqual(['preCandidate', 'preCandidate']);
    cluster.calm();
    expect([cluster.leaders, cluster.node(2).raft.currentTerm]).toEqual([[2], 2]);
  });

  test('is succeeded as soon however often it is told: no refusal puts the rehearsal off', () => {
    const cluster = led();
    die(cluster, 1, 2, 3);
    for (let i = 0; i < 15; i += 1) {
      cluster.pass(TIMEOUT_MS / 100);
      for (const id of [2, 3]) cluster.node(id).turn((raft) => raft.gone(1));
    }
    expect(cluster.leaders.length).toBe(1);
  });

  test('gives whoever has the vote a whole timeout for its campaign', () => {
    const cluster = led();
    die(cluster, 1, 2, 3);
    cluster.node(3).turn((raft) => raft.step(2, { ...preVote(2), isPreVote: false }));
    expect(cluster.node(3).vote).toEqual({ currentTerm: 2, votedFor: 2 });
    expect(cluster.node(3).raft.deadlineMs - cluster.nowMs).toBeGreaterThanOrEqual(TIMEOUT_MS);
  });

  test('makes nobody try for ever at that pace: after an election timeout the usual ones hold', () => {
    const cluster = led();
    die(cluster, 1, 2);
    cluster.cut(2, 3);
    cluster.pass(TIMEOUT_MS + SOON_MS);
    const { deadlineMs } = cluster.node(2).raft;
    expect(deadlineMs - cluster.nowMs).toBeGreaterThan(TIMEOUT_MS - SOON_MS);
  });
});

describe('a cluster that starts', () => {
  test.each([3, 5])('of %i nodes elects as soon as they are connected, without waiting for a timeout', (count) => {
    const cluster = new Cluster({ count, electionTimeoutMs: TIMEOUT_MS });
    cluster.pass(SOON_MS);
    expect(cluster.leaders).toEqual([1]);
  });

  test('elects when the node that a majority lacks is there, if that is later', () => {
    const cluster = new Cluster({ electionTimeoutMs: TIMEOUT_MS, logs: [logOf([1]), logOf([1]), logOf([1])] });
    for (const id of [2, 3]) cluster.node(id).crash();
    cluster.pass(10 * TIMEOUT_MS);
    cluster.node(3).restart();
    cluster.pass(SOON_MS);
    expect(cluster.leaders.length).toBe(1);
  });

  test('a node that starts beside a leader disturbs nobody', () => {
    const cluster = led();
    for (let i = 0; i < 10; i += 1) {
      cluster.node(3).crash();
      cluster.node(3).restart();
      // The leader's first word comes late.
      cluster.loses = ({ from, to }) => from === 1 && to === 3;
      cluster.pass(SOON_MS);
      cluster.loses = () => false;
      cluster.pass(SOON_MS);
    }
    expect([cluster.leaders, terms(cluster)]).toEqual([[1], [1, 1, 1]]);
  });
});
