import { describe, expect, test } from 'vitest';
import { appendResponse, led } from './responses.ts';
import { Cluster, only } from './testCluster.ts';
import { appendRequestOf, logOf, NOOP_BYTES } from './testLog.ts';

describe('log repair (dissertation, 3.5)', () => {
  /** Figure 3.6 (figure 7 of the paper): the leader of term 8, and what its followers may have. */
  const leader = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
  const followers: readonly (readonly [name: string, terms: readonly number[]])[] = [
    ['a, which lacks an entry', [1, 1, 1, 4, 4, 5, 5, 6, 6]],
    ['b, which lacks many', [1, 1, 1, 4]],
    ['c, which has one more of the last term', [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6]],
    ['d, which has entries of a later term', [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7]],
    ['e, which has more of an earlier term', [1, 1, 1, 4, 4, 4, 4]],
    ['f, which missed several terms and led in two', [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3]],
    ['one that is empty', []],
    ['one that has nothing in common with it', [2, 2, 3]],
  ];

  test.each(followers)('of %s', (_, terms) => {
    const others = logOf([1, 1, 1]);
    const cluster = new Cluster({ count: 3, logs: [logOf(leader), logOf(terms), others], terms: [7, 7, 7] });
    // The third node votes for it, whatever the second one has.
    cluster.elect(1);
    expect(cluster.node(1).raft.currentTerm).toBe(8);
    const messages = cluster.calm();
    cluster.node(1).append();
    cluster.calm();
    expect(cluster.node(2).entries).toEqual(cluster.node(1).entries);
    // Whole terms are skipped: a few questions, not one an entry.
    expect(messages).toBeLessThan(60);
  });

  test('a follower with entries of a later term that the candidate lacks does not vote for it, and is repaired all the same', () => {
    const cluster = new Cluster({ logs: [logOf([1, 1]), logOf([1, 3, 3]), logOf([1])], terms: [3, 3, 3] });
    cluster.elect(1);
    expect(cluster.node(2).vote.votedFor).not.toBe(1);
    cluster.pass(200);
    expect(cluster.node(2).entries).toEqual(cluster.node(1).entries);
  });

  test('entries that are late, doubled or out of order are put at their place once', () => {
    const cluster = led({ maxAppendBytes: 100 });
    for (let i = 0; i < 6; i += 1) cluster.node(1).append();
    const sent = cluster.take(only('appendRequest'));
    for (const envelope of [...sent].reverse()) cluster.hand(envelope);
    for (const envelope of [...sent, ...sent]) cluster.hand(envelope);
    cluster.calm();
    cluster.pass(200);
    for (const node of cluster.nodes) expect(node.entries).toEqual(cluster.node(1).entries);
    for (const envelope of sent) cluster.hand(envelope);
    cluster.calm();
    for (const node of cluster.nodes) expect(node.entries).toEqual(cluster.node(1).entries);
  });

  test('entries that were lost are sent again after a heartbeat, without a new connection', () => {
    const cluster = led();
    cluster.node(1).append();
    cluster.take();
    cluster.pass(100);
    expect(cluster.node(2).entries).toEqual(cluster.node(1).entries);
  });

  test('no more than the window is on its way to a node that does not answer, and none while it is not known what it has', () => {
    const cluster = led({ windowBytes: 500, maxAppendBytes: 200 });
    for (let i = 0; i < 20; i += 1) cluster.node(1).append();
    const bytes = cluster.bag.flatMap(({ to, message }) =>
      to === 2 && message.kind === 'appendRequest' ? [message.end - message.prevOffset] : [],
    );
    expect(bytes.reduce((sum, each) => sum + each, 0)).toBeLessThanOrEqual(600);
    cluster.calm();
    expect(cluster.node(2).entries.length).toBe(21);
  });

  test('an answer from an earlier term, or one that claims more than there is, changes nothing', () => {
    const cluster = led();
    const one = cluster.node(1);
    one.holds.flush = true;
    cluster.isolate(2);
    cluster.isolate(3);
    one.append();
    one.turn((raft) => raft.step(2, appendResponse({ term: 0, offset: one.end, durable: one.end })));
    one.turn((raft) => raft.step(2, appendResponse({ offset: one.end + 1, durable: one.end + 1 })));
    one.turn((raft) => raft.step(2, appendResponse({ offset: NOOP_BYTES, durable: one.end })));
    one.flush();
    expect(one.raft.commit).toBe(NOOP_BYTES);
  });
});

describe('the commit (3.6.2)', () => {
  test('entries of an earlier term are not committed by counting them: figure 3.7 (figure 8 of the paper; logcabin#44, canonical/raft#220)', () => {
    // (a), (b): node 1 led in term 2 and got its entry to node 2; node 5 led in term 3 and has one of its own.
    const logs = [logOf([1, 2]), logOf([1, 2]), logOf([1]), logOf([1]), logOf([1, 3])];
    const cluster = new Cluster({ count: 5, logs, terms: [3, 3, 3, 3, 3] });
    // (c): node 1 leads again, in term 4. Its entry of term 2 reaches a majority, its no-op of term 4 none.
    cluster.elect(1);
    cluster.node(5).crash();
    cluster.calm(({ message }) => message.kind !== 'appendRequest' || message.entriesTerm < 4);
    expect(cluster.nodes.filter(({ terms }) => terms[1] === 2).length).toBeGreaterThanOrEqual(3);
    expect(cluster.node(1).raft.commit).toBe(0);
    // (d): node 5 leads, and overwrites what is on a majority: it was not committed.
    cluster.take();
    cluster.node(1).crash();
    cluster.node(5).restart();
    cluster.elect(5);
    cluster.pass(500);
    expect(cluster.node(2).terms.slice(0, 2)).toEqual([1, 3]);
  });

  test('and are committed with the first one of the leader that follows them: (e) of the same figure', () => {
    const logs = [logOf([1, 2]), logOf([1, 2]), logOf([1]), logOf([1]), logOf([1, 3])];
    const cluster = new Cluster({ count: 5, logs, terms: [3, 3, 3, 3, 3] });
    cluster.elect(1);
    cluster.node(5).crash();
    cluster.pass(500);
    expect(cluster.node(1).raft.commit).toBe(200 + NOOP_BYTES);
    cluster.node(1).crash();
    cluster.node(5).restart();
    cluster.timeOut(5);
    cluster.calm(only('voteRequest', 'voteResponse'));
    expect(cluster.node(5).raft.role).not.toBe('leader');
  });

  test('moves strictly past the no-op of the term: not at its start, not inside it (KAFKA-12619)', () => {
    const cluster = new Cluster({ logs: [logOf([1, 1]), logOf([1, 1]), logOf([1, 1])], hasFakes: true });
    cluster.elect(1);
    const one = cluster.node(1);
    cluster.isolate(2);
    cluster.isolate(3);
    const answer = (durable: number): number => {
      one.turn((raft) => raft.step(2, appendResponse({ term: 2, offset: one.end, durable })));
      return one.raft.commit;
    };
    expect(answer(200)).toBe(0);
    expect(answer(200 + NOOP_BYTES - 1)).toBe(0);
    expect(answer(200 + NOOP_BYTES)).toBe(200 + NOOP_BYTES);
  });

  test('counts what is durable, not what has arrived, and the own disk as one among others', () => {
    const cluster = led();
    const [one, two, three] = [cluster.node(1), cluster.node(2), cluster.node(3)];
    for (const { holds } of cluster.nodes) holds.flush = true;
    one.append();
    cluster.pass(200);
    expect(two.entries.length).toBe(2);
    expect(one.raft.commit).toBe(NOOP_BYTES);
    two.flush();
    cluster.calm();
    expect(one.raft.commit).toBe(NOOP_BYTES);
    // A majority without the leader (10.2.1).
    three.flush();
    cluster.calm();
    expect(one.raft.commit).toBe(NOOP_BYTES + 100);
    expect(one.raft.durable).toBe(NOOP_BYTES);
  });

  test('of an ex-leader does not follow an empty request past what was verified (copycat#265, scylladb#9965, ra#508, cockroach#36353)', () => {
    const cluster = new Cluster({ logs: [logOf([1, 2, 2, 2]), [], []], terms: [2, 2, 2], hasFakes: true });
    const one = cluster.node(1);
    one.turn((raft) => raft.step(2, appendRequestOf({ term: 3, prevTerm: 1, prevOffset: 100, end: 100, commit: 400 })));
    expect(one.raft.commit).toBe(100);
    one.turn((raft) => raft.step(2, appendRequestOf({ term: 3, prevTerm: 3, prevOffset: 400, end: 400, commit: 400 })));
    expect(one.raft.commit).toBe(100);
    // Nor what another leader had verified.
    one.turn((raft) => raft.step(3, appendRequestOf({ term: 4, prevTerm: 4, prevOffset: 900, end: 900, commit: 400 })));
    expect(one.raft.commit).toBe(100);
  });

  test('never falls, whatever old requests say', () => {
    const cluster = led();
    const two = cluster.node(2);
    cluster.node(1).append();
    cluster.pass(200);
    const { commit } = two.raft;
    two.turn((raft) => raft.step(1, appendRequestOf({})));
    expect([two.raft.commit, commit]).toEqual([NOOP_BYTES + 100, NOOP_BYTES + 100]);
  });

  test('is known everywhere soon after the last append, without another one (redpanda#503, #31642)', () => {
    const cluster = led();
    for (const { holds } of cluster.nodes) holds.flush = true;
    cluster.node(1).append();
    cluster.calm();
    for (const node of cluster.nodes) node.flush();
    cluster.pass(10);
    for (const { raft } of cluster.nodes) expect(raft.commit).toBe(NOOP_BYTES + 100);
  });

  test('is told at once where somebody waits for it, and 5 ms later elsewhere, unless entries tell of it', () => {
    const cluster = led();
    cluster.node(2).raft.awaitsCommit = true;
    cluster.node(1).append();
    cluster.calm();
    const commits = (): number[] => cluster.nodes.map(({ raft }) => raft.commit - NOOP_BYTES);
    expect(commits()).toEqual([100, 100, 0]);
    cluster.pass(10);
    expect(commits()).toEqual([100, 100, 100]);
  });

  test('of a new leader is told only once its own term has one: what was before it is in it by then', () => {
    const cluster = led();
    cluster.node(1).append();
    cluster.pass(200);
    cluster.elect(2);
    const told = cluster.bag.flatMap(({ message }) => (message.kind === 'appendRequest' ? [message.commit] : []));
    expect(new Set(told)).toEqual(new Set([0]));
  });
});

describe('fast changes of the leader', () => {
  test('a follower that restarts with a stale commit does not cut what is committed (KIP-101, scenario 1)', () => {
    const cluster = led();
    cluster.node(1).append();
    // Node 2 has the entry but not the news that it is committed.
    cluster.calm(({ message }) => message.kind !== 'appendRequest' || message.commit <= NOOP_BYTES);
    expect(cluster.node(1).raft.commit).toBe(NOOP_BYTES + 100);
    expect(cluster.node(2).raft.commit).toBe(NOOP_BYTES);
    cluster.take();
    cluster.node(2).crash();
    cluster.node(2).restart();
    cluster.node(1).crash();
    cluster.elect(2);
    cluster.pass(500);
    cluster.node(1).restart();
    cluster.pass(500);
    for (const node of cluster.nodes) expect(node.entries.slice(0, 2)).toEqual(cluster.node(1).entries.slice(0, 2));
    expect(cluster.node(1).entries).toEqual(cluster.node(2).entries);
  });

  test('two logs of the same length with different entries are told apart (KIP-101, scenario 2)', () => {
    const cluster = new Cluster({ count: 3, logs: [logOf([1, 2]), logOf([1, 3]), logOf([1])], terms: [3, 3, 3] });
    cluster.elect(2);
    cluster.pass(500);
    expect(cluster.node(1).entries).toEqual(cluster.node(2).entries);
    expect(cluster.node(1).terms.slice(0, 2)).toEqual([1, 3]);
  });

  test('a leader that lacks the term of its follower, and a follower that lacks the term of its leader, agree (KIP-279)', () => {
    const logs = [logOf([1, 1, 3, 3]), logOf([1, 1, 2, 2, 2]), logOf([1, 1, 2])];
    const cluster = new Cluster({ logs, terms: [3, 3, 3] });
    cluster.elect(1);
    cluster.pass(500);
    for (const node of cluster.nodes) expect(node.entries).toEqual(cluster.node(1).entries);
    expect(cluster.node(2).terms).toEqual([1, 1, 3, 3, 4]);
  });
});

describe('an ex-leader', () => {
  test('takes no entry of the new term for its own: what came in before the gate closed has the old one (camunda#5360)', () => {
    const cluster = led();
    const one = cluster.node(1);
    expect(() => one.turn((raft) => raft.appended(2, one.end + 100))).toThrow('carry no later term');
  });

  test('loses what it ordered alone, and nothing else', () => {
    const cluster = led();
    const one = cluster.node(1);
    cluster.isolate(1);
    one.append();
    one.append();
    cluster.pass(5_000);
    const [leader] = cluster.leaders;
    cluster.node(leader ?? 0).append();
    cluster.heal();
    cluster.pass(1_000);
    expect(one.entries).toEqual(cluster.node(leader ?? 0).entries);
    expect(one.raft.commit).toBe(one.end);
  });
});
