// Terms that leap. A term takes a majority and an election timeout, so one far above the own one is no cluster's: believed, one frame of the
// largest term would end all elections, over restarts too. And other numbers in a frame that no leader and no follower would send.

import { describe, expect, test } from 'vitest';
import { MAX_LOG_OFFSET, MAX_TERM, MAX_TERM_STEP } from '../../src/core/limits.ts';
import type { RaftMessage } from '../../src/raft/messages.ts';
import { Cluster } from './testCluster.ts';
import { appendRequestOf, instanceOf, logOf, NOOP_BYTES } from './testLog.ts';

const ZERO = '0'.repeat(16);

function answer(term: number, part: Partial<Extract<RaftMessage, { kind: 'appendResponse' }>> = {}): RaftMessage {
  const zero = { round: 0, offset: 0, durable: 0, hintTerm: 0, hintLeader: ZERO, rejected: 0 };
  const flags = {
    accepted: true,
    isVoter: true,
    mayLead: true,
    awaitsCommit: false,
    isHung: false,
    isFull: false,
    isMissing: false,
    hasHeardAll: true,
  };
  return { kind: 'appendResponse', term, ...zero, ...flags, ...part };
}

/** A message of every kind that carries `term`. */
function messagesOf(term: number): RaftMessage[] {
  const vote = { kind: 'voteRequest', isTransfer: false, lastTerm: term, end: 900 } as const;
  return [
    { ...vote, term, isPreVote: false },
    { ...vote, term, isPreVote: false, isTransfer: true },
    { ...vote, term: Math.min(term + 1, MAX_TERM), isPreVote: true },
    { kind: 'voteResponse', term, isPreVote: false, granted: true },
    { kind: 'voteResponse', term, isPreVote: true, granted: false },
    appendRequestOf({ term }),
    answer(term),
    { kind: 'timeoutNow', term },
    { kind: 'readIndexRequest', term, id: 1 },
    { kind: 'readIndexResponse', term, id: 1, ok: true, index: 0 },
    { kind: 'admit', term, standing: 'voter' },
  ];
}

function led(count = 3): Cluster {
  const cluster = new Cluster({ count });
  cluster.elect(1);
  cluster.calm();
  return cluster;
}

describe('a term that leaps (R4)', () => {
  test('in a message of any kind changes nothing, on a leader and on a follower, and what told it is distrusted', () => {
    for (const message of messagesOf(MAX_TERM)) {
      const cluster = led();
      for (const id of [1, 2]) {
        const node = cluster.node(id);
        const { role, currentTerm, leader, votedFor } = node.raft;
        node.effects.length = 0;
        node.turn((raft) => raft.step(3, message));
        expect([node.raft.role, node.raft.currentTerm, node.raft.leader, node.raft.votedFor]).toEqual([
          role,
          currentTerm,
          leader,
          votedFor,
        ]);
        expect(node.effects.map(({ kind }) => kind)).toEqual(['distrust']);
        expect(node.effects[0]).toMatchObject({
          node: 3,
          sentence: expect.stringMatching(/^node 3 tells term 214748364[78], more than 1048576 above/),
        });
        expect(node.vote.currentTerm).toBe(1);
      }
      // The cluster goes on, and does after a restart of all.
      cluster.node(1).append();
      cluster.pass(200);
      for (const node of cluster.nodes) node.crash();
      for (const node of cluster.nodes) node.restart();
      cluster.elect(2);
      cluster.calm();
      cluster.node(2).append();
      cluster.pass(200);
      for (const { raft } of cluster.nodes) expect([raft.currentTerm, raft.commit]).toEqual([2, 2 * NOOP_BYTES + 200]);
    }
  });

  test('leaps when it is more than 2^20 above the own one, and not before', () => {
    for (const message of messagesOf(1 + MAX_TERM_STEP)) {
      const cluster = led();
      const two = cluster.node(2);
      two.effects.length = 0;
      two.turn((raft) => raft.step(3, message));
      expect(two.effects.map(({ kind }) => kind)).not.toContain('distrust');
    }
    const cluster = led();
    cluster.node(2).turn((raft) => raft.step(3, appendRequestOf({ term: 1 + MAX_TERM_STEP })));
    expect(cluster.node(2).raft.currentTerm).toBe(1 + MAX_TERM_STEP);
    cluster.node(3).turn((raft) => raft.step(2, appendRequestOf({ term: 2 + MAX_TERM_STEP })));
    expect(cluster.node(3).raft.currentTerm).toBe(1);
  });

  test('is believed by a node that has neither a term nor entries: it has just joined', () => {
    const cluster = new Cluster();
    const two = cluster.node(2);
    two.turn((raft) => raft.greeted(1, 5_000_000, true, false));
    expect(two.raft.currentTerm).toBe(5_000_000);
  });

  test('in a greeting is not believed, nor counts its sender as heard', () => {
    const cluster = led();
    const two = cluster.node(2);
    two.effects.length = 0;
    two.turn((raft) => expect(raft.doubts(3, MAX_TERM, true, instanceOf(3))).toContain('start it with an empty directory'));
    two.turn((raft) => raft.greeted(3, MAX_TERM, true, false));
    expect([two.raft.currentTerm, two.raft.leader, two.vote.currentTerm, two.effects]).toEqual([1, 1, 1, []]);
  });

  test('is believed when a majority of the nodes greets with it, each the term that it is in', () => {
    const cluster = led(5);
    const two = cluster.node(2);
    const greet = (from: number, term: number, counts = true): string | undefined => {
      let doubt: string | undefined;
      two.turn((raft) => {
        doubt = raft.doubts(from, term, counts, instanceOf(from));
      });
      return doubt;
    };
    expect(greet(1, 7_000_000)).toBeDefined();
    expect(greet(3, 9_000_000)).toBeDefined();
    // One that does not count does not help, and the same one again neither.
    expect(greet(4, 8_000_000, false)).toBeDefined();
    expect(greet(3, 9_000_001)).toBeDefined();
    expect(two.raft.currentTerm).toBe(1);
    // Now three of five are in 7 000 000 or above; more than that nobody vouches for.
    expect(greet(5, 8_000_000)).toBe(undefined);
    expect([two.raft.currentTerm, two.vote.currentTerm]).toEqual([7_000_000, 7_000_000]);
    expect(greet(1, 7_000_000)).toBe(undefined);
    expect(greet(3, 9_000_001)).toBeDefined();
    // Of two nodes no majority is made of others.
    const pair = led(2);
    pair.node(2).turn((raft) => expect(raft.doubts(1, 7_000_000, true, instanceOf(1))).toBeDefined());
    expect(pair.node(2).raft.currentTerm).toBe(1);
  });

  test('to the largest: a node that is there says so instead of campaigning, and follows whoever leads', () => {
    const cluster = new Cluster({ terms: [MAX_TERM, MAX_TERM, MAX_TERM - 1] });
    const one = cluster.node(1);
    cluster.timeOut(1);
    expect([one.raft.role, one.raft.currentTerm, one.fatal]).toEqual(['follower', MAX_TERM, undefined]);
    expect(one.effects.at(-1)).toMatchObject({ kind: 'warn', sentence: expect.stringContaining('the largest') });
    one.turn((raft) => raft.step(2, appendRequestOf({ term: MAX_TERM })));
    one.turn((raft) => raft.step(2, { kind: 'timeoutNow', term: MAX_TERM }));
    expect([one.raft.role, one.raft.leader]).toEqual(['follower', 2]);
    const alone = new Cluster({ count: 1, terms: [MAX_TERM] });
    alone.timeOut(1);
    expect(alone.node(1).fatal).toContain('the largest');
  });
});

describe('a number that nobody would send', () => {
  test('a round that has not begun confirms no reading, and one in a request does not outlast it', () => {
    const cluster = led();
    cluster.isolate(1);
    const one = cluster.node(1);
    one.turn((raft) => raft.readIndex(7));
    for (const from of [2, 3]) one.turn((raft) => raft.step(from, answer(1, { round: MAX_LOG_OFFSET })));
    expect(one.reads.size).toBe(0);
    const two = cluster.node(2);
    two.turn((raft) =>
      raft.step(
        1,
        appendRequestOf({ round: MAX_LOG_OFFSET, prevTerm: 1, prevOffset: NOOP_BYTES, end: NOOP_BYTES }, () => instanceOf(1)),
      ),
    );
    cluster.heal();
    cluster.calm();
    one.turn((raft) => raft.readIndex(8));
    cluster.pass(300);
    expect(one.reads.get(8)).toBe(NOOP_BYTES);
  });

  test('a commit past the end of the log commits what is the same as the leader has, once', () => {
    const cluster = led();
    const two = cluster.node(2);
    two.turn((raft) =>
      raft.step(
        1,
        appendRequestOf({ prevTerm: 1, prevOffset: NOOP_BYTES, end: NOOP_BYTES, commit: MAX_LOG_OFFSET }, () => instanceOf(1)),
      ),
    );
    expect([two.raft.commit, two.fatal]).toEqual([NOOP_BYTES, undefined]);
    // What comes later is committed by what is told then.
    cluster.cut(3, 1);
    cluster.cut(1, 3);
    const leader = { leader: instanceOf(1), term: 1 };
    two.holds.flush = true;
    const bytes = { start: NOOP_BYTES, end: NOOP_BYTES + 100, id: 'x', ...leader };
    const request = appendRequestOf(
      { prevTerm: 1, prevOffset: NOOP_BYTES, entriesTerm: 1, end: NOOP_BYTES + 100, commit: NOOP_BYTES },
      () => instanceOf(1),
    );
    cluster.hand({ from: 1, to: 2, message: request, entries: [bytes] });
    expect([two.raft.log.end, two.raft.commit]).toEqual([NOOP_BYTES + 100, NOOP_BYTES]);
  });

  test('offsets past the end, hints inside an entry and reads of another day neither end a node nor move its commit', () => {
    const cluster = new Cluster({ logs: [logOf([1, 1, 1]), logOf([1, 1, 1]), logOf([1, 1, 1])], hasFakes: true });
    cluster.elect(1);
    cluster.calm();
    const one = cluster.node(1);
    const { commit } = one.raft;
    for (const offset of [MAX_LOG_OFFSET, one.end + 1, 150]) {
      one.turn((raft) => raft.step(2, answer(2, { offset, durable: offset > one.end ? offset : 0 })));
      one.turn((raft) => raft.step(2, answer(2, { accepted: false, offset, rejected: one.end, hintTerm: 2, hintLeader: instanceOf(1) })));
      one.turn((raft) =>
        raft.step(2, answer(2, { accepted: false, offset, rejected: MAX_LOG_OFFSET, hintTerm: 2, hintLeader: instanceOf(3) })),
      );
      one.turn((raft) => raft.step(2, { kind: 'readIndexResponse', term: 2, id: offset, ok: true, index: offset }));
      cluster.take();
    }
    expect([one.fatal, one.raft.role, one.raft.commit]).toEqual([undefined, 'leader', commit]);
  });
});
