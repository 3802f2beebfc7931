import { expect, it } from 'vitest';
import { decodeScrubPosition, encodeScrubPosition } from '../../src/format/scrubPosition.ts';
import { xxh64 } from '../../src/format/xxh64.ts';
import { readScrub, saveScrub } from '../../src/storage/scrubFile.ts';
import { MemoryDisk } from '../crash/memoryDisk.ts';
import { DIRECTORY } from '../crash/testNode.ts';
import { putFile } from '../storage/support.ts';
import { hexOf } from './hex.ts';

const POSITION = { origin: 4096, position: 65_536, hasWrapped: true, beganMs: 1_700_000_000_000, previousMs: 1_600_000_000_000 };

it('the position of a scrub has the bytes of docs/FORMAT.md, and is read back', () => {
  const bytes = encodeScrubPosition(POSITION);
  expect(hexOf(bytes.subarray(0, 48))).toBe(
    '4c4c5343' + '03000000' + '0010000000000000' + '0000010000000000' + '0068e5cf8b010000' + '00806e8774010000' + '01000000' + '00000000',
  );
  expect(decodeScrubPosition(bytes, 'scrub')).toEqual(POSITION);
});

it('one that is damaged anywhere begins a tour anew', () => {
  const disk = new MemoryDisk();
  expect(readScrub({ disk, directory: DIRECTORY })).toBe(undefined);
  saveScrub({ disk, directory: DIRECTORY }, POSITION);
  saveScrub({ disk, directory: DIRECTORY }, POSITION);
  expect(readScrub({ disk, directory: DIRECTORY })).toEqual(POSITION);
  const bytes = encodeScrubPosition(POSITION);
  for (let at = 0; at < bytes.length; at += 1) {
    const copy = bytes.slice();
    copy[at] = (copy[at] ?? 0) ^ 1;
    putFile(disk, 'scrub', copy);
    expect(readScrub({ disk, directory: DIRECTORY }), `byte ${at}`).toBe(undefined);
  }
  // A valid check does not make such values right.
  for (const [at, value] of [
    [15, 1],
    [40, 2],
    [44, 1],
  ] as const) {
    const copy = bytes.slice();
    copy[at] = value;
    new DataView(copy.buffer).setBigUint64(48, xxh64(copy.subarray(0, 48)), true);
    expect(() => decodeScrubPosition(copy, 'scrub')).toThrow('a value that nobody writes');
  }
  for (const wrong of [bytes.subarray(0, 55), new Uint8Array(57)]) {
    putFile(disk, 'scrub', wrong);
    expect(readScrub({ disk, directory: DIRECTORY })).toBe(undefined);
  }
});
