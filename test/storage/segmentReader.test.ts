import { beforeAll, describe, expect, it } from 'vitest';
import { KIND_CONTINUED, MAX_PAYLOAD_BYTES, NO_OP_BYTES, SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import type { SealedSegment } from '../../src/storage/context.ts';
import { readFile } from '../../src/storage/disk.ts';
import { indexName, segmentName } from '../../src/storage/names.ts';
import { type ColdRange, SegmentReader } from '../../src/storage/segmentReader.ts';
import { Random } from '../assembly/random.ts';
import { makeBatch } from '../crash/batches.ts';
import { MemoryDisk } from '../crash/memoryDisk.ts';
import { DIRECTORY, smallMemory } from '../crash/testNode.ts';
import { encodeEntry } from '../support/entryTwin.ts';
import { errorOf, putFile, startNode, TemporaryDisk } from './support.ts';

const memory = smallMemory();

/** A log with sealed segments, and all of its bytes. */
interface Built {
  readonly disk: MemoryDisk;
  readonly log: Uint8Array;
  readonly segment: SealedSegment;
  /** Entry boundaries of `segment`, ascending, without its end. */
  readonly boundaries: readonly number[];
}

function build(disk: MemoryDisk = new MemoryDisk()): Built {
  const ordered: Uint8Array[] = [];
  const node = startNode(disk, memory, ordered);
  const random = new Random(4);
  while (node.sealed.length < 2) {
    const { entries, entryCount } = makeBatch(
      Array.from({ length: 5 }, () => random.below(900)),
      random,
    );
    node.append(entries, entryCount);
    node.settle();
  }
  node.stop();
  const log = Buffer.concat(ordered);
  const segment = node.sealed[1];
  if (segment === undefined) throw new Error('no segment was sealed');
  const boundaries: number[] = [];
  for (let at = segment.base; at < segment.end; at += log.readUInt32LE(at + 4) + 12) boundaries.push(at);
  return { disk, log, segment, boundaries };
}

describe('segment reader', () => {
  let built: Built;
  let reader: SegmentReader;

  beforeAll(() => {
    built = build();
    reader = new SegmentReader(built.disk, DIRECTORY, memory);
  });

  function read(range: Partial<ColdRange>): Uint8Array {
    const { base, end } = built.segment;
    const bytes = reader.read({ base, from: base, isBoundary: true, limit: end, maxBytes: end - base, ...range }, 1);
    return memory.bytes.slice(memory.map.coldAt(1), memory.map.coldAt(1) + bytes);
  }

  it('reads a whole segment', () => {
    const { log, segment } = built;
    expect(Buffer.compare(read({}), log.subarray(segment.base, segment.end))).toBe(0);
  });

  it('clips to whole entries under the limit of bytes, but always returns the first entry', () => {
    const { log, boundaries, segment } = built;
    for (const [i, from] of boundaries.entries()) {
      for (const maxBytes of [0, 1, 11, 12, 13, 500, 2000, 20_000]) {
        const ends = [...boundaries.slice(i + 1), segment.end];
        const end = ends.filter((each) => each - from <= maxBytes).at(-1) ?? ends[0];
        expect(Buffer.compare(read({ from, maxBytes }), log.subarray(from, end))).toBe(0);
      }
    }
  });

  it('reads nothing past the limit of the range, which an uncommitted entry may follow', () => {
    const { log, boundaries } = built;
    const [from = 0, , , limit = 0] = boundaries;
    expect(Buffer.compare(read({ from, limit }), log.subarray(from, limit))).toBe(0);
  });

  it('knows every boundary, and refuses every offset between', () => {
    const { boundaries, segment } = built;
    const known = new Set(boundaries);
    const random = new Random(5);
    for (const from of boundaries) expect(read({ from, isBoundary: false, maxBytes: 1 }).length).toBeGreaterThanOrEqual(12);
    for (let i = 0; i < 300; i += 1) {
      const from = i < 40 ? segment.base + i : segment.base + random.below(segment.end - segment.base);
      if (known.has(from)) continue;
      const beginning = boundaries.findLast((boundary) => boundary < from);
      expect(errorOf(() => read({ from, isBoundary: false }))).toMatchObject({
        code: 'OFFSET_NOT_BOUNDARY',
        details: { offset: from, beginning },
      });
    }
  });

  it('an offset inside an entry that is said to be a boundary is never served', () => {
    const { boundaries } = built;
    for (const from of boundaries.slice(0, 20)) expect(errorOf(() => read({ from: from + 1 })).code).toBe('DAMAGE');
  });

  /** The reader on a log whose segment has one byte changed. */
  function withDamage(position: number): SegmentReader {
    const disk = new MemoryDisk(built.disk.image());
    const name = segmentName(built.segment.base);
    const bytes = readFile(disk, `${DIRECTORY}/${name}`).slice();
    bytes[position] = (bytes[position] ?? 0) ^ 0x04;
    putFile(disk, name, bytes);
    return new SegmentReader(disk, DIRECTORY, memory);
  }

  it('damage is named when it is read, and entries before it are served', () => {
    const { segment, boundaries } = built;
    const { base, end } = segment;
    for (let i = 0; i < boundaries.length - 1; i += 7) {
      const from = boundaries[i] ?? 0;
      for (const inside of [0, 4, 5, 6, 7, 8, (boundaries[i + 1] ?? 0) - from - 1]) {
        const damaged = withDamage(SEGMENT_HEADER_BYTES + from + inside - base);
        const range = { base, isBoundary: true, limit: end, maxBytes: end - base };
        const position = SEGMENT_HEADER_BYTES + from - base;
        expect(errorOf(() => damaged.read({ ...range, from }, 0))).toMatchObject({
          code: 'DAMAGE',
          details: { file: `${DIRECTORY}/${segmentName(base)}`, position, offset: from },
        });
        expect(errorOf(() => damaged.read({ ...range, from, maxBytes: 1 }, 0)).code).toBe('DAMAGE');
        if (i > 0) expect(damaged.read({ ...range, from: base }, 0)).toBe(from - base);
      }
    }
  });

  it('an entry of damaged size between an index point and an offset is damage, not an offset inside an entry', () => {
    const { segment, boundaries } = built;
    const { base, end } = segment;
    const bad = boundaries[1] ?? 0;
    for (const inside of [4, 5, 6]) {
      const damaged = withDamage(SEGMENT_HEADER_BYTES + bad + inside - base);
      for (const from of boundaries.slice(2, 8)) {
        const error = errorOf(() => damaged.read({ base, from, isBoundary: false, limit: end, maxBytes: 100 }, 0));
        expect(error).toMatchObject({ code: 'DAMAGE', details: { position: SEGMENT_HEADER_BYTES + bad - base, offset: bad } });
      }
    }
  });

  it('a damaged index is named; without one, as during a truncation, the walk to an offset begins at the first entry', () => {
    const { base, end } = built.segment;
    const range = { base, from: (built.boundaries[1] ?? 0) + 1, isBoundary: false, limit: end, maxBytes: 100 };
    const disk = new MemoryDisk(built.disk.image());
    putFile(disk, indexName(base), 'nonsense');
    expect(errorOf(() => new SegmentReader(disk, DIRECTORY, memory).read(range, 0))).toMatchObject({
      code: 'DAMAGE',
      details: { file: `${DIRECTORY}/${indexName(base)}` },
    });
    disk.remove(`${DIRECTORY}/${indexName(base)}`);
    const reader = new SegmentReader(disk, DIRECTORY, memory);
    for (const from of built.boundaries.filter((each) => each > base)) {
      expect(reader.read({ ...range, from, maxBytes: 0 }, 0)).toBeGreaterThan(0);
      expect(errorOf(() => reader.read({ ...range, from: from + 1 }, 0)).code).toBe('OFFSET_NOT_BOUNDARY');
    }
  });

  it('a segment cut short while the node runs is damage', () => {
    const { base, end } = built.segment;
    const disk = new MemoryDisk(built.disk.image());
    const file = disk.openWrite(`${DIRECTORY}/${segmentName(base)}`);
    const range = { base, isBoundary: true, limit: end, maxBytes: end - base };
    const last = built.boundaries.at(-1) ?? 0;
    for (const from of [base, last]) {
      for (const left of [0, 5, 9]) {
        disk.truncate(file, SEGMENT_HEADER_BYTES + from - base + left);
        expect(errorOf(() => new SegmentReader(disk, DIRECTORY, memory).read({ ...range, from }, 0)).code).toBe('DAMAGE');
        disk.truncate(file, SEGMENT_HEADER_BYTES + end - base);
      }
    }
  });

  it('few files are open at once, and none after close', () => {
    const disk = new MemoryDisk(built.disk.image());
    const { base, end } = built.segment;
    const many = new SegmentReader(disk, DIRECTORY, memory);
    const bytes = readFile(disk, `${DIRECTORY}/${segmentName(base)}`);
    for (let i = 0; i < 40; i += 1) {
      // Only the name matters: entries are checked against the log offset that the range says.
      if (i > 0) putFile(disk, segmentName(base + i), bytes);
      const range = { base: base + i, from: base + i, isBoundary: true, limit: end + i, maxBytes: 100 };
      if (i === 0) many.read(range, 0);
      else expect(errorOf(() => many.read(range, 0)).code).toBe('DAMAGE');
      expect(disk.openFiles).toBeLessThanOrEqual(8);
    }
    many.close();
    expect(disk.openFiles).toBe(0);
  });
});

it('segment reader: the largest entry, 16 MiB, is read whole from a real disk, however little is asked for', () => {
  const large = smallMemory(32 * 1024 * 1024);
  const disk = new TemporaryDisk();
  const ordered: Uint8Array[] = [];
  const node = startNode(disk, large, ordered);
  const payload = new Uint8Array(MAX_PAYLOAD_BYTES);
  for (let at = 0; at < payload.length; at += 4096) payload[at] = at >> 12;
  const entry = encodeEntry(payload);
  for (let i = 0; i < 3; i += 1) expect(node.append(entry, 1)).toBe('ordered');
  node.stop();
  const [first, second] = node.sealed;
  expect(first?.entries).toBe(2);
  expect(second?.entries).toBe(1);
  const reader = new SegmentReader(disk, DIRECTORY, large);
  const segment = second ?? { base: 0, end: 0 };
  const log = Buffer.concat(ordered);
  for (const maxBytes of [1, 20_000_000]) {
    const bytes = reader.read({ base: segment.base, from: segment.base, isBoundary: true, limit: segment.end, maxBytes }, 0);
    expect(bytes).toBe(entry.length);
    const at = large.map.coldAt(0);
    expect(Buffer.compare(large.bytes.subarray(at, at + bytes), log.subarray(segment.base, segment.end))).toBe(0);
  }
  // The entry behind the no-op: its boundary is found from the index point before it.
  const behind = reader.read({ base: 0, from: NO_OP_BYTES, isBoundary: false, limit: first?.end ?? 0, maxBytes: 1 }, 0);
  expect(behind).toBe(entry.length);
  expect(errorOf(() => reader.read({ base: 0, from: 13_000_000, isBoundary: false, limit: first?.end ?? 0, maxBytes: 1 }, 0)).code).toBe(
    'OFFSET_NOT_BOUNDARY',
  );
  reader.close();
});

it('a batch is read whole for another node, however large; damage in it is named where it is', () => {
  const large = smallMemory(8 * 1024 * 1024);
  const disk = new MemoryDisk();
  const node = startNode(disk, large);
  const entry = encodeEntry(new Uint8Array(100_000), KIND_CONTINUED);
  const batch = Buffer.concat([...Array.from({ length: 49 }, () => entry), encodeEntry(new Uint8Array(100_000))]);
  for (let i = 0; i < 2; i += 1) expect(node.append(batch, 50)).toBe('ordered');
  node.stop();
  const end = NO_OP_BYTES + batch.length;
  expect(node.sealed.map((segment) => segment.end)).toEqual([end]);
  const range = { base: 0, isBoundary: true, limit: end, maxBytes: 1024 * 1024 };
  const reader = new SegmentReader(disk, DIRECTORY, large);
  expect(reader.read({ ...range, from: 0, wholeBatches: true }, 0)).toBe(NO_OP_BYTES);
  expect(reader.read({ ...range, from: NO_OP_BYTES, wholeBatches: true }, 0)).toBe(batch.length);
  expect(reader.read({ ...range, from: NO_OP_BYTES }, 0)).toBe(10 * entry.length);
  reader.close();
  const bytes = readFile(disk, `${DIRECTORY}/${segmentName(0)}`).slice();
  const position = SEGMENT_HEADER_BYTES + NO_OP_BYTES + 40 * entry.length;
  bytes[position + 50] = 1;
  putFile(disk, segmentName(0), bytes);
  const damaged = new SegmentReader(disk, DIRECTORY, large);
  expect(errorOf(() => damaged.read({ ...range, from: NO_OP_BYTES, wholeBatches: true }, 0))).toMatchObject({
    code: 'DAMAGE',
    details: { position },
  });
});
