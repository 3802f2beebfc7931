import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { LogError } from '../../src/core/errors.ts';
import { examineSegment } from '../../src/node/examinations.ts';
import type { SealedSegment, StorageContext } from '../../src/storage/context.ts';
import { DIRECT_BYTES, type Disk, type FileHandle, readFile } from '../../src/storage/disk.ts';
import { type Examined, Examiner } from '../../src/storage/examiner.ts';
import { indexName, segmentName } from '../../src/storage/names.ts';
import { Random } from '../assembly/random.ts';
import { makeBatch } from '../crash/batches.ts';
import { FaultyDisk } from '../crash/faultyDisk.ts';
import { MemoryDisk } from '../crash/memoryDisk.ts';
import { DIRECTORY, smallMemory } from '../crash/testNode.ts';
import { errorOf, putFile, startNode, TemporaryDisk } from './support.ts';

const memory = smallMemory();

interface Built {
  readonly disk: Disk;
  readonly context: StorageContext;
  readonly log: Uint8Array;
  readonly segment: SealedSegment;
  /** Entry boundaries of `segment`, ascending, without its end. */
  readonly boundaries: readonly number[];
}

/** A log with two sealed segments; the second one is looked at. */
function build(disk: Disk): Built {
  const ordered: Uint8Array[] = [];
  const node = startNode(disk, memory, ordered);
  const random = new Random(4);
  while (node.sealed.length < 2) {
    const { entries, entryCount } = makeBatch(
      Array.from({ length: 5 }, (_, i) => (i === 0 && random.oneIn(4) ? 10_000 : random.below(900))),
      random,
    );
    node.append(entries, entryCount);
    node.settle();
  }
  node.stop();
  const log = Buffer.concat(ordered);
  const [, segment] = node.sealed;
  if (segment === undefined) throw new Error('no segment was sealed');
  const boundaries: number[] = [];
  for (let at = segment.base; at < segment.end; at += log.readUInt32LE(at + 4) + 12) boundaries.push(at);
  return { disk, context: { ...node.context, disk }, log, segment, boundaries };
}

/** All pieces of an examination. */
function examine({ context, segment }: Built, maxBytes = 4096, disk = context.disk): Examined[] {
  const examiner = new Examiner({ ...context, disk });
  const pieces: Examined[] = [];
  const { base, end } = segment;
  for (let from = base; ; ) {
    const piece = examiner.examine({ purpose: 'scrub', base, end, from, maxBytes });
    pieces.push(piece);
    if (piece.outcome !== 'goes on') return pieces;
    expect(piece.next).toBeGreaterThan(from);
    from = piece.next;
  }
}

describe('examiner', () => {
  it('a piece of no bytes reads nothing, and the examination goes on where it was', () => {
    const { context, segment } = build(new MemoryDisk());
    const { base, end } = segment;
    const examiner = new Examiner(context);
    const first = examiner.examine({ purpose: 'seal', base, end, from: base, maxBytes: 4096 });
    if (first.outcome !== 'goes on') throw new Error(first.outcome);
    const from = first.next;
    expect(examiner.examine({ purpose: 'seal', base, end, from, maxBytes: 0 })).toEqual({ outcome: 'goes on', next: from, readBytes: 0 });
    expect(examiner.examine({ purpose: 'seal', base, end, from, maxBytes: 1 << 20 })).toMatchObject({ outcome: 'whole' });
  });

  let built: Built;
  let file: Uint8Array;
  let index: Uint8Array;

  beforeAll(() => {
    built = build(new MemoryDisk());
    file = readFile(built.disk, `${DIRECTORY}/${segmentName(built.segment.base)}`);
    index = readFile(built.disk, `${DIRECTORY}/${indexName(built.segment.base)}`);
  });

  /** What is found when the file or its index are others. */
  function found(change: { readonly file?: Uint8Array; readonly index?: Uint8Array | undefined }): Examined | undefined {
    const { base } = built.segment;
    try {
      if (change.file !== undefined) putFile(built.disk, segmentName(base), change.file);
      if (change.index !== undefined) putFile(built.disk, indexName(base), change.index);
      return examine(built).at(-1);
    } finally {
      putFile(built.disk, segmentName(base), file);
      putFile(built.disk, indexName(base), index);
    }
  }

  function flipped(bytes: Uint8Array, at: number): Uint8Array {
    const copy = bytes.slice();
    copy[at] = (copy[at] ?? 0) ^ 4;
    return copy;
  }

  it('finds a segment whole and gives the SHA-256 of its entries, whatever the pieces', () => {
    const { log, segment } = built;
    const sha256 = createHash('sha256').update(log.subarray(segment.base, segment.end)).digest('hex');
    for (const maxBytes of [1, 4096, 5000, 16_384, 1 << 20]) {
      expect(examine(built, maxBytes).at(-1)).toMatchObject({ outcome: 'whole', sha256 });
    }
  });

  it('reads the file past the page cache, in whole pages, on a real disk', () => {
    const disk = new TemporaryDisk();
    const real = build(disk);
    const reads: number[] = [];
    class Watched extends FaultyDisk {
      override openDirectRead(path: string): FileHandle {
        return this.disk.openDirectRead(path);
      }
      override read(handle: FileHandle, into: Uint8Array, position: number): number {
        reads.push(position % DIRECT_BYTES, into.length % DIRECT_BYTES);
        return super.read(handle, into, position);
      }
    }
    const { log, segment } = real;
    const sha256 = createHash('sha256').update(log.subarray(segment.base, segment.end)).digest('hex');
    expect(examine(real, 8192, new Watched(disk)).at(-1)).toMatchObject({ outcome: 'whole', sha256 });
    // All but those of the index, a small file.
    expect(reads.slice(0, -2).every((rest) => rest === 0)).toBe(true);
  });

  it('finds each flipped bit of the file, and says where: in the header, or in which entry', () => {
    const random = new Random(7);
    const { base } = built.segment;
    for (const at of [0, 4, 8, 24, 32, 40]) {
      expect(found({ file: flipped(file, at) })).toMatchObject({ outcome: 'damaged', reason: 'header', offset: base });
    }
    for (let i = 0; i < 200; i += 1) {
      const at = SEGMENT_HEADER_BYTES + random.below(file.length - SEGMENT_HEADER_BYTES);
      const offset = built.boundaries.findLast((each) => each <= base + at - SEGMENT_HEADER_BYTES);
      expect(found({ file: flipped(file, at) }), `byte ${at}`).toMatchObject({ outcome: 'damaged', reason: 'entry', offset });
    }
  });

  it('finds a file that is too short, too long or missing, and an index that is damaged or missing', () => {
    const { base, end } = built.segment;
    expect(found({ file: file.slice(0, -1) })).toMatchObject({ reason: 'length', offset: end - 1 });
    expect(found({ file: new Uint8Array(file.length + 1) })).toMatchObject({ reason: 'length', offset: end });
    for (let at = 0; at < index.length; at += 7) {
      expect(found({ index: flipped(index, at) }), `byte ${at}`).toMatchObject({ outcome: 'damaged', reason: 'index' });
    }
    built.disk.remove(`${DIRECTORY}/${indexName(base)}`);
    expect(examine(built).at(-1)).toMatchObject({ reason: 'index' });
    built.disk.remove(`${DIRECTORY}/${segmentName(base)}`);
    expect(examine(built).at(-1)).toMatchObject({ reason: 'missing', offset: base });
    putFile(built.disk, segmentName(base), file);
    putFile(built.disk, indexName(base), index);
  });

  it('says which page cannot be read; a read that succeeds the second time is no damage', () => {
    const { base } = built.segment;
    const badAt = 5 * DIRECT_BYTES;
    let failures = Number.POSITIVE_INFINITY;
    let errno = 'EIO';
    class BadSector extends FaultyDisk {
      override read(handle: FileHandle, into: Uint8Array, position: number): number {
        if (position <= badAt && badAt < position + into.length && failures > 0) {
          failures -= 1;
          throw new LogError('IO', 'reading failed', { errno });
        }
        return super.read(handle, into, position);
      }
    }
    const disk = new BadSector(built.disk);
    expect(examine(built, 1 << 20, disk).at(-1)).toMatchObject({ reason: 'unreadable', position: badAt, offset: base + badAt - 4096 });
    failures = 1;
    expect(examine(built, 1 << 20, disk).at(-1)).toMatchObject({ outcome: 'whole' });
    failures = 1;
    errno = 'EACCES';
    expect(errorOf(() => examine(built, 1 << 20, disk)).details.errno).toBe('EACCES');
  });

  it('is lost, and begins anew, when the thread that had begun it has ended', async () => {
    const { base, end } = built.segment;
    const other = new Examiner(built.context);
    expect(other.examine({ purpose: 'scrub', base, end, from: built.boundaries[5] ?? 0, maxBytes: 4096 })).toMatchObject({
      outcome: 'lost',
    });
    let examiner = new Examiner(built.context);
    let pieces = 0;
    const tasks = {
      examine: async (request: Parameters<Examiner['examine']>[0]): Promise<Examined> => {
        pieces += 1;
        if (pieces === 2) examiner = new Examiner(built.context);
        return examiner.examine({ ...request, maxBytes: 8192 });
      },
    };
    let nowMs = 0;
    const loop = {
      nowMs: () => nowMs,
      after: (delayMs: number, run: () => void) => {
        nowMs += delayMs;
        queueMicrotask(run);
        return { cancel: () => undefined };
      },
    };
    let busy = 3;
    const reads: number[] = [];
    const pace = { bytesPerSecond: 65536, goesOn: () => true, onRead: (bytes: number) => void reads.push(bytes) };
    const outcome = await examineSegment({ tasks, loop, isBusy: () => busy-- > 0 }, 'scrub', { base, end }, pace);
    expect(outcome).toMatchObject({ outcome: 'whole' });
    // No faster than the pace, but for the last piece.
    const readBytes = reads.slice(0, -1).reduce((sum, bytes) => sum + bytes, 0);
    expect(nowMs).toBeGreaterThanOrEqual((readBytes / 65536) * 1000);
    expect(await examineSegment({ tasks, loop, isBusy: () => false }, 'scrub', { base, end }, { ...pace, goesOn: () => false })).toBe(
      undefined,
    );
  });
});
