// Directories on a disk in memory whose log is to begin another generation: as a node leaves them that is killed.

import { expect } from 'vitest';
import { SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { RESTORE_RANDOM_BYTES, restore } from '../../src/backup/restore.ts';
import type { Generation } from '../../src/format/controlEntries.ts';
import type { LogState } from '../../src/format/stateEntry.ts';
import { LogFold } from '../../src/memory/logFold.ts';
import { type Identity, readIdentity, writeIdentity } from '../../src/storage/dataDirectory.ts';
import { readFile } from '../../src/storage/disk.ts';
import { segmentName } from '../../src/storage/names.ts';
import { examineDirectory } from '../../src/storage/offline.ts';
import { Random } from '../assembly/random.ts';
import { FakeLog, FOLDER, run, workspace } from '../backup/support.ts';
import { makeBatch } from '../crash/batches.ts';
import { type DiskImage, MemoryDisk } from '../crash/memoryDisk.ts';
import { DIRECTORY, smallMemory, TestNode } from '../crash/testNode.ts';
import { NEW_STATE } from '../support/logState.ts';

export const NOW_MS = 1_700_000_000_000;
export const IDENTITY = new Uint8Array(32).fill(7);
export const GENERATION = 'bb'.repeat(8);

/** Fills a disk with what there is of a log before the node runs. */
export type MakeLog = (disk: MemoryDisk) => Promise<void>;

/** A log of level 1, of some segments: the last one is open. Restored, so it is of the generation after GENERATION. */
export async function describedLog(disk: MemoryDisk): Promise<void> {
  const state: LogState = { ...NEW_STATE, timeMs: NOW_MS - 1_000, generation: { number: 1, id: GENERATION } };
  const own = new FakeLog().head(state).lead(1).append([100], [200, 7]).seal();
  own.head({ ...state, dataEnd: own.end, before: { term: 1, leader: '01'.repeat(8) } }).append([500]);
  const { manifest } = await run(disk, own);
  const random = new Uint8Array(RESTORE_RANDOM_BYTES).fill(8);
  restore(disk, FOLDER, manifest, DIRECTORY, workspace, { nodeId: 32, isSameCluster: true, random, nowMs: NOW_MS });
}

/** The directory of a node that was killed, which is then what `change` makes of it; and its log bytes. */
export async function killed(
  make: MakeLog,
  change: (identity: Identity) => Identity,
): Promise<{ readonly image: DiskImage; readonly bytes: Buffer }> {
  const disk = new MemoryDisk();
  await make(disk);
  const node = new TestNode(disk, smallMemory(), IDENTITY, () => NOW_MS);
  node.begin();
  const batch = makeBatch([900], new Random(5));
  for (let i = 0; i < 3; i += 1) node.append(batch.entries, 1);
  node.settle();
  const identity = readIdentity(disk, DIRECTORY);
  if (identity === undefined) throw new Error('there is no log');
  writeIdentity(disk, DIRECTORY, change(identity));
  return { image: disk.image(), bytes: entriesIn(disk) };
}

/** The log bytes that the segments of a data directory have. */
export function entriesIn(disk: MemoryDisk): Buffer {
  const { segments } = examineDirectory(disk, DIRECTORY, { everyEntry: true });
  return Buffer.concat(
    segments.map(({ base, end }) =>
      readFile(disk, `${DIRECTORY}/${segmentName(base)}`).subarray(SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES + end - base),
    ),
  );
}

/**
 * The directory has a log that ends at `end` and begins with `bytes`, all of it committed and whole; a node starts on it, and takes an append. Returns the
 * generation that the log said before that.
 */
export function goesOn(disk: MemoryDisk, { end, bytes }: { readonly end: number; readonly bytes: Buffer }): Generation {
  const facts = examineDirectory(disk, DIRECTORY, { everyEntry: true });
  expect([facts.damage, facts.end, facts.commit]).toEqual([[], end, end]);
  expect(entriesIn(disk).subarray(0, bytes.length).equals(bytes)).toBe(true);
  expect(disk.openFiles).toBe(0);
  const memory = smallMemory();
  const node = new TestNode(disk, memory, IDENTITY, () => NOW_MS);
  const { generation } = new LogFold(memory);
  node.begin();
  node.append(makeBatch([10], new Random(1)).entries, 1);
  node.settle();
  node.stop();
  expect(examineDirectory(disk, DIRECTORY, { everyEntry: true }).damage).toEqual([]);
  return generation;
}
