// Slots of tail memory: readers pin them, the log's end takes them for other segments.

import { SEGMENT_HEADER_BYTES } from '../../../assembly/layout.ts';
import { HotReader } from '../../../src/memory/hotReader.ts';
import { SIGNAL, SLOT, SLOT_SEALED } from '../../../src/memory/map.ts';
import { Tail } from '../../../src/memory/tail.ts';
import type { TailMemory } from '../../../src/memory/tailMemory.ts';

import type { Scenario } from '../explorer.ts';
import type { Bench, Body, PlainRanges } from '../threads.ts';
import { LARGE } from './batches.ts';

/** A batch so large that each segment holds one. */
const entries = LARGE;

const SLOTS = 3;

/** Three full segments in slots 0, 1 and 2, of the terms 1, 2 and 3; the first two are sealed. */
function fill({ memory }: Bench): void {
  const tail = new Tail(memory, () => undefined);
  tail.start(0, 0, undefined);
  for (let slot = 0; slot < SLOTS; slot += 1) tail.append(entries, 1, slot + 1, entries.length, 5);
  memory.setSlotState(0, SLOT_SEALED);
  memory.setSlotState(1, SLOT_SEALED);
}

/** The first entry's term in each slot. */
function terms(memory: TailMemory): PlainRanges {
  return [0, 1, 2].map((slot) => {
    const at = memory.map.slotAt(slot) + SEGMENT_HEADER_BYTES;
    return memory.bytes.subarray(at, at + 4);
  });
}

/** Reads the entry at the beginning of segment `segment`, as the main thread or the raft thread does. */
function reads(segment: number): Body {
  return ({ memory, pause }) => {
    const hot = new HotReader(memory);
    const offset = segment * entries.length;
    return () => {
      const slot = hot.pin(offset);
      if (slot < 0) return;
      pause();
      const term = memory.u32(memory.map.slotAt(slot) + SEGMENT_HEADER_BYTES);
      if (term !== segment + 1) throw new Error(`the entry at offset ${offset} has become one of term ${term} under its reader`);
      if (memory.slotWord(slot, SLOT.BASE) !== offset) throw new Error('a pinned slot was taken for another segment');
      hot.release(slot);
    };
  };
}

/** Orders one more batch, and waits for room for as long as there is none. */
const orders: Body = ({ memory }) => {
  const tail = new Tail(memory, () => undefined);
  return () => {
    for (;;) {
      const seen = memory.signal(SIGNAL.COMMIT);
      if (tail.append(entries, 1, 4, entries.length, 6) === 'ordered') return;
      memory.waitSync(SIGNAL.COMMIT, seen);
    }
  };
};

/** Lets go of a slot that it holds from the beginning. */
function releases(slot: number): Body {
  return ({ memory }) => {
    if (!memory.pinSlot(slot, slot * entries.length)) throw new Error('the slot can be pinned');
    return () => memory.unpinSlot(slot);
  };
}

/** Holds a slot for ever, as the send to a node that does not read does. */
function holds(slot: number): Body {
  return ({ memory }) => {
    if (!memory.pinSlot(slot, slot * entries.length)) throw new Error('the slot can be pinned');
    return () => undefined;
  };
}

export const SLOT_SCENARIOS: readonly Scenario[] = [
  {
    name: 'pin and take',
    what: 'a pinned slot keeps its segment, and who cannot have it is woken',
    plain: terms,
    setUp: fill,
    threads: { appender: orders, reader: reads(0) },
  },
  {
    name: 'two pins on one slot',
    what: 'the last of two pins to go wakes who wants the slot',
    setUp: fill,
    threads: { appender: orders, reader: releases(0), other: releases(0), stalled: holds(1) },
  },
  ...[0, 1].map((slot) => ({
    name: `slot ${slot} is let go`,
    what: 'with all sealed slots pinned, any one that is let go wakes who wants one',
    setUp: fill,
    threads: { appender: orders, reader: releases(slot), stalled: holds(1 - slot) },
  })),
  {
    name: 'both slots are let go',
    what: 'two slots that are let go at once wake who wants one',
    setUp: fill,
    threads: { appender: orders, reader: releases(0), other: releases(1) },
  },
];
