// The log's end on a node that follows: what a leader ordered comes in as it is, or not at all.

import { beforeEach, describe, expect, it } from 'vitest';
import {
  KIND_CONTINUED,
  KIND_NOOP,
  KIND_POLICY,
  KIND_STATE,
  KIND_TIME,
  KIND_TRIM,
  SCAN_VERIFY,
  WALK_BAD_CHECK,
  WALK_BAD_TERM,
  WALK_COMPLETE,
  WALK_INSIDE_BATCH,
  WALK_NEWER_KIND,
  WALK_TOO_LARGE,
  WALK_TRUNCATED,
} from '../../assembly/layout.ts';
import { segmentCapacityBytes } from '../../src/core/capacities.ts';
import { NO_TERM } from '../../src/core/ids.ts';
import { SLOT, SLOT_IN_USE, SLOT_SEALED } from '../../src/memory/map.ts';
import { Tail } from '../../src/memory/tail.ts';
import { TailMemory } from '../../src/memory/tailMemory.ts';
import { Random } from '../assembly/random.ts';
import { makeBatch, stampBatch } from '../crash/batches.ts';
import { resetMemory, smallMemory } from '../crash/testNode.ts';
import { encodeEntry, scan } from '../support/entryTwin.ts';

const memory = smallMemory();
const random = new Random(12);
const CAPACITY = segmentCapacityBytes(65536);

describe('replicated appends', () => {
  let opened: number[];
  let tail: Tail;

  beforeEach(() => {
    resetMemory(memory);
    opened = [];
    tail = new Tail(memory, (slot) => opened.push(slot));
    tail.start(0, 0, undefined);
  });

  /** Log bytes of entries with these payload sizes, at the tail. */
  function log(sizes: readonly number[], term: number): Uint8Array {
    return stampBatch(makeBatch(sizes, random).entries, term, memory.tail);
  }

  function append(bytes: Uint8Array, term: number, base: number): string {
    return tail.appendReplicated([bytes], bytes.length, term, base, 7);
  }

  /** What must stay as it is when a batch does not go in. */
  function state(): unknown {
    const slot = memory.openSlot;
    const at = memory.map.descriptorAt(Math.max(0, slot));
    return [
      memory.tail,
      slot,
      Buffer.from(memory.bytes.slice(at, at + 48)).toString('hex'),
      [...memory.points(Math.max(0, slot))],
      [...opened],
    ];
  }

  it('stand as the leader has them, with points and counts, however they are cut into chunks', () => {
    const parts: Uint8Array[] = [];
    for (const term of [2, 2, 5]) {
      const bytes = log([random.below(9000), 0, random.below(9000)], term);
      const chunks: Uint8Array[] = [];
      for (let at = 0; at < bytes.length; ) {
        const length = 1 + random.below(5000);
        chunks.push(bytes.subarray(at, at + length));
        at += length;
      }
      const first = memory.tail;
      expect(tail.appendReplicated(chunks, bytes.length, term, 0, 7)).toBe('ordered');
      expect([tail.first, tail.end, tail.count]).toEqual([first, memory.tail, 3]);
      parts.push(bytes);
    }
    const all = Buffer.concat(parts);
    expect(opened).toEqual([0]);
    expect(Buffer.compare(memory.slotBytes(0, 4096, 4096 + memory.tail), all)).toBe(0);
    expect([...memory.points(0)]).toEqual(scan(all, { offset: 0, filePosition: 4096, emitPoints: true }).points);
    expect([memory.slotWord(0, SLOT.ENTRIES), memory.slotWord(0, SLOT.FIRST_MS)]).toEqual([9, 7]);
  });

  it.each([1, 0])('fill a segment up to %i bytes before its limit, and not beyond it', (before) => {
    const bytes = log([20_000, CAPACITY - before - 20_024], 1);
    expect(bytes.length).toBe(CAPACITY - before);
    expect(append(bytes, 1, 0)).toBe('ordered');
    const held = state();
    expect(append(log([0], 1), 1, 0)).toBe('refused');
    expect(tail.badStatus).toBe(WALK_TOO_LARGE);
    expect(state()).toEqual(held);
    expect(append(log([0], 1), 1, memory.tail)).toBe('ordered');
    expect(opened).toEqual([0, 1]);
    expect(memory.slotWord(0, SLOT.CLOSED_END)).toBe(CAPACITY - before);
  });

  it('roll where the leader rolled, even early, and never where it did not', () => {
    expect(append(log([100], 1), 1, 0)).toBe('ordered');
    const end = memory.tail;
    const held = state();
    for (const base of [1, end - 1, end + 1]) {
      expect(append(log([5], 1), 1, base)).toBe('misplaced');
      expect(state()).toEqual(held);
    }
    expect(append(log([5], 1), 1, end)).toBe('ordered');
    expect(append(log([5], 1), 1, end)).toBe('ordered');
    expect(append(log([5], 1), 1, 0)).toBe('misplaced');
    expect(opened).toEqual([0, 1]);
    expect([memory.slotState(0), memory.slotState(1), memory.openSlot]).toEqual([SLOT_IN_USE, SLOT_IN_USE, 1]);
  });

  it('go into an open segment that is empty', () => {
    memory.prepareSlot(2, 0, NO_TERM);
    tail.start(0, 0, 2);
    expect(append(log([5], 1), 1, 0)).toBe('ordered');
    expect(opened).toEqual([]);
  });

  it('are full when no slot is free', () => {
    for (let slot = 0; slot < 3; slot += 1) expect(append(log([100], 1), 1, memory.tail)).toBe('ordered');
    const held = state();
    expect(append(log([100], 1), 1, memory.tail)).toBe('full');
    expect(state()).toEqual(held);
    memory.setSlotState(0, SLOT_SEALED);
    memory.pinSlot(0, 0);
    expect(append(log([100], 1), 1, memory.tail)).toBe('full');
    expect(memory.slotState(0)).toBe(SLOT_SEALED);
    memory.unpinSlot(0);
    expect(append(log([100], 1), 1, memory.tail)).toBe('ordered');
  });

  it.each([false, true])('that are not valid leave no trace; rolling: %s', (rolls) => {
    append(log([50, 17_000], 2), 2, 0);
    const base = rolls ? memory.tail : 0;
    const good = log([10, 20_000, 30], 3);
    const changed = (at: number, value: number): Uint8Array => {
      const bytes = good.slice();
      bytes[at] = value;
      return bytes;
    };
    const higher = Buffer.concat([good.subarray(0, 22), stampBatch(makeBatch([5], random).entries, 4, memory.tail + 22)]);
    const lower = Buffer.concat([good.subarray(0, 22), stampBatch(makeBatch([5], random).entries, 2, memory.tail + 22)]);
    const more = encodeEntry(new Uint8Array(5), KIND_CONTINUED);
    const last = encodeEntry(new Uint8Array(5));
    const logOf = (...entries: Uint8Array[]): Uint8Array => stampBatch(Uint8Array.from(Buffer.concat(entries)), 3, memory.tail);
    const unfinished = logOf(last, more, more);
    const torn = logOf(last, more, last).subarray(0, 17 * 3 - 1);
    const risen = Buffer.concat([logOf(last, more), stampBatch(last, 4, memory.tail + 34)]);
    const elsewhere = stampBatch(makeBatch([5], random).entries, 3, memory.tail + 1);
    const refused: readonly (readonly [Uint8Array, number, number, number])[] = [
      [changed(good.length - 1, (good.at(-1) ?? 0) ^ 1), 3, WALK_BAD_CHECK, 22 + 20_012],
      [changed(25, 9), 3, WALK_BAD_CHECK, 22],
      [changed(29, 4), 3, WALK_BAD_CHECK, 22],
      ...[KIND_STATE, KIND_TRIM, KIND_TIME, KIND_POLICY].map(
        (kind) => [logOf(last, encodeEntry(new Uint8Array(5), kind)), 3, WALK_NEWER_KIND, 17] as const,
      ),
      ...[2, 5, 7, 63, 64, 127, KIND_CONTINUED | KIND_NOOP, KIND_CONTINUED | KIND_TIME].map(
        (kind) => [logOf(last, encodeEntry(new Uint8Array(5), kind)), 3, WALK_NEWER_KIND, 17] as const,
      ),
      [logOf(last, more, encodeEntry(new Uint8Array(8), KIND_NOOP)), 3, WALK_NEWER_KIND, 34],
      [good.subarray(0, good.length - 1), 3, WALK_TRUNCATED, 22 + 20_012],
      [good.subarray(0, 3), 3, WALK_TRUNCATED, 0],
      [good, 4, WALK_BAD_TERM, 0],
      [good, 2, WALK_BAD_TERM, 0],
      [higher, 3, WALK_BAD_TERM, 22],
      [lower, 3, WALK_BAD_TERM, 22],
      [elsewhere, 3, WALK_BAD_CHECK, 0],
      [unfinished, 3, WALK_INSIDE_BATCH, 51],
      [unfinished.subarray(17), 3, WALK_BAD_CHECK, 0],
      [torn, 3, WALK_TRUNCATED, 34],
      [risen, 3, WALK_BAD_TERM, 34],
    ];
    const held = state();
    for (const [bytes, term, status, at] of refused) {
      expect([append(bytes, term, base), tail.badStatus, tail.badAt]).toEqual(['refused', status, at]);
      expect(state()).toEqual(held);
    }
    expect(append(good, 3, base)).toBe('ordered');
    expect(memory.openSlot).toBe(rolls ? 1 : 0);
    const slot = memory.openSlot;
    const bytes = memory.slotBytes(slot, 4096, 4096 + memory.tail - base).slice();
    const walk = scan(bytes, { offset: base, flags: SCAN_VERIFY, filePosition: 4096, emitPoints: true });
    expect(walk).toMatchObject({ status: WALK_COMPLETE, points: [...memory.points(slot)] });
  });

  it('go on where another thread left the end, and the other way round', () => {
    const other = new Tail(TailMemory.attach(memory.shared), (slot) => opened.push(slot));
    expect(append(log([100], 1), 1, 0)).toBe('ordered');
    expect(other.append(makeBatch([60_000], random).entries, 1, 2, 100_000, 5)).toBe('ordered');
    expect(append(log([60_000], 2), 2, memory.tail)).toBe('ordered');
    expect(other.append(makeBatch([5], random).entries, 1, 3, 100_000, 5)).toBe('ordered');
    expect(opened).toEqual([0, 1]);
    expect(memory.tail).toBe(112 + 60_012 * 2 + 17);
  });
});
