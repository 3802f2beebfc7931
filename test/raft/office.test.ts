// Handing leadership over, and linearizable reads.

import { describe, expect, test } from 'vitest';
import { led } from './ledCluster.ts';
import { Cluster, only } from './testCluster.ts';
import { NOOP_BYTES } from './testLog.ts';

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
