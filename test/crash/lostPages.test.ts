// Segments without an index of which a page cannot be read, or whose header is damaged: a start goes on where nothing is missing, and where others have it.

import { describe, expect, it } from 'vitest';
import { SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { MARK_BYTES } from '../../src/core/capacities.ts';
import { LogError } from '../../src/core/errors.ts';
import { decodeSegmentHeader } from '../../src/format/segmentHeader.ts';
import { WORD } from '../../src/memory/map.ts';
import { Tail } from '../../src/memory/tail.ts';
import { createIdentity, saveStanding, writeVote } from '../../src/storage/dataDirectory.ts';
import { DIRECT_BYTES, type Disk, type FileHandle } from '../../src/storage/disk.ts';
import { mend } from '../../src/storage/mender.ts';
import { indexName, segmentName } from '../../src/storage/names.ts';
import { examineDirectory } from '../../src/storage/offline.ts';
import { RECOVERY_SLOT } from '../../src/storage/openSegment.ts';
import { truncateLog } from '../../src/storage/truncation.ts';
import { Random } from '../assembly/random.ts';
import { makeBatch } from './batches.ts';
import { FaultyDisk } from './faultyDisk.ts';
import { type DiskImage, MemoryDisk } from './memoryDisk.ts';
import { startIn } from './starts.ts';
import { DIRECTORY, MAX_PAYLOAD_BYTES, resetMemory, smallMemory, TestNode } from './testNode.ts';

const RANDOM_BYTES = new Uint8Array(32).fill(7);
const PATH = `${DIRECTORY}/${segmentName(0)}`;
const ALONE = null;
const THREE = [1, 2, 3];

const memory = smallMemory();
const nowMs = (): number => 1_700_000_000_000;

/** Pages of one file cannot be read, or written in part, before they are written as a whole. */
class LostPagesDisk extends FaultyDisk {
  readonly #path: string;
  readonly #pages: Set<number>;

  constructor(disk: Disk, path: string, pages: readonly number[]) {
    super(disk);
    this.#path = path;
    this.#pages = new Set(pages);
  }

  #check(file: FileHandle, from: number, to: number, isWhole: (page: number) => boolean): void {
    if (this.pathOf(file) !== this.#path) return;
    for (const page of this.#pages) {
      if (page >= to || page + DIRECT_BYTES <= from) continue;
      if (!isWhole(page)) throw new LogError('IO', `${this.#path}: cannot be read`, { errno: 'EIO', file: this.#path, position: page });
      this.#pages.delete(page);
    }
  }

  override read(file: FileHandle, into: Uint8Array, position: number): number {
    this.#check(file, position, position + into.length, () => false);
    return super.read(file, into, position);
  }

  override write(file: FileHandle, parts: readonly Uint8Array[], position: number): void {
    const to = position + parts.reduce((sum, { length }) => sum + length, 0);
    this.#check(file, position, to, (page) => position <= page && page + DIRECT_BYTES <= to);
    super.write(file, parts, position);
  }
}

interface Built {
  readonly log: Uint8Array;
  /** Where its batches end. */
  readonly ends: readonly number[];
  readonly image: DiskImage;
}

/**
 * A log in one open segment, or, with `isFull`, in one that was full when it ended, and another one after it. The full one lacks its index: it was lost, or,
 * with `isSealing`, is still to be made, and the file has its first length, with the mark at the end of its entries.
 */
function build(nodes: readonly number[] | null, isFull = false, isSealing = false): Built {
  const random = new Random(3);
  let unsealed: DiskImage = new Map();
  const disk = new MemoryDisk(new Map(), ({ kind }) => {
    if (kind === 'truncate') unsealed = disk.image();
  });
  createIdentity(disk, DIRECTORY, RANDOM_BYTES, nodes === null ? {} : { nodes });
  const node = new TestNode(disk, memory, RANDOM_BYTES, nowMs);
  node.begin();
  const ends: number[] = [];
  const append = (size: number): void => {
    expect(node.append(makeBatch([size], random).entries, 1)).toBe('ordered');
    node.settle();
    ends.push(memory.tail);
    memory.setWord(WORD.COMMIT, memory.tail);
  };
  for (const size of [300, 9000, 5000, 700, 4000]) append(size);
  if (isFull) append(MAX_PAYLOAD_BYTES - 1000);
  node.settle();
  node.stop();
  const end = memory.tail;
  const log = memory.slotBytes(RECOVERY_SLOT, SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES + end).slice();
  const image = new Map(disk.image());
  image.delete(`${DIRECTORY}/${indexName(0)}`);
  const whole = unsealed.get(PATH);
  if (isSealing) {
    if (whole === undefined) throw new Error('a segment is cut to its length when it is sealed');
    image.set(PATH, whole);
  }
  return { log, ends, image };
}

function changed({ image }: Built, change: (bytes: Uint8Array) => void): MemoryDisk {
  const before = image.get(PATH);
  if (before === undefined) throw new Error('there is a first segment');
  const bytes = before.bytes.slice();
  change(bytes);
  return new MemoryDisk(new Map(image).set(PATH, { ...before, bytes }));
}

function start(disk: Disk): ReturnType<typeof startIn> {
  resetMemory(memory);
  return startIn(disk, memory, nowMs);
}

function logOf(end: number): Buffer {
  return Buffer.from(memory.slotBytes(RECOVERY_SLOT, SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES + end));
}

/** A start with all of the log, as a voter. */
function expectWhole(disk: Disk, { log }: Built): void {
  const { recovered, identity } = start(disk);
  expect([recovered.end, recovered.commit, recovered.damage, identity.standing]).toEqual([log.length, log.length, undefined, 'voter']);
  expect(logOf(log.length).equals(log)).toBe(true);
}

/** What is left of the log up to `end` after a leader has shown that it has all of it. */
function giveUp(disk: Disk, { recovered, identity }: ReturnType<typeof start>): void {
  new Tail(memory, () => undefined).start(recovered.end, recovered.dataEnd, RECOVERY_SLOT);
  const given = saveStanding(disk, DIRECTORY, identity, 'damaged');
  truncateLog({ disk, directory: DIRECTORY, identity: given, memory, nowMs }, recovered.end);
}

const pageOf = (position: number): number => position - (position % DIRECT_BYTES);

describe.each([
  ['alone', ALONE],
  ['with others', THREE],
])('the open segment of a node %s', (_name, nodes) => {
  const built = build(nodes);
  const { log } = built;
  const markAt = SEGMENT_HEADER_BYTES + log.length;

  it('whose header is damaged is whole where the mark of its directory stands at its end: the header is made again', () => {
    for (let at = 0; at < 48; at += 1) {
      const disk = changed(built, (bytes) => {
        bytes[at] = (bytes[at] ?? 0) ^ 1;
      });
      expectWhole(disk, built);
      expect(decodeSegmentHeader(disk.image().get(PATH)?.bytes.subarray(0, SEGMENT_HEADER_BYTES) ?? Uint8Array.of(), PATH).base).toBe(0);
    }
    expectWhole(
      changed(built, (bytes) => bytes.fill(0, 0, SEGMENT_HEADER_BYTES)),
      built,
    );
    const unread = new LostPagesDisk(new MemoryDisk(built.image), PATH, [0]);
    expectWhole(unread, built);
    expectWhole(unread, built);
  });

  it('of which a page after its mark cannot be read is whole, and goes on there', () => {
    const page = pageOf(markAt) + DIRECT_BYTES;
    const disk = new LostPagesDisk(
      changed(built, (bytes) => expect(bytes.length).toBeGreaterThan(page)),
      PATH,
      [page],
    );
    expectWhole(disk, built);
    const node = new TestNode(disk, memory, RANDOM_BYTES, nowMs);
    node.begin();
    expect(node.append(makeBatch([9000], new Random(4)).entries, 1)).toBe('ordered');
    node.settle();
    node.stop();
    expect(start(disk).recovered.end).toBeGreaterThan(log.length + 9000);
  });
});

describe('the open segment of a node alone', () => {
  const built = build(ALONE);
  const markAt = SEGMENT_HEADER_BYTES + built.log.length;

  it('is refused where it may lack something, and nothing of it is changed', () => {
    const withoutMark = changed(built, (bytes) => {
      bytes[0] = 0;
      bytes.fill(0, markAt, markAt + MARK_BYTES);
    });
    const before = withoutMark.image().get(PATH)?.bytes;
    expect(() => start(withoutMark)).toThrow(/segment at byte 0: this is not a LogLog segment/);
    expect(withoutMark.image().get(PATH)?.bytes).toEqual(before);
    for (const page of [pageOf(markAt), SEGMENT_HEADER_BYTES])
      expect(() => start(new LostPagesDisk(new MemoryDisk(built.image), PATH, [page]))).toThrow(/cannot be read/);
  });
});

describe('the open segment of a node that has others', () => {
  const built = build(THREE);
  const { log, ends } = built;
  const markAt = SEGMENT_HEADER_BYTES + log.length;

  it('of which a page before its mark cannot be read is mended with what they have, the page written anew', () => {
    const page = pageOf(SEGMENT_HEADER_BYTES + (ends[1] ?? 0) + 2000);
    const disk = new LostPagesDisk(new MemoryDisk(built.image), PATH, [page]);
    const { recovered, identity } = start(disk);
    const [from = 0] = ends.filter((end) => SEGMENT_HEADER_BYTES + end <= page).slice(-1);
    expect([recovered.end, recovered.damage?.durable, recovered.damage?.hasKnownEnd]).toEqual([from, log.length, true]);
    expect([identity.standing, identity.beforeDamage]).toEqual(['damaged', 'voter']);
    new Tail(memory, () => undefined).start(recovered.end, recovered.dataEnd, RECOVERY_SLOT);
    const context = { disk, directory: DIRECTORY, identity, memory, nowMs };
    const { lastTerm } = recovered;
    let rightTo = from;
    for (let at = from; rightTo < log.length; at = rightTo) {
      const [end = 0] = ends.filter((each) => each > at);
      memory.bytes.set(log.subarray(at, end), memory.map.coldAt(memory.map.healBuffer));
      const patched = mend(context, { step: 'patch', from: at, bytes: end - at, lastTerm, durable: log.length });
      if (patched.outcome !== 'patched') throw new Error(JSON.stringify(patched));
      ({ rightTo } = patched);
    }
    expect(mend(context, { step: 'finish', bound: log.length })).toMatchObject({ outcome: 'mended', log: { end: log.length } });
    saveStanding(disk, DIRECTORY, identity, 'voter');
    expectWhole(disk, built);
  });

  const unknown: readonly [string, number, () => Disk][] = [
    [
      'whose last mark cannot be read',
      ends.filter((end) => end <= pageOf(markAt) - SEGMENT_HEADER_BYTES).at(-1) ?? 0,
      () => new LostPagesDisk(new MemoryDisk(built.image), PATH, [pageOf(markAt)]),
    ],
    [
      'whose header is damaged, and whose last mark is gone',
      0,
      () =>
        changed(built, (bytes) => {
          bytes[20] = (bytes[20] ?? 0) ^ 1;
          bytes.fill(0, markAt, markAt + MARK_BYTES);
        }),
    ],
  ];

  it.each(unknown)(
    '%s may lack anything: it does not count before a leader says that it has all, whatever is found again',
    (_name, end, make) => {
      const disk = make();
      const first = start(disk);
      expect([first.recovered.end, first.recovered.damage?.hasKnownEnd]).toEqual([end, false]);
      expect([first.identity.standing, first.identity.beforeDamage]).toEqual(['damaged', undefined]);
      expect(first.recovered.damage?.bound).toBe(log.length);
      const second = start(disk);
      expect(second.recovered).toEqual(first.recovered);
      expect(second.identity).toEqual(first.identity);
      giveUp(disk, second);
      expect(memory.tail).toBe(end);
      const last = start(disk);
      expect([last.recovered.end, last.identity.standing, last.identity.beforeDamage]).toEqual([end, 'damaged', undefined]);
      expect(logOf(end).equals(log.subarray(0, end))).toBe(true);
    },
  );
});

describe('a full segment without an index, with others after it', () => {
  const damage = (bytes: Uint8Array): void => {
    const at = SEGMENT_HEADER_BYTES + 9000;
    bytes[at] = (bytes[at] ?? 0) ^ 1;
  };

  describe.each([
    ['alone', ALONE],
    ['with others', THREE],
  ])('of a node %s', (_name, nodes) => {
    const built = build(nodes, true, true);
    const end = built.ends[4] ?? 0;
    const markAt = SEGMENT_HEADER_BYTES + end;

    /** A start seals it, and has all of the log. */
    const expectSealed = (disk: Disk): void => {
      const { recovered, identity } = start(disk);
      expect([recovered.sealed.map((each) => [each.base, each.end]), recovered.openBase, recovered.end]).toEqual([
        [[0, end]],
        end,
        built.ends[5],
      ]);
      expect([recovered.damage, identity.standing]).toEqual([undefined, 'voter']);
      expect(examineDirectory(disk, DIRECTORY, { everyEntry: true }).damage).toEqual([]);
    };

    it('is sealed where the mark of its directory stands at its end, although its header is damaged: that is made again', () => {
      for (let at = 0; at < 48; at += 1)
        expectSealed(
          changed(built, (bytes) => {
            bytes[at] = (bytes[at] ?? 0) ^ 1;
          }),
        );
      expectSealed(changed(built, (bytes) => bytes.fill(0, 0, SEGMENT_HEADER_BYTES)));
      expectSealed(new LostPagesDisk(new MemoryDisk(built.image), PATH, [0]));
    });

    it('is sealed although pages after its end cannot be read', () => {
      const pages = [pageOf(markAt) + DIRECT_BYTES, pageOf(markAt) + 2 * DIRECT_BYTES].filter((page) => page < 65536);
      expect(pages).not.toEqual([]);
      expectSealed(new LostPagesDisk(new MemoryDisk(built.image), PATH, pages));
    });

    it('is refused where its entries go on past the beginning of the next one, and nothing is changed', () => {
      const whole = build(nodes);
      const [from, to] = [whole.image.get(PATH), segmentName(whole.ends[3] ?? 0)];
      const next = build(nodes, true).image.get(`${DIRECTORY}/${segmentName(end)}`);
      if (from === undefined || next === undefined) throw new Error('there are two segments');
      const disk = new MemoryDisk(new Map(whole.image).set(`${DIRECTORY}/${to}`, next));
      const before = disk.image();
      expect(() => start(disk)).toThrow(LogError);
      expect(disk.image()).toEqual(before);
    });
  });

  it('that is damaged is refused on a node alone', () => {
    expect(() => start(changed(build(ALONE, true), damage))).toThrow(/were durable here, but only those up to/);
  });

  it('that is damaged ends the log of a node that has others, until a leader has shown that it has all: then all after it goes', () => {
    const built = build(THREE, true);
    const disk = changed(built, damage);
    const names = disk.list(DIRECTORY);
    const first = start(disk);
    const end = built.ends[0] ?? 0;
    expect([first.recovered.end, first.recovered.openBase, first.recovered.sealed]).toEqual([end, 0, []]);
    expect(first.recovered.damage).toMatchObject({ from: end, hasKnownEnd: false });
    expect(first.recovered.damage?.bound).toBeGreaterThanOrEqual(built.ends[4] ?? 0);
    expect([first.identity.standing, first.identity.beforeDamage]).toEqual(['damaged', undefined]);
    expect(disk.list(DIRECTORY)).toEqual(names);
    const second = start(disk);
    expect(second.recovered).toEqual(first.recovered);
    giveUp(disk, second);
    expect(disk.list(DIRECTORY).filter((name) => name.endsWith('.segment'))).toEqual([segmentName(0)]);
    const last = start(disk);
    expect([last.recovered.end, last.identity.standing]).toEqual([end, 'damaged']);
  });

  it('whose header is damaged, without the mark of its directory, is nobody’s: a node that has others begins before it', () => {
    const disk = changed(build(THREE, true), (bytes) => {
      bytes[20] = (bytes[20] ?? 0) ^ 1;
    });
    const { recovered, identity } = start(disk);
    expect([recovered.end, recovered.openBase, recovered.damage?.hasKnownEnd, identity.standing]).toEqual([0, 0, false, 'damaged']);
    expect(() =>
      start(
        changed(build(ALONE, true), (bytes) => {
          bytes[20] = (bytes[20] ?? 0) ^ 1;
        }),
      ),
    ).toThrow(/at byte 0: /);
  });
});

it('a last segment that is damaged, and its index, too, is not whole up to its length: the log of a node that has others ends at the damage', () => {
  const built = build(THREE, true);
  const image = new Map([...built.image].filter(([path]) => !path.endsWith(segmentName(built.ends[4] ?? 0))));
  const file = image.get(PATH);
  if (file === undefined) throw new Error('there is a first segment');
  image.set(`${DIRECTORY}/${indexName(0)}`, { file: 1_000, bytes: new Uint8Array(30) });
  const disk = changed({ ...built, image }, (bytes) => {
    const at = SEGMENT_HEADER_BYTES + 9000;
    bytes[at] = (bytes[at] ?? 0) ^ 1;
  });
  const { recovered, identity } = start(disk);
  expect([recovered.end, recovered.openBase, identity.standing]).toEqual([built.ends[0], 0, 'damaged']);
  expect(recovered.damage).toMatchObject({ durable: built.ends[4], hasKnownEnd: false });
});

it.each([
  ['had its first length', true],
  ['was cut to its length', false],
])(
  'E187: a last segment that %s when it was to be sealed does not say how far the log went in the next file, which is gone: the node never counts by itself',
  (_, isSealing) => {
    const built = build(THREE, true, isSealing);
    const end = built.ends[4] ?? 0;
    const disk = new MemoryDisk(new Map([...built.image].filter(([path]) => !path.endsWith(segmentName(end)))));
    // The vote knows less to be committed than was acknowledged.
    writeVote(disk, DIRECTORY, { currentTerm: 1, votedFor: 1, commit: end + 200 });
    for (const currentTerm of [2, 3, 4]) {
      const { recovered, identity } = start(disk);
      expect([recovered.end, identity.standing, identity.beforeDamage]).toEqual([end, 'damaged', undefined]);
      expect(recovered.damage).toMatchObject({ from: end, bound: end + 200, hasKnownEnd: false });
      writeVote(disk, DIRECTORY, { currentTerm, votedFor: 2, commit: recovered.commit });
    }
  },
);
