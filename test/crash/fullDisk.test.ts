// A disk that is full at each step of appends, rolls and a trim, one after the other: the process ends there, and whatever the disk has then, or after a power
// cut at that moment, the next start has all that was durable, goes on, and can trim.

import { expect, it } from 'vitest';
import { LogError } from '../../src/core/errors.ts';
import { WORD } from '../../src/memory/map.ts';
import type { FileHandle } from '../../src/storage/disk.ts';
import { examineDirectory } from '../../src/storage/offline.ts';
import { Random } from '../assembly/random.ts';
import { makeBatch } from './batches.ts';
import { CrashModel } from './crashModel.ts';
import { FaultyDisk } from './faultyDisk.ts';
import { type DiskImage, MemoryDisk } from './memoryDisk.ts';
import { DIRECTORY, smallMemory, TestNode } from './testNode.ts';

const IDENTITY = new Uint8Array(32).fill(7);
/** States of the disk after a power cut, for each step. */
const STATES = 2;

/** Finds no room from the operation of this number on; a write that does not fit comes back short. */
class FillingDisk extends FaultyDisk {
  operations = 0;
  readonly #room: number;

  constructor(disk: MemoryDisk, room: number) {
    super(disk);
    this.#room = room;
  }

  get isFull(): boolean {
    return this.operations > this.#room;
  }

  #take(): void {
    this.operations += 1;
    if (this.isFull) throw new LogError('IO', 'no space is left on the device', { errno: 'ENOSPC' });
  }

  override create(path: string): FileHandle {
    this.#take();
    return super.create(path);
  }

  override write(file: FileHandle, parts: readonly Uint8Array[], position: number): void {
    const [first] = parts;
    if (this.operations === this.#room && first !== undefined)
      super.write(file, [first.subarray(0, Math.floor(first.length / 2))], position);
    this.#take();
    super.write(file, parts, position);
  }

  // Where blocks are given out late, a sync finds none.
  override dataSync(file: FileHandle): void {
    this.#take();
    super.dataSync(file);
  }

  override rename(from: string, to: string): void {
    this.#take();
    super.rename(from, to);
  }

  override syncDirectory(path: string): void {
    this.#take();
    super.syncDirectory(path);
  }
}

interface Run {
  readonly operations: number;
  readonly durable: number;
  readonly ordered: number;
  readonly trimmedTo: number;
  readonly images: readonly DiskImage[];
}

const memory = smallMemory();
let nowMs = 1_700_000_000_000;
const clock = (): number => {
  nowMs += 8;
  return nowMs;
};

/** Appends over two rolls, trims while it runs, and rolls again, on a disk with room for so many operations. */
function run(room: number, random: Random): Run {
  const model = new CrashModel(new Map());
  const images: DiskImage[] = [];
  const memoryDisk = new MemoryDisk(new Map(), (operation) => model.apply(operation));
  const disk = new FillingDisk(memoryDisk, room);
  const batch = makeBatch([30_000], new Random(1));
  let node: TestNode | undefined;
  let [durable, ordered, trimmedTo] = [0, 0, 0];
  const append = (count: number): void => {
    for (let i = 0; i < count; i += 1) {
      node?.append(batch.entries, 1);
      node?.settle();
      durable = node?.durable ?? 0;
    }
  };
  try {
    const events = {
      ordered: (_first: number, end: number): void => {
        ordered = end;
      },
      trimming: (base: number): void => {
        trimmedTo = base;
      },
    };
    node = new TestNode(disk, memory, IDENTITY, clock, events);
    node.begin();
    append(5);
    memory.setWord(WORD.COMMIT, node.durable);
    for (let i = 0; i < 8; i += 1) node.trim(node.sealed[1]?.end ?? 0);
    append(3);
    node.stop();
  } catch (thrown) {
    if (!(thrown instanceof LogError) || !disk.isFull) throw thrown;
  }
  durable = Math.max(durable, node?.durable ?? 0);
  // The process ends; or the power goes at that moment.
  memoryDisk.processDied();
  images.push(memoryDisk.image());
  for (const { image } of model.states(STATES, random)) images.push(image);
  return { operations: disk.operations, durable, ordered, trimmedTo, images };
}

it('ENOSPC at each step of appends, rolls and a trim: the next start that has room loses nothing, goes on, and trims', () => {
  const random = new Random(3);
  const whole = run(Number.POSITIVE_INFINITY, random);
  expect(whole.trimmedTo).toBeGreaterThan(0);
  expect(whole.operations).toBeGreaterThan(60);
  const batch = makeBatch([30_000], random);
  for (let room = 0; room < whole.operations; room += 1) {
    const { durable, ordered, trimmedTo, images } = run(room, random);
    for (const image of images) {
      const disk = new MemoryDisk(image);
      const node = new TestNode(disk, memory, IDENTITY, clock);
      const { start, end } = node.recovered;
      expect([0, trimmedTo], `room for ${room}`).toContain(start);
      expect(end, `room for ${room}`).toBeGreaterThanOrEqual(durable);
      expect(end, `room for ${room}`).toBeLessThanOrEqual(Math.max(ordered, durable));
      node.begin();
      for (let i = 0; i < 3; i += 1) {
        node.append(batch.entries, 1);
        node.settle();
      }
      memory.setWord(WORD.COMMIT, node.durable);
      const first = node.sealed[0]?.end ?? 0;
      for (let i = 0; i < 6; i += 1) node.trim(first);
      node.stop();
      const facts = examineDirectory(disk, DIRECTORY, { everyEntry: true });
      expect([facts.damage, facts.start], `room for ${room}`).toEqual([[], first]);
    }
  }
});
