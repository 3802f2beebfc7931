// Changes of the set of nodes amid what else happens to one: hand-overs of the office, and nodes that come back while they are replaced.

import { describe, expect, it } from 'vitest';
import type { Raft } from '../../../src/raft/raft.ts';
import { ELECTION_MS, type Envelope } from './coreNode.ts';
import { cluster, type Script, withMember, without, withRole } from './script.ts';

const leadersOf = ({ world }: Script): number[] => world.leaders.map(({ id }) => id);

/** Nobody's term changes any more, and the same node leads. */
function staysCalm(script: Script, ...ids: readonly number[]): void {
  const before = [leadersOf(script), ids.map((id) => script.node(id).raft.currentTerm)];
  script.world.heal();
  script.pass(10 * ELECTION_MS);
  expect([leadersOf(script), ids.map((id) => script.node(id).raft.currentTerm)]).toEqual(before);
}

/** Delivers until a node is asked to take over, and takes that out. */
function takeTimeoutNow({ world }: Script): Envelope {
  for (let next = world.bag.shift(); next !== undefined; next = world.bag.shift()) {
    if (next.message.kind === 'timeoutNow') return next;
    world.hand(next);
  }
  throw new Error('nobody is asked to take over');
}

describe('while its leader hands over, the set of nodes', () => {
  it('is not changed: neither the leader nor its successor goes before that is done', () => {
    const script = cluster(3);
    script.node(1).turn((raft: Raft) => raft.transfer(2));
    for (const id of [1, 2]) expect(script.change(1, without(id))).toBe('this node hands its office over: ask the next leader');
    script.pass(ELECTION_MS / 2);
    expect(leadersOf(script)).toEqual([2]);
    script.changed(2, without(1));
    expect([script.set(2), script.node(2).raft.members.removed]).toEqual([['2 voter', '3 voter'], [script.node(1).directory]]);
    staysCalm(script, 2, 3);
  });

  it('loses that leader where the removal was in the log before: it is committed, and one of the others leads', () => {
    for (const to of [2, 3]) {
      const script = cluster(3);
      script.node(1).append(50);
      expect(script.change(1, without(1))).toBeUndefined();
      script.node(1).turn((raft: Raft) => raft.transfer(to));
      script.pass(ELECTION_MS / 2);
      const [leader, ...more] = script.world.leaders;
      expect([[2, 3].includes(leader?.id ?? 0), more]).toEqual([true, []]);
      for (const id of [2, 3]) expect(script.set(id)).toEqual(['2 voter', '3 voter']);
      expect([script.node(1).isRemoved, script.node(1).raft.role]).toEqual([true, 'follower']);
      staysCalm(script, 2, 3);
    }
  });

  it('loses that leader although the one that it asks dies: it resigns, and the last two elect one', () => {
    const script = cluster(4);
    expect(script.change(1, without(1))).toBeUndefined();
    script.world.crash(script.node(takeTimeoutNow(script).to));
    expect(script.node(1).raft.role).toBe('leader');
    script.pass(6 * ELECTION_MS);
    const [leader, ...more] = script.world.leaders;
    expect([[2, 3, 4].includes(leader?.id ?? 0), more]).toEqual([true, []]);
    expect(script.node(1).raft.role).toBe('follower');
    expect(script.set(leader?.id ?? 0)).toEqual(['2 voter', '3 voter', '4 voter']);
  });

  it('is not disturbed by a successor that is removed, and is asked late', () => {
    const script = cluster(3);
    script.node(1).turn((raft: Raft) => raft.transfer(2));
    const late = takeTimeoutNow(script);
    script.world.cut(1, 2);
    script.world.cut(2, 1);
    script.pass(2 * ELECTION_MS, 1, 3);
    expect(leadersOf(script)).toEqual([1]);
    script.changed(1, without(2), 1, 3);
    script.world.heal();
    script.world.hand(late);
    staysCalm(script, 1, 3);
    expect(leadersOf(script)).toEqual([1]);
  });

  it('gives the office to nobody who is about to count no more', () => {
    for (const change of [without(2), withRole(2, 'reader')]) {
      const script = cluster(3);
      expect(script.change(1, change)).toBeUndefined();
      script.node(1).turn((raft: Raft) => raft.transfer(2));
      script.pass(3 * ELECTION_MS);
      expect(leadersOf(script)).toEqual([1]);
    }
  });
});

describe('a node that comes back while it is replaced', () => {
  /** Node 3 has died, node 4 reads, and the leader, node 1, has ordered the removal of 3, of which nobody else knows yet. */
  function replacing(): Script {
    const script = cluster(3, 1);
    script.world.crash(script.node(3));
    script.pass(2 * ELECTION_MS, 1, 2, 4);
    script.changed(1, withMember(script.member(4, 'reader')), 1, 2, 4);
    expect(script.change(1, without(3))).toBeUndefined();
    return script;
  }

  it('does not count for its own removal, nor for what follows, and its place is taken', () => {
    const script = replacing();
    script.node(1).append(50);
    // It comes with the set in which it counts, and hears from the leader alone, which hears nobody else.
    script.world.bag = [];
    script.world.restart(script.node(3));
    script.pass(ELECTION_MS / 2, 1, 3);
    expect(script.node(1).raft.commit).toBeLessThan(script.node(1).end);
    script.pass(ELECTION_MS / 2);
    expect(leadersOf(script)).toEqual([1]);
    expect(script.node(1).raft.commit).toBe(script.node(1).end);
    script.changed(1, withRole(4, 'learner'));
    script.changed(1, withRole(4, 'voter'));
    expect(script.set(4)).toEqual(['1 voter', '2 voter', '4 voter']);
    staysCalm(script, 1, 2, 4);
  });

  it('counts as before where the leader that removed it dies before anybody else has that', () => {
    const script = replacing();
    script.world.crash(script.node(1));
    script.world.restart(script.node(3));
    expect(script.campaign(2, 2, 3, 4)).toBe(true);
    script.pass(ELECTION_MS / 2, 2, 3, 4);
    expect(script.node(2).raft.commit).toBe(script.node(2).end);
    script.world.restart(script.node(1));
    script.pass(ELECTION_MS);
    for (const id of [1, 2, 3, 4]) expect(script.set(id)).toEqual(['1 voter', '2 voter', '3 voter', '4 reader']);
  });
});
