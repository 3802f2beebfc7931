// What the tests of the commands share: small logs on disk, made with the storage code, and ways to damage them.

import { closeSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { segmentName } from '../../src/storage/names.ts';
import { Random } from '../assembly/random.ts';
import { makeBatch } from '../crash/batches.ts';
import { smallMemory } from '../crash/testNode.ts';
import { startNode, TemporaryDisk } from '../storage/support.ts';

const memory = smallMemory();

export interface SmallLog {
  readonly directory: string;
  /** Bases of the segments: two sealed ones and the open one. */
  readonly bases: readonly [number, number, number];
  readonly end: number;
  /** Entries in all, no-ops included. */
  readonly entries: number;
  segment(i: 0 | 1 | 2): string;
}

/** A log of three segments of 64 KiB in a directory of its own, closed as a node closes it; or as a crash leaves it. */
export function makeLog(crashed = false): SmallLog {
  const disk = new TemporaryDisk();
  const ordered: Uint8Array[] = [];
  const node = startNode(disk, memory, ordered);
  let entries = 1;
  for (let i = 0; node.sealed.length < 2; i += 1) {
    const batch = makeBatch([100, 2_000, 0, 9_000, i], new Random(i + 1));
    node.append(batch.entries, batch.entryCount);
    node.settle();
    entries += batch.entryCount;
  }
  if (!crashed) node.stop();
  const end = ordered.reduce((sum, bytes) => sum + bytes.length, 0);
  const [first, second] = node.sealed;
  if (first === undefined || second === undefined) throw new Error('the log has two sealed segments');
  const bases = [first.base, second.base, second.end] as const;
  return { directory: disk.root, bases, end, entries, segment: (i) => join(disk.root, segmentName(bases[i])) };
}

/** Turns the bits of one byte of a file. */
export function flipByte(path: string, position: number): void {
  const file = openSync(path, 'r+');
  const byte = new Uint8Array(1);
  readSync(file, byte, 0, 1, position);
  byte[0] = (byte[0] ?? 0) ^ 0xff;
  writeSync(file, byte, 0, 1, position);
  closeSync(file);
}

/** Writes `bytes` over a file's own. */
export function overwrite(path: string, position: number, bytes: Uint8Array): void {
  const file = openSync(path, 'r+');
  writeSync(file, bytes, 0, bytes.length, position);
  closeSync(file);
}

/** The file position behind the last byte that is not zero. */
export function dirtyEnd(path: string): number {
  const bytes = readFileSync(path);
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end -= 1;
  return end;
}
