// backup.json: its bytes, and each thing that can be wrong with it.

import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { decodeManifest, encodeManifest, type Manifest } from '../../src/backup/manifest.ts';
import { verifyBackup } from '../../src/backup/verifyBackup.ts';
import { xxh64 } from '../../src/format/xxh64.ts';
import { MemoryDisk } from '../crash/memoryDisk.ts';
import { FOLDER, workspace } from './support.ts';

const MANIFEST: Manifest = {
  clusterId: '000102030405060708090a0b0c0d0e0f',
  generation: '0000000000000000',
  start: 0,
  end: 40_099,
  lastEntry: 87,
  lastTerm: 2,
  takenMs: 1_700_000_000_000,
  files: [{ base: 0, end: 40_099, sha256: 'ab'.repeat(32), isPart: true }],
};

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const decode = (value: unknown): Manifest => decodeManifest(new TextEncoder().encode(JSON.stringify(value)), 'backup.json');

/** The fields with the check that goes with them. */
function checked(fields: Record<string, unknown>): Record<string, unknown> {
  const all = { format: 1, logFormat: 3, ...fields };
  const check = xxh64(new TextEncoder().encode(JSON.stringify(all)))
    .toString(16)
    .padStart(16, '0');
  return { ...all, check };
}

it('a manifest is written as docs/BACKUP.md shows it, and read back', () => {
  const page = readFileSync(new URL('../../docs/BACKUP.md', import.meta.url), 'utf8');
  const written = text(encodeManifest(MANIFEST));
  expect(page).toContain(`\n${written}`);
  expect(decodeManifest(encodeManifest(MANIFEST), 'x')).toEqual(MANIFEST);
  const empty = { ...MANIFEST, end: 0, lastEntry: null, lastTerm: 0, files: [] };
  expect(decodeManifest(encodeManifest(empty), 'x')).toEqual(empty);
  expect(decode(checked({ ...MANIFEST }))).toEqual(MANIFEST);
});

it('each field that is wrong is named', () => {
  const [file] = MANIFEST.files;
  const wrong: [Record<string, unknown>, RegExp][] = [
    [{ clusterId: '../../../etc/passwd' }, /lacks a valid clusterId/],
    [{ generation: 0 }, /lacks a valid generation/],
    [{ start: -1 }, /lacks a valid start/],
    [{ start: 1.5 }, /lacks a valid start/],
    [{ end: 2 ** 53 }, /lacks a valid end/],
    [{ end: '40099' }, /lacks a valid end/],
    [{ lastEntry: -1 }, /lacks a valid lastEntry/],
    [{ lastTerm: 2 ** 31 }, /lacks a valid lastTerm/],
    [{ takenMs: null }, /lacks a valid takenMs/],
    // Past all dates: who shows it to people could not.
    [{ takenMs: 8_640_000_000_000_001 }, /lacks a valid takenMs/],
    [{ files: {} }, /lacks a valid files/],
    [{ files: [null] }, /lacks a valid files/],
    [{ files: [{ ...file, sha256: 'x' }] }, /lacks a valid files/],
    [{ files: [{ ...file, name: '../../x' }] }, /lacks a valid files/],
    [{ files: [{ ...file, base: 1 }] }, /no file that begins at offset 0/],
    [{ files: [{ ...file, end: 0 }], end: 0 }, /ends before it begins/],
    [{ files: [{ ...file, end: 2 ** 52 }] }, /its files end at/],
    [{ files: [file, { ...file, base: 40_099, end: 40_100 }], end: 40_100 }, /a part before its last file/],
    [{ files: [], end: 0 }, /a last entry without files/],
    [{ lastEntry: null }, /files without one/],
    [{ lastEntry: 40_099 }, /its last entry outside/],
  ];
  for (const [change, sentence] of wrong)
    expect(() => decode(checked({ ...MANIFEST, ...change })), JSON.stringify(change)).toThrow(sentence);
  expect(() => decode(checked({ ...MANIFEST, more: 1 }))).toThrow(/a field of no meaning, "more"/);
  expect(() => decode({ ...checked({ ...MANIFEST }), check: '0'.repeat(16) })).toThrow(/does not match its check/);
  expect(() => decode({ ...checked({ ...MANIFEST }), takenMs: 1 })).toThrow(/does not match its check/);
  expect(() => decode(checked({ ...MANIFEST, format: 2, shape: 'other' }))).toThrow(/has format 2; this LogLog reads format 1/);
  expect(() => decode(checked({ ...MANIFEST, logFormat: 99 }))).toThrow(/has format 99/);
  // A wrong digit of a format is damage.
  for (const wrong of [{ format: 5 }, { logFormat: 7 }, { logFormat: 1 }])
    expect(() => decode({ ...checked({ ...MANIFEST }), ...wrong })).toThrow(/damage|does not match its check|lacks a valid format/);
  expect(() => decode({ ...checked({ ...MANIFEST }), format: 'x' })).toThrow(/lacks a valid format/);
  for (const value of [null, 1, 'x', [], {}, true]) expect(() => decode(value)).toThrow(/lacks a valid format/);
});

it('cut anywhere, or with any byte changed, it is damage, and verify says so', () => {
  const bytes = encodeManifest(MANIFEST);
  for (let at = 0; at < bytes.length; at += 1) {
    const changed = bytes.slice();
    changed[at] = (changed[at] ?? 0) ^ 0x04;
    for (const one of [bytes.subarray(0, at), changed]) {
      let found: unknown;
      try {
        found = decodeManifest(one, 'backup.json');
      } catch (thrown) {
        expect(thrown).toMatchObject({ name: 'LogError' });
        continue;
      }
      // White space alone may have changed.
      expect(found).toEqual(MANIFEST);
    }
  }
  const disk = new MemoryDisk();
  const file = disk.create(`${FOLDER}/backup.json`);
  disk.write(file, [bytes.subarray(0, 100)], 0);
  disk.close(file);
  const { manifest, damage } = verifyBackup(disk, FOLDER, { workspace });
  expect(manifest).toBeUndefined();
  expect(damage.map(({ sentence }) => sentence)).toEqual([expect.stringMatching(/backup\.json is not JSON: it says which log/)]);
});
