// What the raft thread does to tail memory, in a thread of its own, for the tests in test/memory.

import { parentPort, workerData } from 'node:worker_threads';
import { Gate } from '../../src/memory/gate.ts';
import { SLOT_IN_USE, SLOT_SEALED, WORD } from '../../src/memory/map.ts';
import type { SharedTailMemory } from '../../src/memory/memoryWords.ts';
import { Tail } from '../../src/memory/tail.ts';
import { TailMemory } from '../../src/memory/tailMemory.ts';

export interface ThreadWork {
  readonly shared: SharedTailMemory;
  readonly kind: 'gate' | 'roll' | 'publish';
  /** Kind `roll`: one framed entry, so large that each segment holds one. */
  readonly entries: Uint8Array;
}

/** Counts in memory that nobody else uses, written without atomics: only the gate keeps the threads apart. */
export const COUNTS_AT = 0;
const COUNTS = 128;
/** Rounds done. */
export const ROUNDS_AT = 768;
/** Set when a count was seen half-way. */
export const BROKEN_AT = 772;
/** Set when the thread is to end. */
export const ENOUGH_AT = 776;
/** Kind `publish`: the last round whose end is published. */
export const PUBLISHED_AT = 780;

/** Counts up all counts, one after the other. Whoever comes in between sees them differ. */
export function countAll(memory: TailMemory): void {
  const counts = new Uint32Array(memory.bytes.buffer, COUNTS_AT, COUNTS);
  const count = counts[0] ?? 0;
  for (let i = 0; i < COUNTS; i += 1) {
    if (counts[i] !== count) memory.setWord32(BROKEN_AT, 1);
    counts[i] = count + 1;
  }
}

/** Takes the log's end and gives it back, again and again. */
function workGate(memory: TailMemory): void {
  const gate = new Gate(memory);
  while (memory.word32(ENOUGH_AT) === 0) {
    gate.closeSync();
    countAll(memory);
    gate.open();
    memory.addWord32(ROUNDS_AT, 1);
  }
  gate.closeSync();
}

/** Fills segment after segment; each counts as sealed at once, so that its slot is taken again soon. */
function workRoll(memory: TailMemory, entries: Uint8Array): void {
  const tail = new Tail(memory, () => undefined);
  tail.start(0, 0, undefined);
  for (let round = 0; memory.word32(ENOUGH_AT) === 0; round += 1) {
    while (tail.append(entries, 1, 1 + round, entries.length, 5) !== 'ordered');
    memory.setWord(WORD.COMMIT, memory.tail);
    for (let slot = 0; slot < memory.map.shape.slots; slot += 1) {
      if (slot !== memory.openSlot && memory.slotState(slot) === SLOT_IN_USE) memory.setSlotState(slot, SLOT_SEALED);
    }
    memory.addWord32(ROUNDS_AT, 1);
  }
}

/** Publishes round after round, each as soon as the other thread begins it. */
function workPublish(memory: TailMemory): void {
  for (let round = 1; memory.word32(ENOUGH_AT) === 0; ) {
    if (memory.word32(ROUNDS_AT) !== round) continue;
    memory.publishDurable(round);
    memory.setWord32(PUBLISHED_AT, round);
    round += 1;
  }
}

if (parentPort !== null) {
  const { shared, kind, entries } = workerData as ThreadWork;
  const memory = TailMemory.attach(shared);
  if (kind === 'gate') workGate(memory);
  else if (kind === 'publish') workPublish(memory);
  else workRoll(memory, entries);
}
