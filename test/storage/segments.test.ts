// Where segments end and begin: the last bytes of a file, large offsets, and what sealing writes down.

import { describe, expect, it } from 'vitest';
import { NO_OP_BYTES, SCAN_VERIFY, SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { MARK_BYTES, segmentCapacityBytes } from '../../src/core/capacities.ts';
import { decodeSegmentHeader } from '../../src/format/segmentHeader.ts';
import { decodeSegmentIndex } from '../../src/format/segmentIndex.ts';
import { xxh64 } from '../../src/format/xxh64.ts';
import { HotReader } from '../../src/memory/hotReader.ts';
import { WORD } from '../../src/memory/map.ts';
import { allocateFile } from '../../src/storage/allocator.ts';
import { type Disk, readFile } from '../../src/storage/disk.ts';
import { baseOfIndexName, baseOfName, indexName, segmentName } from '../../src/storage/names.ts';
import { largestUnsealedBytes } from '../../src/storage/recovery.ts';
import { sealSegment } from '../../src/storage/sealer.ts';
import { SegmentReader } from '../../src/storage/segmentReader.ts';
import { Random } from '../assembly/random.ts';
import { makeBatch, stampBatch } from '../crash/batches.ts';
import { MemoryDisk } from '../crash/memoryDisk.ts';
import { readLog } from '../crash/oracle.ts';
import { DIRECTORY, smallMemory, TestNode } from '../crash/testNode.ts';
import { scan } from '../support/entryTwin.ts';
import { createAt, errorOf, IDENTITY_BYTES, NOW_MS, putFile, startNode, TemporaryDisk } from './support.ts';

const memory = smallMemory();
const CAPACITY = segmentCapacityBytes(65536);
const random = new Random(9);

/** Checks that a node that starts now finds `ordered`, and returns what it recovered. */
function expectLog(disk: Disk, start: number, ordered: readonly Uint8Array[]): TestNode['recovered'] {
  const { recovered } = new TestNode(disk, memory, IDENTITY_BYTES, () => NOW_MS);
  const log = Buffer.concat(ordered);
  expect(recovered.start).toBe(start);
  expect(recovered.end).toBe(start + log.length);
  expect(Buffer.compare(readLog(disk, recovered), log)).toBe(0);
  return recovered;
}

describe.each([
  ['in memory', () => new MemoryDisk()],
  ["node's", () => new TemporaryDisk()],
] as const)('segments on a disk: %s', (_name, make) => {
  it.each([-1, 0, 1])('entries that end at the limit of a segment %i', (past) => {
    const disk = make();
    const ordered: Uint8Array[] = [];
    const node = startNode(disk, memory, ordered);
    // Two batches fill what the no-op leaves, up to `past`.
    const first = makeBatch([20_000], random);
    const second = makeBatch([CAPACITY + past - NO_OP_BYTES - 20_012 - 12], random);
    node.append(first.entries, 1);
    node.append(second.entries, 1);
    node.settle();
    const rolled = past > 0;
    expect(node.sealed.length).toBe(rolled ? 1 : 0);
    if (rolled) expect(node.sealed[0]?.end).toBe(NO_OP_BYTES + 20_012);
    node.stop();
    const recovered = expectLog(disk, 0, ordered);
    expect(recovered.openBase).toBe(rolled ? NO_OP_BYTES + 20_012 : 0);
    // One more entry: never in a full segment.
    const next = startNode(disk, memory, ordered);
    next.settle();
    next.stop();
    expectLog(disk, 0, ordered);
    expect(disk.list(DIRECTORY).filter((name) => baseOfName(name) !== undefined).length).toBe(2);
  });

  it.each([2 ** 31, 2 ** 32, 2 ** 53 - 1 - 300_000])('a log around offset %i', (around) => {
    const disk = make();
    const start = around - 100_000;
    createAt(disk, start);
    const ordered: Uint8Array[] = [];
    const node = startNode(disk, memory, ordered);
    for (let i = 0; i < 30; i += 1) {
      const batch = makeBatch([random.below(9000), random.below(100)], random);
      node.append(batch.entries, batch.entryCount);
      node.settle();
    }
    node.stop();
    const recovered = expectLog(disk, start, ordered);
    expect(recovered.end).toBeGreaterThan(around);
    expect(recovered.sealed.length).toBeGreaterThan(0);
    const last = recovered.sealed.at(-1) ?? { base: 0, end: 0 };
    const path = `${DIRECTORY}/${indexName(last.base)}`;
    const index = decodeSegmentIndex(readFile(disk, path), path);
    disk.remove(path);
    expectLog(disk, start, ordered);
    expect(decodeSegmentIndex(readFile(disk, path), path)).toEqual(index);
  });

  it('a file is allocated with zeros, whole', () => {
    const disk = make();
    for (const [i, bytes] of [65536, 5 * 1024 * 1024 + 65536].entries()) {
      allocateFile(disk, DIRECTORY, `spare-${i}.tmp`, bytes);
      const content = readFile(disk, `${DIRECTORY}/spare-${i}.tmp`);
      expect(content.length).toBe(bytes);
      expect(content.every((byte) => byte === 0)).toBe(true);
    }
  });
});

it('entries in the last 4 KiB below offset 2^53 are where they belong: in memory, on disk, after a restart, sealed and cut', () => {
  const disk = new MemoryDisk();
  const start = Number.MAX_SAFE_INTEGER - 9000;
  createAt(disk, start);
  const ordered: Uint8Array[] = [];
  const node = startNode(disk, memory, ordered);
  const ends: number[] = [memory.tail];
  // Ends at even and odd offsets, the last one at 2^53 - 1 itself.
  for (let left = Number.MAX_SAFE_INTEGER - memory.tail; left > 0; left = Number.MAX_SAFE_INTEGER - memory.tail) {
    const batch = makeBatch([left < 400 ? left - 12 : 50 + random.below(150)], random);
    expect(node.append(batch.entries, 1)).toBe('ordered');
    ends.push(memory.tail);
  }
  node.settle();
  memory.setWord(WORD.COMMIT, memory.tail);
  const hot = new HotReader(memory);
  for (const [i, end] of ends.slice(0, -1).entries()) {
    const slot = hot.slotOf(end);
    expect(hot.beginningOf(slot, end)).toBe(end);
    expect(hot.beginningOf(slot, end + 1)).toBe(end);
    expect(Buffer.compare(hot.read(slot, end, 1), ordered[i + 1] ?? new Uint8Array())).toBe(0);
  }
  // The last entry may be cut yet.
  memory.setWord(WORD.COMMIT, ends.at(-2) ?? 0);
  node.stop();
  expect(expectLog(disk, start, ordered).dataEnd).toBe(Number.MAX_SAFE_INTEGER);
  // Cut before the last entry, and written again.
  const follower = new TestNode(disk, memory, IDENTITY_BYTES, () => NOW_MS);
  follower.follow(node.term);
  expect([memory.tail, memory.dataEnd]).toEqual([Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]);
  const cutAt = ends.at(-2) ?? 0;
  expect(follower.truncate(cutAt).end).toBe(cutAt);
  expect([memory.tail, memory.dataEnd]).toEqual([cutAt, cutAt]);
  const last = makeBatch([Number.MAX_SAFE_INTEGER - cutAt - 12], random);
  expect(follower.append(last.entries, 1)).toBe('ordered');
  follower.settle();
  ordered.splice(-1, 1, stampBatch(last.entries, node.term, cutAt));
  // Sealed, and read from disk.
  const file = disk.openWrite(`${DIRECTORY}/${segmentName(start)}`);
  expect(sealSegment(follower.context, memory.openSlot, memory.tail, file).end).toBe(Number.MAX_SAFE_INTEGER);
  const reader = new SegmentReader(disk, DIRECTORY, memory);
  for (const [i, from] of ends.slice(0, -1).entries()) {
    const range = { base: start, from, isBoundary: false, limit: memory.tail, maxBytes: 1 };
    const at = memory.map.coldAt(0);
    const length = reader.read(range, 0);
    expect(Buffer.compare(memory.bytes.subarray(at, at + length), ordered[i + 1] ?? new Uint8Array())).toBe(0);
  }
  reader.close();
  expect(expectLog(disk, start, ordered)).toMatchObject({ dataEnd: Number.MAX_SAFE_INTEGER, openBase: undefined });
});

it('the log ends at offset 2^53 - 1, with an error', () => {
  const disk = new MemoryDisk();
  createAt(disk, Number.MAX_SAFE_INTEGER - 1000);
  const node = startNode(disk, memory);
  const fits = makeBatch([900], random);
  const tooLarge = makeBatch([100], random);
  expect(node.append(fits.entries, 1)).toBe('ordered');
  expect(() => node.append(tooLarge.entries, 1)).toThrow(/ends at offset 2\^53 - 1/);
});

it('a segment that a start with more room resumes grows beyond its first size', () => {
  const disk = new MemoryDisk();
  const ordered: Uint8Array[] = [];
  const node = startNode(disk, memory, ordered);
  const batch = makeBatch([50_000], random);
  node.append(batch.entries, 1);
  node.stop();
  const large = smallMemory(196_608);
  const larger = startNode(disk, large, ordered);
  for (let i = 0; i < 2; i += 1) expect(larger.append(batch.entries, 1)).toBe('ordered');
  larger.stop();
  // Back to small segments: the slots must be as large as the open one.
  expect(largestUnsealedBytes(disk, DIRECTORY)).toBeGreaterThan(65536);
  expect(errorOf(() => new TestNode(disk, memory, IDENTITY_BYTES, () => NOW_MS)).message).toContain('larger segments');
  const again = startNode(disk, smallMemory(Math.ceil(largestUnsealedBytes(disk, DIRECTORY) / 65536) * 65536), ordered);
  expect(again.recovered.end).toBe(Buffer.concat(ordered).length - NO_OP_BYTES);
});

it('a large sealed segment with a damaged index asks for large slots, one with a valid index does not', () => {
  const disk = new MemoryDisk();
  const large = smallMemory(196_608);
  const node = startNode(disk, large);
  const batch = makeBatch([50_000], random);
  while (node.sealed.length === 0) {
    node.append(batch.entries, 1);
    node.settle();
  }
  node.stop();
  const open = readFile(disk, `${DIRECTORY}/${segmentName(node.sealed[0]?.end ?? 0)}`).length;
  expect(largestUnsealedBytes(disk, DIRECTORY)).toBe(open);
  putFile(disk, indexName(0), 'nonsense');
  const sealedBytes = readFile(disk, `${DIRECTORY}/${segmentName(0)}`).length;
  expect(largestUnsealedBytes(disk, DIRECTORY)).toBe(sealedBytes);
  expect(largestUnsealedBytes(disk, DIRECTORY, 196_608)).toBe(0);
});

it('names: only ours are recognized', () => {
  expect(segmentName(0)).toBe('00000000000000000000.segment');
  expect(segmentName(Number.MAX_SAFE_INTEGER)).toBe('00009007199254740991.segment');
  expect(baseOfName(segmentName(2 ** 52 + 1))).toBe(2 ** 52 + 1);
  expect(baseOfIndexName(indexName(77))).toBe(77);
  // The second one would be rounded to the name of another file.
  expect(baseOfName('00009007199254740992.segment')).toBeUndefined();
  expect(baseOfName('00009007199254740993.segment')).toBeUndefined();
  for (const name of ['0.segment', '00000000000000000000.segment.tmp', 'x00000000000000000000.segment', '00000000000000000000.index', '']) {
    expect(baseOfName(name)).toBeUndefined();
  }
});

it('sealing: the index says what is in the segment, and the file has its exact length', () => {
  const disk = new MemoryDisk();
  let nowMs = NOW_MS;
  const clock = (): number => {
    nowMs += 10;
    return nowMs;
  };
  // Two terms in one segment, and entries large and small around the index points.
  for (const sizes of [
    [100, 20_000, 3, 3],
    [4000, 4000, 4000, 4000, 1],
  ]) {
    const node = new TestNode(disk, memory, IDENTITY_BYTES, clock);
    node.begin();
    const batch = makeBatch(sizes, random);
    node.append(batch.entries, batch.entryCount);
    node.stop();
  }
  const node = new TestNode(disk, memory, IDENTITY_BYTES, clock);
  node.begin();
  const batch = makeBatch([60_000], random);
  node.append(batch.entries, 1);
  node.settle();
  node.stop();
  const [sealed] = node.sealed;
  const bytes = readFile(disk, `${DIRECTORY}/${segmentName(0)}`);
  const header = decodeSegmentHeader(bytes.slice(0, SEGMENT_HEADER_BYTES), 'segment');
  const index = decodeSegmentIndex(readFile(disk, `${DIRECTORY}/${indexName(0)}`), 'index');
  const entries = bytes.subarray(SEGMENT_HEADER_BYTES);
  const walk = scan(entries, { offset: 0, flags: SCAN_VERIFY, filePosition: SEGMENT_HEADER_BYTES, emitPoints: true });
  expect(walk.bytes).toBe(entries.length);
  expect(index).toMatchObject({ clusterId: header.clusterId, base: 0, end: walk.bytes, entries: walk.count, digest: xxh64(entries) });
  expect([...index.points]).toEqual(walk.points);
  expect(index.points.length).toBeGreaterThan(2);
  const { instance } = node.context.identity;
  expect(index.terms.map(({ term, leader }) => [term, leader])).toEqual([1, 2, 3].map((term) => [term, instance]));
  for (const { term, position } of index.terms) {
    expect(new DataView(bytes.buffer, bytes.byteOffset).getUint32(position, true)).toBe(term);
  }
  expect(index.firstMs).toBe(header.createdMs);
  expect(index.lastMs).toBeGreaterThan(index.firstMs);
  expect(sealed).toMatchObject({ base: 0, end: index.end, entries: index.entries, lastTerm: 3 });
});

it('a mark always has room behind the entries of a full segment', () => {
  expect(CAPACITY + SEGMENT_HEADER_BYTES + MARK_BYTES).toBe(65536);
  const disk = new MemoryDisk();
  const node = startNode(disk, memory);
  const batch = makeBatch([CAPACITY - NO_OP_BYTES - 12], random);
  node.append(batch.entries, 1);
  node.stop();
  expect(readFile(disk, `${DIRECTORY}/${segmentName(0)}`).length).toBe(65536);
});
