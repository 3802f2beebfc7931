// The file in which a node remembers what its segments are.

import { expect, it } from 'vitest';
import { addSeals, decodeSealRows, encodeSealRows, readSeals, type SealRow } from '../../src/storage/sealsFile.ts';
import { Random } from '../assembly/random.ts';
import { CrashModel } from '../crash/crashModel.ts';
import { MemoryDisk } from '../crash/memoryDisk.ts';
import { bytesOf, hexOf } from '../format/hex.ts';

const DIGEST = '000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f';
const OWN: SealRow = { whose: 'own', base: 0x1_0000_0000, end: 0x1_2345_6789, digest: DIGEST };
const LOG: SealRow = { ...OWN, whose: 'log' };
const GOLDEN = bytesOf(`
  4c4c5344 01000000 0000000001000000 8967452301000000 ${DIGEST} 8b6268bf5052bc5b
  4c4c5344 02000000 0000000001000000 8967452301000000 ${DIGEST} d17c1a85aeff6d91
`);

it('golden bytes, which are read as what they mean', () => {
  expect(hexOf(encodeSealRows([OWN, LOG]))).toBe(hexOf(GOLDEN));
  expect(decodeSealRows(GOLDEN)).toEqual({ rows: [OWN, LOG], end: 128 });
});

it.each(Array.from({ length: 64 }, (_, at) => at))('a row whose byte %i is wrong is none; those after it are', (at) => {
  const bytes = GOLDEN.slice();
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  expect(decodeSealRows(bytes)).toEqual({ rows: [LOG], end: 128 });
  bytes.set(GOLDEN);
  bytes[64 + at] = (bytes[64 + at] ?? 0) ^ 1;
  expect(decodeSealRows(bytes)).toEqual({ rows: [OWN], end: 64 });
});

it('whenever the power goes, there are the rows that were written before, all of them', () => {
  const random = new Random(5);
  const first = new MemoryDisk();
  first.makeDirectory();
  addSeals(first, '/data', [LOG, LOG, OWN], 0);
  const model = new CrashModel(first.image());
  let written: SealRow[][] = [[LOG, LOG, OWN]];
  const disk = new MemoryDisk(first.image(), (operation) => {
    model.apply(operation);
    for (const { image } of model.states(24, random)) {
      const { rows } = readSeals(new MemoryDisk(image), '/data');
      expect(written).toContainEqual(rows);
    }
  });
  // Replaced as a whole, then added to.
  written = [
    [LOG, LOG, OWN],
    [OWN, LOG],
  ];
  expect(addSeals(disk, '/data', [OWN, LOG], 0)).toBe(128);
  written = [
    [OWN, LOG],
    [OWN, LOG, LOG],
  ];
  expect(addSeals(disk, '/data', [LOG], 128)).toBe(192);
  written = [[OWN, LOG, LOG]];
  disk.syncDirectory('/data');
});

it('rows are added after the valid ones; what was torn there is gone', () => {
  const disk = new MemoryDisk();
  disk.makeDirectory();
  expect(readSeals(disk, '/data')).toEqual({ rows: [], end: 0 });
  expect(addSeals(disk, '/data', [OWN], 0)).toBe(64);
  const file = disk.openWrite('/data/seals');
  disk.write(file, [GOLDEN.subarray(64, 100)], 64);
  disk.close(file);
  const { rows, end } = readSeals(disk, '/data');
  expect({ rows, end }).toEqual({ rows: [OWN], end: 64 });
  expect(addSeals(disk, '/data', [LOG], end)).toBe(128);
  expect(readSeals(disk, '/data')).toEqual({ rows: [OWN, LOG], end: 128 });
});
