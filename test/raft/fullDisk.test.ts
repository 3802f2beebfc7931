// A leader whose disk is full: when it leaves the office to a node that has room, and when it keeps it. The rule is this project's own; transfers are those of the
// dissertation, 3.10.

import { expect, test } from 'vitest';
import { Cluster, only } from './testCluster.ts';

function led(count = 3): Cluster {
  const cluster = new Cluster({ count });
  cluster.elect(1);
  cluster.calm();
  return cluster;
}

function fill(cluster: Cluster, ...ids: readonly number[]): void {
  for (const node of cluster.nodes) node.raft.isFull = ids.includes(node.id);
  // The others tell it.
  cluster.pass(300);
}

test('a leader whose disk is full hands over to a node that has room and everything, in one step', () => {
  const cluster = led(5);
  const [one, two] = [cluster.node(1), cluster.node(2)];
  cluster.cut(1, 2);
  one.append();
  cluster.calm();
  fill(cluster, 1, 3);
  cluster.pass(1_000);
  expect([4, 5]).toContain(cluster.leaders[0]);
  const term = one.raft.currentTerm;
  expect(term).toBe(2);
  cluster.pass(30_000);
  expect([cluster.leaders.length, one.raft.currentTerm]).toEqual([1, term]);
  expect(two.raft.role).toBe('follower');
});

test('it keeps the office while no majority has room, and while the one that has lacks entries', () => {
  const cluster = led();
  fill(cluster, 1, 2);
  cluster.pass(10_000);
  expect([cluster.leaders, cluster.node(1).raft.currentTerm]).toEqual([[1], 1]);
  const lacking = led();
  for (const node of [lacking.node(2), lacking.node(3)]) node.outcomes = Array.from({ length: 400 }, () => 'full');
  lacking.node(1).append();
  fill(lacking, 1);
  lacking.pass(2_000);
  expect([lacking.leaders, lacking.node(1).isPaused]).toEqual([[1], false]);
  for (const node of [lacking.node(2), lacking.node(3)]) node.outcomes = [];
  lacking.pass(3_000);
  expect(lacking.leaders).not.toContain(1);
});

test('where nobody takes over it leads on, and asks again only after a while', () => {
  const cluster = led();
  cluster.loses = only('timeoutNow');
  fill(cluster, 1);
  cluster.pass(3_000);
  expect([cluster.leaders, cluster.node(1).isPaused, cluster.node(1).raft.currentTerm]).toEqual([[1], false, 1]);
  expect(cluster.node(1).transfers).toEqual([false]);
});

test('the office does not come back when the disk has room again', () => {
  const cluster = led();
  fill(cluster, 1);
  cluster.pass(1_000);
  const [leader] = cluster.leaders;
  expect(leader).not.toBe(1);
  fill(cluster);
  cluster.pass(10_000);
  expect(cluster.leaders).toEqual([leader]);
});
