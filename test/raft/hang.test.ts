// A node whose main thread does not answer: what it does in its office, and what it may still do for others. The rule is this project's own;
// transfers are those of the dissertation, 3.10.

import { describe, expect, test } from 'vitest';
import { Cluster, only } from './testCluster.ts';
import { NOOP_BYTES } from './testLog.ts';
import type { TestNode } from './testNode.ts';

function led(count = 3): Cluster {
  const cluster = new Cluster({ count });
  cluster.elect(1);
  cluster.calm();
  return cluster;
}

function hang(node: TestNode): void {
  node.turn((raft) => raft.hung(true));
}

function answer(node: TestNode): void {
  node.turn((raft) => raft.hung(false));
}

describe('a leader that hangs', () => {
  test('hands its office to a node that has everything, at its next heartbeat', () => {
    const cluster = led();
    const one = cluster.node(1);
    cluster.cut(1, 2);
    one.append();
    cluster.calm();
    hang(one);
    cluster.pass(200);
    expect(cluster.leaders).toEqual([3]);
    expect(cluster.node(3).raft.currentTerm).toBe(2);
    expect(cluster.node(3).raft.commit).toBe(cluster.node(3).end);
  });

  test('is not elected again while it hangs, and follows; it may be when it answers', () => {
    const cluster = led();
    const [one, two, three] = cluster.nodes;
    if (one === undefined || two === undefined || three === undefined) throw new Error('there are three');
    hang(one);
    cluster.pass(1_000);
    const [leader] = cluster.leaders;
    const next = leader === 2 ? two : three;
    const other = next === two ? three : two;
    other.crash();
    next.crash();
    cluster.pass(30_000);
    expect([cluster.leaders, one.raft.role]).toEqual([[], 'follower']);
    next.restart();
    cluster.pass(5_000);
    expect(cluster.leaders).toEqual([next.id]);
    answer(one);
    next.crash();
    other.restart();
    cluster.pass(5_000);
    expect(cluster.leaders.length).toBe(1);
  });

  test('keeps it while all others hang too, and hands it to the first that answers', () => {
    const cluster = led();
    for (const node of cluster.nodes) hang(node);
    cluster.pass(10_000);
    expect(cluster.leaders).toEqual([1]);
    answer(cluster.node(3));
    cluster.pass(1_500);
    expect(cluster.leaders).toEqual([3]);
  });

  test('goes on in its term when it answers before another one could take over', () => {
    const cluster = led();
    const [one, two] = [cluster.node(1), cluster.node(2)];
    for (const node of cluster.nodes) hang(node);
    cluster.pass(5_000);
    answer(one);
    answer(two);
    cluster.pass(5_000);
    expect([cluster.leaders, one.raft.currentTerm, one.isPaused]).toEqual([[1], 1, false]);
    one.append();
    cluster.pass(200);
    expect(one.raft.commit).toBe(one.end);
  });

  test('feeds a node that lacks entries until it can take over, rather than leave the cluster without a leader', () => {
    const cluster = led();
    const [one, two] = [cluster.node(1), cluster.node(2)];
    cluster.node(3).crash();
    // Node 2 takes nothing for a while: it lacks what node 1 has, and could not be elected by it.
    two.outcomes = Array.from({ length: 30 }, () => 'full');
    for (let i = 0; i < 5; i += 1) one.append();
    hang(one);
    cluster.pass(2_500);
    expect(cluster.leaders).toEqual([1]);
    two.outcomes = [];
    cluster.pass(1_500);
    expect(cluster.leaders).toEqual([2]);
    expect(two.end).toBe(2 * NOOP_BYTES + 500);
  });

  test('feeds one whose disk is slow until it has everything, for longer than an election takes', () => {
    const cluster = led();
    const [one, two] = [cluster.node(1), cluster.node(2)];
    cluster.node(3).crash();
    // Node 2 takes what it is sent and answers at once. More than a window is not sent before its disk has the beginning.
    two.holds.flush = true;
    for (let i = 0; i < 60; i += 1) one.append();
    cluster.pass(200);
    expect(two.end).toBeLessThan(one.end);
    hang(one);
    cluster.pass(5_000);
    expect([cluster.leaders, one.raft.currentTerm]).toEqual([[1], 1]);
    two.holds.flush = false;
    two.flush();
    cluster.pass(1_500);
    expect([cluster.leaders, two.end]).toEqual([[2], 2 * NOOP_BYTES + 6_000]);
  });

  test('resigns when the one that has everything does not take over in its time', () => {
    const cluster = led();
    const one = cluster.node(1);
    hang(one);
    // Whoever is asked does not hear it; all else is well.
    cluster.loses = only('timeoutNow');
    cluster.pass(900);
    expect(cluster.leaders).toEqual([1]);
    cluster.pass(400);
    expect([one.raft.role, one.raft.currentTerm]).toEqual(['follower', 1]);
    cluster.pass(3_000);
    expect(cluster.leaders.length).toBe(1);
    expect(cluster.leaders).not.toContain(1);
  });

  test('does not resign when it hears nobody who could lead', () => {
    const cluster = led();
    const one = cluster.node(1);
    cluster.node(3).crash();
    hang(cluster.node(2));
    cluster.pass(200);
    hang(one);
    cluster.pass(10_000);
    expect([cluster.leaders, one.raft.currentTerm]).toEqual([[1], 1]);
  });
});

describe('a follower that hangs', () => {
  test('stores, counts and votes as before', () => {
    const cluster = led();
    const [one, two] = [cluster.node(1), cluster.node(2)];
    cluster.node(3).crash();
    hang(two);
    one.append();
    cluster.pass(200);
    expect(one.raft.commit).toBe(one.end);
    one.crash();
    cluster.node(3).restart();
    // Node 3 lacks the entry: it gets no vote, and node 2 takes no office.
    cluster.pass(20_000);
    expect(cluster.leaders).toEqual([]);
    one.restart();
    cluster.pass(5_000);
    expect(cluster.leaders).toEqual([1]);
    expect(cluster.node(3).end).toBe(one.end);
  });

  test('is not asked to take over, and does not when it is', () => {
    const cluster = led();
    const [one, two] = [cluster.node(1), cluster.node(2)];
    hang(two);
    cluster.pass(200);
    two.turn((raft) => raft.step(1, { kind: 'timeoutNow', term: 1 }));
    cluster.calm();
    expect(cluster.leaders).toEqual([1]);
    one.turn((raft) => raft.transfer());
    cluster.calm();
    expect(cluster.leaders).toEqual([3]);
  });

  test('that campaigns gives up: no vote that comes late elects it', () => {
    const cluster = led();
    const two = cluster.node(2);
    cluster.node(1).crash();
    cluster.nowMs += 5_000;
    two.turn((raft) => raft.tick());
    cluster.calm(({ message }) => message.kind !== 'voteResponse' || message.isPreVote);
    expect(two.raft.role).toBe('candidate');
    const votes = cluster.take(only('voteResponse'));
    expect(votes.length).toBe(1);
    hang(two);
    for (const vote of votes) cluster.hand(vote);
    expect(two.raft.role).toBe('follower');
  });
});

test('a node alone goes on: nobody else could lead', () => {
  const cluster = new Cluster({ count: 1 });
  const one = cluster.node(1);
  hang(one);
  cluster.pass(10);
  expect(cluster.leaders).toEqual([1]);
  one.append();
  cluster.pass(20_000);
  expect([cluster.leaders, one.raft.commit]).toEqual([[1], one.end]);
});
