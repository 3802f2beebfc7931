import { describe, expect, it } from 'vitest';
import {
  type Configuration,
  faultOfConfiguration,
  faultOfFirst,
  faultOfStep,
  isSameConfiguration,
  type Member,
  removedAfter,
  votersOf,
} from '../../src/core/members.ts';

const member = (id: number, role: Member['role'] = 'voter', more: Partial<Member> = {}): Member => ({
  id,
  instance: id.toString(16).padStart(16, '0'),
  role,
  host: `host${id}`,
  port: 7070,
  peerPort: 7170,
  ...more,
});

const THREE: Configuration = [member(1), member(2), member(3)];

describe('a set of nodes', () => {
  it.each<[string, Configuration, string]>([
    ['without voters', [member(1, 'learner')], '1 to 7 voters, not 0'],
    ['with 8 voters', [1, 2, 3, 4, 5, 6, 7, 8].map((id) => member(id)), '1 to 7 voters, not 8'],
    ['in disorder', [member(2), member(1)], 'ids ascend'],
    ['with one id twice', [member(2), member(2)], 'ids ascend'],
    ['with an id that is none', [member(1), member(33)], 'ids ascend'],
    ['with a node without instance', [member(1, 'voter', { instance: '0'.repeat(16) })], 'no instance'],
    ['with an instance that is none', [member(1, 'voter', { instance: 'XYZ' })], 'no instance'],
    ['with a host that is none', [member(1, 'voter', { host: 'a b' })], 'no such address'],
    ['with a host of more than 253 bytes', [member(1, 'voter', { host: 'a'.repeat(254) })], 'no such address'],
    ['with a port that is none', [member(1, 'voter', { port: 65_536 })], 'no such address'],
    ['with a port for nodes that is none', [member(1, 'voter', { peerPort: -1 })], 'no such address'],
    [
      'of more bytes than a segment’s head has room for',
      [1, 2, 3, 4, 5, 6, 7, 8].map((id) => member(id, id < 8 ? 'voter' : 'learner', { host: 'a'.repeat(250) })),
      'at most 2048 bytes, not 2136',
    ],
  ])('%s is none', (_name, members, sentence) => {
    expect(faultOfConfiguration(members)).toContain(sentence);
  });

  it('of 7 voters and more learners is one', () => {
    const members = Array.from({ length: 20 }, (_, i) => member(i + 1, i < 7 ? 'voter' : 'learner'));
    expect(faultOfConfiguration(members)).toBeUndefined();
    expect(votersOf(members)).toHaveLength(7);
    expect([isSameConfiguration(members, [...members]), isSameConfiguration(members, members.slice(1))]).toEqual([true, false]);
  });
});

describe('a set follows another one', () => {
  const other = member(3, 'learner', { instance: 'ab'.repeat(8) });
  it.each<[string, Configuration, Configuration]>([
    ['where a node comes as a learner', THREE, [...THREE, member(4, 'learner')]],
    ['where a learner becomes a voter', [...THREE, member(4, 'learner')], [...THREE, member(4)]],
    ['where a voter becomes a learner', THREE, [member(1), member(2), member(3, 'learner')]],
    ['where a voter goes', THREE, [member(1), member(2)]],
    ['where a learner goes', [...THREE, member(4, 'learner')], THREE],
    ['where a lost disk gives way to another one, which learns', THREE, [member(1), member(2), other]],
    ['where an address changes', THREE, [member(1), member(2), member(3, 'voter', { host: 'elsewhere' })]],
  ])('%s', (_name, before, next) => {
    expect(faultOfStep(before, next)).toBeUndefined();
  });

  it.each<[string, Configuration, string]>([
    ['nothing changes', THREE, 'one node changes at a time, not 0'],
    ['two nodes change', [member(1), member(4, 'learner')], 'one node changes at a time, not 3'],
    ['a node comes as a voter', [...THREE, member(4)], 'node 4 must be a learner first'],
    ['a disk is swapped for another one', [member(1), member(2), { ...other, role: 'voter' }], 'node 3 must be a learner first'],
    ['an address takes a role with it', [member(1), member(2), member(3, 'learner', { port: 1 })], 'its role or its address, not both'],
    ['nobody is left', [], '1 to 7 voters'],
  ])('but not where %s', (_name, next, sentence) => {
    expect(faultOfStep(THREE, next)).toContain(sentence);
  });

  it('but not with a directory that was removed', () => {
    const removed = removedAfter([], [...THREE, other].slice(0, 3), [member(1), member(2)], 64);
    expect(removed).toEqual([{ id: 3, instance: member(3).instance }]);
    expect(faultOfStep([member(1), member(2)], [member(1), member(2), member(3, 'learner')], removed)).toContain('was removed, for good');
    expect(faultOfStep([member(1), member(2)], [member(1), member(2), other], removed)).toBeUndefined();
  });
});

it('of removed directories the oldest are forgotten, and none is there twice', () => {
  let removed = removedAfter([], THREE, [member(1)], 64);
  expect(removed.map(({ id }) => id)).toEqual([2, 3]);
  removed = removedAfter(removed, [member(2), member(5)], [member(1)], 2);
  expect(removed.map(({ id }) => id)).toEqual([3, 5]);
});

it.each([
  [1, 1, true],
  [2, 1, true],
  [3, 2, true],
  [3, 1, false],
  [4, 2, true],
  [4, 1, false],
  [5, 4, true],
  [5, 3, false],
  [7, 6, true],
  [7, 5, false],
])('of %i nodes whose ids counted, the first set has %i voters: %s', (nodes, voters, may) => {
  const ids = Array.from({ length: nodes }, (_, i) => i + 1);
  const first = ids.map((id) => member(id, id <= voters ? 'voter' : 'learner'));
  expect(faultOfFirst(ids, first) === undefined).toBe(may);
  expect(faultOfFirst([...ids, 9], first)).toBeDefined();
});
