// The last entry before a durable mark, however small: damage in it is never taken for a torn tail.

import { describe, expect, test } from 'vitest';
import { SEGMENT_HEADER_BYTES } from '../../assembly/layout.ts';
import { LogError } from '../../src/core/errors.ts';
import { readIdentity } from '../../src/storage/dataDirectory.ts';
import { segmentName } from '../../src/storage/names.ts';
import { recover } from '../../src/storage/recovery.ts';
import { Random } from '../assembly/random.ts';
import { makeBatch } from './batches.ts';
import { MemoryDisk } from './memoryDisk.ts';
import { DIRECTORY, resetMemory, smallMemory, TestNode } from './testNode.ts';

const memory = smallMemory();
const nowMs = (): number => 1_700_000_000_000;
const PATH = `${DIRECTORY}/${segmentName(0)}`;

/** An open segment that ends in an entry of each size given, each on disk by itself, with a mark behind the last one. */
function build(sizes: readonly number[]): { disk: MemoryDisk; ends: number[] } {
  const disk = new MemoryDisk();
  const ends: number[] = [];
  const node = new TestNode(disk, memory, new Uint8Array(32).fill(7), nowMs, { ordered: (_first, end) => ends.push(end) });
  node.begin();
  node.settle();
  for (const size of sizes) {
    const { entries, entryCount } = makeBatch([size], new Random(size + 1));
    expect(node.append(entries, entryCount)).toBe('ordered');
    node.settle();
  }
  node.stop();
  return { disk, ends };
}

/** What recovery says of the files of `disk` with the byte at `position` of the segment changed. */
function recoverDamaged(disk: MemoryDisk, position: number, bit: number): string {
  const image = new Map(disk.image());
  const { file, bytes } = image.get(PATH) ?? { file: 0, bytes: new Uint8Array(0) };
  const changed = bytes.slice();
  changed[position] = (changed[position] ?? 0) ^ (1 << bit);
  image.set(PATH, { file, bytes: changed });
  const after = new MemoryDisk(image);
  resetMemory(memory);
  const identity = readIdentity(after, DIRECTORY);
  if (identity === undefined) throw new Error('the test made no identity');
  try {
    const { end } = recover({ disk: after, directory: DIRECTORY, identity, memory, nowMs });
    return `the log was cut at ${end}`;
  } catch (thrown) {
    return thrown instanceof LogError ? thrown.code : String(thrown);
  }
}

describe('recovery refuses damage in the last entry that a mark covers', () => {
  test.each([
    ['no payload at all', [0]],
    ['no payload, behind another one', [40, 0]],
    ['one byte', [1]],
    ['no payload, twice', [0, 0]],
    ['the no-op alone', []],
    ['the size of a mark', [28]],
  ])('%s', (_what, sizes) => {
    const { disk, ends } = build(sizes);
    const end = ends.at(-1) ?? 0;
    const first = ends.at(-2) ?? 0;
    expect(end).toBeGreaterThan(first);
    const answers = new Set<string>();
    for (let at = first; at < end; at += 1) answers.add(recoverDamaged(disk, SEGMENT_HEADER_BYTES + at, at % 8));
    expect([...answers]).toEqual(['DAMAGE']);
  });
});
