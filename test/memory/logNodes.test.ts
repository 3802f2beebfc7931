// A log that says which nodes it has: a leader's configuration entries, what its followers fold of them, and what is told when the log is found or cut.

import { beforeEach, describe, expect, it } from 'vitest';
import { KIND_CONFIGURATION, KIND_NOOP, SEGMENT_HEADER_BYTES, WALK_NEWER_KIND } from '../../assembly/layout.ts';
import { clientCapacityBytes } from '../../src/core/capacities.ts';
import { MEMBERS_LEVEL } from '../../src/core/levels.ts';
import type { Configuration, Member } from '../../src/core/members.ts';
import { configurationPayload, type LogMembers, NO_MEMBERS } from '../../src/format/configuration.ts';
import { UNTOLD } from '../../src/format/controlFold.ts';
import { nodeChanges } from '../../src/format/nodeChanges.ts';
import { noOpPayload } from '../../src/format/noOp.ts';
import { LogFold } from '../../src/memory/logFold.ts';
import { SLOT, SLOT_SEALED } from '../../src/memory/map.ts';
import { Tail } from '../../src/memory/tail.ts';
import type { TailMemory } from '../../src/memory/tailMemory.ts';
import { Random } from '../assembly/random.ts';
import { makeBatch } from '../crash/batches.ts';
import { resetMemory, smallMemory } from '../crash/testNode.ts';

const CAPACITY = clientCapacityBytes(65_536);
const LEADER = '0f1e2d3c4b5a6978';

const member = (id: number, role: Member['role'] = 'voter', disk = 0): Member => ({
  id,
  instance: `${disk}${id}`.padStart(16, '0'),
  role,
  host: 'a.b',
  port: 1,
  peerPort: 2,
});
const ONE: Configuration = [member(1)];
const TWO: Configuration = [member(1), member(2, 'learner')];
const TWO_VOTE: Configuration = [member(1), member(2)];

class Node {
  readonly memory: TailMemory = smallMemory();
  readonly tail = new Tail(this.memory, () => undefined);
  told: { readonly nodes: LogMembers; readonly by: number; readonly isState: boolean }[] = [];

  constructor() {
    this.tail.fold.onNodes = (nodes, by, isState) => this.told.push({ nodes, by, isState });
  }

  reset(end = 0): void {
    resetMemory(this.memory);
    this.tail.fold.reset();
    this.tail.start(end, 0, undefined);
    this.told = [];
  }

  lead(level: number): void {
    this.tail.fold.found({ number: 1, id: 'aabbccddeeff0011' }, undefined, level);
    expect(this.tail.appendOwn(KIND_NOOP, noOpPayload(LEADER), 1, 5)).toBe('ordered');
    this.memory.lastEntry = { term: 1, leader: LEADER };
  }

  say(members: Configuration): void {
    expect(this.tail.appendOwn(KIND_CONFIGURATION, configurationPayload(members), 1, 5)).toBe('ordered');
  }

  /** The next segment begins, and its first entry says the state of the log. */
  roll(appended: () => void = () => undefined): void {
    const { openSlot } = this.memory;
    while (this.memory.openSlot === openSlot) {
      this.append();
      appended();
    }
  }

  append(): void {
    for (let slot = 0; slot < 3; slot += 1) if (slot !== this.memory.openSlot) this.memory.setSlotState(slot, SLOT_SEALED);
    const { entries, entryCount } = makeBatch([CAPACITY / 2], new Random(1));
    expect(this.tail.append(entries, entryCount, 1, CAPACITY, 5)).toBe('ordered');
  }

  get base(): number {
    return this.memory.slotWord(this.memory.openSlot, SLOT.BASE);
  }

  bytes(from: number, to: number): Uint8Array {
    const at = SEGMENT_HEADER_BYTES - this.base;
    return this.memory.slotBytes(this.memory.openSlot, at + from, at + to).slice();
  }

  /** Takes the entries [from, to) of the leader's open segment over. */
  take(leader: Node, from = leader.tail.from, to = leader.tail.end): string {
    for (let slot = 0; slot < 3; slot += 1) if (slot !== this.memory.openSlot) this.memory.setSlotState(slot, SLOT_SEALED);
    const bytes = leader.bytes(from, to);
    const status = this.tail.appendReplicated([bytes], bytes.length, 1, leader.base, 7);
    this.memory.lastEntry = leader.memory.lastEntry;
    return status;
  }
}

const leader = new Node();
const follower = new Node();
beforeEach(() => {
  leader.reset();
  follower.reset();
});

describe('a log that says which nodes it has', () => {
  it('is folded alike by who leads and who follows, and each change is told once', () => {
    leader.lead(MEMBERS_LEVEL);
    expect(follower.take(leader)).toBe('ordered');
    expect(follower.tail.fold.nodes).toEqual(NO_MEMBERS);
    for (const members of [ONE, TWO, ONE, [member(1), member(2, 'learner', 1)]]) {
      leader.say(members);
      expect(follower.take(leader)).toBe('ordered');
      const { nodes } = follower.tail.fold;
      expect(nodes).toEqual(leader.tail.fold.nodes);
      expect(nodes.members).toEqual(members);
      expect(follower.told.at(-1)).toEqual({ nodes, by: leader.memory.tail, isState: false });
    }
    expect(follower.tail.fold.nodes.removed).toEqual([{ id: 2, instance: member(2).instance }]);
    expect(follower.told).toHaveLength(4);
    leader.roll(() => expect(follower.take(leader)).toBe('ordered'));
    expect([follower.tail.fold.difference, follower.told.length]).toEqual([undefined, 4]);
    expect(follower.tail.fold.state).toEqual(leader.tail.fold.state);
  });

  it('passes over a set that may not follow', () => {
    leader.lead(MEMBERS_LEVEL);
    leader.say(ONE);
    leader.say(TWO_VOTE);
    expect(leader.tail.fold.nodes.members).toEqual(ONE);
    expect(leader.told).toHaveLength(1);
  });

  it('is told whole where a log begins anew: by the first state entry', () => {
    leader.lead(MEMBERS_LEVEL);
    for (const members of [ONE, TWO, ONE, [member(1), member(2, 'learner', 1)]]) leader.say(members);
    leader.roll();
    follower.reset(leader.base);
    expect(follower.take(leader)).toBe('ordered');
    const { nodes } = leader.tail.fold;
    expect(follower.told.map((each) => [each.nodes, each.isState])).toEqual([[nodes, true]]);
    expect(follower.tail.fold.nodes).toEqual(nodes);
  });

  it('is the same when it is found in a segment, up to any entry of it', () => {
    leader.lead(MEMBERS_LEVEL);
    const ends: number[] = [];
    for (const members of [ONE, TWO, TWO_VOTE]) {
      leader.say(members);
      ends.push(leader.memory.tail);
    }
    const bytes = leader.bytes(0, leader.memory.tail);
    const view = new DataView(bytes.buffer);
    const { changes, state } = nodeChanges(UNTOLD, view, 0, bytes.length, 0);
    expect(changes.map(({ end, members, removed }) => [end, members, removed])).toEqual([
      [ends[0], ONE, undefined],
      [ends[1], TWO, undefined],
      [ends[2], TWO_VOTE, undefined],
    ]);
    expect(state.nodes).toEqual(leader.tail.fold.nodes);
    const again = new LogFold(leader.memory);
    again.remake(leader.memory.openSlot, ends[1] ?? 0);
    expect(again.nodes).toEqual({ members: TWO, removed: [] });
    again.remake(leader.memory.openSlot, ends[0] ?? 0);
    expect(again.nodes).toEqual({ members: ONE, removed: [] });
  });

  it('is none below its level: whoever follows such a log stops at the entry, as at one of a newer build', () => {
    leader.lead(MEMBERS_LEVEL - 1);
    expect(follower.take(leader)).toBe('ordered');
    const { tail } = follower.memory;
    leader.say(ONE);
    expect(leader.tail.fold.nodes).toEqual(NO_MEMBERS);
    expect(follower.take(leader)).toBe('refused');
    expect([follower.tail.badStatus, follower.memory.tail]).toEqual([WALK_NEWER_KIND, tail]);
  });
});
