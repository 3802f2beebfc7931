// Sessions of producers in a log: a leader's entries of them, what its followers fold, and what is found again when the log is recovered, cut or begun anew.

import { beforeEach, describe, expect, it } from 'vitest';
import {
  KIND_CONTINUED,
  KIND_NOOP,
  KIND_SESSION,
  SEGMENT_HEADER_BYTES,
  WALK_NEWER_KIND,
  WALK_SECOND_BATCH,
} from '../../assembly/layout.ts';
import { clientCapacityBytes } from '../../src/core/capacities.ts';
import { SESSIONS_LEVEL } from '../../src/core/levels.ts';
import { entryBytesAt, kindSizeAt } from '../../src/format/entry.ts';
import { noOpPayload } from '../../src/format/noOp.ts';
import { readSequence, SEQUENCE_ENTRY_BYTES, sessionPayload, sessionsIn } from '../../src/format/sessions.ts';
import { LogFold } from '../../src/memory/logFold.ts';
import type { SessionAppend } from '../../src/memory/logSessions.ts';
import { SLOT, SLOT_SEALED, WORD } from '../../src/memory/map.ts';
import { Tail } from '../../src/memory/tail.ts';
import type { TailMemory } from '../../src/memory/tailMemory.ts';
import { Random } from '../assembly/random.ts';
import { resetMemory, smallMemory } from '../crash/testNode.ts';
import { encodeEntry } from '../support/entryTwin.ts';

const CAPACITY = clientCapacityBytes(65_536);
const LEADER = '0f1e2d3c4b5a6978';
const INSTANCE = '0123456789abcdef';
const HEADER_BYTES = 8;

class Node {
  readonly memory: TailMemory = smallMemory();
  readonly tail = new Tail(this.memory, () => undefined, 1000);
  nowMs = 5000;

  reset(end = 0): void {
    resetMemory(this.memory);
    this.tail.fold.reset();
    this.tail.start(end, 0, undefined);
    this.nowMs = 5000;
  }

  lead(level = SESSIONS_LEVEL): void {
    this.tail.fold.found({ number: 1, id: 'aabbccddeeff0011' }, undefined, level);
    expect(this.tail.appendOwn(KIND_NOOP, noOpPayload(LEADER), 1, this.nowMs)).toBe('ordered');
    this.memory.lastEntry = { term: 1, leader: LEADER };
  }

  /** Returns the session's number. */
  open(name: string): number {
    expect(this.tail.appendOwn(KIND_SESSION, sessionPayload({ what: 'open', name, instance: INSTANCE }), 1, this.nowMs)).toBe('ordered');
    return this.tail.first;
  }

  evict(session: number): void {
    expect(this.tail.appendOwn(KIND_SESSION, sessionPayload({ what: 'evict', session }), 1, this.nowMs)).toBe('ordered');
  }

  append(session: SessionAppend | undefined, sizes: readonly number[], isOneBatch = true): string {
    this.freeSlots();
    const parts = sizes.map((size, i) => encodeEntry(new Uint8Array(size), isOneBatch && i < sizes.length - 1 ? KIND_CONTINUED : 0));
    const entries = Uint8Array.from(parts.flatMap((part) => [...part]));
    return this.tail.append(entries, sizes.length, 1, CAPACITY, this.nowMs, false, undefined, session);
  }

  freeSlots(): void {
    for (let slot = 0; slot < 3; slot += 1) if (slot !== this.memory.openSlot) this.memory.setSlotState(slot, SLOT_SEALED);
  }

  get base(): number {
    return this.memory.slotWord(this.memory.openSlot, SLOT.BASE);
  }

  bytes(from: number, to: number): Uint8Array {
    const at = SEGMENT_HEADER_BYTES - this.base;
    return this.memory.slotBytes(this.memory.openSlot, at + from, at + to).slice();
  }

  take(leader: Node, from = leader.tail.from, to = leader.tail.end): string {
    this.freeSlots();
    const bytes = leader.bytes(from, to);
    const status = this.tail.appendReplicated([bytes], bytes.length, 1, leader.base, 7);
    this.memory.lastEntry = leader.memory.lastEntry;
    return status;
  }

  get sessions(): unknown[] {
    return sessionsIn(this.tail.fold.producers.table.slice());
  }
}

const leader = new Node();
const follower = new Node();
beforeEach(() => {
  leader.reset();
  follower.reset();
});

describe('sessions of producers', () => {
  it('head the one batch of an append: what comes after a time entry is of that time', () => {
    leader.lead();
    const session = leader.open('a');
    leader.nowMs += 2000;
    const tail = leader.memory.tail;
    expect(leader.append({ session, sequence: 1 }, [3, 4])).toBe('ordered');
    const { first, end, count, from } = leader.tail;
    expect([from, first, end, count]).toEqual([tail, tail + 20 + SEQUENCE_ENTRY_BYTES, tail + 20 + SEQUENCE_ENTRY_BYTES + 15 + 16, 2]);
    expect(leader.memory.word(WORD.DATA_END)).toBe(end);
    const entry = leader.bytes(tail + 20, first);
    const view = new DataView(entry.buffer);
    expect([kindSizeAt(view, 0) >>> 24, entryBytesAt(view, 0)]).toEqual([KIND_SESSION | KIND_CONTINUED, SEQUENCE_ENTRY_BYTES]);
    expect(readSequence(view, HEADER_BYTES, 32)).toEqual({ session, sequence: 1, bytes: 31, before: session });
    const row = { session, sequence: 1, last: tail + 20, timeMs: 7000, instance: INSTANCE, name: 'a', before: 0, beforeSequence: 0 };
    expect(leader.sessions).toEqual([row]);
  });

  it('leave no trace of an append that is refused, such as one of two batches', () => {
    leader.lead();
    const session = leader.open('a');
    const before = [leader.memory.tail, leader.sessions];
    expect(leader.append({ session, sequence: 1 }, [3, 4], false)).toBe('refused');
    expect(leader.tail.badStatus).toBe(WALK_SECOND_BATCH);
    expect([leader.memory.tail, leader.sessions]).toEqual(before);
    expect(() => leader.append({ session, sequence: 2 }, [3])).toThrow('follows its last append');
    expect(() => leader.append({ session: session + 1, sequence: 1 }, [3])).toThrow('follows its last append');
  });

  it('fill a segment to the last byte', () => {
    leader.lead();
    const session = leader.open('a');
    expect(leader.append({ session, sequence: 1 }, [CAPACITY - 12])).toBe('ordered');
    expect(leader.append({ session, sequence: 2 }, [CAPACITY - 12])).toBe('ordered');
    expect(leader.base).toBeGreaterThan(session);
  });

  it.each([1, 2, 3])(
    'are folded alike by who leads and who follows, over rolls, and are found again at any end of a batch (seed %i)',
    (seed) => {
      const random = new Random(seed);
      leader.lead();
      expect(follower.take(leader)).toBe('ordered');
      const ends: { end: number; sessions: unknown[] }[] = [];
      let base = leader.base;
      for (let step = 0; step < 400; step += 1) {
        const known = leader.sessions as { session: number; sequence: number }[];
        const one = known[random.below(known.length)];
        leader.nowMs += random.pick(0, 10, 1500);
        leader.freeSlots();
        if (one === undefined || random.oneIn(12)) leader.open(random.pick('a', 'b', 'c', 'd', 'e'));
        else if (random.oneIn(20)) leader.evict(one.session);
        else if (random.oneIn(5)) expect(leader.append(undefined, [10])).toBe('ordered');
        else expect(leader.append({ session: one.session, sequence: one.sequence + 1 }, [random.below(900), 5])).toBe('ordered');
        expect(follower.take(leader)).toBe('ordered');
        expect(follower.sessions).toEqual(leader.sessions);
        if (base !== leader.base) ends.length = 0;
        base = leader.base;
        ends.push({ end: leader.memory.tail, sessions: leader.sessions });
      }
      expect(base).toBeGreaterThan(0);
      expect(follower.tail.fold.difference).toBeUndefined();
      expect(follower.tail.fold.state).toEqual(leader.tail.fold.state);
      const again = new LogFold(leader.memory);
      for (const { end, sessions } of ends.toReversed()) {
        again.remake(leader.memory.openSlot, end);
        expect(sessionsIn(again.sessions.slice())).toEqual(sessions);
      }
    },
  );

  it('are told whole where a log begins anew: by the first state entry', () => {
    leader.lead();
    const session = leader.open('a');
    for (let i = 1; leader.base === 0; i += 1) leader.append({ session, sequence: i }, [20_000]);
    follower.reset(leader.base);
    expect(follower.take(leader)).toBe('ordered');
    expect(follower.sessions).toEqual(leader.sessions);
  });

  it('are none below their level: whoever follows such a log stops at the entry, as at one of a newer build', () => {
    leader.lead(1);
    expect(follower.take(leader)).toBe('ordered');
    leader.open('a');
    expect(leader.sessions).toEqual([]);
    expect(follower.take(leader)).toBe('refused');
    expect(follower.tail.badStatus).toBe(WALK_NEWER_KIND);
  });

  it('differ where a leader orders what does not follow from those before it: it is passed over, and said', () => {
    leader.lead();
    const session = leader.open('a');
    expect(follower.take(leader, 0)).toBe('ordered');
    leader.append({ session, sequence: 1 }, [1]);
    leader.tail.fold.producers.bytes = 0;
    expect(follower.take(leader)).toBe('ordered');
    follower.tail.fold.producers.bytes = 0;
    leader.evict(session);
    expect(follower.take(leader)).toBe('ordered');
    expect(follower.tail.fold.difference).toContain('its leader ordered what does not follow from the sessions of producers');
  });
});
