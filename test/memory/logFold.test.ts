// A log that describes itself, on a leader and a follower: the heads of segments, the time, trims and policies, and the state of the log that
// each node folds of them.

import { beforeEach, describe, expect, it } from 'vitest';
import {
  INDEX_INTERVAL_BYTES,
  KIND_ACCESS,
  KIND_DATA,
  KIND_NOOP,
  KIND_POLICY,
  KIND_STATE,
  KIND_TIME,
  KIND_TRIM,
  SCAN_VERIFY,
  WALK_BAD_CONTROL,
  WALK_NEWER_KIND,
} from '../../assembly/layout.ts';
import { NO_QUOTAS } from '../../src/core/access.ts';
import { clientCapacityBytes } from '../../src/core/capacities.ts';
import { LOG_LEVEL } from '../../src/core/levels.ts';
import { TIME_ENTRY_BYTES } from '../../src/core/limits.ts';
import { type AccessChange, accessPayload, NO_ACCESS } from '../../src/format/access.ts';
import { NO_MEMBERS } from '../../src/format/configuration.ts';
import { NO_CONSUMERS } from '../../src/format/consumers.ts';
import { NO_POLICY, NO_SEAL, NO_TRIM, policyPayload, readTime, trimPayload } from '../../src/format/controlEntries.ts';
import { entryBytesAt, kindOf, kindSizeAt, payloadBytesOf } from '../../src/format/entry.ts';
import { noOpPayload } from '../../src/format/noOp.ts';
import { NO_SESSIONS } from '../../src/format/sessions.ts';
import { type LogState, readState } from '../../src/format/stateEntry.ts';
import { LogFold } from '../../src/memory/logFold.ts';
import { SLOT, SLOT_SEALED, WORD } from '../../src/memory/map.ts';
import { Tail } from '../../src/memory/tail.ts';
import type { TailMemory } from '../../src/memory/tailMemory.ts';
import { Random } from '../assembly/random.ts';
import { drawSizes, makeBatch } from '../crash/batches.ts';
import { resetMemory, smallMemory } from '../crash/testNode.ts';
import { encodeEntry, scan } from '../support/entryTwin.ts';
import { BARE_LOG_HEAD_BYTES, BARE_STATE_ENTRY_BYTES } from '../support/logHead.ts';

const LEADER = '0f1e2d3c4b5a6978';
const GENERATION = { number: 1, id: 'aabbccddeeff0011' };
const CAPACITY = clientCapacityBytes(65_536);
const HALF = CAPACITY / 2 - 12;
const START_MS = 1_000_000;

class Node {
  readonly memory: TailMemory = smallMemory();
  readonly tail = new Tail(this.memory, () => undefined);
  #term = 0;

  reset(): void {
    resetMemory(this.memory);
    this.tail.start(0, 0, undefined);
    this.#term = 0;
  }

  /** Begins a term with its no-op. */
  lead(term: number, nowMs: number): void {
    if (this.memory.tail === 0) this.tail.fold.found(GENERATION);
    expect(this.tail.appendOwn(KIND_NOOP, noOpPayload(LEADER), term, nowMs)).toBe('ordered');
    this.#term = term;
    this.memory.lastEntry = { term, leader: LEADER };
  }

  append(sizes: readonly number[], nowMs: number, random: Random): string {
    this.#seal();
    const { entries, entryCount } = makeBatch(sizes, random);
    return this.tail.append(entries, entryCount, this.#term, CAPACITY, nowMs);
  }

  own(kind: number, payload: Uint8Array, nowMs: number): void {
    this.#seal();
    expect(this.tail.appendOwn(kind, payload, this.#term, nowMs)).toBe('ordered');
  }

  /** All but the open slot may be taken again. */
  #seal(): void {
    for (let slot = 0; slot < 3; slot += 1) if (slot !== this.memory.openSlot) this.memory.setSlotState(slot, SLOT_SEALED);
  }

  /** Takes over what the leader's last move of the tail added. */
  follow(leader: Node, cutAt?: number): string {
    this.#seal();
    const base = leader.openBase;
    const { from, end } = leader.tail;
    const bytes = leader.bytes(from, end).slice();
    if (cutAt !== undefined) bytes[cutAt] = (bytes[cutAt] ?? 0) ^ 1;
    const status = this.tail.appendReplicated([bytes], bytes.length, leader.#term, base, 77);
    if (status === 'ordered') this.memory.lastEntry = leader.memory.lastEntry;
    return status;
  }

  get openBase(): number {
    return this.memory.slotWord(this.memory.openSlot, SLOT.BASE);
  }

  bytes(from: number, to: number): Uint8Array {
    return this.memory.slotBytes(this.memory.openSlot, 4096 + from - this.openBase, 4096 + to - this.openBase);
  }

  /** Kinds and offsets of the entries in the open segment. */
  entries(): { kind: number; offset: number; payload: Uint8Array }[] {
    const bytes = this.bytes(this.openBase, this.memory.tail).slice();
    const view = new DataView(bytes.buffer);
    const entries: { kind: number; offset: number; payload: Uint8Array }[] = [];
    for (let at = 0; at < bytes.length; at += entryBytesAt(view, at)) {
      const kindSize = kindSizeAt(view, at);
      const payload = bytes.slice(at + 8, at + 8 + payloadBytesOf(kindSize));
      entries.push({ kind: kindOf(kindSize), offset: this.openBase + at, payload });
    }
    return entries;
  }

  /** What the walk of a scan says of the open segment: valid, and with the same index points. */
  check(): void {
    const slot = this.memory.openSlot;
    const bytes = this.bytes(this.openBase, this.memory.tail).slice();
    const options = { offset: this.openBase, minTerm: 1, flags: SCAN_VERIFY, emitPoints: true, filePosition: 4096 };
    const walk = scan(bytes, options);
    expect([walk.status, walk.points, walk.count]).toEqual([0, [...this.memory.points(slot)], this.memory.slotWord(slot, SLOT.ENTRIES)]);
    if (walk.dataEnd > 0) expect(this.memory.dataEnd).toBe(this.openBase + walk.dataEnd);
  }
}

const leader = new Node();
const follower = new Node();
const random = new Random(3);

/** The tokens are a view of the memory. */
const copyOf = (state: LogState): LogState => ({ ...state, access: state.access.slice() });

/** A change of one of a few tokens, which are put and removed again and again. */
function drawAccess(random: Random): AccessChange {
  const id = `0000000000${random.below(6)}`;
  if (random.below(2) === 0) return { what: 'remove', id };
  const name = 'n'.repeat(1 + random.below(64));
  const record = {
    id,
    hash: '5a'.repeat(32),
    name,
    scopes: 1 + random.below(63),
    createdMs: 1,
    expiresMs: random.below(2),
    quotas: NO_QUOTAS,
  };
  return { what: 'put', record, isRequest: random.below(4) === 0 };
}

const stateOf = (payload: Uint8Array) => readState(new DataView(payload.buffer), 0, payload.length);
const timeOf = (payload: Uint8Array) => readTime(new DataView(payload.buffer), 0, payload.length);

beforeEach(() => {
  leader.reset();
  follower.reset();
});

describe('a log that describes itself', () => {
  it('begins with its state, then the no-op of its first term', () => {
    leader.lead(1, START_MS);
    expect(leader.entries().map(({ kind, offset }) => [kind, offset])).toEqual([
      [KIND_STATE, 0],
      [KIND_NOOP, BARE_STATE_ENTRY_BYTES],
    ]);
    expect([leader.tail.from, leader.tail.first, leader.tail.end, leader.tail.count]).toEqual([
      0,
      BARE_STATE_ENTRY_BYTES,
      BARE_LOG_HEAD_BYTES,
      1,
    ]);
    const before = { term: 0, leader: '0'.repeat(16) };
    const state = {
      dataEnd: 0,
      before,
      trim: NO_TRIM,
      seal: NO_SEAL,
      timeMs: START_MS,
      level: LOG_LEVEL,
      generation: GENERATION,
      policy: NO_POLICY,
      access: NO_ACCESS,
      consumers: NO_CONSUMERS,
      nodes: NO_MEMBERS,
      sessions: NO_SESSIONS,
    };
    expect(stateOf(leader.entries()[0]?.payload ?? new Uint8Array())).toEqual(state);
    expect([leader.tail.fold.level, leader.memory.dataEnd]).toEqual([LOG_LEVEL, 0]);
    leader.check();
  });

  it('has a time entry before a batch that comes a second after the last one, and its receipts name the data', () => {
    leader.lead(1, START_MS);
    leader.append([5], START_MS + 999, random);
    leader.append([5], START_MS + 1000, random);
    expect([leader.tail.from, leader.tail.first, leader.tail.end]).toEqual([
      BARE_LOG_HEAD_BYTES + 17,
      BARE_LOG_HEAD_BYTES + 17 + TIME_ENTRY_BYTES,
      BARE_LOG_HEAD_BYTES + 34 + TIME_ENTRY_BYTES,
    ]);
    // The clock of the next leader is an hour back.
    leader.append([5], START_MS - 3_600_000, random);
    leader.append([5], START_MS + 2000, random);
    const kinds = leader.entries().slice(2);
    expect(kinds.map(({ kind }) => kind)).toEqual([KIND_DATA, KIND_TIME, KIND_DATA, KIND_DATA, KIND_TIME, KIND_DATA]);
    expect([kinds[1], kinds[4]].map((entry) => timeOf(entry?.payload ?? new Uint8Array()))).toEqual([START_MS + 1000, START_MS + 2000]);
    expect(leader.tail.count).toBe(1);
    leader.check();
  });

  it('has its state at the head of each segment: in the place of a time entry, and before the no-op that rolls', () => {
    leader.lead(1, START_MS);
    for (const nowMs of [START_MS, START_MS, START_MS + 5000]) leader.append([HALF], nowMs, random);
    const { dataEnd: before } = leader.memory;
    expect(leader.entries().map(({ kind }) => kind)).toEqual([KIND_STATE, KIND_DATA]);
    expect(stateOf(leader.entries()[0]?.payload ?? new Uint8Array())).toMatchObject({
      timeMs: START_MS + 5000,
      before: { term: 1, leader: LEADER },
      dataEnd: leader.openBase,
    });
    leader.append([HALF], START_MS, random);
    leader.append([CAPACITY - 12 - HALF - 12 - BARE_STATE_ENTRY_BYTES], START_MS, random);
    expect(leader.memory.dataEnd).toBeGreaterThan(before);
    while (leader.memory.tail - leader.openBase < 61_400 - 12) leader.own(KIND_NOOP, noOpPayload(LEADER), START_MS);
    leader.lead(2, START_MS);
    expect(leader.entries().map(({ kind }) => kind)).toEqual([KIND_STATE, KIND_NOOP]);
    expect(stateOf(leader.entries()[0]?.payload ?? new Uint8Array())).toMatchObject({
      before: { term: 1 },
      dataEnd: leader.memory.dataEnd,
    });
    leader.check();
  });

  it('keeps no trace of a batch that is refused, head and time neither; the next one has them', () => {
    leader.lead(1, START_MS);
    for (const sizes of [[HALF], [HALF]]) leader.append(sizes, START_MS, random);
    const timeMs = leader.tail.fold.timeMs;
    const bad = encodeEntry(new Uint8Array(HALF), KIND_NOOP);
    const { tail } = leader.memory;
    expect(leader.tail.append(bad, 1, 1, CAPACITY, START_MS + 9000)).toBe('refused');
    expect([leader.memory.tail, leader.tail.fold.timeMs, leader.tail.badAt]).toEqual([tail, timeMs, 0]);
    expect(leader.append([7], START_MS + 9500, random)).toBe('ordered');
    expect(leader.entries().map(({ kind }) => kind)).toEqual([KIND_STATE, KIND_DATA]);
    leader.check();
  });

  it('takes the trim that trims most, whenever it was ordered, and the policy that came last', () => {
    leader.lead(1, START_MS);
    leader.append([100], START_MS, random);
    leader.own(KIND_TRIM, trimPayload({ start: 50, dataEnd: 40 }), START_MS);
    const { trimEnd } = leader.tail.fold;
    expect(trimEnd).toBe(leader.memory.tail);
    leader.own(KIND_TRIM, trimPayload({ start: 30, dataEnd: 30 }), START_MS);
    leader.own(KIND_POLICY, policyPayload({ bytes: 5, ageMs: 6 }), START_MS);
    leader.own(KIND_POLICY, policyPayload({ bytes: 0, ageMs: 7 }), START_MS);
    const { trim, policy, policyEnd } = leader.tail.fold;
    expect([trim, leader.tail.fold.trimEnd, policy]).toEqual([{ start: 50, dataEnd: 40 }, trimEnd, { bytes: 0, ageMs: 7 }]);
    expect([policyEnd, leader.tail.fold.settledPolicy]).toEqual([leader.memory.tail, { ...policy, end: policyEnd }]);
  });

  it('is folded alike by who follows, after each move, and again from what stands in the open segment', () => {
    let nowMs = START_MS;
    for (let term = 1; term <= 40; term += 1) {
      leader.lead(term, nowMs);
      expect(follower.follow(leader)).toBe('ordered');
      for (let step = 0; step < 20; step += 1) {
        nowMs += random.pick(-50_000, 0, 1, 300, 1500);
        const draw = random.below(11);
        if (draw === 0) {
          const { tail, dataEnd } = leader.memory;
          const start = Math.floor(tail / 2);
          leader.own(KIND_TRIM, trimPayload({ start, dataEnd: Math.min(start, dataEnd) }), nowMs);
        } else if (draw === 1) leader.own(KIND_POLICY, policyPayload({ bytes: random.below(3), ageMs: random.below(3) }), nowMs);
        else if (draw <= 3) leader.own(KIND_ACCESS, accessPayload(drawAccess(random)), nowMs);
        else expect(leader.append(drawSizes(random, random.pick(300, INDEX_INTERVAL_BYTES, CAPACITY)), nowMs, random)).toBe('ordered');
        expect(follower.follow(leader)).toBe('ordered');
        expect(follower.tail.fold.difference).toBeUndefined();
        expect(follower.tail.fold.state).toEqual(leader.tail.fold.state);
        follower.check();
        const { trimEnd, policyEnd, accessEnd } = follower.tail.fold;
        const state = copyOf(follower.tail.fold.state);
        const again = new LogFold(follower.memory);
        again.remake(follower.memory.openSlot, follower.memory.tail);
        expect(again.state).toEqual(state);
        // Of a trim in an earlier segment the segment's head tells.
        if (trimEnd > follower.openBase) expect(again.trimEnd).toBeGreaterThan(follower.openBase);
        if (policyEnd > follower.openBase) expect(again.policyEnd).toBeGreaterThan(follower.openBase);
        follower.memory.setWord(WORD.TRIM_END, trimEnd);
        follower.memory.setWord(WORD.POLICY_END, policyEnd);
        if (accessEnd > follower.openBase) expect(again.accessEnd).toBe(accessEnd);
        follower.memory.setWord(WORD.ACCESS_END, accessEnd);
      }
    }
  });

  it('is told whole to who begins later: the first state entry says where the data before it ends, and the next one is no other', () => {
    leader.lead(1, START_MS);
    leader.append([HALF], START_MS, random);
    const { dataEnd } = leader.memory;
    // The next segment begins without data, and the one after that with the largest batch.
    while (leader.memory.tail < 61_400 - 12) leader.own(KIND_NOOP, noOpPayload(LEADER), START_MS);
    leader.lead(2, START_MS);
    const base = leader.openBase;
    expect(base).toBeGreaterThan(dataEnd);
    // As emptyLog leaves it.
    for (const word of [WORD.BASE, WORD.TAIL, WORD.DURABLE, WORD.DATA_END]) follower.memory.setWord(word, base);
    expect(follower.follow(leader)).toBe('ordered');
    expect(follower.memory.dataEnd).toBe(dataEnd);
    while (leader.memory.tail - base <= 61_440 - CAPACITY) {
      leader.own(KIND_NOOP, noOpPayload(LEADER), START_MS);
      expect(follower.follow(leader)).toBe('ordered');
    }
    expect(leader.append([CAPACITY - 12], START_MS, random)).toBe('ordered');
    expect(leader.openBase).toBeGreaterThan(base);
    expect(follower.follow(leader)).toBe('ordered');
    expect(follower.tail.fold.difference).toBeUndefined();
    expect(follower.tail.fold.state).toEqual(leader.tail.fold.state);
  });

  it('is noticed when a leader says something else of it than this node', () => {
    leader.lead(1, START_MS);
    follower.follow(leader);
    leader.append([HALF], START_MS, random);
    follower.follow(leader);
    leader.append([HALF], START_MS, random);
    follower.follow(leader);
    // One of the two has lost a policy.
    leader.memory.setWord(WORD.POLICY_BYTES, 9);
    leader.append([HALF], START_MS, random);
    expect(follower.follow(leader)).toBe('ordered');
    expect(follower.tail.fold.difference).toMatch(/by its leader the state of the log is .*"bytes":9.*by this node it is .*"bytes":0/);
    expect(follower.tail.fold.state).toEqual(leader.tail.fold.state);
  });

  it('is refused where a leader does not write it: a segment without its state, or state elsewhere', () => {
    leader.lead(1, START_MS);
    follower.follow(leader);
    const tail = follower.memory.tail;
    const place = (kind: number, payload: Uint8Array, base: number): string => {
      const own = new Node();
      own.reset();
      own.tail.start(tail, 0, undefined);
      expect(own.tail.appendOwn(kind === KIND_STATE ? KIND_NOOP : kind, payload, 1, START_MS)).toBe('ordered');
      const bytes = own.bytes(tail, own.memory.tail).slice();
      if (kind === KIND_STATE)
        own.memory.wasm.stampOwn(own.memory.map.slotAt(own.memory.openSlot) + 4096, 1, KIND_STATE, payload.length, tail);
      const entry = kind === KIND_STATE ? own.bytes(tail, own.memory.tail).slice() : bytes;
      return follower.tail.appendReplicated([entry], entry.length, 1, base, START_MS);
    };
    const state = leader.entries()[0]?.payload ?? new Uint8Array();
    expect([place(KIND_STATE, state, 0), follower.tail.badStatus]).toEqual(['refused', WALK_BAD_CONTROL]);
    expect([place(KIND_STATE, state.slice(1), 0), follower.tail.badStatus]).toEqual(['refused', WALK_NEWER_KIND]);
    expect([place(KIND_NOOP, noOpPayload(LEADER), tail), follower.tail.badStatus]).toEqual(['refused', WALK_BAD_CONTROL]);
    expect([follower.memory.tail, follower.openBase]).toEqual([tail, 0]);
  });
});
