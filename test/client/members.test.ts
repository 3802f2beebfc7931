// Changes of the set of nodes, as the client asks for them and waits: of a leader that a test plays.

import { describe, expect, test } from 'vitest';
import { tolerance } from '../../src/client/listedMembers.ts';
import type { MemberProgress } from '../../src/client/logMembers.ts';
import { Leader, listed, MOVED, NEW, refuse } from './support/nodesLeader.ts';

describe('the list', () => {
  test('says what each node is and does, and how many may fail', async () => {
    const leader = new Leader();
    leader.nodes = [
      listed(1),
      listed(2, { feed: 'catchingUp', role: 'learner', durable: 430, counts: false }),
      listed(3, { isConnected: false, feed: 'unknown' }),
      listed(4, {
        role: 'reader',
        counts: false,
        durable: null,
        isConnected: false,
        feed: 'unknown',
        lastContactMs: 0,
        levels: null,
        host: '',
        instance: '0'.repeat(16),
      }),
      listed(5),
    ];
    const set = await leader.work().list();
    expect(set.members.map(({ id, role, state, percent, lagBytes }) => [id, role, state, percent, lagBytes])).toEqual([
      [1, 'voter', 'leads', 100, 0],
      [2, 'learner', 'joining', 43, 570],
      [3, 'voter', 'unreachable', 100, 0],
      [4, 'reader', 'unknown', null, null],
      [5, 'voter', 'current', 100, 0],
    ]);
    expect(set).toMatchObject({ voters: 3, quorum: 2, toleratedFailures: 0, isInLog: true, isSettled: true, level: 2, leader: 1, term: 7 });
    expect(set.members[3]).toMatchObject({ instance: null, lastContactMs: null, newestLevel: null });
    expect(tolerance(set.members.filter(({ id }) => id !== 3))).toEqual({ voters: 2, quorum: 2, toleratedFailures: 0 });
  });
});

describe('a node that is added', () => {
  test('is waited for while it comes, is fed, and until it is a voter and that is committed', async () => {
    const leader = new Leader();
    let attempts = 0;
    leader.act = () => {
      attempts += 1;
      if (attempts < 3) refuse('NOT_READY');
      return leader.put(listed(4, { role: 'learner', feed: 'catchingUp', durable: 430, counts: false }));
    };
    const seen: MemberProgress[] = [];
    leader.onList = (count) => {
      if (count === 3) leader.put(listed(4, { role: 'learner' }));
      if (count === 4) leader.put(listed(4));
      leader.isSettled = count !== 4;
    };
    const { before, after, hasChanged } = await leader.work({ onProgress: (progress) => seen.push(progress) }).add(NEW);
    expect([before.voters, after.voters, hasChanged]).toEqual([3, 4, true]);
    expect(leader.asked).toEqual(['add 4', 'add 4', 'add 4']);
    expect(seen.map(({ step, percent, sentence }) => [step, percent, sentence])).toEqual([
      ['coming', null, 'NOT_READY it is'],
      ['coming', null, 'NOT_READY it is'],
      ['joining', 43, 'node 4 is joining: 43 %'],
      ['joining', 100, 'node 4 has the log, and is about to be a voter'],
      ['joining', 100, 'node 4 has the log'],
    ]);
  });

  test('and is there already is not asked for again, and one with another address is', async () => {
    const leader = new Leader();
    leader.put(listed(4));
    expect(await leader.work().add(NEW)).toMatchObject({ hasChanged: false, after: { voters: 4 } });
    expect(leader.asked).toEqual([]);
    leader.act = () => refuse('ALREADY_MEMBER');
    for (const other of [
      { ...NEW, port: 15 },
      { ...NEW, host: 'other' },
      { ...NEW, learner: true },
    ])
      await expect(leader.work().add(other)).rejects.toMatchObject({ code: 'ALREADY_MEMBER', outcome: 'failed' });
  });

  test('at the address of one that answers is refused before anything is asked; that of one that is gone may be its own', async () => {
    const leader = new Leader();
    const same = { ...NEW, host: 'h3', port: 13, peerPort: 23 };
    for (const dryRun of [true, false])
      await expect(leader.work({ dryRun }).add(same)).rejects.toMatchObject({
        code: 'ALREADY_MEMBER',
        outcome: 'failed',
        message: 'node 3 is reached by other nodes at h3:23, and answers: node 4 is to be reached somewhere else',
      });
    expect(leader.asked).toEqual([]);
    leader.put(listed(3, { isConnected: false }));
    leader.act = () => leader.put(listed(4, { host: 'h3', port: 13, peerPort: 23 }));
    await expect(leader.work().add(same)).resolves.toMatchObject({ hasChanged: true });
  });

  test('as a learner that stays one is waited for until it has what is committed', async () => {
    const leader = new Leader();
    leader.act = () => leader.put(listed(4, { role: 'reader', feed: 'catchingUp', counts: false }));
    leader.onList = (count) => {
      if (count === 3) leader.put(listed(4, { role: 'reader', counts: false }));
    };
    expect(await leader.work().add({ ...NEW, learner: true })).toMatchObject({
      hasChanged: true,
      after: { voters: 3, members: { length: 4 } },
    });
  });

  test('and is only talked of is a voter in what would come of it, and nothing is changed', async () => {
    const leader = new Leader();
    leader.act = (_change, isDryRun) => {
      expect(isDryRun).toBe(true);
      leader.put(listed(4, { role: 'learner', isConnected: false, durable: null, feed: 'unknown', counts: false }));
    };
    const { before, after, hasChanged } = await leader.work({ dryRun: true }).add(NEW);
    expect([before.voters, before.toleratedFailures, after.voters, after.quorum, after.toleratedFailures, hasChanged]).toEqual([
      3,
      1,
      4,
      3,
      1,
      false,
    ]);
    expect(leader.asked).toEqual(['dry add 4']);
  });

  test.each([
    ['no port', { ...MOVED, port: 0 }, RangeError],
    ['no host', { ...MOVED, host: '' }, TypeError],
    ['a role', { ...MOVED, learner: true }, TypeError],
  ])('that moves with %s is refused before anything is asked', async (_what, member, kind) => {
    const leader = new Leader();
    await expect(leader.work().move(member)).rejects.toThrow(kind);
    expect(leader.asked).toEqual([]);
  });

  test.each([
    ['no id', { ...NEW, id: 0 }, RangeError],
    ['an id above 32', { ...NEW, id: 33 }, RangeError],
    ['no port', { ...NEW, port: 0 }, RangeError],
    ['no host', { ...NEW, host: '' }, TypeError],
    ['a blank in its host', { ...NEW, host: 'a b' }, TypeError],
    ['an option that nobody knows', { ...NEW, reader: true }, TypeError],
  ])('with %s is refused before anything is asked', async (_what, member, kind) => {
    const leader = new Leader();
    await expect(leader.work().add(member)).rejects.toThrow(kind);
    expect(leader.asked).toEqual([]);
  });
});

describe('a replacement', () => {
  test('adds the new node, and removes the old one once the new one is a voter', async () => {
    const leader = new Leader();
    leader.act = ({ kind, id }) => {
      if (kind === 'add') leader.put(listed(id));
      else leader.drop(id);
    };
    const { before, after } = await leader.work().replace(3, NEW);
    expect([before.members.map(({ id }) => id), after.members.map(({ id }) => id)]).toEqual([
      [1, 2, 3],
      [1, 2, 4],
    ]);
    expect(leader.asked).toEqual(['add 4', 'remove 3']);
  });

  test('by a learner that is there promotes it', async () => {
    const leader = new Leader();
    leader.put(listed(4, { role: 'reader', counts: false }));
    leader.act = ({ kind, id }) => {
      if (kind === 'promote') leader.put(listed(id));
      else leader.drop(id);
    };
    await leader.work().replace(3, 4);
    expect(leader.asked).toEqual(['promote 4', 'remove 3']);
  });

  test('of one that is gone feeds the new one, removes the old one, and only then lets the new one count (raft-autopilot#55)', async () => {
    const leader = new Leader();
    leader.put(listed(3, { isConnected: false }));
    const counting: number[] = [];
    leader.act = (change) => {
      if (change.kind === 'add') leader.put(listed(change.id, { role: change.isReader ? 'reader' : 'learner', counts: false }));
      if (change.kind === 'remove') leader.drop(change.id);
      if (change.kind === 'promote') leader.put(listed(change.id));
      counting.push(leader.nodes.filter(({ role }) => role === 'voter').length);
    };
    const { before, after } = await leader.work().replace(3, NEW);
    expect(leader.asked).toEqual(['add 4', 'remove 3', 'promote 4']);
    expect([counting, before.voters, after.voters]).toEqual([[3, 2, 3], 3, 3]);
  });

  test('of one that is gone by a learner that is there waits until that has the log', async () => {
    const leader = new Leader();
    leader.put(listed(3, { isConnected: false }));
    leader.put(listed(4, { role: 'reader', counts: false, feed: 'catchingUp' }));
    leader.onList = (count) => {
      if (count === 3) leader.put(listed(4, { role: 'reader', counts: false }));
    };
    leader.act = ({ kind, id }) => (kind === 'remove' ? leader.drop(id) : leader.put(listed(id)));
    await leader.work().replace(3, 4);
    expect(leader.asked).toEqual(['remove 3', 'promote 4']);
  });

  test('of one that comes back while the new one is fed lets that count first, as of any that is there', async () => {
    const leader = new Leader();
    leader.put(listed(3, { isConnected: false }));
    leader.onList = (count) => {
      if (count === 4) leader.put(listed(3));
    };
    const counting: number[] = [];
    leader.act = (change) => {
      if (change.kind === 'add') leader.put(listed(4, { role: 'reader', counts: false }));
      if (change.kind === 'promote') leader.put(listed(4));
      if (change.kind === 'remove') leader.drop(change.id);
      counting.push(leader.nodes.filter(({ role }) => role === 'voter').length);
    };
    const { before, after, hasChanged } = await leader.work().replace(3, NEW);
    expect([leader.asked, counting]).toEqual([
      ['add 4', 'promote 4', 'remove 3'],
      [3, 4, 3],
    ]);
    expect([before.members.map(({ id }) => id), after.members.map(({ id }) => id), hasChanged]).toEqual([[1, 2, 3], [1, 2, 4], true]);
  });

  test('of one that is gone in a set that is full is only talked of as it would be done: there is room', async () => {
    const leader = new Leader();
    leader.nodes = [1, 2, 3, 4, 5, 6, 7].map((id) => listed(id, { isConnected: id !== 7 }));
    const next = { ...NEW, id: 8, host: 'h8', peerPort: 28 };
    leader.act = (change, isDryRun) => {
      expect(isDryRun).toBe(true);
      if (change.kind === 'remove') return undefined;
      if (change.kind !== 'add' || !change.isReader) return refuse('UNSUPPORTED');
      return leader.put(listed(8, { role: 'reader', isConnected: false, durable: null, feed: 'unknown', counts: false }));
    };
    const { before, after, hasChanged } = await leader.work({ dryRun: true }).replace(7, next);
    expect(leader.asked).toEqual(['dry add 8', 'dry remove 7']);
    expect([before.toleratedFailures, after.voters, after.toleratedFailures, hasChanged]).toEqual([2, 7, 3, false]);
    expect(after.members.map(({ id, role }) => `${id} ${role}`)).toEqual([1, 2, 3, 4, 5, 6, 8].map((id) => `${id} voter`));
  });

  test('of one that is gone is not talked of as something that can be, where it could not be removed', async () => {
    const leader = new Leader();
    leader.put(listed(3, { isConnected: false }));
    leader.act = ({ kind }) => (kind === 'remove' ? refuse('NO_MAJORITY') : leader.put(listed(4, { role: 'reader', counts: false })));
    await expect(leader.work({ dryRun: true }).replace(3, NEW)).rejects.toMatchObject({ code: 'NO_MAJORITY' });
  });

  test.each([
    ['a learner that stays one', 'reader', 'promote node 4'],
    ['about to be a voter', 'learner', 'nothing: node 4 becomes a voter'],
    ['a voter', 'voter', 'nothing'],
  ] as const)(
    'that is asked for again once the old node is removed, and the new one is %s, says what is left',
    async (_what, role, rest) => {
      const leader = new Leader();
      leader.drop(3);
      leader.put(listed(4, { role, counts: role === 'voter' }));
      await expect(leader.work().replace(3, 4)).rejects.toMatchObject({
        code: 'UNKNOWN_MEMBER',
        message: `node 3 is not in the set, which has the nodes 1, 2, 4; if it was removed by a replacement that was ended, what is left is ${rest}`,
      });
      expect(leader.asked).toEqual([]);
    },
  );

  test('of one that is gone, where the new one does not come to count, says that', async () => {
    const leader = new Leader();
    leader.put(listed(3, { isConnected: false }));
    leader.act = (change) => {
      if (change.kind === 'promote') refuse('NO_MAJORITY');
      if (change.kind === 'add') leader.put(listed(4, { role: 'reader', counts: false }));
      else leader.drop(change.id);
    };
    await expect(leader.work().replace(3, NEW)).rejects.toMatchObject({
      code: 'NO_MAJORITY',
      message: expect.stringContaining('node 3 was removed, and node 4 is a learner, which is to be promoted'),
    });
  });

  test('that ends half-way says what was done', async () => {
    const leader = new Leader();
    leader.act = ({ kind }) => {
      if (kind === 'remove') refuse('NO_MAJORITY');
      leader.put(listed(4));
    };
    await expect(leader.work().replace(3, NEW)).rejects.toMatchObject({
      code: 'NO_MAJORITY',
      message: expect.stringContaining('node 4 is a voter now, and node 3 is still in the set'),
    });
  });

  test('in a set that is full says what to do first', async () => {
    const leader = new Leader();
    leader.act = () => refuse('UNSUPPORTED');
    await expect(leader.work().replace(3, NEW)).rejects.toMatchObject({
      code: 'UNSUPPORTED',
      message: 'UNSUPPORTED it is; remove node 3 first, then there is room',
    });
  });

  test('of a node that somebody else removes meanwhile is done', async () => {
    const leader = new Leader();
    leader.act = ({ kind, id }) => {
      if (kind === 'add') return leader.put(listed(id));
      leader.drop(3);
      return refuse('UNKNOWN_MEMBER');
    };
    const { after, hasChanged } = await leader.work().replace(3, NEW);
    expect([after.members.map(({ id }) => id), hasChanged]).toEqual([[1, 2, 4], true]);
  });

  test('whose end is not known does not say that the old node is still there', async () => {
    const leader = new Leader();
    leader.act = ({ kind, id }) => (kind === 'add' ? leader.put(listed(id)) : refuse('PROTOCOL'));
    await expect(leader.work().replace(3, NEW)).rejects.toMatchObject({
      outcome: 'unknown',
      message: expect.stringContaining('node 4 is a voter now, and whether node 3 is still in the set is not known'),
    });
  });

  test('of a node that is not there, or by itself, is refused before anything is asked', async () => {
    const leader = new Leader();
    await expect(leader.work().replace(9, NEW)).rejects.toMatchObject({ code: 'UNKNOWN_MEMBER' });
    await expect(leader.work().replace(4, NEW)).rejects.toThrow(RangeError);
    expect(leader.asked).toEqual([]);
  });

  test('that is only talked of says which nodes there would be', async () => {
    const leader = new Leader();
    leader.act = () => leader.put(listed(4, { role: 'learner', counts: false }));
    const { after } = await leader.work({ dryRun: true }).replace(3, NEW);
    expect(after.members.map(({ id, role }) => [id, role])).toEqual([
      [1, 'voter'],
      [2, 'voter'],
      [4, 'voter'],
    ]);
    expect(leader.asked).toEqual(['dry add 4']);
  });
});
