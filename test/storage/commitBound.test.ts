// How far the log is committed stands on disk: it is known after a restart, and nothing below it is ever taken for a torn tail.

import { describe, expect, it } from 'vitest';
import { viewOf } from '../../src/core/bytes.ts';
import { SIGNAL, STATE, WORD } from '../../src/memory/map.ts';
import { writeVote } from '../../src/storage/dataDirectory.ts';
import { type Disk, readFile } from '../../src/storage/disk.ts';
import { indexName, segmentName } from '../../src/storage/names.ts';
import { examineDirectory } from '../../src/storage/offline.ts';
import { SegmentWriter } from '../../src/storage/segmentWriter.ts';
import { Random } from '../assembly/random.ts';
import { makeBatch } from '../crash/batches.ts';
import { MemoryDisk } from '../crash/memoryDisk.ts';
import { DIRECTORY, smallMemory, TestNode } from '../crash/testNode.ts';
import { errorOf, IDENTITY_BYTES, NOW_MS, putFile, startNode, TemporaryDisk } from './support.ts';

const memory = smallMemory();
const random = new Random(4);
const small = makeBatch([100], random);
const large = makeBatch([20_000, 20_000], random);

/** A node with a log of two segments that is durable, and nothing of which is committed yet. */
function filled(disk: Disk): TestNode {
  const node = startNode(disk, memory);
  for (const batch of [small, large, small, large, small]) {
    node.append(batch.entries, batch.entryCount);
    node.settle();
  }
  expect(node.sealed.length).toBe(1);
  return node;
}

function restart(disk: Disk): TestNode {
  return new TestNode(disk, memory, IDENTITY_BYTES, () => NOW_MS);
}

describe.each([
  ['in memory', () => new MemoryDisk()],
  ["node's", () => new TemporaryDisk()],
] as const)('commit bound on a disk: %s', (_name, make) => {
  it('R4: what a node knew to be committed it knows after a restart, as soon as it has recovered its log', () => {
    const disk = make();
    const node = filled(disk);
    const commit = node.durable - 112;
    memory.setWord(WORD.COMMIT, commit);
    node.mark(0);
    const again = restart(disk);
    expect([again.recovered.commit, memory.commit]).toEqual([commit, commit]);
    // And so it does after the next one, which nothing was told to.
    expect(restart(disk).recovered.commit).toBe(commit);
    expect(examineDirectory(disk, DIRECTORY, { everyEntry: true })).toMatchObject({ commit, damage: [] });
  });

  it('R4: a vote has it, too, and a log without any word of it is committed up to its start', () => {
    const disk = make();
    const commit = filled(disk).durable - 112;
    expect(restart(disk).recovered.commit).toBe(0);
    writeVote(disk, DIRECTORY, { currentTerm: 1, votedFor: 1, commit });
    expect(restart(disk).recovered.commit).toBe(commit);
  });

  it('R4: a segment that has no entries yet has it, and the one before it when that is the last', () => {
    const disk = make();
    const node = startNode(disk, memory);
    node.append(large.entries, large.entryCount);
    node.settle();
    memory.setWord(WORD.COMMIT, node.durable);
    const bound = node.durable;
    node.mark(0);
    node.append(large.entries, large.entryCount);
    expect(node.writers).toBe(2);
    // Sealed, and its successor not made yet.
    expect(node.seal(0)).toBe(true);
    const names = disk.list(DIRECTORY);
    expect([names.includes(indexName(0)), names.filter((name) => name.endsWith('.segment'))]).toEqual([true, [segmentName(0)]]);
    const image = readFile(disk, `${DIRECTORY}/${segmentName(0)}`);
    expect(restart(disk).recovered).toMatchObject({ commit: bound, openBase: undefined, end: bound });
    expect(readFile(disk, `${DIRECTORY}/${segmentName(0)}`)).toEqual(image);
    const next = restart(disk);
    next.begin();
    // A crash comes between this and the first write.
    SegmentWriter.create(next.context, memory.openSlot, 'spare-9.tmp');
    expect(disk.list(DIRECTORY)).toContain(segmentName(bound));
    expect(restart(disk).recovered).toMatchObject({ commit: bound, openBase: bound, end: bound });
  });

  it('R4: a truncation keeps it, although the segments that had it go', () => {
    const disk = make();
    const node = filled(disk);
    const [first] = node.sealed;
    const commit = (first?.end ?? 0) - 112;
    memory.setWord(WORD.COMMIT, commit);
    node.mark(0);
    node.changeTerm(5, false);
    node.truncate(commit);
    expect(restart(disk).recovered).toMatchObject({ commit, end: commit, openBase: 0 });
  });
});

describe('commit bound: a log that ends below it is refused, and nothing is changed', () => {
  function expectRefused(disk: MemoryDisk, file: string, commit: number): void {
    const before = disk.image();
    const error = errorOf(() => restart(disk));
    expect(error).toMatchObject({ code: 'DAMAGE', details: { file: `${DIRECTORY}/${file}` } });
    expect(error.message).toContain(`committed up to offset ${commit}`);
    expect(disk.image()).toEqual(before);
    const sentences = examineDirectory(disk, DIRECTORY, { everyEntry: true }).damage.map(({ sentence }) => sentence);
    expect(sentences.join()).toContain(`committed up to offset ${commit}`);
  }

  it('R4: a last entry that no mark vouches for any more', () => {
    const disk = new MemoryDisk();
    const node = filled(disk);
    memory.setWord(WORD.COMMIT, node.durable);
    const commit = node.durable;
    const base = node.openBase ?? 0;
    node.mark(0);
    const name = segmentName(base);
    const bytes = readFile(disk, `${DIRECTORY}/${name}`).slice();
    // What a torn write over the mark leaves, and a byte of a committed entry that went bad.
    bytes.fill(0x55, 4096 + commit - base, 4096 + commit - base + 100);
    const position = 4096 + commit - base - 20;
    bytes[position] = (bytes[position] ?? 0) ^ 1;
    putFile(disk, name, bytes);
    expectRefused(disk, name, commit);
    expect(errorOf(() => restart(disk)).details.position).toBe(4096 + commit - base - 112);
  });

  it('R4: the last segment, removed by hand', () => {
    const disk = new MemoryDisk();
    const node = filled(disk);
    const commit = node.durable;
    writeVote(disk, DIRECTORY, { currentTerm: 1, votedFor: 1, commit });
    const base = node.openBase ?? 0;
    disk.remove(`${DIRECTORY}/${segmentName(base)}`);
    const error = errorOf(() => restart(disk));
    expect(error).toMatchObject({ code: 'DAMAGE', details: { file: `${DIRECTORY}/${segmentName(base)}` } });
    expect(error.message).toContain(`committed up to offset ${commit}, but it ends at ${base}`);
  });

  it('R4: all segments, removed by hand', () => {
    const disk = new MemoryDisk();
    const node = filled(disk);
    writeVote(disk, DIRECTORY, { currentTerm: 1, votedFor: 1, commit: node.durable });
    for (const name of disk.list(DIRECTORY)) if (/\.(segment|index)$/.test(name)) disk.remove(`${DIRECTORY}/${name}`);
    expectRefused(disk, segmentName(0), node.durable);
  });
});

describe('commit bound: a writer that rests', () => {
  it('R4: notes the commit once it reaches what is durable, also when that is after its last write, and sleeps until then', () => {
    const disk = new MemoryDisk();
    const node = startNode(disk, memory);
    node.append(small.entries, 1);
    node.settle();
    const writer = SegmentWriter.resume(node.context, memory.openSlot);
    const restsAt = (commit: number): [number | undefined, number, boolean] => {
      memory.setWord(WORD.COMMIT, commit);
      const seen = memory.signal(SIGNAL.TAIL);
      memory.committed();
      return [writer.rest(), memory.word32(STATE.BOUND_AWAITED), memory.signal(SIGNAL.TAIL) !== seen];
    };
    const { durable } = memory;
    // Nothing is known to be committed: it says that it waits.
    expect([writer.rest(), memory.word32(STATE.BOUND_AWAITED)]).toEqual([undefined, 1]);
    memory.setWord32(STATE.BOUND_AWAITED, 0);
    expect(restsAt(12)).toEqual([10, 0, false]);
    writer.writeMark();
    expect([writer.bound, writer.rest(), memory.word32(STATE.BOUND_AWAITED)]).toEqual([12, undefined, 1]);
    expect(restsAt(durable)).toEqual([10, 0, true]);
    writer.writeMark();
    expect([writer.bound, writer.rest(), memory.word32(STATE.BOUND_AWAITED)]).toEqual([durable, undefined, 0]);
    expect(restsAt(durable)).toEqual([undefined, 0, false]);
    expect(restart(disk).recovered.commit).toBe(durable);
  });

  it('R4: a mark never says more than it may: what is durable, and what is committed', () => {
    const disk = new MemoryDisk();
    const node = startNode(disk, memory);
    node.settle();
    node.append(small.entries, 1);
    memory.setWord(WORD.COMMIT, memory.tail);
    node.step(0);
    const bytes = readFile(disk, `${DIRECTORY}/${segmentName(0)}`);
    const mark = viewOf(bytes.subarray(4096 + memory.tail, 4096 + memory.tail + 40));
    expect([mark.getBigUint64(8, true), mark.getBigUint64(24, true)]).toEqual([20n, 20n]);
  });
});
