// R11: a node that comes back with an old copy of its disk. It says of itself that it counts, and has forgotten what it acknowledged and
// whom it voted for; only those who ran meanwhile know better.

import { describe, expect, test } from 'vitest';
import type { AppendResponse } from '../../src/raft/messages.ts';
import { Cluster, only } from './testCluster.ts';
import { type Envelope, logOf, NOOP_BYTES } from './testLog.ts';
import type { TestNode } from './testNode.ts';

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

/** Node 2 starts on a copy from when it had one entry; all had four. */
function restored(isThirdDead = false): Cluster {
  const cluster = led(1);
  const [one, two] = [cluster.node(1), cluster.node(2)];
  const copy = two.copyDisk();
  if (isThirdDead) cluster.node(3).crash();
  for (let i = 0; i < 3; i++) one.append();
  cluster.calm();
  cluster.pass(200);
  two.crash();
  two.restore(copy);
  two.restart();
  return cluster;
}

/** The word that `node` gave of itself last. */
function lastWord(messages: readonly Envelope[]): AppendResponse {
  const message = messages.at(-1)?.message;
  if (message?.kind !== 'appendResponse') throw new Error('it said nothing');
  return message;
}

describe('R11: an old copy of a disk', () => {
  test('is noticed by the leader that had heard more, is fed at once, and counts again when it has everything', () => {
    const cluster = restored();
    const [one, two] = [cluster.node(1), cluster.node(2)];
    const { end } = one;
    cluster.pass(150);
    expect(one.lostData).toEqual([{ kind: 'lostData', node: 2, had: end, has: NOOP_BYTES + 100 }]);
    cluster.pass(500);
    expect(two.entries).toEqual(one.entries);
    expect(two.standing).toBe('voter');
    // Node 1 and node 2 are a majority again.
    cluster.node(3).crash();
    one.append();
    cluster.pass(200);
    expect(one.raft.commit).toBe(one.end);
    expect(one.lostData).toHaveLength(1);
  });

  test('with the third node dead is fed, but neither votes nor counts until it has heard that one, too', () => {
    const cluster = restored(true);
    const [one, two, three] = [cluster.node(1), cluster.node(2), cluster.node(3)];
    cluster.pass(500);
    expect(two.entries).toEqual(one.entries);
    expect(two.standing).toBe('returned');
    const { commit } = one.raft;
    one.append();
    cluster.calm();
    expect(one.raft.commit).toBe(commit);
    three.restart();
    cluster.pass(10_000);
    expect(cluster.nodes.map(({ standing }) => standing)).toEqual(['voter', 'voter', 'voter']);
    expect(new Set(cluster.nodes.map(({ end, raft }) => `${end} ${raft.commit}`)).size).toBe(1);
  });

  test('does not vote once it was noticed, so that nobody is elected without what it had acknowledged', () => {
    const cluster = restored(true);
    const [one, two, three] = [cluster.node(1), cluster.node(2), cluster.node(3)];
    // It is told, and gets nothing yet.
    cluster.pass(150);
    cluster.calm(only('admit'));
    expect(two.standing).toBe('returned');
    one.crash();
    three.restart();
    cluster.pass(30_000);
    expect(cluster.leaders).toEqual([]);
    one.restart();
    cluster.pass(10_000);
    expect(cluster.leaders).toHaveLength(1);
    expect(three.entries).toEqual(one.entries);
  });

  test('does not vote in the term in which it was noticed: it may have done so before', () => {
    const cluster = restored();
    const two = cluster.node(2);
    // Its copy is from before it voted: it does not know that it did.
    two.crash();
    two.restore({ ...two.copyDisk(), vote: { currentTerm: 1, votedFor: 0 } });
    two.restart();
    cluster.pass(500);
    expect([two.standing, two.raft.currentTerm]).toEqual(['voter', 1]);
    cluster.nowMs += 5_000;
    two.turn((raft) => raft.step(3, { kind: 'voteRequest', term: 1, isPreVote: false, isTransfer: true, lastTerm: 1, end: two.end }));
    expect(cluster.take(only('voteResponse')).at(-1)?.message).toMatchObject({ granted: false });
  });

  test('is noticed by a later leader that had led before, too', () => {
    const cluster = led(1);
    const [one, two] = [cluster.node(1), cluster.node(2)];
    const copy = two.copyDisk();
    for (let i = 0; i < 3; i++) one.append();
    cluster.calm();
    cluster.pass(200);
    const { end } = one;
    two.crash();
    // So long that nobody would hand over to it.
    cluster.pass(1_500);
    handOver(cluster, one);
    handOver(cluster, cluster.node(3));
    expect(cluster.leaders).toEqual([1]);
    expect(one.raft.currentTerm).toBe(3);
    two.restore(copy);
    two.restart();
    cluster.pass(150);
    expect(one.lostData).toEqual([{ kind: 'lostData', node: 2, had: end, has: NOOP_BYTES + 100 }]);
    cluster.pass(500);
    expect(two.standing).toBe('voter');
    expect(two.entries).toEqual(one.entries);
  });

  test('that has other entries where the acknowledged ones stood is noticed by their term', () => {
    // Node 2 had entries of term 1 that gave way; its old copy has them still.
    const cluster = new Cluster({ logs: [logOf([1, 2, 2]), logOf([1, 1, 1, 1]), logOf([1, 2, 2])] });
    const [one, two] = [cluster.node(1), cluster.node(2)];
    const copy = two.copyDisk();
    cluster.elect(1);
    cluster.calm();
    cluster.pass(200);
    expect(two.entries).toEqual(one.entries);
    two.crash();
    two.restore({ ...copy, vote: two.vote });
    two.restart();
    cluster.pass(150);
    expect(one.lostData).toMatchObject([{ node: 2, had: one.end }]);
    cluster.pass(500);
    expect(two.entries).toEqual(one.entries);
  });

  test('is noticed again when it comes back once more, and while it does not count', () => {
    const cluster = restored(true);
    const [one, two] = [cluster.node(1), cluster.node(2)];
    cluster.pass(300);
    const { entries, vote, standing } = two.copyDisk();
    expect(standing).toBe('returned');
    two.crash();
    two.restore({ entries: entries.slice(0, 2), vote, standing, bound: 0 });
    two.restart();
    cluster.pass(300);
    expect(one.lostData).toHaveLength(2);
    expect(two.entries).toEqual(one.entries);
  });

  test('is shown as one until it has again what it had acknowledged, entry after entry', () => {
    const cluster = restored(true);
    const [one, two] = [cluster.node(1), cluster.node(2)];
    const had = one.end;
    const progress = one.raft.leadership?.peers.get(2);
    two.holds.flush = true;
    cluster.pass(300);
    expect(one.lostData).toMatchObject([{ node: 2, had }]);
    // It answers, and has got everything, but only part of it is on its disk.
    for (const { end } of two.entries.slice(0, -1)) {
      two.flush(end);
      cluster.calm();
      cluster.pass(100);
      expect([end < had, progress?.isOldCopy, two.standing]).toEqual([true, true, 'returned']);
    }
    two.flush();
    cluster.calm();
    cluster.pass(100);
    expect([two.end, progress?.isOldCopy]).toEqual([had, false]);
  });

  test('of a node that did not count anyway is noticed, but it is not told to count no more', () => {
    const cluster = restored(true);
    const [one, two] = [cluster.node(1), cluster.node(2)];
    cluster.pass(300);
    const { entries, vote, standing } = two.copyDisk();
    expect(one.raft.leadership?.peers.get(2)?.isOldCopy).toBe(false);
    two.crash();
    two.restore({ entries: entries.slice(0, 2), vote, standing, bound: 0 });
    // Its disk takes nothing, so that it stays what it is.
    two.holds.flush = true;
    two.restart();
    cluster.pass(300);
    expect(one.lostData).toHaveLength(2);
    expect([two.standing, one.raft.leadership?.peers.get(2)?.isOldCopy]).toEqual(['returned', false]);
  });

  test('is not made new by the founder, which knows its directory', () => {
    const cluster = restored(true);
    cluster.pass(300);
    const two = cluster.node(2);
    two.turn((raft) => raft.step(1, { kind: 'admit', term: 1, standing: 'new' }));
    expect(two.standing).toBe('returned');
  });
});

describe('R11: nobody is accused who keeps its disk', () => {
  test('by an answer from before it had what it has, that comes late', () => {
    const cluster = new Cluster({ logs: [logOf([1, 1, 1, 1]), logOf([1]), logOf([1, 1, 1, 1])] });
    cluster.elect(1);
    // The leader asks at its end first.
    cluster.calm(only('appendRequest'));
    const late = lastWord(cluster.take(({ from, message }) => from === 2 && message.kind === 'appendResponse'));
    expect(late.accepted).toBe(false);
    const one = cluster.node(1);
    one.turn((raft) => raft.step(2, late));
    cluster.calm();
    cluster.pass(300);
    expect(one.raft.leadership?.peers.get(2)?.match).toBe(one.end);
    for (const rejected of [late.rejected, one.end]) one.turn((raft) => raft.step(2, { ...late, rejected }));
    // Or by one to a question that came late, which it was not ready to compare.
    one.turn((raft) => raft.step(2, { ...late, round: 1000, rejected: 100 }));
    cluster.pass(300);
    expect(one.lostData).toEqual([]);
    expect(cluster.node(2).standing).toBe('voter');
  });

  test('by a crash, by a cut, or because its memory is full', () => {
    const cluster = led(3);
    const [one, two] = [cluster.node(1), cluster.node(2)];
    two.holds.flush = true;
    one.append();
    cluster.calm();
    two.crash();
    two.holds.flush = false;
    two.restart();
    cluster.pass(300);
    two.outcomes = ['full', 'refused', 'full'];
    for (let i = 0; i < 3; i++) {
      one.append();
      cluster.pass(150);
    }
    cluster.isolate(1);
    one.append();
    cluster.pass(5_000);
    cluster.heal();
    cluster.pass(5_000);
    expect(cluster.nodes.flatMap(({ lostData }) => lostData)).toEqual([]);
    expect(new Set(cluster.nodes.map(({ end }) => end)).size).toBe(1);
  });

  test('when another disk stands behind its id, whatever the old one had acknowledged to an earlier leader', () => {
    const cluster = led(3);
    const [one, two, three] = [cluster.node(1), cluster.node(2), cluster.node(3)];
    two.crash();
    cluster.pass(1_500);
    // Node 1 remembers what node 2 had; while it does not lead, node 2 comes with another disk, and counts in time.
    handOver(cluster, one);
    two.wipe();
    two.restart();
    cluster.pass(500);
    expect([three.raft.role, two.standing]).toEqual(['leader', 'voter']);
    two.crash();
    // What it says from now on is less than the disk that is gone had: an accusation would be about that one.
    const copy = two.copyDisk();
    cluster.pass(1_500);
    handOver(cluster, three);
    expect(one.raft.role).toBe('leader');
    two.restore({ ...copy, entries: copy.entries.slice(0, 2), bound: 0 });
    two.restart();
    cluster.pass(500);
    expect(one.lostData).toEqual([]);
  });

  test('by the loss of its whole disk, which it says itself', () => {
    const cluster = led(3);
    const two = cluster.node(2);
    two.crash();
    two.wipe();
    two.restart();
    cluster.pass(1_000);
    expect(cluster.node(1).lostData).toEqual([]);
    expect(two.standing).toBe('voter');
  });
});

describe('R11: a founder that finds out that it runs on an old copy of its directory', () => {
  test('leads no longer, and counts again when it has everything', () => {
    const cluster = led(3);
    const one = cluster.node(1);
    one.turn((raft) => raft.returned());
    expect([one.raft.role, one.standing, one.raft.votedFor]).toEqual(['follower', 'returned', 1]);
    // What was asked of it before makes it lead no more.
    one.turn((raft) => raft.step(2, { kind: 'timeoutNow', term: raft.currentTerm }));
    expect(one.raft.role).toBe('follower');
    cluster.pass(10_000);
    expect(cluster.nodes.map(({ standing }) => standing)).toEqual(['voter', 'voter', 'voter']);
    expect([[2], [3]]).toContainEqual(cluster.leaders);
  });

  test('gives up a campaign, and follows on whom it follows', () => {
    const cluster = led(3);
    const two = cluster.node(2);
    two.turn((raft) => raft.returned());
    expect([two.raft.leader, two.standing]).toEqual([1, 'returned']);
    const three = cluster.node(3);
    cluster.isolate(3);
    cluster.pass(5_000);
    expect(three.raft.role).toBe('preCandidate');
    three.turn((raft) => raft.returned());
    expect(three.raft.role).toBe('follower');
  });
});

/** `node` hands its leadership to another one that runs. */
function handOver(cluster: Cluster, node: TestNode): void {
  node.turn((raft) => raft.transfer());
  cluster.calm();
  cluster.pass(200);
}
