// Cuts of the log, on real files and in memory: to every kind of place, and what comes after. test/crash has the crashes.

import { describe, expect, it } from 'vitest';
import { NO_OP_BYTES } from '../../assembly/layout.ts';
import { MARK_BYTES, segmentCapacityBytes } from '../../src/core/capacities.ts';
import { decodeMark } from '../../src/format/durableMark.ts';
import { HotReader } from '../../src/memory/hotReader.ts';
import { SLOT, SLOT_FREE, SLOT_IN_USE, SLOT_SEALED, STATE, WORD } from '../../src/memory/map.ts';
import { type Disk, readFile } from '../../src/storage/disk.ts';
import { indexName, segmentName } from '../../src/storage/names.ts';
import { SegmentReader } from '../../src/storage/segmentReader.ts';
import { Random } from '../assembly/random.ts';
import { makeBatch, stampBatch, stampNoOp, termsOf } from '../crash/batches.ts';
import { MemoryDisk } from '../crash/memoryDisk.ts';
import { readLog } from '../crash/oracle.ts';
import { DIRECTORY, smallMemory, TestNode } from '../crash/testNode.ts';
import { scan } from '../support/entryTwin.ts';
import { errorOf, IDENTITY_BYTES, NOW_MS, TemporaryDisk } from './support.ts';

const memory = smallMemory();
const CAPACITY = segmentCapacityBytes(65536);
const random = new Random(21);

/** A node that follows, and the log that it should have. */
class Follower {
  readonly disk: Disk;
  node: TestNode;
  log: Buffer = Buffer.alloc(0);
  /** Entry boundaries, ascending, the start and the end among them. */
  boundaries: number[] = [0];

  constructor(disk: Disk, term = 10) {
    this.disk = disk;
    this.node = new TestNode(disk, memory, IDENTITY_BYTES, () => NOW_MS);
    this.node.follow(term);
  }

  get end(): number {
    return this.log.length;
  }

  /** Appends entries of `term`; `roll` begins a segment with them. */
  add(sizes: readonly number[], term: number, roll = false): void {
    const { entries } = makeBatch(sizes, random);
    const isNew = term !== termsOf(this.log, 0).at(-1)?.term;
    const noOp = isNew ? stampNoOp('00000000000000a1', term, this.end) : new Uint8Array(0);
    const bytes = Buffer.concat([noOp, stampBatch(entries, term, this.end + noOp.length)]);
    const base = this.node.openBase;
    const fits = base !== undefined && this.end - base + bytes.length <= CAPACITY;
    expect(this.node.appendReplicated(bytes, term, roll || !fits ? this.end : base)).toBe('ordered');
    this.log = Buffer.concat([this.log, bytes]);
    for (const size of isNew ? [8, ...sizes] : sizes) this.boundaries.push((this.boundaries.at(-1) ?? 0) + size + 12);
  }

  cut(offset: number): ReturnType<TestNode['truncate']> {
    const truncation = this.node.truncate(offset);
    this.log = this.log.subarray(0, offset);
    this.boundaries = this.boundaries.filter((each) => each <= offset);
    expect([memory.tail, memory.durable, truncation.end]).toEqual([offset, offset, offset]);
    this.#checkSlot(truncation.openBase);
    return truncation;
  }

  /** The open slot is what it would be if only the entries before the cut had ever come. */
  #checkSlot(openBase: number | undefined): void {
    if (openBase === undefined) {
      expect(memory.openSlot).toBe(-1);
      return;
    }
    const slot = memory.openSlot;
    const kept = this.log.subarray(openBase);
    const walk = scan(kept, { offset: openBase, filePosition: 4096, emitPoints: true });
    expect(Buffer.compare(memory.slotBytes(slot, 4096, 4096 + kept.length), kept)).toBe(0);
    expect([...memory.points(slot)]).toEqual(walk.points);
    expect([memory.slotWord(slot, SLOT.ENTRIES), memory.slotWord(slot, SLOT.CLOSED_END)]).toEqual([walk.count, 0]);
    expect(memory.slotState(slot)).toBe(SLOT_IN_USE);
    for (let other = 0; other < 3; other += 1) {
      if (other === slot || memory.slotState(other) === SLOT_FREE) continue;
      expect(memory.slotWord(other, SLOT.BASE)).toBeLessThan(openBase);
    }
  }

  /** Stops, and starts again: the log must be what it should be. */
  restart(term = 10): void {
    this.node.stop();
    this.node = new TestNode(this.disk, memory, IDENTITY_BYTES, () => NOW_MS);
    const { recovered } = this.node;
    expect(recovered.end).toBe(this.end);
    expect(Buffer.compare(readLog(this.disk, recovered), this.log)).toBe(0);
    expect(recovered.terms).toEqual(termsOf(this.log, 0));
    this.node.follow(term);
  }

  get files(): string[] {
    return this.disk
      .list(DIRECTORY)
      .filter((name) => /\.(segment|index)$/.test(name))
      .sort();
  }
}

/** Three segments: terms 1 and 2, 2, 5; two of them sealed. */
function filled(disk: Disk): { follower: Follower; bases: readonly number[] } {
  const follower = new Follower(disk);
  follower.add([100, 17_000, 0], 1);
  follower.add([20_000, 30], 2);
  const second = follower.end;
  follower.add([3000, 16_000, 7, 7], 2, true);
  const third = follower.end;
  follower.add([500, 20_000, 9], 5, true);
  follower.node.settle();
  expect(follower.node.sealed.map(({ base }) => base)).toEqual([0, second]);
  return { follower, bases: [0, second, third] };
}

describe.each([
  ['in memory', () => new MemoryDisk()],
  ["node's", () => new TemporaryDisk()],
] as const)('truncation on a disk: %s', (_name, make) => {
  it('cuts at every boundary; the log goes on from there with a lower term, and after a restart', () => {
    const { boundaries } = filled(new MemoryDisk()).follower;
    for (const [i, offset] of boundaries.entries()) {
      const { follower, bases } = filled(make());
      const truncation = follower.cut(offset);
      const openBase = bases.filter((base) => base < offset).at(-1);
      expect(truncation.openBase).toBe(openBase);
      expect(truncation.sealed).toEqual(bases.filter((base) => openBase !== undefined && base < openBase));
      expect(truncation.lastTerm).toBe(termsOf(follower.log, 0).at(-1)?.term ?? 0);
      expect(follower.files).toEqual(
        [
          ...truncation.sealed.flatMap((base) => [indexName(base), segmentName(base)]),
          ...(openBase === undefined ? [] : [segmentName(openBase)]),
        ].sort(),
      );
      // Every second time with a restart in between.
      if (i % 2 === 0) follower.restart();
      follower.add([40, 5000], Math.max(3, truncation.lastTerm));
      follower.add([60_000], 7);
      follower.node.settle();
      follower.restart();
    }
  });

  it('nothing of what was cut is left in the file, behind a mark that vouches for the rest', () => {
    const { follower, bases } = filled(make());
    const offset = bases[1] ?? 0;
    const inFirst = follower.boundaries[2] ?? 0;
    for (const at of [offset + 3012, inFirst]) {
      const { openBase = 0 } = follower.cut(at);
      const bytes = readFile(follower.disk, `${DIRECTORY}/${segmentName(openBase)}`);
      const position = 4096 + at - openBase;
      const seed = follower.node.context.identity.markSeed;
      expect(decodeMark(bytes.subarray(position, position + MARK_BYTES), at, seed)).toMatchObject({ durable: at });
      expect(bytes.subarray(position + MARK_BYTES).every((byte) => byte === 0)).toBe(true);
    }
  });

  it.each([1, 0])('a segment whose entries end %i bytes before the limit is opened again, and cut', (before) => {
    const follower = new Follower(make());
    follower.add([20_000, CAPACITY - before - NO_OP_BYTES - 20_024 - 212, 200], 1);
    expect(follower.end).toBe(CAPACITY - before);
    follower.add([10], 1);
    follower.node.settle();
    expect(follower.cut(CAPACITY - before).sealed).toEqual([]);
    follower.restart();
    follower.cut(CAPACITY - before - 212);
    follower.add([200 + before - NO_OP_BYTES], 2);
    follower.add([10], 2);
    follower.restart();
    expect(follower.node.recovered.sealed.map(({ end }) => end)).toEqual([CAPACITY]);
  });

  it('an empty open segment is removed, and the one before it opened again', () => {
    const { follower, bases } = filled(make());
    const third = bases[2] ?? 0;
    follower.cut(third);
    expect(follower.node.openBase).toBe(bases[1]);
    // Its successor has a file and no entry when a crash came between the two.
    follower.add([500], 3, true);
    follower.node.settle();
    follower.cut(third);
    // A segment that was opened, and whose file was not made yet.
    const bad = makeBatch([60_000], random).entries;
    bad[30] = 1 + (bad[30] ?? 0);
    expect(follower.node.tail.append(bad, 1, 3, 100_000, 5)).toBe('refused');
    expect(follower.node.openBase).toBe(third);
    follower.cut(third);
    expect(follower.node.openBase).toBe(bases[1]);
    follower.add([40], 4);
    follower.restart();
  });

  it('a log that was found all sealed is opened again at its end, and within', () => {
    for (const [back, openBase] of [
      [0, 1],
      [14 + 24, 1],
    ] as const) {
      const { follower, bases } = filled(make());
      follower.cut(bases[2] ?? 0);
      follower.add([100], 5, true);
      follower.node.settle();
      follower.node.stop();
      follower.disk.remove(`${DIRECTORY}/${segmentName(bases[2] ?? 0)}`);
      follower.log = follower.log.subarray(0, bases[2]);
      follower.boundaries = follower.boundaries.filter((each) => each <= follower.end);
      follower.node = new TestNode(follower.disk, memory, IDENTITY_BYTES, () => NOW_MS);
      expect(follower.node.recovered.openBase).toBeUndefined();
      follower.node.follow(10);
      expect(follower.node.openBase).toBeUndefined();
      follower.cut(follower.end - back);
      expect(follower.node.openBase).toBe(bases[openBase]);
      follower.add([40], 5);
      follower.restart();
    }
  });

  it('a segment that no slot holds any more is loaded again', () => {
    const follower = new Follower(make());
    const bases: number[] = [];
    for (let i = 0; i < 7; i += 1) {
      bases.push(follower.end);
      follower.add([20_000, 30_000], 1 + i, true);
      follower.node.settle();
    }
    const before = memory.word32(STATE.TRUNCATIONS);
    follower.cut((bases[1] ?? 0) + NO_OP_BYTES + 20_012);
    expect(memory.word32(STATE.TRUNCATIONS)).toBe(before + 1);
    expect(follower.node.openBase).toBe(bases[1]);
    follower.add([30_000], 2);
    follower.add([10], 9, true);
    follower.restart();
  });
});

it('a cut inside an entry, below the commit, past the end, or before all is durable is a broken invariant, and changes nothing', () => {
  const { follower } = filled(new MemoryDisk());
  const files = (): string[] => follower.files;
  const before = files();
  memory.setWord(WORD.COMMIT, NO_OP_BYTES + 112);
  for (const [offset, sentence] of [
    [NO_OP_BYTES + 113, /between two batches/],
    [0, /between its commit/],
    [follower.end + 1, /between its commit/],
  ] as const) {
    expect(() => follower.node.truncate(offset)).toThrow(sentence);
    expect(files()).toEqual(before);
  }
});

it('damage below the cut, in a segment that has to be loaded, is named before anything is removed', () => {
  const follower = new Follower(new MemoryDisk());
  for (let i = 0; i < 6; i += 1) {
    follower.add([20_000, 30_000], 1, true);
    follower.node.settle();
  }
  const path = `${DIRECTORY}/${segmentName(0)}`;
  const file = follower.disk.openWrite(path);
  follower.disk.write(file, [Uint8Array.of(0xee)], 5000);
  follower.disk.close(file);
  const before = follower.files;
  expect(errorOf(() => follower.node.truncate(NO_OP_BYTES + 20_012))).toMatchObject({
    code: 'DAMAGE',
    details: { file: path, position: 4096 + NO_OP_BYTES },
  });
  expect(follower.files).toEqual(before);
});

it('readers below the commit find everything before, during and after; what they knew of removed files is forgotten', () => {
  const { follower, bases } = filled(new TemporaryDisk());
  const [, second = 0, third = 0] = bases;
  const hot = new HotReader(memory);
  const cold = new SegmentReader(follower.disk, DIRECTORY, memory);
  memory.setWord(WORD.COMMIT, second + 3012);
  // The leader that this node was read all of its log, also what is not committed, from its files.
  const range = { base: second, from: second, isBoundary: true, limit: third, maxBytes: 1_000_000 };
  expect(cold.read(range, 0)).toBe(third - second);
  follower.cut(second + 3012);
  follower.add([16_000, 7], 3);
  follower.add([1], 3, true);
  follower.node.settle();
  const at = memory.map.coldAt(0);
  const end = follower.node.openBase ?? 0;
  expect(cold.read({ ...range, limit: end }, 0)).toBe(end - second);
  expect(Buffer.compare(memory.bytes.subarray(at, at + end - second), follower.log.subarray(second, end))).toBe(0);
  // Its index points are those of the new index, too.
  expect(cold.read({ ...range, from: end - 19, isBoundary: false, limit: end }, 0)).toBe(19);
  const slot = hot.pin(second);
  expect(memory.slotState(slot)).toBe(SLOT_SEALED);
  expect(Buffer.compare(hot.read(slot, second, 100_000), follower.log.subarray(second, second + 3012))).toBe(0);
  hot.release(slot);
  cold.close();
});
