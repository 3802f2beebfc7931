import { describe, expect, it } from 'vitest';
import { NO_TERM } from '../../src/core/ids.ts';
import { HotReader } from '../../src/memory/hotReader.ts';
import { SIGNAL, SLOT, SLOT_FREE, SLOT_IN_USE, SLOT_SEALED, WORD } from '../../src/memory/map.ts';
import { Tail } from '../../src/memory/tail.ts';
import { Random } from '../assembly/random.ts';
import { makeBatch } from '../crash/batches.ts';
import { smallMemory } from '../crash/testNode.ts';
import { ENOUGH_AT, ROUNDS_AT } from '../support/memoryThread.ts';
import { startThread } from './thread.ts';

const { entries } = makeBatch([40_000], new Random(4));

describe('pins', () => {
  it('a pinned slot is not taken, and keeps its state; the last pin to go wakes who wants it', () => {
    const memory = smallMemory();
    const tail = new Tail(memory, () => undefined);
    tail.start(0, 0, undefined);
    const append = (): string => tail.append(entries, 1, 1, entries.length, 5);
    for (let slot = 0; slot < 3; slot += 1) expect(append()).toBe('ordered');
    memory.setSlotState(0, SLOT_SEALED);
    expect(memory.pinSlot(0, 0)).toBe(true);
    expect(memory.pinSlot(0, 0)).toBe(true);
    const { tail: end } = memory;
    expect(append()).toBe('full');
    expect([memory.slotState(0), memory.slotWord(0, SLOT.BASE), memory.tail]).toEqual([SLOT_SEALED, 0, end]);
    const signals = (): number[] => [memory.signal(SIGNAL.ORDERED), memory.signal(SIGNAL.COMMIT)];
    const before = signals();
    memory.unpinSlot(0);
    expect(signals()).toEqual(before);
    expect(append()).toBe('full');
    memory.unpinSlot(0);
    expect(signals()).toEqual(before.map((value) => value + 1));
    expect(append()).toBe('ordered');
    // Nobody wants a slot now.
    expect(memory.pinSlot(1, entries.length)).toBe(true);
    memory.unpinSlot(1);
    expect(signals()).toEqual(before.map((value) => value + 1));
  });

  it('a pin that goes twice is noticed', () => {
    const memory = smallMemory();
    memory.setSlotState(1, SLOT_IN_USE);
    expect(memory.pinSlot(1, 0)).toBe(true);
    memory.unpinSlot(1);
    expect(() => memory.unpinSlot(1)).toThrow('a slot is unpinned once for each pin');
  });

  it('a pin is refused when the slot is free, or holds another segment', () => {
    const memory = smallMemory();
    memory.prepareSlot(1, 500, NO_TERM);
    expect(memory.pinSlot(1, 500)).toBe(false);
    memory.setSlotState(1, SLOT_IN_USE);
    expect(memory.pinSlot(1, 400)).toBe(false);
    expect(memory.isPinned(1)).toBe(false);
    expect(memory.pinSlot(1, 500)).toBe(true);
    expect(memory.isPinned(1)).toBe(true);
    memory.setSlotState(1, SLOT_FREE);
    expect(memory.pinSlot(1, 500)).toBe(false);
    expect(memory.isPinned(1)).toBe(true);
  });

  it('what a reader has pinned never changes under it, while another thread takes slot after slot', async () => {
    const memory = smallMemory();
    const reader = new HotReader(memory);
    const enough = 3_000;
    const thread = startThread({ shared: memory.shared, kind: 'roll', entries });
    await thread.running;
    let reads = 0;
    let missed = 0;
    while (memory.word32(ROUNDS_AT) < enough || reads < enough || missed === 0) {
      const commit = memory.word(WORD.COMMIT);
      // The oldest segments, whose slots are taken next.
      for (const back of [3, 2, 1]) {
        const from = commit - back * entries.length;
        const slot = from < 0 ? -1 : reader.pin(from);
        if (slot < 0) {
          missed += 1;
          continue;
        }
        const bytes = reader.read(slot, from, entries.length);
        const { map } = memory;
        const term = 1 + from / entries.length;
        const status = memory.wasm.verify(bytes.byteOffset, bytes.length, from, term, map.mainResultAt);
        expect([status, bytes.length, memory.u32(bytes.byteOffset)]).toEqual([0, entries.length, term]);
        reader.release(slot);
        reads += 1;
      }
    }
    memory.setWord32(ENOUGH_AT, 1);
    await thread.ended;
    expect([0, 1, 2].filter((slot) => memory.isPinned(slot))).toEqual([]);
  });
});
