// A log that is cut while real writer threads are at work. The threads' code is what the build made, so all of it comes from there.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { segmentCapacityBytes } from '../../dist/src/core/config.js';
import { SPARE_SEGMENTS } from '../../dist/src/core/limits.js';
import { SIGNAL, SLOT } from '../../dist/src/memory/map.js';
import { Tail } from '../../dist/src/memory/tail.js';
import { TailMemory } from '../../dist/src/memory/tailMemory.js';
import { Segments } from '../../dist/src/server/segments.js';
import { createIdentity, type Identity } from '../../dist/src/storage/dataDirectory.js';
import { segmentName } from '../../dist/src/storage/names.js';
import { NodeDisk } from '../../dist/src/storage/nodeDisk.js';
import { RECOVERY_SLOT, type RecoveredLog } from '../../dist/src/storage/recovery.js';
import { Pools } from '../../dist/src/threads/pools.js';
import { Random } from '../assembly/random.ts';
import { entriesOf, makeBatch, stampBatch } from '../crash/batches.ts';
import { makeDirectory } from './support/fixture.ts';

const CAPACITY = segmentCapacityBytes(65536);
const random = new Random(77);
const batch0 = makeBatch([100, 0, 30_000], random).entries;
const batches = Array.from({ length: 20 }, () => makeBatch([random.below(200), random.below(3000), random.below(12_000)], random).entries);

/** The part of a node that writes a log, without a server in front of it. */
class Writers {
  readonly directory: string;
  readonly memory: TailMemory;
  readonly pools: Pools;
  readonly segments: Segments;
  readonly tail: Tail;
  readonly failures: Error[] = [];
  #wake: () => void = () => undefined;

  constructor(directory: string, identity: Identity) {
    this.directory = directory;
    this.memory = TailMemory.create({ segmentBytes: 65536, slots: 3 });
    const failed = (error: Error): void => {
      this.failures.push(error);
      this.#wake();
    };
    this.pools = new Pools({ directory, identity, shared: this.memory.shared }, failed);
    this.segments = new Segments(this.memory, this.pools, {
      sealed: () => this.#wake(),
      diskFull: (_spare, error) => failed(error),
      failed,
    });
    this.tail = new Tail(this.memory, (slot) => this.segments.open(slot, false));
  }

  async start(): Promise<RecoveredLog> {
    const recovered = await this.pools.recover();
    await this.segments.start(recovered);
    this.tail.start(recovered.end, recovered.openBase === undefined ? undefined : RECOVERY_SLOT);
    if (recovered.openBase !== undefined) this.segments.open(RECOVERY_SLOT, true);
    return recovered;
  }

  /** Appends what a leader has; waits for a slot when none is free. */
  async append(bytes: Uint8Array, term: number): Promise<void> {
    for (;;) {
      const { tail, openSlot } = this.memory;
      const openBase = openSlot < 0 ? tail : this.memory.slotWord(openSlot, SLOT.BASE);
      const base = tail - openBase + bytes.length <= CAPACITY ? openBase : tail;
      const sealed = new Promise<void>((wake) => {
        this.#wake = wake;
      });
      const status = this.tail.appendReplicated([bytes], bytes.length, term, base, Date.now());
      this.tail.wake();
      if (status === 'ordered') return;
      expect(status).toBe('full');
      await sealed;
      expect(this.failures).toEqual([]);
    }
  }

  /** Waits until no file is being made ahead. */
  async allocated(): Promise<void> {
    const spares = (): number => new NodeDisk().list(this.directory).filter((name) => name.startsWith('spare')).length;
    while (spares() < SPARE_SEGMENTS) await new Promise((wake) => setImmediate(wake));
  }

  async stop(): Promise<void> {
    for (const signal of [SIGNAL.STOP, SIGNAL.TAIL, SIGNAL.DURABLE]) this.memory.raise(signal);
    await this.segments.stop();
    await this.pools.close();
    expect(this.failures).toEqual([]);
  }
}

/** Runs `act`, which returns the log that it made, and starts again: that log must be there. */
async function expectLog(act: (writers: Writers) => Promise<Buffer>): Promise<void> {
  const directory = makeDirectory();
  const disk = new NodeDisk();
  const identity = createIdentity(disk, directory, new Uint8Array(24).fill(1));
  const writers = new Writers(directory, identity);
  await writers.start();
  const log = await act(writers);
  await writers.stop();
  expect(disk.list(directory).filter((name) => /\.segment$/.test(name)).length).toBe(
    writers.segments.sealedCount + (log.length > 0 ? 1 : 0),
  );
  const again = new Writers(directory, identity);
  const recovered = await again.start();
  await again.stop();
  expect([recovered.end, recovered.cutBytes]).toEqual([log.length, 0]);
  const bases = [...recovered.sealed.map(({ base }) => base), ...(recovered.openBase === undefined ? [] : [recovered.openBase])];
  const parts = bases.map((base, i) =>
    readFileSync(join(directory, segmentName(base))).subarray(4096, 4096 + (bases[i + 1] ?? log.length) - base),
  );
  expect(Buffer.compare(Buffer.concat(parts), log)).toBe(0);
}

describe('truncation under real writers', () => {
  it('cuts while writes are in flight, at every distance, and the log goes on', () =>
    expectLog(async (writers) => {
      let log = Buffer.alloc(0);
      let term = 1;
      for (let round = 0; round < 60; round += 1) {
        for (let i = random.below(25); i >= 0; i -= 1) {
          const bytes = stampBatch(random.pick(batch0, ...batches), term, log.length);
          await writers.append(bytes, term);
          log = Buffer.concat([log, bytes]);
        }
        const places = [...entriesOf(log, 0)];
        const back = random.pick(0, 1, 2, 3, 20, 200);
        const at = places[Math.max(0, places.length - back)]?.offset ?? log.length;
        const truncation = await writers.segments.truncate(at);
        log = log.subarray(0, at);
        expect([writers.memory.tail, writers.memory.durable, truncation.end]).toEqual([at, at, at]);
        expect(truncation.lastTerm).toBe([...entriesOf(log, 0)].at(-1)?.term ?? 0);
        expect(writers.segments.sealedCount).toBe(truncation.sealed.length);
        expect(writers.memory.signal(SIGNAL.STOP)).toBe(0);
        // Sometimes an older leader's entries come next.
        if (random.oneIn(2)) term = Math.max(truncation.lastTerm, term);
        else term += 1;
      }
      return log;
    }));

  it('a node that is stopped meanwhile finishes the cut, and writers end all the same', () =>
    expectLog(async (writers) => {
      const bytes = stampBatch(batch0, 1, 0);
      await writers.append(bytes, 1);
      const half = [...entriesOf(bytes, 0)][1]?.offset ?? 0;
      const cut = writers.segments.truncate(half);
      for (const signal of [SIGNAL.STOP, SIGNAL.TAIL, SIGNAL.DURABLE]) writers.memory.raise(signal);
      expect((await cut).end).toBe(half);
      expect(writers.memory.signal(SIGNAL.STOP)).toBe(1);
      return Buffer.from(bytes.subarray(0, half));
    }));

  it('a segment that was not made yet gives its spare file back', () =>
    expectLog(async (writers) => {
      const bytes = stampBatch(batch0, 1, 0);
      await writers.append(bytes, 1);
      for (let i = 0; i < 20; i += 1) {
        const bad = makeBatch([CAPACITY - 12], random).entries;
        bad[20] = 1 + (bad[20] ?? 0);
        expect(writers.tail.append(bad, 1, 1, CAPACITY, 5)).toBe('refused');
        writers.tail.wake();
        expect((await writers.segments.truncate(bytes.length)).openBase).toBe(0);
      }
      await writers.allocated();
      const spares = new NodeDisk().list(writers.directory).filter((name) => name.startsWith('spare'));
      expect(spares.length).toBeLessThanOrEqual(SPARE_SEGMENTS + 1);
      return Buffer.from(bytes);
    }));
});
