// Handing leadership over, linearizable reads, and who may take part.

import { describe, expect, test } from 'vitest';
import { Cluster, type ClusterOptions, only } from './testCluster.ts';
import { logOf, NOOP_BYTES } from './testLog.ts';

function led(options: ClusterOptions = {}): Cluster {
  const cluster = new Cluster(options);
  cluster.elect(1);
  cluster.calm();
  return cluster;
}

describe('leadership transfer (dissertation, 3.10)', () => {
  test('stops appends, brings the successor up, and tells it to campaign at once', () => {
    const cluster = led();
    const one = cluster.node(1);
    one.append();
    one.turn((raft) => raft.transfer());
    expect(one.isPaused).toBe(true);
    cluster.calm();
    expect(cluster.leaders).toEqual([2]);
    expect(cluster.node(2).raft.currentTerm).toBe(2);
    expect(one.transfers).toEqual([true]);
    expect(cluster.node(2).raft.commit).toBe(cluster.node(2).end);
  });

  test('leaves nothing undecided: what was ordered is committed before the successor is asked', () => {
    const cluster = led();
    const nodes = [1, 2, 3].map((id) => cluster.node(id));
    const one = cluster.node(1);
    for (const node of nodes) node.holds.flush = true;
    one.append();
    one.turn((raft) => raft.transfer());
    cluster.calm();
    // They have it, but nobody on a disk.
    expect([cluster.leaders, one.raft.commit < one.end]).toEqual([[1], true]);
    for (const node of nodes) node.holds.flush = false;
    for (const node of nodes) node.flush();
    cluster.calm();
    expect([cluster.leaders, one.transfers]).toEqual([[2], [true]]);
  });

  test('waits half an election timeout for what cannot be committed, and no longer', () => {
    const cluster = led();
    const one = cluster.node(1);
    for (const id of [1, 2, 3]) cluster.node(id).holds.flush = true;
    one.append();
    one.turn((raft) => raft.transfer());
    cluster.pass(450);
    expect([cluster.leaders, one.isPaused]).toEqual([[1], true]);
    cluster.pass(100);
    expect([cluster.leaders, one.transfers]).toEqual([[2], [true]]);
  });

  test('goes to the node that is furthest', () => {
    const cluster = led();
    cluster.cut(1, 2);
    cluster.node(1).append();
    cluster.calm();
    cluster.node(1).turn((raft) => raft.transfer());
    cluster.calm();
    expect(cluster.leaders).toEqual([3]);
  });

  test('goes to the node that is named, also to one that is not furthest, and to no other', () => {
    const cluster = led();
    const one = cluster.node(1);
    cluster.cut(1, 3);
    one.append();
    cluster.calm();
    cluster.mend();
    one.turn((raft) => raft.transfer(3));
    one.turn((raft) => raft.transfer(2));
    expect(one.transfers).toEqual([false]);
    cluster.calm();
    expect(cluster.leaders).toEqual([3]);
    expect(one.transfers).toEqual([false, true]);
    expect(cluster.node(3).raft.commit).toBe(cluster.node(3).end);
  });

  test('to a node that is not heard, or none of the cluster, fails at once, and the leader goes on', () => {
    const cluster = led();
    const one = cluster.node(1);
    one.turn((raft) => raft.transfer(7));
    expect([one.transfers, one.isPaused]).toEqual([[false], false]);
    cluster.isolate(2);
    cluster.pass(1_500);
    one.turn((raft) => raft.transfer(2));
    expect([one.transfers, one.isPaused, cluster.leaders]).toEqual([[false, false], false, [1]]);
  });

  test('is given up after an election timeout: appends are let in again, and the leader goes on', () => {
    const cluster = led();
    const one = cluster.node(1);
    one.turn((raft) => raft.transfer());
    cluster.take();
    cluster.isolate(2);
    cluster.pass(1_100);
    expect(one.transfers).toEqual([false]);
    expect(one.isPaused).toBe(false);
    expect(cluster.leaders).toEqual([1]);
    one.append();
    cluster.pass(100);
    expect(one.raft.commit).toBe(one.end);
  });

  test('fails at once when nobody could take over, and is done at once where nobody leads', () => {
    const cluster = led();
    cluster.isolate(1);
    cluster.nowMs += 950;
    cluster.node(2).turn((raft) => raft.transfer());
    expect(cluster.node(2).transfers).toEqual([true]);
    const alone = new Cluster({ count: 1 });
    alone.pass(10);
    alone.node(1).turn((raft) => raft.transfer());
    expect([alone.node(1).transfers, alone.node(1).isPaused]).toEqual([[false], false]);
  });

  test('that is asked for twice is one, and a leader that loses its office meanwhile says that it is done', () => {
    const cluster = led();
    const one = cluster.node(1);
    one.turn((raft) => raft.transfer());
    one.turn((raft) => raft.transfer());
    cluster.take();
    cluster.elect(3);
    cluster.calm();
    expect(one.transfers).toEqual([true]);
  });

  test('by a TimeoutNow that was late, or came twice, costs one election and no safety', () => {
    const cluster = led();
    cluster.node(1).turn((raft) => raft.transfer());
    cluster.calm(only('appendRequest', 'appendResponse'));
    const [late] = cluster.take(only('timeoutNow'));
    cluster.pass(1_500);
    expect(cluster.leaders).toEqual([1]);
    if (late === undefined) throw new Error('nobody was asked');
    cluster.hand(late);
    cluster.hand(late);
    cluster.calm();
    cluster.hand(late);
    cluster.pass(500);
    expect(cluster.leaders).toEqual([2]);
    expect(cluster.node(2).raft.currentTerm).toBe(2);
  });

  test('does not let reads of the old leader through (etcd-io/raft#99)', () => {
    const cluster = led();
    const one = cluster.node(1);
    one.turn((raft) => raft.transfer());
    cluster.calm(only('appendRequest', 'appendResponse', 'timeoutNow'));
    cluster.calm(({ to }) => to !== 1);
    one.turn((raft) => raft.readIndex(1));
    cluster.calm();
    cluster.pass(500);
    expect([...one.reads]).toEqual([[1, undefined]]);
  });
});

describe('ReadIndex (dissertation, 6.4)', () => {
  test('is answered by the leader to itself and to a follower, with a round of its own', () => {
    const cluster = led();
    cluster.node(1).append();
    cluster.pass(200);
    for (const node of cluster.nodes) node.turn((raft) => raft.readIndex(1));
    expect(cluster.node(1).reads.size).toBe(0);
    cluster.calm();
    for (const { reads } of cluster.nodes) expect(reads.get(1)).toBe(NOOP_BYTES + 100);
  });

  test('waits until an entry of the own term is committed (etcd#7331)', () => {
    const cluster = led();
    cluster.node(1).append();
    cluster.pass(200);
    cluster.elect(2);
    const two = cluster.node(2);
    two.turn((raft) => raft.readIndex(1));
    // A round begins and is answered; the no-op is on its way.
    cluster.nowMs = two.raft.deadlineMs;
    two.turn((raft) => raft.tick());
    cluster.calm(({ message }) => message.kind !== 'appendRequest' || message.entriesTerm === 0);
    expect(two.reads.size).toBe(0);
    cluster.pass(200);
    expect(two.reads.get(1)).toBeGreaterThanOrEqual(NOOP_BYTES + 100);
  });

  test('fails where the leader was replaced while it slept (etcd#20418)', () => {
    const cluster = led();
    const one = cluster.node(1);
    cluster.isolate(1);
    cluster.elect(2);
    cluster.node(2).append();
    cluster.calm();
    expect(one.raft.role).toBe('leader');
    one.turn((raft) => raft.readIndex(1));
    expect(one.reads.size).toBe(0);
    cluster.heal();
    cluster.pass(500);
    expect([...one.reads]).toEqual([[1, undefined]]);
  });

  test('is not confirmed by answers to rounds that began before the question', () => {
    const cluster = led();
    const one = cluster.node(1);
    cluster.pass(100);
    one.turn((raft) => raft.tick());
    cluster.pass(99);
    cluster.nowMs += 1;
    one.turn((raft) => raft.tick());
    cluster.deliver(only('appendRequest'));
    const early = cluster.take(only('appendResponse'));
    expect(early.length).toBe(2);
    cluster.isolate(1);
    one.turn((raft) => raft.readIndex(1));
    cluster.calm();
    cluster.mend();
    for (const envelope of early) cluster.hand(envelope);
    expect(one.reads.size).toBe(0);
    cluster.pass(200);
    expect(one.reads.get(1)).toBe(NOOP_BYTES);
  });

  test('whose answer was lost is given up after an election timeout, although the leader stays', () => {
    const cluster = led();
    const two = cluster.node(2);
    two.turn((raft) => raft.readIndex(1));
    cluster.calm(({ message }) => message.kind !== 'readIndexResponse');
    cluster.take(only('readIndexResponse'));
    cluster.pass(900);
    expect(two.reads.size).toBe(0);
    cluster.pass(300);
    expect([...two.reads]).toEqual([[1, undefined]]);
    two.turn((raft) => raft.readIndex(2));
    cluster.calm();
    expect(two.reads.get(2)).toBe(NOOP_BYTES);
  });

  test('fails where no leader is known, and when the leader changes before it answers', () => {
    const cluster = new Cluster();
    const three = cluster.node(3);
    three.turn((raft) => raft.readIndex(1));
    expect([...three.reads]).toEqual([[1, undefined]]);
    cluster.elect(1);
    cluster.calm();
    three.turn((raft) => raft.readIndex(2));
    cluster.take();
    cluster.elect(2);
    cluster.calm();
    expect(three.reads.get(2)).toBeUndefined();
    expect(three.reads.has(2)).toBe(true);
  });

  test('goes on when answers are lost: the next heartbeat asks again', () => {
    const cluster = led();
    const one = cluster.node(1);
    one.turn((raft) => raft.readIndex(1));
    cluster.take();
    one.turn((raft) => raft.readIndex(2));
    cluster.pass(250);
    expect([...one.reads.values()]).toEqual([NOOP_BYTES, NOOP_BYTES]);
  });
});

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
