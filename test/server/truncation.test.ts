// A log that is cut while real writer threads are at work. The threads' code is what the build made, so all of it comes from there.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { NO_TERM } from '../../dist/src/core/ids.js';
import { SPARE_SEGMENTS } from '../../dist/src/core/limits.js';
import { SIGNAL } from '../../dist/src/memory/map.js';
import { createIdentity } from '../../dist/src/storage/dataDirectory.js';
import { segmentName } from '../../dist/src/storage/names.js';
import { NodeDisk } from '../../dist/src/storage/nodeDisk.js';
import { Random } from '../assembly/random.ts';
import { entriesOf, makeBatch, stampBatch, stampNoOp } from '../crash/batches.ts';
import { makeDirectory } from './support/fixture.ts';
import { CAPACITY, LEADER, Writers } from './support/writers.ts';

const random = new Random(77);
const batch0 = makeBatch([100, 0, 30_000], random).entries;
const batches = Array.from({ length: 20 }, () => makeBatch([random.below(200), random.below(3000), random.below(12_000)], random).entries);

/** `entries` as the leader of `term` has them after `log`, after the no-op of its term where that has not begun. */
function ordered(log: Uint8Array, term: number, entries: Uint8Array): Buffer {
  const hasBegun = [...entriesOf(log, 0)].at(-1)?.term === term;
  const noOp = hasBegun ? new Uint8Array(0) : stampNoOp(LEADER, term, log.length);
  return Buffer.concat([noOp, stampBatch(entries, term, log.length + noOp.length)]);
}

/** Runs `act`, which returns the log that it made, and starts again: that log must be there. */
async function expectLog(act: (writers: Writers) => Promise<Buffer>): Promise<void> {
  const directory = makeDirectory();
  const disk = new NodeDisk();
  const identity = createIdentity(disk, directory, new Uint8Array(32).fill(1));
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
          const bytes = ordered(log, term, random.pick(batch0, ...batches));
          await writers.append(bytes, term);
          log = Buffer.concat([log, bytes]);
        }
        const places = [...entriesOf(log, 0)];
        const back = random.pick(0, 1, 2, 3, 20, 200);
        const at = places[Math.max(0, places.length - back)]?.offset ?? log.length;
        const truncation = await writers.segments.truncate(at);
        log = log.subarray(0, at);
        writers.memory.lastEntry = at === 0 ? NO_TERM : { term: truncation.lastTerm, leader: LEADER };
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
      const bytes = ordered(new Uint8Array(0), 1, batch0);
      await writers.append(bytes, 1);
      const half = [...entriesOf(bytes, 0)][2]?.offset ?? 0;
      const cut = writers.segments.truncate(half);
      for (const signal of [SIGNAL.STOP, SIGNAL.TAIL, SIGNAL.DURABLE]) writers.memory.raise(signal);
      expect((await cut).end).toBe(half);
      expect(writers.memory.signal(SIGNAL.STOP)).toBe(1);
      return Buffer.from(bytes.subarray(0, half));
    }));

  it('a segment that was not made yet gives its spare file back', () =>
    expectLog(async (writers) => {
      const bytes = ordered(new Uint8Array(0), 1, batch0);
      await writers.append(bytes, 1);
      for (let i = 0; i < 20; i += 1) {
        const bad = makeBatch([CAPACITY - 12], random).entries;
        bad[20] = 1 + (bad[20] ?? 0);
        expect(writers.tail.append(bad, 1, 1, CAPACITY, 5)).toBe('refused');
        writers.tail.wake();
        expect((await writers.segments.truncate(bytes.length)).openBase).toBe(0);
      }
      await writers.allocated();
      expect(writers.spares.length).toBeLessThanOrEqual(SPARE_SEGMENTS + 1);
      return Buffer.from(bytes);
    }));
});
