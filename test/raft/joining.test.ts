// Who may take part: nodes that join, and nodes that lost their disks.

import { describe, expect, test } from 'vitest';
import { led } from './ledCluster.ts';
import { Cluster, only } from './testCluster.ts';
import { logOf, NOOP_BYTES } from './testLog.ts';

describe('joining', () => {
  test('two empty new nodes never elect one of themselves', () => {
    const cluster = new Cluster({ standings: ['voter', 'new', 'new'] });
    cluster.node(1).crash();
    cluster.pass(60_000);
    expect(cluster.leaders).toEqual([]);
    for (const id of [2, 3]) {
      cluster.node(id).turn((raft) => raft.step(5 - id, { kind: 'timeoutNow', term: 0 }));
      cluster
        .node(id)
        .turn((raft) => raft.step(5 - id, { kind: 'voteRequest', term: 4, isPreVote: false, isTransfer: true, lastTerm: 9, end: 900 }));
    }
    cluster.calm();
    expect(cluster.leaders).toEqual([]);
    for (const id of [2, 3]) expect(cluster.node(id).vote.votedFor).toBe(0);
  });

  test("a founder's entries from before the cluster survive", () => {
    const cluster = new Cluster({ logs: [logOf([1, 1, 2])], standings: ['voter', 'new', 'new'], terms: [2, 0, 0] });
    cluster.pass(3_000);
    expect(cluster.leaders).toEqual([1]);
    for (const node of cluster.nodes) {
      expect(node.terms).toEqual([1, 1, 2, 3]);
      expect(node.standing).toBe('voter');
    }
    cluster.node(1).crash();
    cluster.pass(5_000);
    expect(cluster.leaders).toEqual([2]);
    expect(cluster.node(2).terms.slice(0, 4)).toEqual([1, 1, 2, 3]);
  });

  test('the founder may have any id: new nodes go by what it says of itself (R10)', () => {
    const cluster = new Cluster({ founder: 2, founded: logOf([1, 1, 2]), standings: ['new', 'voter', 'new'], terms: [0, 2, 0] });
    cluster.pass(3_000);
    expect(cluster.leaders).toEqual([2]);
    for (const node of cluster.nodes) expect([node.standing, node.terms]).toEqual(['voter', [1, 1, 2, 3]]);
  });

  test('a founder that comes back without its disk is none any more: new nodes do not vote for it (R3)', () => {
    const cluster = new Cluster({ standings: ['voter', 'new', 'new'] });
    const one = cluster.node(1);
    one.crash();
    one.wipe();
    one.standing = 'voter';
    one.restart();
    cluster.pass(30_000);
    expect(cluster.leaders).toEqual([]);
    expect(cluster.nodes.map(({ standing }) => standing)).toEqual(['voter', 'new', 'new']);
  });

  test('new nodes never have more than the founder comes back with, so that it can be elected again', () => {
    const cluster = new Cluster({ founded: logOf([1, 1, 2]), standings: ['voter', 'new', 'new'] });
    const one = cluster.node(1);
    one.holds.flush = true;
    cluster.elect(1);
    cluster.pass(500);
    expect(cluster.node(2).terms).toEqual([1, 1, 2]);
    one.crash();
    one.holds.flush = false;
    expect(one.terms).toEqual([1, 1, 2]);
    one.restart();
    cluster.pass(5_000);
    expect(cluster.leaders).toEqual([1]);
    for (const node of cluster.nodes) expect([node.standing, node.terms.slice(0, 3)]).toEqual(['voter', [1, 1, 2]]);
  });

  test('a new node comes of age with what it has on disk, not with what it was told', () => {
    const cluster = new Cluster({ logs: [logOf([1, 1, 2])], standings: ['voter', 'new', 'new'], terms: [2, 0, 0] });
    const three = cluster.node(3);
    three.holds.flush = true;
    cluster.pass(3_000);
    expect([cluster.node(2).standing, three.standing]).toEqual(['voter', 'new']);
    expect(three.raft.commit).toBe(cluster.node(1).end);
    three.flush();
    expect(three.standing).toBe('voter');
    three.crash();
    three.restart();
    expect(three.raft.standing).toBe('voter');
  });

  test('a new node that comes of age votes for nobody else in that term: it may have done so with a disk that it lost (R11)', () => {
    const cluster = new Cluster({ standings: ['voter', 'new', 'new'] });
    cluster.isolate(3);
    cluster.elect(1);
    cluster.heal();
    cluster.pass(3_000);
    const three = cluster.node(3);
    expect([three.standing, three.raft.votedFor, three.vote.votedFor]).toEqual(['voter', 3, 3]);
  });

  test('a stranger becomes new by the word of the founder alone', () => {
    const cluster = new Cluster({ standings: ['voter', 'stranger', 'voter'] });
    const two = cluster.node(2);
    two.turn((raft) => raft.step(3, { kind: 'admit', term: 0, standing: 'new' }));
    two.turn((raft) => raft.step(3, { kind: 'admit', term: 0, standing: 'voter' }));
    expect(two.standing).toBe('stranger');
    two.turn((raft) => raft.step(1, { kind: 'admit', term: 0, standing: 'new' }));
    expect(two.standing).toBe('new');
  });
});

describe('a node that lost its disk (B13)', () => {
  function wiped(): Cluster {
    const cluster = led();
    cluster.node(1).append();
    cluster.calm();
    cluster.isolate(3);
    cluster.node(1).append();
    cluster.calm();
    // Committed by nodes 1 and 2; node 3 lacks it.
    expect(cluster.node(1).raft.commit).toBe(NOOP_BYTES + 200);
    const two = cluster.node(2);
    two.crash();
    two.wipe();
    two.restart();
    return cluster;
  }

  test('does not vote, so that nobody is elected without what it had acknowledged', () => {
    const cluster = wiped();
    cluster.node(1).crash();
    cluster.heal();
    cluster.pass(30_000);
    expect(cluster.leaders).toEqual([]);
    expect(cluster.node(2).vote.votedFor).not.toBe(3);
    cluster.node(1).restart();
    cluster.pass(5_000);
    expect(cluster.leaders).toEqual([1]);
    expect(cluster.node(3).entries).toEqual(cluster.node(1).entries);
  });

  test('is fed but does not count, and counts again once it has everything and has heard from all', () => {
    const cluster = wiped();
    cluster.pass(500);
    const [one, two] = [cluster.node(1), cluster.node(2)];
    expect(two.entries).toEqual(one.entries);
    expect(two.standing).toBe('stranger');
    const { commit } = one.raft;
    one.append();
    cluster.calm();
    expect(one.raft.commit).toBe(commit);
    cluster.heal();
    cluster.pass(500);
    expect(two.standing).toBe('voter');
    cluster.node(3).crash();
    one.append();
    cluster.pass(200);
    expect(one.raft.commit).toBe(one.end);
  });

  test('is admitted under a load that never lets it catch up altogether', () => {
    const cluster = led();
    const two = cluster.node(2);
    two.crash();
    two.wipe();
    two.restart();
    two.holds.flush = true;
    let turns = 0;
    while (two.standing !== 'voter' && turns < 50) {
      // Its disk is always one entry behind.
      const { end } = two;
      cluster.node(1).append();
      cluster.calm();
      two.flush(end);
      cluster.calm();
      turns += 1;
    }
    expect(turns).toBeLessThan(50);
  });

  test('does not vote again in a term that it may have voted in before', () => {
    const cluster = wiped();
    cluster.heal();
    cluster.pass(500);
    const two = cluster.node(2);
    expect([two.standing, two.raft.currentTerm]).toEqual(['voter', 1]);
    cluster.nowMs += 5_000;
    two.turn((raft) => raft.step(3, { kind: 'voteRequest', term: 1, isPreVote: false, isTransfer: true, lastTerm: 1, end: two.end }));
    const answer = cluster.take(only('voteResponse')).at(-1)?.message;
    expect(answer).toMatchObject({ granted: false });
  });
});
