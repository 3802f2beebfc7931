import { beforeEach, describe, expect, it } from 'vitest';
import {
  KIND_CONFIGURATION,
  KIND_CONTINUED,
  KIND_NOOP,
  NO_OP_BYTES,
  SCAN_VERIFY,
  WALK_BAD_CHECK,
  WALK_COMPLETE,
  WALK_INSIDE_BATCH,
  WALK_TOO_LARGE,
} from '../../assembly/layout.ts';
import { NO_TERM } from '../../src/core/ids.ts';
import { noOpPayload } from '../../src/format/noOp.ts';
import { SIGNAL, SLOT, SLOT_FREE, SLOT_IN_USE, SLOT_SEALED } from '../../src/memory/map.ts';
import { Tail } from '../../src/memory/tail.ts';
import { Random } from '../assembly/random.ts';
import { makeBatch } from '../crash/batches.ts';
import { resetMemory, smallMemory } from '../crash/testNode.ts';
import { decodeEntry, encodeEntry, scan } from '../support/entryTwin.ts';

const PAYLOAD = noOpPayload('0f1e2d3c4b5a6978');

const memory = smallMemory();
const random = new Random(3);
const MOST = 100_000;

describe('tail', () => {
  let opened: number[];
  let tail: Tail;

  beforeEach(() => {
    resetMemory(memory);
    opened = [];
    tail = new Tail(memory, (slot) => opened.push(slot));
    tail.start(0, 0, undefined);
  });

  /** Everything that a refused or failed append must not change. */
  function state(): unknown {
    const { map } = memory;
    return {
      below: Buffer.from(memory.bytes.slice(1024, map.mainResultAt)).toString('hex'),
      opened: [...opened],
      points: [0, 1, 2].map((slot) => [...memory.points(slot)]),
    };
  }

  it('orders batches one behind the other, and says where', () => {
    const first = makeBatch([5, 0], random);
    const second = makeBatch([300], random);
    expect(tail.append(first.entries, 2, 7, MOST, 1000)).toBe('ordered');
    expect([tail.first, tail.end, tail.count]).toEqual([0, 29, 2]);
    expect(tail.append(second.entries, 1, 7, MOST, 2000)).toBe('ordered');
    expect([tail.first, tail.end, tail.count]).toEqual([29, 341, 1]);
    expect(memory.tail).toBe(341);
    expect(opened).toEqual([0]);
    const bytes = memory.slotBytes(0, 4096, 4096 + 341).slice();
    expect(scan(bytes, { offset: 0, minTerm: 7, flags: SCAN_VERIFY })).toMatchObject({ status: WALK_COMPLETE, count: 3, lastTerm: 7 });
    expect(memory.slotWord(0, SLOT.FIRST_MS)).toBe(1000);
    expect(memory.slotWord(0, SLOT.LAST_MS)).toBe(2000);
    expect(memory.slotWord(0, SLOT.ENTRIES)).toBe(3);
  });

  it('orders its own entries, with a check', () => {
    expect(tail.appendOwn(KIND_NOOP, PAYLOAD, 3, 5)).toBe('ordered');
    expect(tail.appendOwn(KIND_CONFIGURATION, new Uint8Array(0), 3, 5)).toBe('ordered');
    expect(memory.tail).toBe(NO_OP_BYTES + 12);
    const bytes = memory.slotBytes(0, 4096, 4096 + memory.tail).slice();
    expect(scan(bytes, { offset: 0, flags: SCAN_VERIFY })).toMatchObject({ status: WALK_COMPLETE, count: 2 });
    expect(decodeEntry(bytes, 0)).toEqual({ term: 3, kind: KIND_NOOP, payload: PAYLOAD });
    expect([...memory.points(0)]).toEqual([4096]);
  });

  it('index points are those of a scan, whoever orders the entries', () => {
    while (memory.tail < 55_000) {
      if (random.oneIn(3)) tail.appendOwn(KIND_NOOP, PAYLOAD, 3, 5);
      const { entries, entryCount } = makeBatch([random.below(3000), random.below(20)], random);
      expect(tail.append(entries, entryCount, 3, MOST, 5)).toBe('ordered');
    }
    const bytes = memory.slotBytes(0, 4096, 4096 + memory.tail).slice();
    expect([...memory.points(0)]).toEqual(scan(bytes, { offset: 0, filePosition: 4096, emitPoints: true }).points);
  });

  it('a no-op that is the first entry behind a multiple of 16 KiB is an index point', () => {
    tail.append(makeBatch([16_384 - 4096 - 12], random).entries, 1, 3, MOST, 5);
    tail.appendOwn(KIND_NOOP, PAYLOAD, 3, 5);
    tail.append(makeBatch([1], random).entries, 1, 3, MOST, 5);
    expect([...memory.points(0)]).toEqual([4096, 16_384]);
  });

  it('rolls to the next slot, closes the one before, and is full when none is free', () => {
    const batch = makeBatch([60_000], random);
    for (let slot = 0; slot < 3; slot += 1) {
      expect(tail.append(batch.entries, 1, 1, MOST, 5)).toBe('ordered');
      expect(memory.slotState(slot)).toBe(SLOT_IN_USE);
      expect(memory.slotWord(slot, SLOT.BASE)).toBe(slot * 60_012);
    }
    expect(opened).toEqual([0, 1, 2]);
    expect(memory.slotWord(0, SLOT.CLOSED_END)).toBe(60_012);
    expect(memory.slotWord(1, SLOT.CLOSED_END)).toBe(120_024);
    const before = state();
    expect(tail.append(batch.entries, 1, 1, MOST, 5)).toBe('full');
    expect(state()).toEqual(before);
    // What fits into the open slot still goes in.
    expect(tail.append(makeBatch([10], random).entries, 1, 1, MOST, 5)).toBe('ordered');
    memory.setSlotState(0, SLOT_SEALED);
    expect(tail.append(batch.entries, 1, 1, MOST, 5)).toBe('ordered');
    expect(opened).toEqual([0, 1, 2, 0]);
    expect(memory.slotWord(0, SLOT.BASE)).toBe(3 * 60_012 + 22);
    expect(memory.slotWord(0, SLOT.CLOSED_END)).toBe(0);
    expect([...memory.points(0)]).toEqual([4096]);
  });

  it('a full tail takes no own entry either', () => {
    const batch = makeBatch([65_536 - 4096 - 40 - 12], random);
    for (let slot = 0; slot < 3; slot += 1) expect(tail.append(batch.entries, 1, 1, MOST, 5)).toBe('ordered');
    const before = state();
    expect(tail.appendOwn(KIND_NOOP, PAYLOAD, 2, 5)).toBe('full');
    expect(state()).toEqual(before);
  });

  it('a refused batch leaves no trace', () => {
    tail.append(makeBatch([100, 17_000], random).entries, 2, 1, MOST, 5);
    const good = makeBatch([10, 20_000, 30], random).entries;
    const badCheck = good.slice();
    badCheck[badCheck.length - 1] = (badCheck.at(-1) ?? 0) ^ 1;
    const unfinished = Buffer.concat([good, encodeEntry(new Uint8Array(5), KIND_CONTINUED)]);
    const refused: readonly (readonly [Uint8Array, number, number, number, number])[] = [
      [badCheck, 3, MOST, WALK_BAD_CHECK, 22 + 20_012],
      [good, 3, 19_999, WALK_TOO_LARGE, 22],
      [good, 2, MOST, WALK_COMPLETE, good.length],
      [good, 4, MOST, WALK_COMPLETE, good.length],
      [unfinished, 4, MOST, WALK_INSIDE_BATCH, good.length],
    ];
    const before = state();
    for (const [entries, count, most, status, at] of refused) {
      expect(tail.append(entries, count, 1, most, 6)).toBe('refused');
      expect([tail.badStatus, tail.badAt]).toEqual([status, at]);
      expect(state()).toEqual(before);
    }
    // The next good batch stands where the refused ones would have stood, alone.
    expect(tail.append(encodeEntry(new Uint8Array(3)), 1, 1, MOST, 6)).toBe('ordered');
    const bytes = memory.slotBytes(0, 4096, 4096 + memory.tail).slice();
    expect(scan(bytes, { offset: 0, flags: SCAN_VERIFY, filePosition: 4096, emitPoints: true })).toMatchObject({
      status: WALK_COMPLETE,
      count: 3,
      points: [...memory.points(0)],
    });
  });

  it('takes over an open segment, and makes the next one after it', () => {
    memory.prepareSlot(0, 1000, NO_TERM);
    memory.setPointCount(0, 1);
    new Uint32Array(memory.bytes.buffer, memory.map.pointsAt(0), 1)[0] = 4096;
    tail.start(1500, 1500, 0);
    expect([memory.tail, memory.durable]).toEqual([1500, 1500]);
    expect(tail.append(makeBatch([60_000], random).entries, 1, 2, MOST, 5)).toBe('ordered');
    expect(opened).toEqual([]);
    expect(tail.append(makeBatch([60_000], random).entries, 1, 2, MOST, 5)).toBe('ordered');
    expect(opened).toEqual([1]);
    expect(memory.slotState(2)).toBe(SLOT_FREE);
  });

  it('a batch larger than any segment is a broken invariant: its bound is checked where it comes in', () => {
    expect(() => tail.append(new Uint8Array(65_536), 1, 1, MOST, 5)).toThrow(/a batch fits into a segment/);
  });

  it('waking raises the writers’ word', () => {
    const before = memory.signal(SIGNAL.TAIL);
    tail.wake();
    expect(memory.signal(SIGNAL.TAIL)).not.toBe(before);
  });
});
