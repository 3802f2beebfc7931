// Healing a damaged segment on one node's disk, step by step, and what each crash in between leaves.

import { beforeAll, describe, expect, it } from 'vitest';
import { KIND_DATA, SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { STATE, WORD } from '../../src/memory/map.ts';
import type { SealedSegment, StorageContext } from '../../src/storage/context.ts';
import { readFile } from '../../src/storage/disk.ts';
import { Examiner } from '../../src/storage/examiner.ts';
import { type HealAnswer, heal } from '../../src/storage/healer.ts';
import { damagedName, indexName, segmentName } from '../../src/storage/names.ts';
import { Random } from '../assembly/random.ts';
import { makeBatch } from '../crash/batches.ts';
import { CrashModel } from '../crash/crashModel.ts';
import { type DiskImage, MemoryDisk } from '../crash/memoryDisk.ts';
import { DIRECTORY, smallMemory, TestNode } from '../crash/testNode.ts';
import { flipped } from '../format/hex.ts';
import { encodeEntry } from '../support/entryTwin.ts';
import { IDENTITY_BYTES, NOW_MS, putFile } from './support.ts';

const memory = smallMemory();
const PIECE_BYTES = 20_000;

interface Built {
  readonly image: DiskImage;
  readonly context: StorageContext;
  readonly segment: SealedSegment;
  /** Entries of the segment. */
  readonly entries: Uint8Array;
  readonly end: number;
}

function build(): Built {
  const disk = new MemoryDisk();
  const ordered: Uint8Array[] = [];
  const node = new TestNode(disk, memory, IDENTITY_BYTES, () => NOW_MS, { ordered: (_first, _end, bytes) => ordered.push(bytes.slice()) });
  node.begin();
  const random = new Random(3);
  while (node.sealed.length < 3) {
    const { entries, entryCount } = makeBatch([random.below(9000), random.below(900)], random);
    node.append(entries, entryCount);
    node.settle();
  }
  node.stop();
  const segment = node.sealed[1];
  if (segment === undefined) throw new Error('no segment was sealed');
  // No Buffer: a slice of one is no copy.
  const entries = Uint8Array.from(Buffer.concat(ordered).subarray(segment.base, segment.end));
  return { image: disk.image(), context: node.context, segment, entries, end: node.durable };
}

describe('healer', () => {
  let built: Built;

  beforeAll(() => {
    built = build();
  });

  /** A disk on which the segment is damaged at file position `at`. */
  function damagedDisk(at = SEGMENT_HEADER_BYTES + 5000, observe?: ConstructorParameters<typeof MemoryDisk>[1]): MemoryDisk {
    const before = new MemoryDisk(built.image);
    const name = segmentName(built.segment.base);
    putFile(before, name, flipped(readFile(before, `${DIRECTORY}/${name}`), at));
    return new MemoryDisk(before.image(), observe);
  }

  /** Sends `entries` as another node would, and puts them in place. Returns the last answer. */
  function healWith(disk: MemoryDisk, entries = built.entries, segment = built.segment, sha256?: string): HealAnswer {
    const context = { ...built.context, disk };
    heal(context, { step: 'begin', segment });
    let lastTerm = 0;
    for (let at = 0; at < entries.length; ) {
      // Whole entries, as a node sends them.
      let bytes = 0;
      const view = new DataView(entries.buffer, entries.byteOffset);
      while (at + bytes < entries.length && bytes < PIECE_BYTES) bytes += (view.getUint32(at + bytes + 4, true) & 0xffffff) + 12;
      bytes = Math.min(bytes, entries.length - at);
      memory.copyIn(entries.subarray(at, at + bytes), memory.map.coldAt(memory.map.healBuffer));
      const answer = heal(context, { step: 'write', segment, from: segment.base + at, bytes, lastTerm });
      if (answer.outcome !== 'done') return answer;
      lastTerm = answer.lastTerm ?? 0;
      at += bytes;
    }
    const checked = heal(context, { step: 'check', segment, sha256 });
    return checked.outcome === 'done' ? heal(context, { step: 'place', segment }) : checked;
  }

  function examined(disk: MemoryDisk): string {
    const { base, end } = built.segment;
    const found = new Examiner({ ...built.context, disk }).examine({ purpose: 'scrub', base, end, from: base, maxBytes: 1 << 20 });
    return found.outcome === 'damaged' ? found.reason : found.outcome;
  }

  it('puts what another node sent in the place of the damaged file, which is kept beside it until it is let go', () => {
    const disk = damagedDisk();
    expect(examined(disk)).toBe('entry');
    const looks = memory.word32(STATE.TRUNCATIONS);
    expect(healWith(disk)).toEqual({ outcome: 'done' });
    expect(examined(disk)).toBe('whole');
    expect(memory.word32(STATE.TRUNCATIONS)).toBe(looks + 1);
    const { base } = built.segment;
    expect(readFile(disk, `${DIRECTORY}/${damagedName(base)}`)).toEqual(readFile(damagedDisk(), `${DIRECTORY}/${segmentName(base)}`));
    const context = { ...built.context, disk };
    const kept = heal(context, { step: 'kept', names: [] });
    expect(kept).toEqual({ outcome: 'done', names: [damagedName(base)] });
    heal(context, { step: 'kept', names: [damagedName(base)] });
    expect(disk.list(DIRECTORY).filter((name) => name.includes('damaged'))).toEqual([]);
    expect(disk.openFiles).toBe(0);
  });

  it('heals a header page, a file that is missing and a length that is wrong, and makes an index anew', () => {
    const { base, entries: count } = built.segment;
    const header = damagedDisk(20);
    expect(examined(header)).toBe('header');
    expect(healWith(header)).toEqual({ outcome: 'done' });
    expect(examined(header)).toBe('whole');
    const missing = damagedDisk();
    missing.remove(`${DIRECTORY}/${segmentName(base)}`);
    expect(healWith(missing)).toEqual({ outcome: 'done' });
    expect(examined(missing)).toBe('whole');
    const short = damagedDisk();
    putFile(short, segmentName(base), new Uint8Array(5000));
    putFile(short, indexName(base), new Uint8Array(10));
    expect(healWith(short)).toEqual({ outcome: 'done' });
    expect(examined(short)).toBe('whole');
    const index = new MemoryDisk(built.image);
    const golden = readFile(index, `${DIRECTORY}/${indexName(base)}`);
    putFile(index, indexName(base), flipped(golden, 70));
    expect(examined(index)).toBe('index');
    const context = { ...built.context, disk: index };
    expect(heal(context, { step: 'index', segment: built.segment, sha256: undefined })).toEqual({ outcome: 'done' });
    expect(readFile(index, `${DIRECTORY}/${indexName(base)}`)).toEqual(golden);
    index.remove(`${DIRECTORY}/${indexName(base)}`);
    expect(heal(context, { step: 'index', segment: { ...built.segment, entries: count + 1 }, sha256: undefined })).toMatchObject({
      outcome: 'differs',
    });
    expect(index.list(DIRECTORY)).not.toContain(indexName(base));
  });

  it('uses nothing that is damaged, of another place, cut short, or right by itself and not this segment', () => {
    const { entries, segment } = built;
    const before = damagedDisk().image();
    const tries: [string, () => HealAnswer, string][] = [
      ['a flipped bit', () => healWith(disk, flipped(entries, 30_000)), 'refused'],
      ['cut short', () => healWith(disk, entries.subarray(0, entries.length - 100)), 'refused'],
      ['too long', () => healWith(disk, Buffer.concat([entries, entries.subarray(0, 60)])), 'refused'],
      ['another seal', () => healWith(disk, entries, segment, '00'.repeat(32)), 'differs'],
      [
        'other terms',
        () => healWith(disk, entries, { ...segment, terms: [{ term: 9, offset: segment.base, leader: 'f'.repeat(16) }] }),
        'differs',
      ],
      ['another count', () => healWith(disk, entries, { ...segment, entries: segment.entries + 1 }), 'differs'],
    ];
    let disk = damagedDisk();
    for (const [name, attempt, outcome] of tries) {
      disk = damagedDisk();
      expect(attempt(), name).toMatchObject({ outcome });
      heal({ ...built.context, disk }, { step: 'abandon', segment });
      expect([...disk.image().keys()].sort(), name).toEqual([...before.keys()].sort());
      expect(examined(disk), name).toBe('entry');
    }
    // Valid entries at their places, of the same count and term, but with other payloads: only the index of this node tells.
    const view = new DataView(entries.buffer, entries.byteOffset);
    const term = view.getUint32(0, true);
    let last = 0;
    for (let at = 0; at < entries.length; at += (view.getUint32(at + 4, true) & 0xffffff) + 12) last = at;
    const payload = entries.slice(last + 8, entries.length - 4).fill(0x55);
    const other = Buffer.concat([entries.subarray(0, last), encodeEntry(payload, KIND_DATA, { term, offset: segment.base + last })]);
    expect(healWith(disk, other)).toMatchObject({ outcome: 'differs', sentence: expect.stringContaining('digest') as string });
  });

  it('is left before the place when the segment is trimmed meanwhile', () => {
    const disk = damagedDisk();
    memory.setWord(WORD.BASE, built.segment.end);
    expect(healWith(disk)).toEqual({ outcome: 'gone' });
    memory.setWord(WORD.BASE, 0);
    expect(disk.list(DIRECTORY).filter((name) => name.endsWith('.tmp') || name.includes('.damaged'))).toEqual([]);
  });

  it('makes no index of a segment that was trimmed meanwhile: without its segment it would keep the node from starting', () => {
    const { base, end } = built.segment;
    const disk = damagedDisk();
    disk.remove(`${DIRECTORY}/${indexName(base)}`);
    memory.setWord(WORD.BASE, end);
    expect(healWith(disk)).toEqual({ outcome: 'gone' });
    memory.setWord(WORD.BASE, 0);
    expect(disk.list(DIRECTORY)).not.toContain(indexName(base));
  });

  it('leaves the damaged segment or the healed one after any crash between its steps, and the log as it was', () => {
    const { segment, end } = built;
    const random = new Random(5);
    const found = new Map<string, number>();
    const images: DiskImage[] = [];
    const model = new CrashModel(damagedDisk().image());
    const disk = damagedDisk(undefined, (operation) => {
      // The process alone dies, or the power goes.
      images.push(disk.image());
      model.apply(operation);
      for (const { image } of model.states(24, random)) images.push(image);
    });
    expect(healWith(disk)).toEqual({ outcome: 'done' });
    images.push(disk.image());
    for (const image of images) {
      const left = new MemoryDisk(image);
      const { recovered, context } = new TestNode(left, memory, IDENTITY_BYTES, () => NOW_MS);
      expect(recovered).toMatchObject({ start: 0, end });
      expect(recovered.sealed[1]).toEqual(segment);
      expect(left.list(DIRECTORY).filter((name) => name.endsWith('.tmp'))).toEqual([]);
      const state = examined(left);
      found.set(state, (found.get(state) ?? 0) + 1);
      if (state === 'whole') continue;
      // It is healed anew.
      expect(context.identity.clusterId).toBe(built.context.identity.clusterId);
      memory.setWord(WORD.BASE, 0);
      expect(healWith(left)).toEqual({ outcome: 'done' });
      expect(examined(left)).toBe('whole');
    }
    expect([...found.keys()].sort()).toEqual(['entry', 'whole']);
  });
});
