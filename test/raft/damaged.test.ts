// A node whose disk has lost something of the segment in which the log goes on. It knows that it may have acknowledged more than it has, and
// has forgotten no vote.

import { describe, expect, test } from 'vitest';
import { Cluster, only } from './testCluster.ts';
import { NOOP_BYTES } from './testLog.ts';

/** Node 1 leads three; `count` entries are committed everywhere. */
function led(count: number): Cluster {
  const cluster = new Cluster();
  cluster.elect(1);
  cluster.calm();
  for (let i = 0; i < count; i++) cluster.node(1).append();
  cluster.calm();
  cluster.pass(200);
  return cluster;
}

/** Node 2, which has three entries more than node 3 and shares their commit with node 1, starts without the last two of them. */
function damaged(): Cluster {
  const cluster = led(1);
  const [one, two, three] = [cluster.node(1), cluster.node(2), cluster.node(3)];
  three.crash();
  for (let i = 0; i < 3; i++) one.append();
  cluster.calm();
  cluster.pass(200);
  two.crash();
  two.loseAt(NOOP_BYTES + 200);
  return cluster;
}

describe('a node whose disk is damaged', () => {
  test('takes what it lacks from the leader, and counts again although it has not heard from all others', () => {
    const cluster = new Cluster({ count: 5 });
    cluster.elect(1);
    cluster.calm();
    const [one, two] = [cluster.node(1), cluster.node(2)];
    for (let i = 0; i < 4; i++) one.append();
    cluster.pass(200);
    cluster.node(5).crash();
    two.crash();
    two.loseAt(NOOP_BYTES + 100);
    two.restart();
    cluster.pass(500);
    expect(two.entries).toEqual(one.entries);
    expect([two.standing, two.raft.hasHeardAll, one.lostData]).toEqual(['voter', false, []]);
    // It is needed for a majority now.
    cluster.node(4).crash();
    one.append();
    cluster.pass(200);
    expect(one.raft.commit).toBe(one.end);
  });

  test('gives up nothing of what it has before a leader has committed in its own term', () => {
    const cluster = damaged();
    const [one, two, three] = [cluster.node(1), cluster.node(2), cluster.node(3)];
    one.crash();
    one.restart();
    two.restart();
    cluster.pass(10_000);
    // Node 1 has everything, but nobody to elect it.
    expect([cluster.leaders, two.standing]).toEqual([[], 'damaged']);
    expect(two.effects.filter(({ kind }) => kind === 'truncate' || kind === 'beginAt')).toEqual([]);
    three.restart();
    cluster.pass(10_000);
    expect(cluster.leaders).toHaveLength(1);
    expect(cluster.nodes.map(({ standing }) => standing)).toEqual(['voter', 'voter', 'voter']);
    expect([two.entries, three.entries]).toEqual([one.entries, one.entries]);
  });

  test('does not vote, so that nobody is elected without what it had acknowledged', () => {
    const cluster = damaged();
    const [one, two, three] = [cluster.node(1), cluster.node(2), cluster.node(3)];
    one.crash();
    two.restart();
    three.restart();
    cluster.pass(30_000);
    expect([cluster.leaders, two.standing]).toEqual([[], 'damaged']);
    one.restart();
    cluster.pass(10_000);
    expect(cluster.leaders).toHaveLength(1);
    expect([two.entries, three.entries]).toEqual([one.entries, one.entries]);
  });

  test('does not count with what it had acknowledged before, as soon as it has answered once', () => {
    const cluster = damaged();
    const [one, two] = [cluster.node(1), cluster.node(2)];
    const had = one.raft.leadership?.peers.get(2)?.match;
    expect(had).toBe(one.end);
    cluster.loses = only('admit');
    two.restart();
    cluster.pass(500);
    expect(one.raft.leadership?.peers.get(2)?.isVoter).toBe(false);
    const { commit } = one.raft;
    one.append();
    cluster.pass(500);
    expect([two.end, two.standing, one.raft.commit]).toEqual([one.end, 'damaged', commit]);
  });

  test('votes for itself in the terms that it hears of: one that it may have voted in before is never voted in twice', () => {
    const cluster = damaged();
    const two = cluster.node(2);
    two.restart();
    const { lastTerm } = two.raft.log;
    cluster.nowMs += 5_000;
    two.turn((raft) =>
      raft.step(3, { kind: 'voteRequest', term: lastTerm + 3, isPreVote: false, isTransfer: true, lastTerm: lastTerm + 2, end: 1e6 }),
    );
    expect(cluster.take(only('voteResponse')).at(-1)?.message).toMatchObject({ granted: false });
    expect(two.vote).toEqual({ currentTerm: lastTerm + 3, votedFor: 2 });
  });

  test('that is an old copy, too, is taken for one: it has forgotten its votes', () => {
    const cluster = damaged();
    const two = cluster.node(2);
    two.restart();
    two.turn((raft) => raft.returned());
    expect(two.standing).toBe('returned');
  });
});
