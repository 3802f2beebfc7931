// Who seals what: digests of made-up segments, reports of made-up nodes, and an order that is only noted.

import { expect, test } from 'vitest';
import { LogError } from '../../src/core/errors.ts';
import { SEAL_SKIP_MS } from '../../src/core/limits.ts';
import { NO_DIGEST, NO_SEAL, type Seal } from '../../src/format/controlEntries.ts';
import { WORD } from '../../src/memory/map.ts';
import type { TailMemory } from '../../src/memory/tailMemory.ts';
import { type SealPorts, Seals } from '../../src/node/seals.ts';
import type { SealedSegment } from '../../src/storage/context.ts';
import type { Examined, ExamineRequest } from '../../src/storage/examiner.ts';
import type { SealRow } from '../../src/storage/sealsFile.ts';

const digest = (byte: number): string => byte.toString(16).padStart(2, '0').repeat(32);
const segment = (base: number): SealedSegment => ({ base, end: base + 100, firstMs: 0, lastMs: 0 }) as unknown as SealedSegment;
const sealOf = (base: number, byte: number): Seal => ({ base, end: base + 100, digest: digest(byte) });

/** A node with two others, whose commit is at 1000; it leads unless told otherwise. */
class World {
  readonly words = new Map<number, number>([[WORD.OPEN_TERM, 5]]);
  readonly sealed: SealedSegment[] = [];
  /** What this node's disk has, by base: a digest, or damage. */
  readonly disk = new Map<number, string | undefined>();
  readonly ordered: Seal[] = [];
  readonly told: Seal[] = [];
  /** Bases that the raft thread was told to give nobody. */
  withheld: readonly number[] = [];
  readonly errors: string[] = [];
  readonly damaged: number[] = [];
  readonly file: SealRow[] = [];
  readonly examined: number[] = [];
  readonly strangers = new Set<number>();
  last = NO_SEAL;
  nowMs = 0;
  readonly seals: Seals;

  constructor(others: readonly number[] = [2, 3], options: Partial<SealPorts> = {}) {
    const { words } = this;
    const memory = {
      commit: 1000,
      commitBound: 1000,
      word: (at: number) => words.get(at) ?? 0,
      peers: { get: (node: number) => ({ isVoter: !this.strangers.has(node) }) },
    } as unknown as TailMemory;
    const world = this;
    this.seals = new Seals({
      memory,
      loop: { after: () => ({ cancel: () => undefined }), nowMs: () => this.nowMs },
      fold: {
        level: 1,
        get seal() {
          return world.last;
        },
      },
      own: { seal: (seal) => this.#order(seal) },
      segments: { sealed: this.sealed },
      tasks: {
        examine: ({ base }) => Promise.resolve(this.#examine(base)),
        readSeals: () => Promise.resolve({ rows: [...this.file], end: 64 * this.file.length }),
        addSeals: ({ rows, at }) => {
          this.file.splice(at / 64, this.file.length, ...rows);
          return Promise.resolve(64 * this.file.length);
        },
      },
      self: 1,
      others,
      bytesPerSecond: 1 << 30,
      isBusy: () => false,
      raft: () => ({
        digest: (seal) => void this.told.push(seal),
        different: (bases) => {
          this.withheld = bases;
        },
      }),
      damaged: ({ base }) => void this.damaged.push(base),
      log: { error: (text) => void this.errors.push(text), warn: (text) => void this.errors.push(text) },
      broke: (thrown) => {
        throw thrown;
      },
      ...options,
    });
  }

  #order(seal: Seal): number {
    this.ordered.push(seal);
    this.last = seal;
    return 5;
  }

  #examine(base: number): Examined {
    this.examined.push(base);
    const sha256 = this.disk.get(base);
    if (sha256 !== undefined) return { outcome: 'whole', sha256, readBytes: 100 };
    return { outcome: 'damaged', reason: 'entry', offset: base, position: 4096, sentence: 'damaged', readBytes: 100 };
  }

  /** So many segments from offset 0 on, which this node's disk has as it should. */
  have(count: number): this {
    for (let i = 0; i < count; i += 1) {
      this.sealed.push(segment(100 * i));
      this.disk.set(100 * i, digest(i));
    }
    return this;
  }

  async start(last = NO_SEAL): Promise<this> {
    this.last = last;
    this.seals.start(last, last.end);
    await this.settle();
    return this;
  }

  /** What was last ordered is committed. */
  async commit(by = 900): Promise<void> {
    const seal = this.ordered.at(-1);
    if (seal !== undefined) this.seals.met(seal, by);
    this.seals.committed();
    await this.settle();
  }

  async settle(): Promise<void> {
    for (let i = 0; i < 50; i += 1) await Promise.resolve();
  }
}

test('a node alone seals each segment in its order, each once, when the one before is committed', async () => {
  const world = await new World([]).have(3).start();
  expect(world.ordered).toEqual([sealOf(0, 0)]);
  world.seals.look();
  expect(world.ordered).toHaveLength(1);
  await world.commit();
  await world.commit();
  await world.commit();
  expect(world.ordered).toEqual([sealOf(0, 0), sealOf(100, 1), sealOf(200, 2)]);
  expect(world.seals.end).toBe(300);
  expect(world.told).toEqual([]);
});

test('what a majority has found is sealed, whatever the leader itself has found', async () => {
  const world = new World().have(1);
  world.disk.set(0, digest(9));
  await world.start();
  expect(world.ordered).toEqual([]);
  world.seals.reported(2, sealOf(0, 0));
  expect(world.ordered).toEqual([]);
  world.seals.reported(3, sealOf(0, 0));
  expect(world.ordered).toEqual([sealOf(0, 0)]);
  await world.commit();
  // It is the one that differs, and says so.
  expect(world.seals.different).toEqual([0]);
  expect(world.seals.isDifferent(0)).toBe(true);
  expect(world.withheld).toEqual([0]);
  expect(world.errors.join()).toContain(`its SHA-256 is ${digest(9)}, and the log says ${digest(0)}`);
});

test('three nodes that each have found something else seal nothing', async () => {
  const world = await new World().have(1).start();
  world.seals.reported(2, sealOf(0, 7));
  world.seals.reported(3, sealOf(0, 8));
  expect(world.ordered).toEqual([]);
  // Nor do two who mean segments of other bounds.
  world.seals.reported(2, { ...sealOf(0, 0), end: 99 });
  expect(world.ordered).toEqual([]);
});

test('a node that does not count for majorities does not count here', async () => {
  const world = await new World().have(1).start();
  world.strangers.add(2);
  world.seals.reported(2, sealOf(0, 0));
  expect(world.ordered).toEqual([]);
  world.strangers.delete(2);
  world.seals.look();
  expect(world.ordered).toHaveLength(1);
});

test('a follower tells what it has found of the next segment, once, and seals nothing', async () => {
  const world = new World().have(2);
  world.words.set(WORD.OPEN_TERM, 0);
  await world.start();
  world.seals.look();
  expect(world.told).toEqual([sealOf(0, 0)]);
  world.seals.reported(2, sealOf(0, 0));
  expect(world.ordered).toEqual([]);
  world.seals.met(sealOf(0, 0), 900);
  world.seals.committed();
  await world.settle();
  expect(world.told).toEqual([sealOf(0, 0), sealOf(100, 1)]);
});

test('a seal counts once it is committed, and not at all if the log is cut before', async () => {
  const world = new World().have(1);
  world.words.set(WORD.OPEN_TERM, 0);
  await world.start();
  world.seals.met(sealOf(0, 7), 1001);
  world.seals.look();
  await world.settle();
  expect(world.seals.end).toBe(0);
  expect(world.errors).toEqual([]);
  world.seals.cut(1000);
  world.seals.met(sealOf(0, 0), 950);
  world.seals.committed();
  await world.settle();
  expect(world.seals.end).toBe(100);
  expect(world.seals.digestOf(segment(0))).toBe(digest(0));
  expect(world.errors).toEqual([]);
});

test('what is not committed is not looked at, nor what is damaged again at once; a healed segment is', async () => {
  const world = new World([]).have(3);
  world.sealed.push(segment(950));
  world.disk.set(0, undefined);
  await world.start();
  expect(world.damaged).toEqual([0]);
  expect(world.examined).toEqual([0, 100, 200]);
  expect(world.ordered).toEqual([]);
  world.disk.set(0, digest(0));
  world.seals.look();
  await world.settle();
  expect(world.examined).toEqual([0, 100, 200]);
  world.seals.healed(0);
  await world.settle();
  expect(world.ordered).toEqual([sealOf(0, 0)]);
});

test('after a restart it goes on where it was, by what the directory remembers', async () => {
  const world = await new World([]).have(2).start();
  await world.commit();
  await world.commit();
  const again = new World([]).have(3);
  again.file.push(...world.file);
  await again.start(sealOf(100, 1));
  expect(again.examined).toEqual([200]);
  expect(again.ordered).toEqual([sealOf(200, 2)]);
  expect([0, 100, 200].map((base) => again.seals.digestOf(segment(base)))).toEqual([digest(0), digest(1), undefined]);
  expect(again.seals.different).toEqual([]);
});

test('who has it from others looks at it, too, after what is to be sealed next', async () => {
  const world = new World([]).have(3);
  world.disk.set(0, digest(7));
  world.file.push({ whose: 'log', ...sealOf(0, 0) }, { whose: 'log', ...sealOf(100, 1) });
  await world.start(sealOf(100, 1));
  expect(world.examined).toEqual([200, 0, 100]);
  expect(world.seals.different).toEqual([0]);
  // Another copy is in its place: it is looked at again.
  expect(world.withheld).toEqual([0]);
  world.disk.set(0, digest(0));
  world.seals.healed(0);
  await world.settle();
  expect([world.seals.different, world.withheld]).toEqual([[], []]);
});

test('segments that were trimmed before they were sealed are left out', async () => {
  const world = new World([]).have(3);
  world.words.set(WORD.BASE, 100);
  world.sealed.shift();
  await world.start();
  expect(world.ordered).toEqual([sealOf(100, 1)]);
});

test('with a rate of 0 a node makes no digests, and seals by those of the others', async () => {
  const world = await new World([2, 3], { bytesPerSecond: 0 }).have(1).start();
  expect(world.examined).toEqual([]);
  world.seals.reported(2, sealOf(0, 0));
  world.seals.reported(3, sealOf(0, 0));
  expect(world.ordered).toEqual([sealOf(0, 0)]);
});

test('a log of level 0 has none', async () => {
  const world = await new World([], { fold: { level: 0, seal: { ...NO_SEAL, digest: NO_DIGEST } } }).have(1).start();
  expect(world.examined).toEqual([]);
  expect(world.ordered).toEqual([]);
});

test('what is known of trimmed segments is let go, here and at the next start in the file', async () => {
  const world = await new World([]).have(3).start();
  for (let i = 0; i < 3; i += 1) await world.commit();
  expect(world.file).toHaveLength(6);
  world.words.set(WORD.BASE, 200);
  world.sealed.splice(0, 2);
  world.seals.look();
  expect(world.seals.digestOf(segment(0))).toBeUndefined();
  expect(world.seals.digestOf(segment(200))).toBe(digest(2));
  const again = new World([]);
  again.file.push(...world.file);
  again.words.set(WORD.BASE, 200);
  again.sealed.push(segment(200));
  again.disk.set(200, digest(2));
  await again.start(sealOf(200, 2));
  expect(again.file.map(({ base, whose }) => `${whose} ${base}`)).toEqual(['own 200', 'log 200']);
  expect(again.examined).toEqual([]);
});

test('what the scrub finds of a segment is compared with what the log says, and what the log said before is learned from it again', async () => {
  const world = await new World([]).have(3).start();
  for (let i = 0; i < 3; i += 1) await world.commit();
  expect([world.seals.different, world.withheld]).toEqual([[], []]);
  // Other valid bytes than at the first look.
  const [first] = world.sealed;
  if (first === undefined) throw new Error('there is one');
  world.seals.examined(first, { outcome: 'whole', sha256: digest(9), readBytes: 100 });
  await world.settle();
  expect([world.seals.different, world.withheld]).toEqual([[0], [0]]);
  expect(world.errors.join()).toContain(`its SHA-256 is ${digest(9)}, and the log says ${digest(0)}`);
  expect(world.file.at(-1)).toEqual({ whose: 'own', ...sealOf(0, 9) });
  // One that lost what it remembered knows of the last seal only, until it has read the segments again.
  const again = await new World([]).have(3).start(sealOf(200, 2));
  expect([0, 100, 200].map((base) => again.seals.digestOf(segment(base)))).toEqual([undefined, undefined, digest(2)]);
  const [, second, third] = again.sealed;
  if (second === undefined || third === undefined) throw new Error('there are');
  again.seals.examined(second, { outcome: 'whole', sha256: digest(1), lastSeal: sealOf(0, 0), readBytes: 100 });
  // What differs from its seal itself is no witness; and a segment of other bounds is none of this log.
  again.seals.examined(third, { outcome: 'whole', sha256: digest(7), lastSeal: sealOf(100, 8), readBytes: 100 });
  again.seals.examined(second, { outcome: 'whole', sha256: digest(1), lastSeal: { ...sealOf(100, 8), end: 150 }, readBytes: 100 });
  expect([0, 100, 200].map((base) => again.seals.digestOf(segment(base)))).toEqual([digest(0), undefined, digest(2)]);
  expect(again.seals.different).toEqual([200]);
});

test('a segment that a majority has damaged for long, and cannot heal, is passed over', async () => {
  const world = new World().have(2);
  world.disk.set(0, undefined);
  await world.start();
  world.seals.reported(2, sealOf(0, 0));
  world.seals.reported(3, sealOf(100, 1));
  expect(world.examined).toEqual([0, 100]);
  // Until then it may be healed any time.
  expect([world.told, world.ordered]).toEqual([[], []]);
  world.nowMs = SEAL_SKIP_MS - 1;
  world.seals.look();
  await world.settle();
  expect([world.told, world.ordered]).toEqual([[], []]);
  world.nowMs = SEAL_SKIP_MS;
  world.seals.look();
  await world.settle();
  expect([world.told, world.ordered]).toEqual([[sealOf(100, 1)], [sealOf(100, 1)]]);
  await world.commit();
  expect(world.seals.end).toBe(200);
  // Healed after all, it is what the others say by their own looks; the log will not.
  world.disk.set(0, digest(0));
  world.seals.healed(0);
  await world.settle();
  expect(world.ordered).toHaveLength(1);
  expect(world.seals.digestOf(segment(0))).toBeUndefined();
});

test('says what the next seal waits for, and warns of one that waits for long on a node that leads', async () => {
  const world = await new World().have(1).start();
  const waits = (): unknown => ({ ...world.seals.status });
  expect(waits()).toEqual({ end: 0, different: [], next: 0, waitsMs: 0, why: '1 of 3 nodes have said what it is, and a majority must' });
  world.seals.reported(2, sealOf(0, 5));
  world.nowMs = SEAL_SKIP_MS;
  world.seals.look();
  world.seals.look();
  const why = '2 of 3 nodes have said what it is, and not the same: compare the nodes with loglog verify --cluster';
  expect(waits()).toMatchObject({ next: 0, waitsMs: SEAL_SKIP_MS, why });
  expect(world.errors).toEqual([`the segment at log offset 0 waits for its seal, and so do those after it: ${why}`]);
  world.words.set(WORD.OPEN_TERM, 0);
  expect(world.seals.status.why).toBe('the leader has not sealed it yet');
  world.words.set(WORD.OPEN_TERM, 5);
  world.seals.reported(3, sealOf(0, 0));
  await world.commit();
  expect(waits()).toEqual({ end: 100, different: [], next: null, waitsMs: null, why: null });
  const damaged = new World().have(1);
  damaged.disk.set(0, undefined);
  expect((await damaged.start()).seals.status.why).toBe('it is damaged on this node');
});

test('one that is damaged is looked at less and less often', async () => {
  const world = new World([]).have(1);
  world.disk.set(0, undefined);
  await world.start();
  for (let ms = 0; ms < 3_600_000; ms += 5_000) {
    world.nowMs = ms;
    world.seals.look();
    await world.settle();
  }
  expect(world.examined.length).toBeLessThan(15);
});

test('rows that find no room are written once there is some, and a file is replaced by all that is of use at once', async () => {
  let hasRoom = false;
  const writes: number[] = [];
  const file: SealRow[] = [];
  const world = new World([]).have(3);
  const tasks = {
    examine: async ({ base }: ExamineRequest) => ({ outcome: 'whole', sha256: digest(base / 100), readBytes: 100 }) as const,
    // Most of it is of segments that were trimmed.
    readSeals: async () => ({ rows: Array.from({ length: 40 }, () => ({ whose: 'own', ...sealOf(-900, 1) }) as const), end: 64 * 40 }),
    addSeals: async ({ rows, at }: { rows: readonly SealRow[]; at: number }) => {
      writes.push(at);
      if (!hasRoom) throw new LogError('IO', 'no room', { errno: 'ENOSPC' });
      file.splice(at / 64, file.length, ...rows);
      return 64 * file.length;
    },
  };
  const other = new World([], {
    tasks,
    segments: { sealed: world.sealed },
    loop: { after: () => ({ cancel: () => undefined }), nowMs: () => world.nowMs },
  });
  await other.start();
  expect(writes).toEqual([0]);
  other.seals.look();
  await other.settle();
  expect(writes).toEqual([0]);
  hasRoom = true;
  world.nowMs = 60_000;
  other.seals.look();
  await other.settle();
  expect(file.map(({ base }) => base)).toEqual([0, 100, 200]);
});

test('a node goes on where what it remembers cannot be read, and leaves it as it is', async () => {
  const tasks = {
    examine: () => Promise.resolve({ outcome: 'whole', sha256: digest(0), readBytes: 100 } as const),
    readSeals: () => Promise.reject(new LogError('IO', 'no thread')),
    addSeals: () => Promise.reject(new Error('nothing is written')),
  };
  const world = await new World([], { tasks }).have(1).start();
  expect(world.ordered).toEqual([sealOf(0, 0)]);
  expect(world.errors).toEqual(['what is remembered of seals could not be read: no thread']);
});
