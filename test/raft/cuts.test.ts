// Logs that end or begin elsewhere than their leader’s: cuts, and beginnings that were trimmed.

import { describe, expect, test } from 'vitest';
import { appendResponse, led } from './responses.ts';
import { Cluster } from './testCluster.ts';
import { appendRequestOf, type Envelope, instanceOf, logOf, NOOP_BYTES } from './testLog.ts';

describe('a log whose beginning was trimmed', () => {
  test('is compared where both have something', () => {
    const cluster = new Cluster({ logs: [logOf([2, 2, 3], 300), logOf([1, 1, 1, 2, 2]), logOf([1, 1, 1, 2, 2, 3])], terms: [3, 3, 3] });
    cluster.elect(1);
    cluster.pass(200);
    expect(cluster.node(2).entries.slice(3)).toEqual(cluster.node(1).entries);
    expect(cluster.node(3).raft.commit).toBe(cluster.node(1).end);
  });

  test.each([
    ['is empty', []],
    ['ends before', logOf([2])],
    ['has entries of a later term that nobody has', logOf([1, 1, 3])],
    ['is longer, but another one', logOf([1, 1, 3, 3, 3, 3, 3, 3])],
    ['goes past it with entries of an earlier term (E110)', logOf([1, 1, 1, 1])],
  ])('lets a node begin at its start that needs what was trimmed: one whose log %s', (_, entries) => {
    const cluster = new Cluster({ logs: [logOf([2, 2], 300), entries, logOf([2, 2], 300)], terms: [3, 3, 3] });
    cluster.elect(1);
    cluster.pass(1_000);
    const [leader, other] = [cluster.node(1), cluster.node(2)];
    expect(other.start).toBe(300);
    expect(other.entries).toEqual(leader.entries);
    expect([other.raft.commit, other.raft.log.before(300)]).toEqual([leader.raft.commit, leader.raft.log.before(300)]);
    expect(leader.raft.leadership?.peers.get(2)?.state).toBe('replicate');
    expect(cluster.pass(1_000)).toBeLessThan(100);
    // It counts for what comes now.
    cluster.node(3).crash();
    leader.append();
    cluster.pass(500);
    expect(leader.raft.commit).toBe(leader.end);
  });

  test('is not dropped for a late word to begin, nor before the leader has committed in its own term', () => {
    const cluster = new Cluster({ logs: [logOf([2, 2], 300), [], logOf([2, 2], 300)], terms: [2, 2, 2] });
    const begins: Envelope[] = [];
    const isBegin = ({ message }: Envelope): boolean => message.kind === 'appendRequest' && message.begins === true;
    // Nobody answers the leader of this term.
    cluster.loses = ({ message }) => message.kind === 'appendResponse';
    cluster.elect(1);
    cluster.pass(300);
    expect([...cluster.bag, ...begins].filter(isBegin)).toEqual([]);
    expect(cluster.node(2).start).toBe(0);
    cluster.loses = (envelope) => {
      if (isBegin(envelope)) begins.push(envelope);
      return false;
    };
    cluster.pass(1_000);
    const [leader, other] = [cluster.node(1), cluster.node(2)];
    leader.append();
    cluster.pass(500);
    const { end } = other;
    expect([end > 300, begins.length > 0]).toEqual([leader.end > 300, true]);
    for (const { message } of begins) other.raft.step(1, message);
    other.turn(() => undefined);
    expect([other.start, other.end, other.raft.commit]).toEqual([300, end, leader.raft.commit]);
  });
});

describe('a leader that trims', () => {
  test('feeds on who has what is left, and is stuck with who lacks what is gone, also when an old answer of it comes late', () => {
    const cluster = led({ windowBytes: 250 });
    const [leader, second] = [cluster.node(1), cluster.node(2)];
    cluster.loses = ({ from, message }) => from === 3 && message.kind === 'appendResponse';
    for (let i = 0; i < 5; i += 1) leader.append();
    cluster.calm();
    const { commit } = leader.raft;
    expect(commit).toBe(leader.end);
    // Its answer to what it got long ago.
    const early = appendResponse({ offset: NOOP_BYTES + 100, durable: NOOP_BYTES + 100 });
    leader.raft.trimmed(commit - 100);
    expect(leader.raft.leadership?.peers.get(3)?.state).toBe('stuck');
    leader.raft.step(3, early);
    leader.append();
    expect(leader.raft.due(3)).toBeUndefined();
    cluster.pass(500);
    expect(leader.raft.leadership?.peers.get(3)?.state).toBe('stuck');
    // A follower trims as well, and goes on.
    second.raft.trimmed(second.raft.commit);
    leader.append();
    cluster.pass(500);
    expect([second.end, second.raft.commit]).toEqual([leader.end, leader.end]);
    expect(() => second.raft.trimmed(0)).toThrow('trimmed to a place inside it');
    leader.append();
    expect(() => leader.raft.trimmed(leader.end)).toThrow('only what is committed');
  });
});

describe('a cut of the log', () => {
  function cutting(): Cluster {
    const cluster = new Cluster({ logs: [logOf([1, 2]), logOf([1, 1, 1]), logOf([1, 2])], terms: [2, 2, 2] });
    cluster.node(2).holds.truncate = true;
    cluster.elect(1);
    cluster.calm();
    expect(cluster.node(2).raft.isTruncating).toBe(true);
    return cluster;
  }

  test('hides from the count what the disk still gets of it (redpanda#3114)', () => {
    const cluster = cutting();
    const two = cluster.node(2);
    two.turn((raft) => raft.durableMoved(300));
    expect(two.raft.durable).toBe(100);
    expect(cluster.node(1).raft.leadership?.peers.get(2)?.match ?? 0).toBeLessThanOrEqual(100);
  });

  test('goes before what is stored next, so that an old flush never counts for new entries (redpanda#16105)', () => {
    const cluster = cutting();
    const two = cluster.node(2);
    cluster.node(1).append();
    cluster.pass(300);
    expect(two.terms).toEqual([1, 1, 1]);
    two.holds.flush = true;
    two.finishTruncate();
    cluster.pass(300);
    expect(two.entries).toEqual(cluster.node(1).entries);
    expect([two.raft.durable, two.raft.log.end]).toEqual([100, cluster.node(1).end]);
    expect(cluster.node(1).raft.leadership?.peers.get(2)?.match).toBe(100);
  });

  test('keeps no leader from leading, and the node itself from campaigning', () => {
    const cluster = cutting();
    const two = cluster.node(2);
    const messages = cluster.pass(1_000);
    expect(messages).toBeLessThan(100);
    cluster.node(1).crash();
    cluster.node(3).crash();
    cluster.pass(5_000);
    expect([two.raft.role, two.raft.currentTerm]).toEqual(['follower', 3]);
    two.turn((raft) => raft.step(1, { kind: 'timeoutNow', term: 3 }));
    expect(two.raft.role).toBe('follower');
    two.finishTruncate();
    cluster.pass(5_000);
    expect(two.raft.role).toBe('preCandidate');
  });

  test('outlasts the leader that it was for', () => {
    const cluster = cutting();
    cluster.pass(500);
    cluster.node(1).crash();
    cluster.elect(3);
    cluster.pass(500);
    expect(cluster.node(2).raft.leader).toBe(3);
    cluster.node(2).finishTruncate();
    cluster.pass(500);
    expect(cluster.node(2).entries).toEqual(cluster.node(3).entries);
  });

  test('that a crash interrupts is asked for again', () => {
    const cluster = cutting();
    const two = cluster.node(2);
    two.crash();
    expect(two.terms).toEqual([1, 1, 1]);
    two.holds.truncate = false;
    two.restart();
    cluster.pass(500);
    expect(two.entries).toEqual(cluster.node(1).entries);
  });

  test('never goes below the commit: the node stops', () => {
    const cluster = led();
    const two = cluster.node(2);
    cluster.node(1).append();
    cluster.pass(200);
    two.turn((raft) =>
      raft.step(
        3,
        appendRequestOf({ term: 2, prevTerm: 1, prevOffset: NOOP_BYTES, entriesTerm: 2, end: NOOP_BYTES + 50 }, () => instanceOf(1)),
      ),
    );
    expect(two.fatal).toContain("below this node's commit");
    const three = cluster.node(3);
    three.turn((raft) => raft.step(2, appendRequestOf({ term: 3, prevTerm: 2, prevOffset: NOOP_BYTES, end: NOOP_BYTES })));
    expect(three.fatal).toContain('committed here');
  });
});

test('R4: what was committed before a restart is not cut after it, whoever speaks first', () => {
  const cluster = led();
  cluster.node(1).append();
  cluster.pass(200);
  const two = cluster.node(2);
  const { entries, raft } = two;
  expect(raft.commit).toBe(two.end);
  two.crash();
  two.restart();
  expect(two.raft.commit).toBe(two.end);
  two.turn((core) =>
    core.step(
      3,
      appendRequestOf({ term: 2, prevTerm: 1, prevOffset: NOOP_BYTES, entriesTerm: 2, end: NOOP_BYTES + 50 }, () => instanceOf(1)),
    ),
  );
  expect(two.fatal).toContain("below this node's commit");
  expect(two.entries).toEqual(entries);
});
