// Named consumers in the log: a leader's position entries, what its followers fold of them, and what is there when the log is found, cut, or begins anew.

import { beforeEach, describe, expect, it } from 'vitest';
import { KIND_NOOP, KIND_POSITION, SEGMENT_HEADER_BYTES, WALK_NEWER_KIND } from '../../assembly/layout.ts';
import { viewOf } from '../../src/core/bytes.ts';
import { clientCapacityBytes, stateCapacityBytes } from '../../src/core/capacities.ts';
import { CONSUMERS_LEVEL } from '../../src/core/levels.ts';
import { type ConsumerChange, consumerIn, consumersIn, consumersPayload, NO_CONSUMERS } from '../../src/format/consumers.ts';
import { foldControl, UNTOLD } from '../../src/format/controlFold.ts';
import { entryBytesAt, kindSizeAt } from '../../src/format/entry.ts';
import { noOpPayload } from '../../src/format/noOp.ts';
import { LogFold } from '../../src/memory/logFold.ts';
import { SLOT, SLOT_SEALED, STATE } from '../../src/memory/map.ts';
import { Tail } from '../../src/memory/tail.ts';
import type { TailMemory } from '../../src/memory/tailMemory.ts';
import { consumersCapacityBytes } from '../../src/node/stateRoom.ts';
import { Random } from '../assembly/random.ts';
import { makeBatch } from '../crash/batches.ts';
import { resetMemory, smallMemory } from '../crash/testNode.ts';

const CAPACITY = clientCapacityBytes(65_536);
const LEADER = '0f1e2d3c4b5a6978';

const claim = (name: string): ConsumerChange => ({ what: 'claim', name });
const commit = (fence: number, position: number): ConsumerChange => ({ what: 'commit', fence, position });

class Node {
  readonly memory: TailMemory = smallMemory();
  readonly tail = new Tail(this.memory, () => undefined);

  reset(end = 0): void {
    resetMemory(this.memory);
    this.tail.fold.reset();
    this.tail.fold.difference = undefined;
    this.tail.start(end, 0, undefined);
  }

  lead(level: number): void {
    this.tail.fold.found({ number: 1, id: 'aabbccddeeff0011' }, undefined, level);
    expect(this.tail.appendOwn(KIND_NOOP, noOpPayload(LEADER), 1, 5)).toBe('ordered');
    this.memory.lastEntry = { term: 1, leader: LEADER };
  }

  say(...changes: ConsumerChange[]): void {
    this.#free();
    expect(this.tail.appendOwn(KIND_POSITION, consumersPayload(changes), 1, 5)).toBe('ordered');
  }

  /** The next segment begins, and its first entry says the state of the log. */
  roll(appended: () => void): void {
    const { openSlot } = this.memory;
    while (this.memory.openSlot === openSlot) {
      this.#free();
      const { entries, entryCount } = makeBatch([CAPACITY / 2], new Random(1));
      expect(this.tail.append(entries, entryCount, 1, CAPACITY, 5)).toBe('ordered');
      appended();
    }
  }

  /** All but the open slot may be taken again. */
  #free(): void {
    for (let slot = 0; slot < 3; slot += 1) if (slot !== this.memory.openSlot) this.memory.setSlotState(slot, SLOT_SEALED);
  }

  get base(): number {
    return this.memory.slotWord(this.memory.openSlot, SLOT.BASE);
  }

  bytes(from: number, to: number): Uint8Array {
    const at = SEGMENT_HEADER_BYTES - this.base;
    return this.memory.slotBytes(this.memory.openSlot, at + from, at + to).slice();
  }

  /** Takes what the leader's last move of the tail added. */
  take(leader: Node): string {
    this.#free();
    const bytes = leader.bytes(leader.tail.from, leader.tail.end);
    const status = this.tail.appendReplicated([bytes], bytes.length, 1, leader.base, 7);
    this.memory.lastEntry = leader.memory.lastEntry;
    return status;
  }

  get table(): Uint8Array {
    return this.tail.fold.consumers.slice();
  }
}

const leader = new Node();
const follower = new Node();
const say = (...changes: ConsumerChange[]): void => {
  leader.say(...changes);
  expect(follower.take(leader)).toBe('ordered');
};

beforeEach(() => {
  leader.reset();
  follower.reset();
});

describe('a log that keeps positions of consumers', () => {
  it('is folded alike by who leads, who follows, and who copies it, over segments', () => {
    const random = new Random(7);
    leader.lead(CONSUMERS_LEVEL);
    expect(follower.take(leader)).toBe('ordered');
    for (let round = 0; round < 400; round += 1) {
      const name = `c${random.below(9)}`;
      const fences = consumersIn(leader.table).map(({ fence }) => fence);
      const draw = (): ConsumerChange => {
        const what = random.below(8);
        if (what === 0) return claim(name);
        if (what === 1) return { what: 'reset', name, position: random.below(2) === 0 ? undefined : random.below(50) };
        if (what === 2) return { what: 'remove', name };
        return commit(fences[random.below(Math.max(1, fences.length))] ?? 1, random.below(1000));
      };
      say(...Array.from({ length: 1 + random.below(4) }, draw));
      expect(follower.table).toEqual(leader.table);
      if (round % 100 === 99) leader.roll(() => expect(follower.take(leader)).toBe('ordered'));
    }
    expect(follower.tail.fold.difference).toBeUndefined();
    expect(consumersIn(leader.table).length).toBeGreaterThan(2);
    const again = new LogFold(leader.memory);
    const table = leader.table;
    again.remake(leader.memory.openSlot, leader.memory.tail);
    expect(again.consumers).toEqual(table);
    const bytes = leader.bytes(leader.base, leader.memory.tail);
    let state = UNTOLD;
    for (let at = 0; at < bytes.length; at += entryBytesAt(viewOf(bytes), at))
      state = foldControl(state, viewOf(bytes), at, kindSizeAt(viewOf(bytes), at));
    expect(state.consumers).toEqual(table);
  });

  it('is what it was before, where the log is cut, up to each of its entries', () => {
    leader.lead(CONSUMERS_LEVEL);
    const states: [number, Uint8Array][] = [[leader.memory.tail, NO_CONSUMERS]];
    for (const change of [claim('a'), claim('b'), commit(1, 10), commit(2, 5), claim('a'), commit(3, 20), commit(1, 99)]) {
      leader.say(change);
      states.push([leader.memory.tail, leader.table]);
    }
    for (const [end, table] of states.reverse()) {
      leader.tail.fold.remake(leader.memory.openSlot, end);
      expect(leader.table).toEqual(table);
      expect(leader.tail.fold.named.placeOf(1) !== undefined).toBe(consumersIn(table).some(({ fence }) => fence === 1));
    }
    leader.say(claim('c'), commit(1, 7));
    expect(consumersIn(leader.table)).toMatchObject([{ name: 'c', fence: 1, position: 7 }]);
  });

  it('begins with what the first state entry says, where a log begins anew', () => {
    leader.lead(CONSUMERS_LEVEL);
    leader.say(claim('a'), commit(1, 10));
    leader.roll(() => undefined);
    follower.reset(leader.base);
    expect(follower.take(leader)).toBe('ordered');
    expect(follower.table).toEqual(leader.table);
    expect(consumerIn(follower.table, 'a')).toMatchObject({ fence: 1, position: 10 });
  });

  it('says it where a leader’s state has other positions than this node’s', () => {
    leader.lead(CONSUMERS_LEVEL);
    expect(follower.take(leader)).toBe('ordered');
    say(claim('a'), commit(1, 10));
    follower.tail.fold.named.apply([commit(1, 11)], 5, follower.memory.tail);
    leader.roll(() => expect(follower.take(leader)).toBe('ordered'));
    expect(follower.tail.fold.difference).toContain('"position":11');
  });

  it('keeps none below its level: whoever follows such a log stops at the entry, as at one of a newer build', () => {
    leader.lead(CONSUMERS_LEVEL - 1);
    expect(follower.take(leader)).toBe('ordered');
    const { tail } = follower.memory;
    leader.say(claim('a'));
    expect(leader.table).toHaveLength(0);
    expect(follower.take(leader)).toBe('refused');
    expect([follower.tail.badStatus, follower.memory.tail]).toEqual([WALK_NEWER_KIND, tail]);
  });

  it('has room for as many as its state takes beside all else, in segments of 64 KiB, and each segment begins with them', () => {
    leader.lead(CONSUMERS_LEVEL);
    expect(follower.take(leader)).toBe('ordered');
    const most = consumersCapacityBytes(65_536, leader.tail.fold);
    let count = 0;
    for (; leader.table.length + 28 + 64 <= most; count += 1) say(claim(String(count).padStart(64, 'n')));
    expect(count).toBeGreaterThan(120);
    for (let i = 0; i < count; i += 1) say(commit(i + 1, i));
    leader.roll(() => expect(follower.take(leader)).toBe('ordered'));
    expect(leader.tail.fold.stateEntryBytes).toBeLessThanOrEqual(stateCapacityBytes(65_536));
    expect(follower.table).toEqual(leader.table);
    expect([follower.tail.fold.difference, consumersIn(follower.table).length]).toEqual([undefined, count]);
  });

  it('is read by another thread as of one moment, or not at all', () => {
    leader.lead(CONSUMERS_LEVEL);
    leader.say(claim('a'), commit(1, 10));
    const other = new LogFold(leader.memory);
    expect(other.named.settled).toEqual({ table: leader.table, end: leader.memory.tail });
    leader.memory.addWord32(STATE.STATE_VERSION, 1);
    expect(other.named.settled).toBeUndefined();
    leader.memory.addWord32(STATE.STATE_VERSION, 1);
    expect(other.named.settled).toBeDefined();
  });
});
