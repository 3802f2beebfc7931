// A log from one node to others and back, as the replica of its leader sees it: which sets it says, and who moves the commit meanwhile.

import { beforeEach, describe, expect, it } from 'vitest';
import { NO_INSTANCE } from '../../src/core/ids.ts';
import { MEMBERS_LEVEL } from '../../src/core/levels.ts';
import type { MemberChange } from '../../src/core/memberChanges.ts';
import type { Configuration } from '../../src/core/members.ts';
import { GATE_CLOSED, GATE_OPEN } from '../../src/memory/gate.ts';
import { STATE, WORD } from '../../src/memory/map.ts';
import { TailMemory } from '../../src/memory/tailMemory.ts';
import { emptyLog, TestReplica } from '../interleave/scenarios/replicas.ts';

const INSTANCE = '2'.repeat(16);
const THIRD = '3'.repeat(16);
const peer = (id: number): { id: number; host: string; port: number; peerPort: number } => ({
  id,
  host: `node${id}`,
  port: 10,
  peerPort: 20,
});
const ADD: MemberChange = { kind: 'add', instance: INSTANCE, isReader: false, ...peer(2) };

let memory: TailMemory;

beforeEach(() => {
  memory = TailMemory.create({ segmentBytes: 65_536, slots: 3 });
});

/** Node 1, which leads a new log alone. `nodes`: the list that it was given. */
function alone(nodes: readonly number[] = [1], peers = [1, 2].map(peer)): TestReplica {
  const raft = new TestReplica(memory, nodes, emptyLog(), 0, { peers });
  raft.campaign();
  sync(raft);
  return raft;
}

/** What was ordered is on the disk. */
function sync({ replica }: TestReplica): void {
  memory.publishDurable(memory.tail);
  replica.durableMoved();
}

/** The same with node 2, which has come, counts by the newest set, and has all that was before that. */
function ofTwo(): TestReplica {
  const raft = alone();
  const { replica } = raft;
  replica.changeNodes(ADD);
  sync(raft);
  replica.met(2, INSTANCE);
  replica.connected(2);
  raft.has(2, memory.tail);
  raft.later(1_000);
  return raft;
}

const setOf = ({ replica }: TestReplica): readonly string[] =>
  (replica.raft.members.latest?.members ?? []).map(({ id, role, host }: Configuration[number]) => `${id} ${role} ${host}`);

describe('a log of one node', () => {
  it('says that from its first entry on, and its writers commit', () => {
    const raft = alone();
    expect(raft.replica.level).toBe(MEMBERS_LEVEL);
    expect(setOf(raft)).toEqual(['1 voter node1']);
    expect(memory.word32(STATE.SOLE)).toBe(1);
    memory.publishDurable(memory.tail);
    expect(memory.commit).toBe(memory.tail);
  });

  it('gets another one as a learner, without its writers from then on, and leaves the commit to them again when that one is gone', () => {
    const raft = alone();
    const { replica } = raft;
    expect(replica.changeNodes(ADD)).toBeUndefined();
    expect(setOf(raft)).toEqual(['1 voter node1', '2 learner node2']);
    expect(memory.word32(STATE.SOLE)).toBe(0);
    const before = memory.commit;
    memory.publishDurable(memory.tail);
    expect(memory.commit).toBe(before);
    sync(raft);
    // The learner does not count: what is on this disk is committed, by the raft thread.
    expect([memory.commit, memory.word32(STATE.SOLE)]).toEqual([memory.tail, 0]);
    expect(replica.changeNodes({ kind: 'remove', id: 2 })).toBeUndefined();
    expect(memory.word32(STATE.SOLE)).toBe(0);
    sync(raft);
    expect(setOf(raft)).toEqual(['1 voter node1']);
    expect([memory.commit, memory.word32(STATE.SOLE)]).toEqual([memory.tail, 1]);
    const [other, removed] = ['another directory', `instance ${INSTANCE}`].map((text) => expect.stringContaining(text));
    // By the last link. Whoever waits for it waits on: it may be about to come with an empty directory.
    const again = { ...ADD, instance: NO_INSTANCE };
    replica.met(2, INSTANCE);
    expect(replica.changeNodes(again)).toMatchObject({ code: 'NOT_READY', sentence: other });
    expect(replica.changeNodes(again)).toMatchObject({ code: 'NOT_READY', sentence: removed });
    replica.met(2, 'e'.repeat(16));
    expect(replica.changeNodes(again)).toBeUndefined();
    expect(setOf(raft)).toEqual(['1 voter node1', '2 learner node2']);
  });

  it('leaves the commit to nobody while its node does not lead, and knows how far it was', () => {
    const raft = alone();
    const { replica } = raft;
    // Durable, and committed by a writer that this thread has not heard of.
    const end = memory.tail;
    replica.greeted(2, 7, true, false);
    expect(replica.raft.role).toBe('follower');
    expect([memory.word32(STATE.SOLE), memory.word(WORD.ENDED_COMMIT)]).toEqual([0, end]);
    raft.later(10_000);
    expect([replica.raft.role, replica.raft.currentTerm, memory.word32(STATE.SOLE)]).toEqual(['leader', 8, 0]);
    sync(raft);
    expect([memory.commit, memory.word32(STATE.SOLE)]).toEqual([memory.tail, 1]);
  });

  it('commits with both, once the other one counts, and does not without it', () => {
    const raft = ofTwo();
    expect(setOf(raft)).toEqual(['1 voter node1', '2 voter node2']);
    const before = memory.commit;
    sync(raft);
    expect([memory.commit, memory.word32(STATE.SOLE)]).toEqual([before, 0]);
    raft.has(2, memory.tail);
    expect(memory.commit).toBe(memory.tail);
  });

  it('lets nothing in after a set in which its leader does not count: that could not be committed any more', () => {
    const raft = ofTwo();
    const { replica } = raft;
    sync(raft);
    raft.has(2, memory.tail);
    expect([setOf(raft), memory.word32(STATE.GATE)]).toEqual([['1 voter node1', '2 voter node2'], GATE_OPEN]);
    expect(replica.changeNodes({ kind: 'remove', id: 1 })).toBeUndefined();
    expect([setOf(raft), memory.word32(STATE.GATE)]).toEqual([['2 voter node2'], GATE_CLOSED]);
    sync(raft);
    raft.later(100);
    expect([replica.raft.role, memory.word32(STATE.GATE)]).toEqual(['leader', GATE_CLOSED]);
    raft.has(2, memory.tail);
    expect([memory.commit, memory.word32(STATE.GATE)]).toEqual([memory.tail, GATE_CLOSED]);
  });

  it('gets the nodes that the founder greets with, as they come, whoever leads', () => {
    const raft = alone([1], [1, 2, 3].map(peer));
    const { replica } = raft;
    replica.changeNodes(ADD);
    sync(raft);
    replica.met(3, THIRD);
    const turn = (): readonly string[] => {
      raft.later(1_000);
      sync(raft);
      return setOf(raft);
    };
    const two = ['1 voter node1', '2 learner node2'];
    expect(turn()).toEqual(two);
    // Another directory than the set's, and a set without somebody who is in.
    replica.founderGreeted(2, THIRD, [1, 2, 3]);
    expect(turn()).toEqual(two);
    replica.founderGreeted(2, INSTANCE, [2, 3]);
    expect(turn()).toEqual(two);
    replica.founderGreeted(2, INSTANCE, [1, 2, 3]);
    expect(turn()).toEqual([...two, '3 learner node3']);
  });

  it('gets nobody of a list any more once a node was removed', () => {
    const raft = alone([1], [1, 2, 3].map(peer));
    const { replica } = raft;
    replica.changeNodes(ADD);
    sync(raft);
    replica.founderGreeted(2, INSTANCE, [1, 2, 3]);
    replica.changeNodes({ kind: 'add', instance: THIRD, isReader: false, ...peer(3) });
    sync(raft);
    replica.changeNodes({ kind: 'remove', id: 3 });
    sync(raft);
    replica.met(3, 'e'.repeat(16));
    raft.later(1_000);
    expect(setOf(raft)).toEqual(['1 voter node1', '2 learner node2']);
  });

  it('takes in nobody without an address for other nodes', () => {
    expect(alone([1], []).replica.changeNodes(ADD)).toEqual({
      code: 'UNSUPPORTED',
      sentence: expect.stringContaining('has no address for other nodes'),
    });
  });

  it('says it to who asks how far it is committed, although its writers commit', () => {
    const raft = alone();
    const { replica } = raft;
    expect(replica.raft.commit).toBe(memory.commit);
    const end = memory.tail;
    memory.setWord(WORD.DURABLE, end);
    memory.liftWord(WORD.COMMIT, end);
    replica.readIndex(7);
    expect(replica.raft.commit).toBe(end);
  });
});
