// Changes of the set of nodes that take long, or whose answers are lost: of a leader that a test plays.

import { describe, expect, test } from 'vitest';
import type { MemberProgress } from '../../src/client/logMembers.ts';
import type { MemberChange } from '../../src/core/memberChanges.ts';
import { Leader, LOST, listed, MOVED, NEW, refuse } from './support/nodesLeader.ts';

describe('an answer that was lost', () => {
  const change = (kind: MemberChange['kind'], leader: Leader): Promise<unknown> =>
    kind === 'add' ? leader.work().add(NEW) : kind === 'move' ? leader.work().move(MOVED) : leader.work()[kind](3);

  test.each([
    ['add', 'ALREADY_MEMBER'],
    ['remove', 'UNKNOWN_MEMBER'],
    ['demote', 'ALREADY_MEMBER'],
    ['move', 'ALREADY_MEMBER'],
  ] as const)('to %s is asked for again, and %s says that it was done', async (kind, code) => {
    for (const first of ['lost', 'unknown'] as const) {
      const leader = new Leader();
      leader.act = () => {
        if (leader.asked.length > 1) refuse(code);
        if (kind === 'add') leader.put(listed(4));
        if (kind === 'remove') leader.drop(3);
        if (first === 'lost') return LOST;
        return refuse('NOT_LEADER', 'unknown');
      };
      await expect(change(kind, leader)).resolves.toMatchObject({ hasChanged: true });
      expect(leader.asked).toHaveLength(2);
    }
  });

  test('is remembered while the change, which may be this one, is waited for', async () => {
    const leader = new Leader();
    leader.act = () => {
      if (leader.asked.length === 1) return LOST;
      if (leader.asked.length === 2) refuse('CHANGE_IN_PROGRESS');
      leader.drop(3);
      return refuse('UNKNOWN_MEMBER');
    };
    await expect(leader.work().remove(3)).resolves.toMatchObject({ hasChanged: true, after: { voters: 2 } });
  });

  test('leaves the end unknown where nobody who leads is found any more', async () => {
    const leader = new Leader();
    leader.act = () => (leader.asked.length === 1 ? LOST : refuse('CLOSED'));
    await expect(leader.work().remove(3)).rejects.toMatchObject({
      code: 'CLOSED',
      outcome: 'unknown',
      message: expect.stringContaining('an attempt before that may have changed the set'),
    });
  });

  test('is no excuse where the first attempt certainly had no effect', async () => {
    const leader = new Leader();
    leader.act = () => refuse(leader.asked.length > 1 ? 'UNKNOWN_MEMBER' : 'NOT_LEADER');
    await expect(leader.work().remove(3)).rejects.toMatchObject({ code: 'UNKNOWN_MEMBER' });
  });
});

describe('a wait', () => {
  test('for another change goes on, and says so', async () => {
    const leader = new Leader();
    leader.act = () => {
      if (leader.asked.length < 3) refuse('CHANGE_IN_PROGRESS');
      leader.drop(3);
    };
    const seen: MemberProgress[] = [];
    expect(await leader.work({ onProgress: (progress) => seen.push(progress) }).remove(3)).toMatchObject({ after: { voters: 2 } });
    expect(seen.map(({ step, id }) => [step, id])).toEqual([
      ['changing', 3],
      ['changing', 3],
    ]);
  });

  test('that its signal ends while the node has not come says that nothing was changed', async () => {
    const leader = new Leader();
    const stop = new AbortController();
    leader.act = () => refuse('NOT_READY');
    const waiting = leader.work({ signal: stop.signal, onProgress: () => queueMicrotask(() => stop.abort()) }).add(NEW);
    await expect(waiting).rejects.toMatchObject({
      code: 'ABORTED',
      outcome: 'failed',
      message: expect.stringContaining('before anything was changed'),
    });
  });

  test.each([
    ['before anything was changed', 'failed', 0],
    ['while it waited', 'unknown', 3],
  ] as const)('that its signal ends %s says what is known', async (sentence, outcome, atList) => {
    const leader = new Leader();
    const stop = new AbortController();
    leader.act = () => leader.put(listed(4, { role: 'learner', counts: false }));
    if (atList === 0) stop.abort();
    leader.onList = (count) => {
      if (count === atList) stop.abort();
    };
    await expect(leader.work({ signal: stop.signal }).add(NEW)).rejects.toMatchObject({
      code: 'ABORTED',
      outcome,
      message: expect.stringContaining(sentence),
    });
  });
});
