// Logs in which one term has two leaders: nodes that were started with two lists of nodes have two majorities, and each may elect. The term's
// number does not tell the two apart, also not after all nodes were restarted with one list; the leader's instance does (KIP-101 has only
// the number: "leader epoch").

import { describe, expect, test } from 'vitest';
import { Cluster } from './testCluster.ts';
import { type Entry, instanceOf, logOf } from './testLog.ts';

/** Entries of term 1, which node 1 led, and then of term 2, in which both node 1 and node 3 led: the terms of the log, and who led in term 2. */
function logLedBy(leader: number, terms: readonly number[]): Entry[] {
  return logOf(terms, 0, (term) => instanceOf(term === 1 ? 1 : leader));
}

/** What became of the logs when the nodes have one list again, and node `id` is elected. */
function meet(logs: readonly (readonly Entry[])[], id: number): Cluster {
  const cluster = new Cluster({ logs, terms: logs.map(() => 3), hasFakes: true });
  for (const node of cluster.nodes) node.crash();
  for (const node of cluster.nodes) node.restart();
  cluster.elect(id);
  cluster.calm();
  cluster.pass(1_000);
  return cluster;
}

describe('two leaders of one term (R2)', () => {
  const long = logLedBy(1, [1, 1, 2, 2, 2]);
  const short = logLedBy(3, [1, 1, 2, 2]);

  test('are found when their logs meet: what one of them wrote gives way to what the other did', () => {
    const cluster = meet([long, [], short], 1);
    expect(cluster.node(3).entries.slice(0, 5)).toEqual(long);
    expect(cluster.node(3).effects).toContainEqual({ kind: 'truncate', offset: 200 });
    expect(cluster.nodes.map(({ fatal }) => fatal)).toEqual([undefined, undefined, undefined]);
    expect(cluster.node(2).entries).toEqual(cluster.node(1).entries);
    expect(cluster.node(3).entries).toEqual(cluster.node(1).entries);
  });

  test('of logs of one length, too, where term and length are the same', () => {
    const other = logLedBy(3, [1, 1, 2, 2, 2]);
    const cluster = meet([long, [], other], 1);
    expect(cluster.node(3).entries).toEqual(cluster.node(1).entries);
  });

  test('of a follower whose log is longer', () => {
    const cluster = meet([long, [], logLedBy(3, [1, 1, 2, 2])], 1);
    expect(cluster.node(3).entries).toEqual(cluster.node(1).entries);
    // And one that began the term at another place.
    const elsewhere = meet([logLedBy(1, [1, 1, 1, 2, 2]), [], logLedBy(3, [1, 2, 2, 2])], 1);
    expect(elsewhere.node(3).entries).toEqual(elsewhere.node(1).entries);
    expect(elsewhere.node(3).effects).toContainEqual({ kind: 'truncate', offset: 100 });
  });

  test('with a later term behind it: the leader goes back over the term of the same number', () => {
    const logs = [
      logOf([1, 2, 2, 3, 3], 0, (term) => instanceOf(term)),
      [],
      logOf([1, 2, 2, 2, 2], 0, (term) => instanceOf(term === 2 ? 3 : 1)),
    ];
    const cluster = meet(logs, 1);
    expect(cluster.node(3).entries).toEqual(cluster.node(1).entries);
    expect(cluster.node(3).effects).toContainEqual({ kind: 'truncate', offset: 100 });
  });

  test('at or below the own commit: the node stops, and names both', () => {
    const cluster = new Cluster({ logs: [long, short, short], terms: [2, 2, 2], hasFakes: true });
    const [two, three] = [cluster.node(2), cluster.node(3)];
    // Node 3 leads nodes 2 and 3 in term 3, and commits what it wrote in term 2; then node 1, with the longer log of term 2, leads in term 4.
    cluster.isolate(1);
    cluster.elect(3);
    cluster.calm();
    cluster.pass(200);
    expect([two.raft.commit, three.raft.commit]).toEqual([three.end, three.end]);
    two.turn((raft) =>
      raft.step(1, {
        kind: 'appendRequest',
        term: 4,
        round: 1,
        prevTerm: 2,
        prevOffset: 400,
        prevLeader: instanceOf(1),
        entriesTerm: 0,
        entriesLeader: '0'.repeat(16),
        end: 400,
        base: 0,
        commit: 0,
      }),
    );
    expect(two.fatal).toContain('offset 400, which is committed here');
    expect(two.fatal).toContain(`term 2, led by instance ${instanceOf(1)}`);
    expect(two.fatal).toContain(`one of term 2, led by instance ${instanceOf(3)}`);
    three.turn((raft) =>
      raft.step(1, {
        kind: 'appendRequest',
        term: 4,
        round: 1,
        prevTerm: 1,
        prevOffset: 200,
        prevLeader: instanceOf(1),
        entriesTerm: 2,
        entriesLeader: instanceOf(1),
        end: 300,
        base: 0,
        commit: 0,
      }),
    );
    expect(three.fatal).toContain('below this node');
    expect(three.fatal).toContain(`one of term 2, led by instance ${instanceOf(3)}`);
  });

  test('of entries that follow each other in one log are not believed: a log that was trimmed knows whose its start is', () => {
    const trimmed = logOf([2, 2], 200, () => instanceOf(3));
    const cluster = new Cluster({ logs: [long, trimmed, []], terms: [2, 2, 2], hasFakes: true });
    const two = cluster.node(2);
    expect(two.raft.log.before(200)).toEqual({ term: 2, leader: instanceOf(3) });
    two.turn((raft) =>
      raft.step(1, {
        kind: 'appendRequest',
        term: 3,
        round: 1,
        prevTerm: 2,
        prevOffset: 200,
        prevLeader: instanceOf(1),
        entriesTerm: 0,
        entriesLeader: '0'.repeat(16),
        end: 200,
        base: 0,
        commit: 0,
      }),
    );
    expect(two.fatal).toContain('before offset 200');
  });
});

describe('an empty log that was trimmed', () => {
  test('votes for nobody whose log ends before it, and matches by whose its last entry was', () => {
    const cluster = new Cluster({ logs: [logOf([1, 1]), [], []], terms: [2, 2, 2] });
    const two = cluster.node(2);
    two.trimAt(500, { term: 2, leader: instanceOf(2) });
    expect([two.raft.log.start, two.raft.log.end, two.raft.log.lastTerm]).toEqual([500, 500, 2]);
    two.turn((raft) => raft.step(1, { kind: 'voteRequest', term: 3, isPreVote: false, isTransfer: false, lastTerm: 1, end: 200 }));
    expect(cluster.take().at(-1)?.message).toMatchObject({ kind: 'voteResponse', granted: false });
    two.turn((raft) => raft.step(1, { kind: 'voteRequest', term: 4, isPreVote: false, isTransfer: false, lastTerm: 2, end: 500 }));
    expect(cluster.take().at(-1)?.message).toMatchObject({ kind: 'voteResponse', granted: true });
  });
});
