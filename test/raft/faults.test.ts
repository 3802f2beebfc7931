import { describe, expect, test } from 'vitest';
import { Cluster, only } from './testCluster.ts';
import { appendRequestOf, logOf, NOOP_BYTES } from './testLog.ts';

function led(options: ConstructorParameters<typeof Cluster>[0] = {}): Cluster {
  const cluster = new Cluster(options);
  cluster.elect(1);
  cluster.calm();
  return cluster;
}

describe('a leader', () => {
  test('resigns when no majority answers, however many reads are asked of it (6.2, KAFKA-15489)', () => {
    const cluster = led();
    for (const other of [2, 3]) cluster.cut(other, 1);
    for (let i = 0; i < 60; i += 1) {
      cluster.node(1).turn((raft) => raft.readIndex(i));
      cluster.pass(50);
    }
    expect(cluster.node(1).raft.role).not.toBe('leader');
    expect([...cluster.node(1).reads.values()].every((index) => index === undefined)).toBe(true);
  });

  test('asks its followers once for many reads that come while a round is under way (6.4)', () => {
    const cluster = led();
    const node = cluster.node(1);
    for (let i = 0; i < 100; i += 1) node.turn((raft) => raft.readIndex(i));
    expect(cluster.bag.length).toBe(2);
    cluster.calm();
    expect([...node.reads.values()].filter((index) => index === NOOP_BYTES).length).toBe(100);
  });

  test('hands over only what was let in before the gate closed (3.10)', () => {
    const cluster = led();
    const node = cluster.node(1);
    node.lateAppends = 1;
    node.turn((raft) => raft.transfer());
    // Nothing may be on its way to the successor yet: it lacks what came in until the shell closed the gate, in this very turn.
    expect(cluster.bag.filter(only('timeoutNow'))).toEqual([]);
    cluster.calm();
    cluster.pass(10);
    expect(cluster.leaders).toEqual([2]);
    expect(node.transfers).toEqual([true]);
    // It was committed before the office changed hands.
    expect(cluster.node(2).terms).toEqual([1, 1, 2]);
    expect(cluster.node(2).raft.commit).toBe(cluster.node(2).end);
  });

  test.each(['hangs', 'has a full disk', 'has a disk that hangs'] as const)(
    'that %s hands over only with what came in until the gate closed (E173)',
    (why) => {
      const cluster = led({ diskTimeoutMs: 1_000 });
      const node = cluster.node(1);
      node.lateAppends = 1;
      if (why === 'hangs') node.turn((raft) => raft.hung(true));
      if (why === 'has a full disk') node.raft.isFull = true;
      if (why === 'has a disk that hangs') {
        node.holds.flush = true;
        node.append();
      }
      cluster.pass(1_500);
      const [leader] = cluster.leaders;
      expect([leader, node.lateAppends]).toEqual([expect.any(Number), 0]);
      expect(leader).not.toBe(1);
      const next = cluster.node(leader ?? 0);
      expect([next.raft.currentTerm, next.terms]).toEqual([2, why === 'has a disk that hangs' ? [1, 1, 1, 2] : [1, 1, 2]]);
      expect(next.raft.commit).toBe(next.end);
    },
  );

  test('whose no-op finds no room feeds the others all the same, so that one of them can take over (B19)', () => {
    const cluster = new Cluster({ logs: [logOf([1, 1, 1]), logOf([1]), logOf([1])] });
    const node = cluster.node(1);
    node.holds.lead = true;
    cluster.elect(1);
    cluster.pass(300);
    expect(cluster.node(2).terms).toEqual([1, 1, 1]);
    node.turn((raft) => raft.transfer());
    cluster.pass(500);
    expect(cluster.leaders).toEqual([2]);
  });

  test('stops counting a node that says that it lost its disk (B13)', () => {
    const cluster = led();
    const node = cluster.node(1);
    node.append();
    cluster.calm();
    const two = cluster.node(2);
    two.crash();
    two.wipe();
    cluster.isolate(3);
    two.restart();
    const { commit } = node.raft;
    node.append();
    cluster.pass(500);
    expect(node.raft.commit).toBe(commit);
    expect(node.raft.leadership?.peers.get(2)?.isVoter).toBe(false);
  });

  test('does not take a node that restarted for one that still has what was only in its memory', () => {
    const cluster = led();
    const two = cluster.node(2);
    two.holds.flush = true;
    cluster.node(1).append();
    cluster.pass(200);
    const progress = cluster.node(1).raft.leadership?.peers.get(2);
    expect(progress?.verified).toBe(NOOP_BYTES + 100);
    two.crash();
    two.restart();
    cluster.calm(only('appendRequest'));
    cluster.take(({ message }) => message.kind === 'appendResponse' && message.accepted);
    cluster.calm(({ message }) => message.kind === 'appendResponse');
    expect(cluster.node(1).raft.log.end).toBe(NOOP_BYTES + 100);
  });
});

describe('a follower', () => {
  test('without memory for entries is not sent them over and over before its disk has caught up', () => {
    const cluster = led();
    const two = cluster.node(2);
    two.outcomes = Array.from({ length: 20_000 }, () => 'full' as const);
    cluster.node(1).append();
    cluster.calm();
    expect(two.outcomes.length).toBeGreaterThan(19_990);
    cluster.pass(1_000);
    expect(two.outcomes.length).toBeGreaterThan(19_900);
    two.outcomes = [];
    cluster.pass(200);
    expect(two.entries).toEqual(cluster.node(1).entries);
  });

  test('that was full takes entries again as soon as its disk has caught up', () => {
    const cluster = led();
    const two = cluster.node(2);
    two.holds.flush = true;
    cluster.node(1).append();
    cluster.calm();
    two.outcomes = ['full'];
    cluster.node(1).append();
    cluster.calm();
    expect(two.entries.length).toBe(2);
    two.flush();
    cluster.calm();
    expect(two.entries.length).toBe(3);
  });

  test('that gets damaged entries asks for them again, and not in a storm', () => {
    const cluster = led();
    const two = cluster.node(2);
    two.outcomes = Array.from({ length: 20_000 }, () => 'refused' as const);
    cluster.node(1).append();
    cluster.calm();
    expect(two.outcomes.length).toBeGreaterThan(19_990);
    two.outcomes = [];
    cluster.pass(200);
    expect(two.entries).toEqual(cluster.node(1).entries);
  });

  test.each([
    ['missing', true],
    ['full', false],
    ['refused', false],
    ['misplaced', false],
  ] as const)('says that an upload is not there when that is why it rejects: what is %s (E66)', (outcome, isMissing) => {
    const cluster = new Cluster({ logs: [[], logOf([1]), []] });
    const two = cluster.node(2);
    const { end } = two;
    two.holds.truncate = true;
    two.outcomes = [outcome];
    two.turn((raft) => {
      const fields = { term: 2, round: 1, prevTerm: 1, prevOffset: end, entriesTerm: 1, end: end + 300, base: 0, commit: 0 };
      raft.step(1, appendRequestOf(fields));
    });
    const rejection = { kind: 'appendResponse', accepted: false, rejected: end + 300, offset: end };
    expect(cluster.bag.at(-1)?.message).toMatchObject({ ...rejection, isMissing });
    // What comes after it is rejected for that alone.
    two.turn((raft) => {
      const fields = { term: 2, round: 1, prevTerm: 1, prevOffset: end + 300, entriesTerm: 1, end: end + 600, base: 0, commit: 0 };
      raft.step(1, appendRequestOf(fields));
    });
    expect(cluster.bag.at(-1)?.message).toMatchObject({ ...rejection, isMissing: false });
  });

  test('goes on at once when its log is cut, not at the next heartbeat', () => {
    const cluster = new Cluster({ logs: [logOf([1, 2]), logOf([1, 1, 1]), logOf([1])] });
    const two = cluster.node(2);
    two.holds.truncate = true;
    cluster.elect(1);
    cluster.calm();
    expect(two.raft.isTruncating).toBe(true);
    two.finishTruncate();
    cluster.calm();
    expect(two.entries).toEqual(cluster.node(1).entries);
  });

  test('whose segment is reopened goes on at once', () => {
    const cluster = led();
    const two = cluster.node(2);
    two.outcomes = ['misplaced'];
    cluster.node(1).append();
    cluster.calm();
    expect(two.entries).toEqual(cluster.node(1).entries);
  });

  test('that has trimmed what the leader asks about has it all the same: it was committed', () => {
    const cluster = new Cluster({ count: 2, logs: [logOf([1, 1, 1]), logOf([1], 200)] });
    cluster.node(2).turn((raft) => {
      const entry = appendRequestOf({
        term: 2,
        round: 1,
        prevTerm: 1,
        prevOffset: 100,
        entriesTerm: 0,
        end: 100,
        base: 0,
        commit: 0,
      });
      raft.step(1, entry);
    });
    expect(cluster.bag.at(-1)?.message).toMatchObject({ kind: 'appendResponse', accepted: true, offset: 200 });
  });

  test('takes what an older leader sent for nothing when it is stored late (B6)', () => {
    const cluster = new Cluster({ logs: [[], [], []] });
    const { raft } = cluster.node(2);
    const request = appendRequestOf({
      term: 1,
      round: 1,
      prevTerm: 0,
      prevOffset: 0,
      entriesTerm: 1,
      end: 100,
      base: 0,
      commit: 0,
    });
    raft.step(1, request);
    raft.step(3, { ...request, term: 2, entriesTerm: 0, end: 0, commit: 0 });
    raft.stored(request, 'stored');
    raft.step(3, { ...request, term: 2, entriesTerm: 0, end: 0, commit: 100 });
    expect(raft.commit).toBe(0);
  });

  test('does not campaign while a message of its leader is arriving, and takes nothing of others for a sign of life (redpanda#7853)', () => {
    const cluster = led();
    const two = cluster.node(2);
    const part = appendRequestOf({
      term: 1,
      round: 2,
      prevTerm: 1,
      prevOffset: NOOP_BYTES,
      entriesTerm: 1,
      end: 1_000_000,
      base: 0,
      commit: 0,
    });
    const hears = (from: number, term: number): string => {
      cluster.nowMs += 900;
      two.turn((raft) => {
        raft.receiving(from, { ...part, term });
        raft.tick();
      });
      return two.raft.role;
    };
    for (let i = 0; i < 10; i += 1) expect(hears(1, 1)).toBe('follower');
    expect([hears(3, 1), hears(1, 0)]).toEqual(['follower', 'preCandidate']);
  });

  test('stops when two nodes lead in one term', () => {
    const cluster = led();
    const heartbeat = cluster
      .node(1)
      .effects.flatMap((effect) => (effect.kind === 'send' && effect.message.kind === 'appendRequest' ? [effect.message] : []))[0];
    if (heartbeat === undefined) throw new Error('no heartbeat');
    cluster.node(2).turn((raft) => raft.step(3, heartbeat));
    expect(cluster.node(2).fatal).toContain('node 3 leads in term 1');
  });

  test('whose election is due soon does not wait longer because a candidate that it refuses has a later term (3.4)', () => {
    const cluster = new Cluster({ logs: [logOf([1]), logOf([1]), logOf([1, 1])] });
    const three = cluster.node(3);
    const { deadlineMs } = three.raft;
    cluster.nowMs = deadlineMs - 1;
    three.turn((raft) => raft.step(1, { kind: 'voteRequest', term: 9, isPreVote: false, isTransfer: false, lastTerm: 1, end: 100 }));
    expect(three.raft.currentTerm).toBe(9);
    expect(three.raft.deadlineMs).toBe(deadlineMs);
  });
});

describe('votes', () => {
  test('term and vote are saved as one record, once (hashicorp/raft#661)', () => {
    const cluster = new Cluster();
    cluster.elect(1);
    for (const { effects, vote } of cluster.nodes) {
      const saves = effects.filter(({ kind }) => kind === 'saveVote');
      if (vote.votedFor === 1) expect(saves).toEqual([{ kind: 'saveVote', currentTerm: 1, votedFor: 1 }]);
    }
    expect(cluster.node(2).vote.votedFor).toBe(1);
  });
});

describe('questions for the leader', () => {
  test('a late answer to an earlier question is not the answer to a later one of the same number (6.4)', () => {
    const cluster = led();
    const two = cluster.node(2);
    two.turn((raft) => raft.readIndex(7));
    cluster.calm(only('readIndexRequest', 'appendRequest', 'appendResponse'));
    const [late] = cluster.take(only('readIndexResponse'));
    if (late === undefined) throw new Error('no answer');
    cluster.connect(1, 2);
    expect(two.reads.get(7)).toBeUndefined();
    two.reads.clear();
    cluster.node(1).append();
    cluster.calm();
    two.turn((raft) => raft.readIndex(7));
    cluster.hand(late);
    expect(two.reads.has(7)).toBe(false);
    cluster.calm();
    expect(two.reads.get(7)).toBe(NOOP_BYTES + 100);
  });

  test('nor is an answer to a question from before a restart', () => {
    const cluster = led();
    const two = cluster.node(2);
    two.turn((raft) => raft.readIndex(7));
    cluster.calm(only('readIndexRequest', 'appendRequest', 'appendResponse'));
    const [late] = cluster.take(only('readIndexResponse'));
    if (late === undefined) throw new Error('no answer');
    two.crash();
    two.restart();
    cluster.pass(200);
    cluster.node(1).append();
    cluster.pass(200);
    two.turn((raft) => raft.readIndex(7));
    cluster.hand(late);
    expect(two.reads.has(7)).toBe(false);
    cluster.calm();
    expect(two.reads.get(7)).toBe(NOOP_BYTES + 100);
  });

  test('those that were on their way when the connection was lost are answered: they failed', () => {
    const cluster = led();
    const two = cluster.node(2);
    two.turn((raft) => raft.readIndex(7));
    cluster.take(only('readIndexRequest'));
    cluster.connect(1, 2);
    expect([...two.reads]).toEqual([[7, undefined]]);
  });
});

describe('a node that lost its disk', () => {
  test('has heard of the terms of those only that it greeted, not of anybody else', () => {
    const cluster = led();
    const two = cluster.node(2);
    two.crash();
    two.wipe();
    for (const other of [1, 3]) cluster.cut(other, 2);
    two.restart();
    cluster.mend();
    const late = { kind: 'voteResponse', term: 0, isPreVote: true, granted: false } as const;
    two.turn((raft) => raft.step(3, late));
    two.turn((raft) => raft.greeted(9, 0, true, false));
    cluster.connect(1, 2);
    cluster.pass(500);
    expect(two.standing).toBe('stranger');
    cluster.connect(3, 2);
    cluster.pass(500);
    expect(two.standing).toBe('voter');
  });

  test('does not take an admission that its log does not bear out', () => {
    const cluster = new Cluster({ standings: ['voter', 'stranger', 'voter'] });
    const two = cluster.node(2);
    cluster.node(3).crash();
    two.turn((raft) =>
      raft.step(
        1,
        appendRequestOf({
          term: 1,
          round: 1,
          prevTerm: 1,
          prevOffset: 500,
          entriesTerm: 0,
          end: 500,
          base: 0,
          commit: 500,
        }),
      ),
    );
    two.turn((raft) => raft.step(1, { kind: 'admit', term: 1, standing: 'voter' }));
    expect(two.standing).toBe('stranger');
  });
});
