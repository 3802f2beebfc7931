// What somebody may ask of a set of nodes, and which set that makes.

import { describe, expect, it } from 'vitest';
import { MAX_CLUSTER_NODES } from '../../src/core/limits.ts';
import { changedBy, isRefusal, type MemberChange } from '../../src/core/memberChanges.ts';
import { type Configuration, faultOfStep, type Member } from '../../src/core/members.ts';

const member = (id: number, role: Member['role'] = 'voter'): Member => ({
  id,
  instance: `${id}`.padStart(16, '0'),
  role,
  host: '',
  port: 0,
  peerPort: 0,
});
const SET: Configuration = [member(1), member(3), member(5, 'learner'), member(7, 'reader')];
const add = (id: number, isReader: boolean): MemberChange => {
  const { role: _, ...rest } = member(id);
  return { kind: 'add', ...rest, isReader };
};

describe('a change of the set of nodes', () => {
  it.each([
    [
      'adds a node, which becomes a voter',
      add(4, false),
      [member(1), member(3), member(4, 'learner'), member(5, 'learner'), member(7, 'reader')],
    ],
    ['adds a node that stays a reader', add(9, true), [...SET, member(9, 'reader')]],
    ['removes a node', { kind: 'remove', id: 3 }, [member(1), member(5, 'learner'), member(7, 'reader')]],
    [
      'promotes a reader: it is a learner first',
      { kind: 'promote', id: 7 },
      [member(1), member(3), member(5, 'learner'), member(7, 'learner')],
    ],
    ['demotes a voter', { kind: 'demote', id: 1 }, [member(1, 'reader'), member(3), member(5, 'learner'), member(7, 'reader')]],
    ['demotes a learner', { kind: 'demote', id: 5 }, [member(1), member(3), member(5, 'reader'), member(7, 'reader')]],
  ] as const)('%s', (_name, change: MemberChange, expected: Configuration) => {
    const next = changedBy(SET, change);
    expect(next).toEqual(expected);
    if (!isRefusal(next)) expect(faultOfStep(SET, next)).toBeUndefined();
  });

  it.each([
    ['a node that is there', add(5, false), 'ALREADY_MEMBER', 'node 5 is in the set already, as a learner'],
    ['a node that is not there', { kind: 'remove', id: 2 }, 'UNKNOWN_MEMBER', 'node 2 is not in the set, which has the nodes 1, 3, 5, 7'],
    ['a voter to be promoted', { kind: 'promote', id: 1 }, 'ALREADY_MEMBER', 'node 1 is a voter already'],
    ['a learner to be promoted', { kind: 'promote', id: 5 }, 'ALREADY_MEMBER', 'node 5 is a learner already'],
    ['a reader to be demoted', { kind: 'demote', id: 7 }, 'ALREADY_MEMBER', 'node 7 is a reader already'],
  ] as const)('is refused for %s, with a code and a sentence', (_name, change: MemberChange, code, sentence) => {
    expect(changedBy(SET, change)).toEqual({ code, sentence });
  });

  it.each([
    ['removed', { kind: 'remove', id: 1 }],
    ['demoted', { kind: 'demote', id: 1 }],
  ] as const)('is refused for the last voter, which would be %s', (_name, change: MemberChange) => {
    const refusal = changedBy([member(1), member(2, 'learner'), member(3, 'reader')], change);
    expect(refusal).toMatchObject({ code: 'NO_MAJORITY', sentence: expect.stringContaining('node 1 is the only voter') });
  });

  it('is refused for one voter more than there may be, and not for a reader', () => {
    const full = Array.from({ length: MAX_CLUSTER_NODES }, (_, i) => member(i + 1, i === 0 ? 'learner' : 'voter'));
    expect(changedBy(full, add(9, false))).toMatchObject({ code: 'UNSUPPORTED' });
    expect(changedBy([...full, member(9, 'reader')], { kind: 'promote', id: 9 })).toMatchObject({ code: 'UNSUPPORTED' });
    expect(changedBy(full, add(9, true))).toHaveLength(MAX_CLUSTER_NODES + 1);
  });
});
