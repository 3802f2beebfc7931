// What `loglog member` says of sets of nodes.

import { describe, expect, test } from 'vitest';
import { absenceText, changeText, idsText, membersText, quorumText, startText, warningOf } from '../../src/cli/memberText.ts';
import type { LogMember, LogMembers } from '../../src/client/index.ts';
import { tolerance } from '../../src/client/listedMembers.ts';

const member = (id: number, more: Partial<LogMember> = {}): LogMember => ({
  id,
  role: 'voter',
  state: id === 1 ? 'leads' : 'current',
  instance: `${id}`.padStart(16, '0'),
  host: `10.0.0.${id}`,
  port: 7070,
  peerPort: 7170,
  url: `ws://10.0.0.${id}:7070`,
  counts: true,
  percent: 100,
  lagBytes: 0,
  lastContactMs: null,
  newestLevel: 2,
  ...more,
});

const setOf = (...members: readonly LogMember[]): LogMembers => ({
  members,
  isInLog: true,
  isSettled: true,
  level: 2,
  newestLevel: 2,
  leader: 1,
  term: 3,
  ...tolerance(members),
});

const three = setOf(member(1), member(2), member(3));

describe('a set in words', () => {
  test.each([
    [setOf(member(1)), '1 voter (1): 1 has to answer, so it tolerates no failure'],
    [setOf(member(1), member(2)), '2 voters (1 and 2): 2 have to answer, so it tolerates no failure'],
    [three, '3 voters (1, 2 and 3): 2 have to answer, so it tolerates 1 failure'],
    [setOf(...[1, 2, 3, 4, 5].map((id) => member(id))), '5 voters (1, 2, 3, 4 and 5): 3 have to answer, so it tolerates 2 failures'],
    [
      setOf(member(1), member(2), member(3), member(4, { role: 'reader' })),
      '3 voters (1, 2 and 3), learner 4: 2 have to answer, so it tolerates 1 failure',
    ],
  ])('says who counts, how many have to answer, and what that tolerates', (set, sentence) => {
    expect(quorumText(set)).toBe(sentence);
  });

  test('warns of even numbers, and of one voter among others', () => {
    expect(warningOf(three)).toBe('');
    expect(warningOf(setOf(member(1)))).toBe('');
    expect(warningOf(setOf(member(1), member(2)))).toBe(
      '2 voters tolerate no more than 1 do (no failure), and one more has to answer: an odd number is better',
    );
    expect(warningOf(setOf(member(1), member(2, { role: 'reader' })))).toContain('with one voter nothing is committed while that is away');
  });

  test('says who is missing of those that count', () => {
    expect(absenceText(three)).toBe('');
    expect(absenceText(setOf(member(1), member(2), member(3, { state: 'unreachable' })))).toBe(
      'as it is now it tolerates no failure more: node 3 is not there, or not up to date',
    );
    const five = setOf(member(1), member(2), member(3), member(4, { counts: false }), member(5));
    expect(absenceText(five)).toBe('as it is now it tolerates 1 failure more: node 4 is not there, or not up to date');
  });

  test('shows each node, what it does, and where it is', () => {
    const text = membersText(
      setOf(
        member(1),
        member(2, { state: 'joining', role: 'learner', counts: false, percent: 43, lagBytes: 1_200_000 }),
        member(3, { state: 'unreachable', lastContactMs: Date.now() - 65_000 }),
        member(4, { role: 'reader', counts: false, host: '', port: 0, peerPort: 0 }),
      ),
    );
    expect(text).toMatch(/1 +voter +leads +10\.0\.0\.1:7070\/7170\n/);
    expect(text).toMatch(/2 +becomes a voter +joining: 43 %, 1\.2 MB to go +10\.0\.0\.2:7070\/7170\n/);
    expect(text).toMatch(/3 +voter +not connected, last heard 1 min \d+ s ago +10\.0\.0\.3/);
    expect(text).toMatch(/4 +learner +up to date +ws:\/\/10\.0\.0\.4:7070\n/);
    expect(text).toContain('2 voters (1 and 3), learners 2 and 4: 2 have to answer');
  });

  test('of a log that does not say its nodes has the way to one that does', () => {
    const by = { ...three, isInLog: false, level: 1, members: three.members.map((each) => ({ ...each, role: 'unknown' as const })) };
    expect(membersText({ ...by, ...tolerance(by.members) })).toContain(
      'the log is of level 1 and does not say its nodes: to change them, loglog upgrade finalize',
    );
  });
});

test('a change is told as before and after, with what is wrong with that', () => {
  const after = setOf(member(1), member(2));
  expect(changeText({ before: three, after, hasChanged: false })).toEqual([
    `before: ${quorumText(three)}`,
    `after:  ${quorumText(after)}`,
    `warning: ${warningOf(after)}`,
  ]);
});

test('what to type on the machine of a new node names itself, and some that it can ask for the others, the leader first', () => {
  const set = setOf(
    member(1, { state: 'unreachable' }),
    member(2, { host: '', port: 0, peerPort: 0 }),
    member(3, { state: 'current' }),
    member(5, { host: 'fe80::5', state: 'leads' }),
    member(6, { state: 'current' }),
  );
  const added = { id: 4, host: 'h4', port: 1, peerPort: 2 };
  expect(startText(set, added)).toBe('loglog serve --node 4 --peers 4=h4:1/2 --join [fe80::5]:7170,10.0.0.3:7170,10.0.0.6:7170');
  expect(startText(setOf(member(1, { state: 'unreachable' })), added)).toContain(' --join 10.0.0.1:7170');
  expect(startText(setOf(member(1, { host: '' })), added)).toBe('loglog serve --node 4 --peers 4=h4:1/2');
});

test('a node that moves is said to be there after, and not before', () => {
  const after = setOf(member(1), member(2), member(3, { host: 'h3' }));
  expect(changeText({ before: three, after, hasChanged: false })).toContain('node 3: 10.0.0.3:7070/7170 before, h3:7070/7170 after');
});

test('names three to ask, those that vote first', () => {
  const set = setOf(member(1, { role: 'reader', state: 'current' }), ...[2, 3, 4].map((id) => member(id)), member(9, { role: 'reader' }));
  expect(startText(set, { id: 8, host: 'h8', port: 1, peerPort: 2 })).toContain('--join 10.0.0.2:7170,10.0.0.3:7170,10.0.0.4:7170');
});

test('ids are a list as people write it', () => {
  expect([[], [1], [1, 2], [1, 2, 3]].map(idsText)).toEqual(['', '1', '1 and 2', '1, 2 and 3']);
});
