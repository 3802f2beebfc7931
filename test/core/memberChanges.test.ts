// What somebody may ask of a set of nodes, and which set that makes.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_CLUSTER_NODES } from '../../src/core/limits.ts';
import { changedBy, isRefusal, type MemberChange } from '../../src/core/memberChanges.ts';
import { type Configuration, faultOfConfiguration, faultOfStep, type Member } from '../../src/core/members.ts';

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
    [
      'moves a node, and changes nothing else of it (etcd#21694)',
      { kind: 'move', id: 5, host: 'h', port: 1, peerPort: 2 },
      [member(1), member(3), { ...member(5, 'learner'), host: 'h', port: 1, peerPort: 2 }, member(7, 'reader')],
    ],
  ] as const)('%s', (_name, change: MemberChange, expected: Configuration) => {
    const next = changedBy(SET, change);
    expect(next).toEqual(expected);
    if (!isRefusal(next)) expect(faultOfStep(SET, next)).toBeUndefined();
  });

  it.each([
    ['a node that is there', add(5, false), 'ALREADY_MEMBER', 'node 5 is in the set already, as a learner that becomes a voter'],
    ['a node that is not there', { kind: 'remove', id: 2 }, 'UNKNOWN_MEMBER', 'node 2 is not in the set, which has the nodes 1, 3, 5, 7'],
    ['a voter to be promoted', { kind: 'promote', id: 1 }, 'ALREADY_MEMBER', 'node 1 is already a voter'],
    ['a learner to be promoted', { kind: 'promote', id: 5 }, 'ALREADY_MEMBER', 'node 5 is already a learner that becomes a voter'],
    ['a reader to be demoted', { kind: 'demote', id: 7 }, 'ALREADY_MEMBER', 'node 7 is already a learner that stays one'],
    [
      'a node that is to move to where it is',
      { kind: 'move', id: 5, host: '', port: 0, peerPort: 0 },
      'ALREADY_MEMBER',
      'node 5 is there already',
    ],
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

describe('any change of any set', () => {
  const roles = fc.constantFrom<Member['role']>('voter', 'learner', 'reader');
  const address = { host: fc.constantFrom('', 'a', 'b'), port: fc.integer({ min: 0, max: 2 }), peerPort: fc.integer({ min: 0, max: 2 }) };
  const id = fc.integer({ min: 1, max: 9 });
  const members = fc
    .uniqueArray(fc.record({ id, role: roles, ...address }), { selector: (each) => each.id, minLength: 1, maxLength: 9 })
    .map((set) => set.sort((a, b) => a.id - b.id).map((each): Member => ({ ...each, instance: `${each.id}`.repeat(16) })))
    .filter((set) => faultOfConfiguration(set) === undefined);
  const changes: fc.Arbitrary<MemberChange> = fc.oneof(
    fc.record({ kind: fc.constant('add' as const), id, instance: fc.constant('e'.repeat(16)), isReader: fc.boolean(), ...address }),
    fc.record({ kind: fc.constantFrom('remove' as const, 'promote' as const, 'demote' as const), id }),
    fc.record({ kind: fc.constant('move' as const), id, ...address }),
  );
  /** What of a node is another after a change of that kind. */
  const field = { add: ['comes'], remove: ['goes'], promote: ['role'], demote: ['role'], move: ['address'] } as const;

  function differences(before: Configuration, next: Configuration): string[] {
    const ids = [...new Set([...before, ...next].map((each) => each.id))];
    return ids.flatMap((each) => {
      const [was, is] = [before.find((one) => one.id === each), next.find((one) => one.id === each)];
      if (was === undefined) return ['comes'];
      if (is === undefined) return ['goes'];
      const isThere = was.host === is.host && was.port === is.port && was.peerPort === is.peerPort;
      return [
        ...(was.instance === is.instance ? [] : ['instance']),
        ...(was.role === is.role ? [] : ['role']),
        ...(isThere ? [] : ['address']),
      ];
    });
  }

  it('changes one thing of one node, the one that is meant, or is refused (etcd#21694)', () => {
    fc.assert(
      fc.property(members, changes, (before, change) => {
        const next = changedBy(before, change);
        if (isRefusal(next)) return;
        expect(differences(before, next)).toEqual(field[change.kind]);
        expect(faultOfStep(before, next)).toBeUndefined();
      }),
      { numRuns: 2_000 },
    );
  });
});
