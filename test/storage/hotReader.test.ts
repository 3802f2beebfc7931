import { beforeAll, describe, expect, it } from 'vitest';
import { NO_TERM } from '../../src/core/ids.ts';
import { HotReader } from '../../src/memory/hotReader.ts';
import { SLOT_SEALED, WORD } from '../../src/memory/map.ts';
import { Tail } from '../../src/memory/tail.ts';
import { Random } from '../assembly/random.ts';
import { makeBatch } from '../crash/batches.ts';
import { resetMemory, smallMemory } from '../crash/testNode.ts';

describe('hot reader', () => {
  const memory = smallMemory();
  const reader = new HotReader(memory);
  const random = new Random(8);
  let log: Buffer = Buffer.alloc(0);
  /** Entry boundaries, ascending, without the end. */
  const boundaries: number[] = [];

  beforeAll(() => {
    resetMemory(memory);
    const tail = new Tail(memory, () => undefined);
    tail.start(0, 0, undefined);
    const parts: Buffer[] = [];
    for (;;) {
      const { entries, entryCount } = makeBatch([random.below(3000), 0, random.below(300)], random);
      if (tail.append(entries, entryCount, 1, 100_000, 5) !== 'ordered') break;
      const slot = [0, 1, 2].find((each) => reader.slotOf(tail.first) === each) ?? 0;
      const position = 4096 + tail.first - memory.slotWord(slot, 0);
      parts.push(Buffer.from(memory.slotBytes(slot, position, position + entries.length)));
    }
    log = Buffer.concat(parts);
    for (let at = 0; at < log.length; at += log.readUInt32LE(at + 4) + 12) boundaries.push(at);
    memory.setWord(WORD.COMMIT, log.length);
  });

  it('finds the slot of every entry, and none for what is not in memory', () => {
    for (const offset of boundaries) {
      const slot = reader.slotOf(offset);
      expect(slot).toBeGreaterThanOrEqual(0);
      expect(offset).toBeGreaterThanOrEqual(memory.slotWord(slot, 0));
      expect(offset).toBeLessThan(reader.endOf(slot));
    }
    expect(memory.slotWord(2, 0)).toBeGreaterThan(0);
  });

  it('knows every boundary, and no other offset', () => {
    for (let i = 0; i < 5000; i += 1) {
      const offset = i < boundaries.length ? (boundaries[i] ?? 0) : random.below(log.length);
      expect(reader.beginningOf(reader.slotOf(offset), offset)).toBe(boundaries.findLast((boundary) => boundary <= offset));
    }
  });

  it('clips to whole entries under the limit of bytes, but always returns the first entry', () => {
    for (const [i, from] of boundaries.entries()) {
      const slot = reader.slotOf(from);
      const end = reader.endOf(slot);
      for (const maxBytes of [0, 1, 12, 13, 1000, 10_000]) {
        const ends = [...boundaries.slice(i + 1, i + 40), log.length].filter((each) => each <= end);
        const expected = ends.filter((each) => each - from <= maxBytes).at(-1) ?? ends[0] ?? 0;
        const bytes = reader.read(slot, from, maxBytes);
        if (maxBytes < 1000 || ends.length > 39) expect(bytes.length).toBe(expected - from);
        expect(Buffer.compare(bytes, log.subarray(from, from + bytes.length))).toBe(0);
      }
    }
  });

  it('returns nothing past the commit', () => {
    const commit = boundaries.at(-3) ?? 0;
    memory.setWord(WORD.COMMIT, commit);
    const from = boundaries.at(-6) ?? 0;
    const slot = reader.slotOf(from);
    expect(reader.endOf(slot)).toBe(commit);
    expect(reader.read(slot, from, 1_000_000).length).toBe(commit - from);
    memory.setWord(WORD.COMMIT, log.length);
  });

  it('a slot that was taken again no longer has what it had', () => {
    memory.setSlotState(0, SLOT_SEALED);
    expect(reader.slotOf(0)).toBe(0);
    memory.prepareSlot(0, log.length, NO_TERM);
    expect(reader.slotOf(0)).toBe(-1);
    expect(reader.slotOf(log.length)).toBe(0);
  });
});
