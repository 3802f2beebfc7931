// Damage below what a durable mark or a seal covers is never taken for a torn tail (design invariant 7).

import { describe, expect, it } from 'vitest';
import {
  ENTRY_OVERHEAD_BYTES,
  KIND_CONFIGURATION,
  KIND_CONTINUED,
  KIND_NOOP,
  KIND_POSITION,
  KIND_SESSION,
  KIND_TRIM,
  MAX_CONTROL_KIND,
  MAX_PAYLOAD_BYTES,
  SEGMENT_HEADER_BYTES,
} from '../../assembly/layout.ts';
import { LogError } from '../../src/core/errors.ts';
import { decodeIdentity, encodeIdentity } from '../../src/format/identity.ts';
import { readIdentity } from '../../src/storage/dataDirectory.ts';
import { indexName, segmentName } from '../../src/storage/names.ts';
import { type RecoveredLog, recover } from '../../src/storage/recovery.ts';
import { SegmentReader } from '../../src/storage/segmentReader.ts';
import { Random } from '../assembly/random.ts';
import { encodeEntry } from '../support/entryTwin.ts';
import { drawSizes, makeBatch } from './batches.ts';
import { type DiskImage, type ImageFile, MemoryDisk } from './memoryDisk.ts';
import { readLog } from './oracle.ts';
import { DIRECTORY, MAX_PAYLOAD_BYTES as LARGEST, resetMemory, smallMemory, TestNode } from './testNode.ts';

const memory = smallMemory();
const nowMs = (): number => 1_700_000_000_000;
const IDENTITY_BYTES = new Uint8Array(32).fill(7);
/** File header bytes that its check covers, and the check. */
const CHECKED_HEADER_BYTES = 48;

interface Built {
  readonly image: DiskImage;
  readonly log: Uint8Array;
  /** Bases of the segments, ascending. */
  readonly bases: readonly number[];
}

/** A log of a few segments. `open`: the last one is open, with a mark behind all of it; else it is sealed. */
function build(seed: number, last: 'open' | 'sealed'): Built {
  const random = new Random(seed);
  const disk = new MemoryDisk();
  const parts: Uint8Array[] = [];
  const node = new TestNode(disk, memory, IDENTITY_BYTES, nowMs, { ordered: (_first, _end, bytes) => parts.push(bytes.slice()) });
  node.begin();
  const append = (sizes: readonly number[]): void => {
    const { entries, entryCount } = makeBatch(sizes, random, random.oneIn(2));
    expect(node.append(entries, entryCount)).toBe('ordered');
  };
  while (node.sealed.length < 3) {
    append(drawSizes(random, 20_000));
    node.settle();
  }
  append([300, 5, 1000]);
  if (last === 'open') {
    append([random.below(2000)]);
    node.stop();
  } else {
    node.settle();
    // The batch that does not fit closes the segment; it is lost itself.
    append([LARGEST]);
    parts.pop();
    node.seal(0);
  }
  const image = disk.image();
  const bases = node.sealed.map(({ base }) => base);
  const lastSealed = node.sealed.at(-1);
  if (last === 'open' && lastSealed !== undefined) bases.push(lastSealed.end);
  return { image, log: Buffer.concat(parts), bases };
}

/** `image` with other bytes under `name`; undefined: without it. */
function changed(image: DiskImage, name: string, bytes: Uint8Array | undefined): DiskImage {
  const path = `${DIRECTORY}/${name}`;
  const other = new Map<string, ImageFile>(image);
  if (bytes === undefined) other.delete(path);
  else other.set(path, { file: image.get(path)?.file ?? 99, bytes });
  return other;
}

function bytesOf(image: DiskImage, name: string): Uint8Array {
  const file = image.get(`${DIRECTORY}/${name}`);
  if (file === undefined) throw new Error(`the test made no ${name}`);
  return file.bytes;
}

function start(image: DiskImage): { disk: MemoryDisk; recovered: RecoveredLog } {
  const disk = new MemoryDisk(image);
  resetMemory(memory);
  const identity = readIdentity(disk, DIRECTORY);
  if (identity === undefined) throw new Error('the test made no identity');
  return { disk, recovered: recover({ disk, directory: DIRECTORY, identity, memory, nowMs }) };
}

function thrownBy(act: () => unknown): unknown {
  try {
    act();
  } catch (thrown) {
    return thrown;
  }
  return undefined;
}

function expectDamage(thrown: unknown, name: string, position?: number): void {
  expect(thrown).toBeInstanceOf(LogError);
  const { code, details, message } = thrown as LogError;
  expect(`${code}: ${message}`).toMatch(/^DAMAGE: /);
  expect(message).toContain(name);
  expect(details.file).toBe(`${DIRECTORY}/${name}`);
  expect(details.position).toBeTypeOf('number');
  if (position !== undefined) expect(details.position).toBe(position);
}

/** File positions of all entries of the segment at `base`. */
function entryPositions({ log }: Built, base: number, end: number): number[] {
  const view = new DataView(log.buffer, log.byteOffset, log.byteLength);
  const positions: number[] = [];
  for (let at = base; at < end; at += ENTRY_OVERHEAD_BYTES + (view.getUint32(at + 4, true) & MAX_PAYLOAD_BYTES)) {
    positions.push(SEGMENT_HEADER_BYTES + at - base);
  }
  return positions;
}

/** Start of the entry that holds the byte at `position`; 0 for the header. */
function startOf(positions: readonly number[], position: number): number {
  return positions.filter((each) => each <= position).at(-1) ?? 0;
}

type Damage = 'flip a bit' | 'zero 512 bytes';

/** Where the damage begins to differ from what was there, and the damaged bytes; undefined when nothing differs. */
function damaged(
  bytes: Uint8Array,
  kind: Damage,
  at: number,
  below: number,
  random: Random,
): { first: number; bytes: Uint8Array } | undefined {
  const copy = bytes.slice();
  if (kind === 'flip a bit') {
    copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8));
  } else {
    const sector = at - (at % 512);
    if (sector + 512 > below) return undefined;
    copy.fill(0, sector, sector + 512);
  }
  const first = copy.findIndex((byte, i) => byte !== bytes[i]);
  return first < 0 ? undefined : { first, bytes: copy };
}

/** Damages the segment at `base`, whose entries end at `end` and which recovery scans, in many places. `isMarked`: a mark at its end says whose it is. */
function damageScanned(built: Built, base: number, end: number, kind: Damage, isMarked = false): void {
  const random = new Random(base + 1);
  const name = segmentName(base);
  const clean = bytesOf(built.image, name);
  const below = SEGMENT_HEADER_BYTES + end - base;
  const positions = entryPositions(built, base, end);
  for (let round = 0; round < 150; round += 1) {
    const at = round < CHECKED_HEADER_BYTES ? round : round < 60 ? below - 1 - (round - CHECKED_HEADER_BYTES) : random.below(below);
    const damage = damaged(clean, kind, at, below, random);
    if (damage === undefined) continue;
    const isUnchecked = damage.first >= (isMarked ? 0 : CHECKED_HEADER_BYTES) && damage.first < SEGMENT_HEADER_BYTES;
    const thrown = thrownBy(() => start(changed(built.image, name, damage.bytes)));
    if (isUnchecked) {
      // Zeros of the header page, which nothing reads, or a header that is made again.
      expect(thrown).toBeUndefined();
    } else {
      expectDamage(thrown, name, startOf(positions, damage.first));
    }
  }
}

describe.each([1, 2, 3])('damage, log %i', (seed) => {
  const open = build(seed, 'open');
  const sealed = build(seed, 'sealed');

  for (const kind of ['flip a bit', 'zero 512 bytes'] as const) {
    it(`recovery: refuses what a durable mark covers: ${kind}`, () => {
      damageScanned(open, open.bases.at(-1) ?? 0, open.log.length, kind, true);
    });

    it(`recovery: refuses what a seal without index covers: ${kind}`, () => {
      const [base = 0, next = 0] = open.bases.slice(1);
      damageScanned({ ...open, image: changed(open.image, indexName(base), undefined) }, base, next, kind);
    });
  }

  it('recovery: a full segment that was cut short is refused, with index or without', () => {
    const [base = 0, next = 0] = open.bases.slice(1);
    const name = segmentName(base);
    const clean = bytesOf(open.image, name);
    const positions = entryPositions(open, base, next);
    for (const bytes of [0, 1, 47, 4095, 4096, 4097, clean.length - 513, clean.length - 1]) {
      const image = changed(open.image, name, clean.slice(0, bytes));
      expectDamage(
        thrownBy(() => start(image)),
        name,
      );
      const withoutIndex = changed(image, indexName(base), undefined);
      // The rest of a header page is zeros, as is what lies past the file's end.
      const position = bytes < CHECKED_HEADER_BYTES ? 0 : startOf(positions, Math.max(bytes, SEGMENT_HEADER_BYTES));
      expectDamage(
        thrownBy(() => start(withoutIndex)),
        name,
        position,
      );
    }
    const longer = new Uint8Array(clean.length + 1);
    longer.set(clean);
    expectDamage(
      thrownBy(() => start(changed(open.image, name, longer))),
      name,
      clean.length,
    );
  });

  it('recovery: damage in a sealed segment is not looked for, never cut, and named by the first read', () => {
    const random = new Random(seed);
    const [base = 0, next = 0] = open.bases.slice(1);
    const name = segmentName(base);
    const positions = entryPositions(open, base, next);
    for (let round = 0; round < 40; round += 1) {
      const at = SEGMENT_HEADER_BYTES + random.below(next - base);
      const damage = damaged(bytesOf(open.image, name), 'flip a bit', at, next, random);
      const { disk, recovered } = start(changed(open.image, name, damage?.bytes));
      expect(recovered.end).toBe(open.log.length);
      const reader = new SegmentReader(disk, DIRECTORY, memory);
      const bad = startOf(positions, at);
      const from = base + bad - SEGMENT_HEADER_BYTES;
      const range = { base, from: base, isBoundary: true, limit: next, maxBytes: next - base };
      if (from > base) expect(reader.read(range, 0)).toBe(from - base);
      expectDamage(
        thrownBy(() => reader.read({ ...range, from }, 0)),
        name,
        bad,
      );
    }
  });

  it('recovery: a damaged or missing index of a sealed segment is made again, byte for byte', () => {
    const random = new Random(seed);
    for (const [i, base] of sealed.bases.entries()) {
      const name = indexName(base);
      const clean = bytesOf(sealed.image, name);
      const isLast = i === sealed.bases.length - 1;
      const broken: (Uint8Array | undefined)[] = [clean.slice(0, -1), clean.slice(0, 87), new Uint8Array(0), new Uint8Array(clean.length)];
      if (!isLast) broken.push(undefined);
      for (let at = 0; at < clean.length; at += 1) {
        const copy = clean.slice();
        copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8));
        broken.push(copy);
      }
      for (const bytes of broken) {
        const { disk, recovered } = start(changed(sealed.image, name, bytes));
        expect(recovered.end).toBe(sealed.log.length);
        expect(Buffer.compare(readLog(disk, recovered), sealed.log)).toBe(0);
        expect(recovered.openBase).toBeUndefined();
        expect(Buffer.from(bytesOf(disk.image(), name)).toString('hex')).toBe(Buffer.from(clean).toString('hex'));
      }
    }
  });

  it('recovery: a damaged index of the last segment still says that it was sealed: damage in it is refused', () => {
    const base = sealed.bases.at(-1) ?? 0;
    const image = changed(sealed.image, indexName(base), bytesOf(sealed.image, indexName(base)).slice(0, -3));
    damageScanned({ ...sealed, image }, base, sealed.log.length, 'flip a bit');
    const short = bytesOf(sealed.image, segmentName(base)).slice(0, -20);
    expectDamage(
      thrownBy(() => start(changed(image, segmentName(base), short))),
      segmentName(base),
    );
  });

  it('recovery: a last sealed segment without index is opened again, whole', () => {
    const base = sealed.bases.at(-1) ?? 0;
    const { disk, recovered } = start(changed(sealed.image, indexName(base), undefined));
    expect(recovered.openBase).toBe(base);
    expect(Buffer.compare(readLog(disk, recovered), sealed.log)).toBe(0);
  });

  it('recovery: a missing segment is refused by name, also the last one if it was sealed', () => {
    for (const base of sealed.bases) {
      expectDamage(
        thrownBy(() => start(changed(sealed.image, segmentName(base), undefined))),
        segmentName(base),
        0,
      );
    }
  });

  it('recovery: a segment of another log, or under a wrong name, is refused', () => {
    const [first = 0, second = 0] = open.bases;
    const image = changed(changed(open.image, indexName(second), undefined), segmentName(second), bytesOf(open.image, segmentName(first)));
    expectDamage(
      thrownBy(() => start(image)),
      segmentName(second),
      0,
    );
    const identity = decodeIdentity(bytesOf(open.image, 'node.json'), 'node.json');
    const stranger = changed(open.image, 'node.json', encodeIdentity({ ...identity, clusterId: '08'.repeat(16) }));
    expectDamage(
      thrownBy(() => start(stranger)),
      segmentName(first),
      0,
    );
  });

  it('recovery: a segment larger than the slots is never cut', () => {
    const base = open.bases.at(-1) ?? 0;
    const larger = new Uint8Array(memory.map.shape.segmentBytes + 65536);
    larger.set(bytesOf(open.image, segmentName(base)));
    const thrown = thrownBy(() => start(changed(open.image, segmentName(base), larger)));
    expect(thrown).toBeInstanceOf(LogError);
    expect((thrown as LogError).code).toBe('USAGE');
    expect((thrown as LogError).message).toContain(segmentName(base));
  });
});

describe('an entry of a kind on which this build does not act', () => {
  /** The open segment of a log, with `entry` where the log ends. */
  function withEntry(
    kind: number,
    change: (entry: Uint8Array) => Uint8Array = (entry) => entry,
  ): { built: Built; image: DiskImage; name: string } {
    const built = build(5, 'open');
    const base = built.bases.at(-1) ?? 0;
    const name = segmentName(base);
    const bytes = bytesOf(built.image, name).slice();
    const end = built.log.length;
    const term = start(built.image).recovered.lastTerm;
    const entry = change(encodeEntry(new Uint8Array(9).fill(7), kind, { term, offset: end }));
    bytes.fill(0, SEGMENT_HEADER_BYTES + end - base);
    bytes.set(entry, SEGMENT_HEADER_BYTES + end - base);
    return { built, image: changed(built.image, name, bytes), name };
  }

  it.each([
    KIND_CONFIGURATION,
    KIND_TRIM,
    KIND_SESSION,
    KIND_POSITION | KIND_CONTINUED,
    KIND_NOOP | KIND_CONTINUED,
    MAX_CONTROL_KIND,
    64,
    127,
  ])('%i is not cut as a torn tail: the start is refused, and changes nothing', (kind) => {
    const { built, image, name } = withEntry(kind);
    const disk = new MemoryDisk(image);
    resetMemory(memory);
    const identity = readIdentity(disk, DIRECTORY);
    if (identity === undefined) throw new Error('the test made no identity');
    const thrown = thrownBy(() => recover({ disk, directory: DIRECTORY, identity, memory, nowMs }));
    expect(thrown).toMatchObject({ code: 'NEWER_FORMAT', details: { offset: built.log.length, kind: kind & ~KIND_CONTINUED } });
    expect((thrown as LogError).message).toContain(name);
    expect(disk.image().get(`${DIRECTORY}/${name}`)?.bytes).toEqual(bytesOf(image, name));
  });

  it('that is torn is cut like every torn tail', () => {
    for (const torn of [(entry: Uint8Array) => entry.subarray(0, entry.length - 1), (entry: Uint8Array) => entry.with(10, 0)]) {
      const { built, image } = withEntry(KIND_SESSION, torn);
      const { recovered } = start(image);
      expect(recovered.end).toBe(built.log.length);
    }
  });
});
