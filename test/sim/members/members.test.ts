// Changes of the set of nodes: the published errors of others as scripts, schedules by seed, and planted bugs that these find.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LogFold } from '../../../src/memory/logFold.ts';
import { Membership, NO_CONFIGURATIONS } from '../../../src/raft/membership.ts';
import type { Raft } from '../../../src/raft/raft.ts';
import { NodesOfLog } from '../../../src/replication/nodesOfLog.ts';
import { smallMemory } from '../../crash/testNode.ts';
import { MEMBER_MUTANTS } from '../mutants/members.ts';
import { type Copy, patch, plant } from '../mutants/mutant.ts';
import { ELECTION_MS } from './coreNode.ts';
import { play } from './play.ts';
import { cluster, Script, termsOf, withMember, without, withRole } from './script.ts';

const SEEDS = Number(process.env.LOGLOG_RUNS ?? 1) * 150;

describe('the set of nodes', () => {
  it('grows from one to three and shrinks back, with appends in between (etcd#11633)', () => {
    const script = cluster(1, 2);
    for (const id of [2, 3]) {
      script.changed(1, withMember(script.member(id, 'learner')));
      script.changed(1, withRole(id, 'voter'));
      script.node(1).append(50);
      script.pass(200);
      expect(script.node(id).raft.commit).toBe(script.node(1).end);
    }
    expect(script.set(3)).toEqual(['1 voter', '2 voter', '3 voter']);
    // The two that came are enough without the first.
    script.world.crash(script.node(1));
    expect(script.campaign(2, 2, 3)).toBe(true);
    script.world.restart(script.node(1));
    script.pass(300);
    for (const id of [3, 1]) script.changed(2, without(id));
    script.node(2).append(50);
    script.pass(200, 2);
    expect([script.node(2).raft.commit, script.set(2)]).toEqual([script.node(2).end, ['2 voter']]);
  });

  it('does not begin while a node that counts is away: it would count less for that', () => {
    const script = new Script(3);
    expect(script.campaign(1, 1, 2)).toBe(true);
    script.pass(300, 1, 2);
    expect(script.node(1).raft.firstConfiguration).toBeUndefined();
    script.pass(300);
    script.changed(1, without(0));
    expect(script.set(1)).toEqual(['1 voter', '2 voter', '3 voter']);
  });

  it('does not begin while a node that counts is not of age: it is about to be', () => {
    const script = new Script(3);
    const last = script.node(3);
    last.disk.standing = 'new';
    script.world.restart(last);
    last.holds.add('flush');
    expect(script.campaign(1, 1, 2)).toBe(true);
    script.pass(300);
    expect(script.node(1).raft.firstConfiguration).toBeUndefined();
    last.holds.clear();
    last.flush();
    script.pass(300);
    script.changed(1, without(0));
    expect(script.set(1)).toEqual(['1 voter', '2 voter', '3 voter']);
  });

  it('has a node that hung while it was alone hand over as soon as another can lead', () => {
    const script = cluster(1, 1);
    script.node(1).turn((raft) => raft.hung(true));
    script.pass(1_000);
    expect([script.node(1).raft.role, script.node(1).raft.isHung]).toEqual(['leader', false]);
    script.changed(1, withMember(script.member(2, 'learner')));
    script.changed(1, withRole(2, 'voter'));
    script.pass(1_000);
    expect([script.node(2).raft.role, script.node(1).raft.isHung]).toEqual(['leader', true]);
  });

  it('may shrink to a node that hangs, which leads it all the same once it has answered', () => {
    const script = cluster(2);
    script.world.cut(1, 2);
    script.node(1).turn((raft) => raft.hung(true));
    script.world.heal();
    script.changed(1, without(2));
    script.node(1).turn((raft) => raft.hung(false));
    script.world.crash(script.node(2));
    expect([script.node(1).raft.isHung, script.campaign(1) || script.node(1).raft.role === 'leader']).toEqual([false, true]);
  });

  it('gets another disk of a node only where that answers: a link that is left over may be older than the set', () => {
    const script = cluster(1, 1);
    script.changed(1, withMember(script.member(2, 'reader')));
    const memory = smallMemory();
    const nodes = new NodesOfLog(script.node(1).raft, new LogFold(memory), memory, []);
    const due = (): string | undefined => nodes.next()?.find(({ id }) => id === 2)?.instance;
    // Nobody is there any more: the process had a disk that was replaced before this leader heard of it.
    script.world.crash(script.node(2));
    script.node(1).turn((raft) => raft.met(2, 'f'.repeat(16)));
    script.pass(2 * ELECTION_MS);
    expect(due()).toBeUndefined();
    script.world.restart(script.node(2));
    script.pass(300);
    expect(due()).toBeUndefined();
    script.world.replaceDisk(script.node(2), true);
    script.pass(300);
    expect(due()).toBe(script.node(2).disk.instance);
  });

  it('gets one voter although another that was about to be one is gone', () => {
    const script = cluster(1, 2);
    for (const id of [2, 3]) script.changed(1, withMember(script.member(id, 'learner')));
    script.world.crash(script.node(2));
    script.pass(2 * ELECTION_MS);
    const memory = smallMemory();
    const nodes = new NodesOfLog(script.node(1).raft, new LogFold(memory), memory, []);
    expect(nodes.next()?.map(({ id, role }) => `${id} ${role}`)).toEqual(['1 voter', '2 learner', '3 voter']);
  });

  it('is not changed before an entry of the leader’s own term is committed (the single-server bug of 2015)', () => {
    const script = cluster(4, 1);
    script.changed(1, withMember(script.member(5, 'learner')));
    // Leader 1 writes that 5 votes, and nobody hears of it but 5.
    expect(script.change(1, withRole(5, 'voter'))).toBeUndefined();
    script.calm(1, 5);
    expect(script.set(5)).toContain('5 voter');
    // Leader 2 would leave 1 out before it has committed anything: with 2 and 3, which are a majority then.
    expect(script.campaign(2, 99)).toBe(false);
    script.world.bag = [];
    script.node(2).holds.add('order');
    expect(script.campaign(2, 2, 3, 4)).toBe(true);
    script.node(2).order();
    expect(script.change(2, without(1))).toContain('nothing of the own term is committed yet');
    script.node(2).holds.clear();
    script.pass(300, 2, 3, 4);
    // Now that it has, 1 wins no majority of its own set of five.
    expect(script.change(2, without(1))).toBeUndefined();
    script.calm(2, 3);
    expect(script.campaign(1, 1, 4, 5)).toBe(false);
  });

  it('counts no vote and no answer of a voter that lost its disk (KRaftRecovery, redpanda#9766)', () => {
    const script = cluster(3);
    script.node(1).append(50);
    script.calm(1, 2);
    expect(script.node(1).raft.commit).toBe(script.node(1).end);
    script.world.replaceDisk(script.node(2), true);
    script.world.crash(script.node(1));
    // Node 3 lacks what is committed, and node 2 has forgotten it.
    expect(script.campaign(3, 2, 3)).toBe(false);
    script.world.restart(script.node(1));
    script.pass(4_000);
    const [leader] = script.world.leaders;
    if (leader === undefined) throw new Error('nobody leads');
    // Two entries bring it back: its old directory gives way to the new one, which learns, and then votes.
    script.changed(leader.id, withMember(script.member(2, 'learner')));
    script.changed(leader.id, withRole(2, 'voter'));
    expect(script.set(2)).toEqual(['1 voter', '2 voter', '3 voter']);
  });

  it('is in force where it is appended: an even cluster elects another leader whose predecessor dies before all know (etcd#12359)', () => {
    const script = cluster(3, 1);
    script.changed(1, withMember(script.member(4, 'learner')));
    expect(script.change(1, withRole(4, 'voter'))).toBeUndefined();
    script.calm(1, 2, 3);
    script.world.crash(script.node(1));
    // Node 4 does not know that it is a voter, and votes: three of four are a majority.
    expect(script.set(4)).toContain('4 learner');
    expect(script.campaign(2, 2, 3, 4)).toBe(true);
    script.pass(300, 2, 3, 4);
    expect(script.node(4).raft.commit).toBe(script.node(2).end);
  });

  it('is what it was before when its entry is cut', () => {
    const script = cluster(3);
    expect(script.change(1, without(3))).toBeUndefined();
    script.calm(1);
    expect(script.set(1)).toHaveLength(2);
    expect(script.campaign(2, 2, 3)).toBe(true);
    script.pass(500);
    expect([script.set(1), script.set(2)].map(({ length }) => length)).toEqual([3, 3]);
  });

  it('takes one change at a time', () => {
    const script = cluster(3, 1);
    expect(script.change(1, withMember(script.member(4, 'learner')))).toBeUndefined();
    expect(script.change(1, without(3))).toContain('another change of the set of nodes is under way');
    script.pass(200);
    expect(script.change(1, without(3))).toBeUndefined();
  });

  it('refuses a directory that was removed, and takes the same node with another one (KAFKA-19850)', () => {
    const script = cluster(3);
    const gone = script.member(3, 'learner');
    script.changed(1, without(3));
    expect(script.change(1, withMember(gone))).toContain('was removed, for good');
    script.world.replaceDisk(script.node(3), false);
    script.changed(1, withMember(script.member(3, 'learner')));
    script.changed(1, withRole(3, 'voter'));
    expect(script.set(3)).toEqual(['1 voter', '2 voter', '3 voter']);
  });

  it('is not disturbed by a node that was removed while it was away, in a later term (hashicorp/raft#524, canonical/raft#137)', () => {
    const script = cluster(3);
    // Node 3 is asked to take over, campaigns at once, and nobody hears of it.
    script.node(1).turn((raft: Raft) => raft.transfer(3));
    for (let next = script.world.bag.shift(); next !== undefined; next = script.world.bag.shift()) {
      script.world.hand(next);
      if (next.message.kind === 'timeoutNow') break;
    }
    const votes = script.world.bag.filter(({ from }) => from === 3);
    script.world.bag = [];
    expect([script.node(3).raft.role, script.node(3).raft.currentTerm]).toEqual(['candidate', script.node(1).raft.currentTerm + 1]);
    script.pass(2 * ELECTION_MS, 1, 2);
    script.changed(1, without(3), 1, 2);
    const before = termsOf(script).slice(0, 2);
    // Its late requests for votes, which may be answered although a leader is heard, and its greetings.
    for (const vote of votes) script.world.hand(vote);
    script.world.heal();
    script.pass(10 * ELECTION_MS);
    expect([script.world.leaders.map(({ id }) => id), termsOf(script).slice(0, 2)]).toEqual([[1], before]);
  });

  it('is not changed where no majority could be reached then, and the dead one goes first (etcd#3477, raft-autopilot#55)', () => {
    const script = cluster(3, 1);
    script.world.crash(script.node(3));
    script.pass(2 * ELECTION_MS, 1, 2, 4);
    expect(script.change(1, without(2))).toContain('of the 2 voters then, only 1 are heard from and fed');
    script.changed(1, without(3), 1, 2, 4);
    script.changed(1, withMember(script.member(4, 'learner')), 1, 2, 4);
    script.changed(1, withRole(4, 'voter'), 1, 2, 4);
    expect(script.set(4)).toEqual(['1 voter', '2 voter', '4 voter']);
  });

  it('loses nobody for being away, however long: whoever is gone for good somebody has to remove (consul#5922)', () => {
    const script = cluster(5);
    const dead = [script.node(4), script.node(5)];
    for (const node of dead) script.world.crash(node);
    script.pass(50 * ELECTION_MS);
    const memory = smallMemory();
    const nodes = new NodesOfLog(script.node(1).raft, new LogFold(memory), memory, []);
    expect(nodes.next()).toBeUndefined();
    expect(script.set(1)).toEqual(['1 voter', '2 voter', '3 voter', '4 voter', '5 voter']);
  });

  it('gives the office to nobody outside it, either', () => {
    const script = cluster(3, 1);
    script.node(1).turn((raft: Raft) => raft.transfer(4));
    script.pass(3 * ELECTION_MS);
    expect(script.world.leaders.map(({ id }) => id)).toEqual([1]);
  });

  it('makes nobody a voter who lacks what is committed, or does not answer (kubeadm#3287)', () => {
    const script = cluster(3, 1);
    script.changed(1, withMember(script.member(4, 'learner')), 1, 2, 3);
    expect(script.change(1, withRole(4, 'voter'))).toContain('does not answer');
    script.node(4).holds.add('flush');
    script.pass(300);
    expect(script.change(1, withRole(4, 'voter'))).toContain('node 4');
    script.node(4).holds.clear();
    script.node(4).flush();
    script.pass(200);
    expect(script.change(1, withRole(4, 'voter'))).toBeUndefined();
  });

  it('gives the office to no learner (etcd ErrBadLeaderTransferee)', () => {
    const script = cluster(1, 1);
    script.changed(1, withMember(script.member(2, 'learner')));
    script.node(1).turn((raft: Raft) => raft.transfer(2));
    script.pass(3 * ELECTION_MS);
    expect(script.world.leaders.map(({ id }) => id)).toEqual([1]);
    script.changed(1, withRole(2, 'voter'));
    script.node(1).turn((raft: Raft) => raft.transfer(2));
    script.pass(300);
    expect(script.world.leaders.map(({ id }) => id)).toEqual([2]);
  });

  it('loses its leader by a change: that commits by the others, hands over, and has no part any more', () => {
    const script = cluster(3);
    script.changed(1, without(1));
    script.pass(ELECTION_MS / 2);
    const [leader] = script.world.leaders;
    expect([leader?.id, script.node(1).isRemoved, script.node(1).raft.role]).toEqual([expect.any(Number), true, 'follower']);
    expect(leader?.id).not.toBe(1);
    const before = leader?.raft.currentTerm;
    script.pass(5 * ELECTION_MS);
    expect(script.world.leaders.map(({ raft }) => raft.currentTerm)).toEqual([before]);
  });

  it('is left by a leader that nobody takes over from', () => {
    const script = cluster(3);
    script.changed(1, withRole(1, 'learner'), 1, 2);
    script.world.bag = [];
    for (const id of [2, 3]) script.world.cut(1, id);
    script.pass(ELECTION_MS + 200);
    expect(script.node(1).raft.role).toBe('follower');
  });

  it('says what was removed before, where a log begins anew', () => {
    const membership = new Membership({ id: 1, instance: '1'.repeat(16) }, [1], NO_CONFIGURATIONS, 0);
    membership.beganAnew();
    expect([membership.isUnknown, membership.mayCampaign, membership.voterCount]).toEqual([true, false, 1]);
    const gone = { id: 3, instance: '3'.repeat(16) };
    membership.appended([
      { end: 500, members: [{ ...gone, id: 1, instance: '1'.repeat(16), role: 'voter', host: '', port: 0, peerPort: 0 }], removed: [gone] },
    ]);
    expect([membership.isUnknown, membership.mayCampaign, membership.removed]).toEqual([false, true, [gone]]);
    // Cut to where it began, it is what it began with.
    membership.truncated(500);
    expect(membership.latest?.end).toBe(500);
  });

  it('is first what all nodes have said of themselves, and waits for that', () => {
    const script = new Script(3);
    script.world.replaceDisk(script.node(3), true);
    expect(script.campaign(1, 1, 2)).toBe(true);
    script.pass(300, 1, 2);
    expect(script.change(1, without(0))).toBe('there is no first set');
    // It answers, and lacks what is committed: it does not count yet.
    script.node(3).holds.add('flush');
    script.pass(300);
    script.changed(1, without(0), 1, 2);
    expect(script.set(1)).toEqual(['1 voter', '2 voter', '3 learner']);
  });
});

describe('changes of the set of nodes by chance', () => {
  it(`keep every promise, for seeds 1 to ${SEEDS}`, () => {
    let [sets, harmed, bombs] = [0, 0, 0];
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const played = play(seed);
      sets += played.sets;
      harmed += played.harmed;
      bombs += played.bombs;
      expect(played.violation, `seed ${seed}: node dist/test/sim/members/seeds.js ${seed} 1`).toBeUndefined();
    }
    expect(sets).toBeGreaterThan(3 * SEEDS);
    expect([harmed > SEEDS / 10, bombs > 0]).toEqual([true, true]);
  });

  // What planted bugs were found by, and what was found before it was mended.
  it.each([215, 487, 562, 710, 830, 1339, 1527, 2324, 2405, 4488, 5349])('keep every promise, for seed %i', (seed) => {
    expect(play(seed).violation).toBeUndefined();
  });
});

describe('the simulation of changes finds', () => {
  let copy: Copy;
  beforeAll(() => {
    copy = plant({ name: 'none', patches: [] });
  });
  afterAll(() => copy.remove());

  it.each(MEMBER_MUTANTS)('$name ($what)', ({ name, patches, foundBy, withinSeeds, foundAt }) => {
    const pull = patch(copy.directory, name, patches);
    const search = (from: number, count: number): { readonly invariant: string; readonly sentence: string } | undefined => {
      const { stdout, stderr } = spawnSync(
        process.execPath,
        [join(copy.directory, 'test/sim/members/seeds.js'), String(from), String(count), 'first'],
        { encoding: 'utf8' },
      );
      expect(stdout, stderr).not.toBe('');
      return JSON.parse(stdout).failures[0];
    };
    try {
      const found = (foundAt === undefined ? undefined : search(foundAt, 1)) ?? search(1, withinSeeds);
      expect(found, `not found in ${withinSeeds} seeds`).toBeDefined();
      if (found !== undefined) expect(foundBy, found.sentence).toContain(found.invariant);
    } finally {
      pull();
    }
  });
});
