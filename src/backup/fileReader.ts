// Reads one file of a backup, and verifies all of it: size, digest, every entry, and that it ends with a whole batch.

import { createHash } from 'node:crypto';
import { EntryVerifier } from '../client/segments/entryVerifier.ts';
import type { Workspace } from '../client/wasm.ts';
import { viewOf } from '../core/bytes.ts';
import { LogError } from '../core/errors.ts';
import { firstControlFault } from '../format/controlFaults.ts';
import type { Disk, FileHandle } from '../storage/disk.ts';
import { type Damage, damageAt, damageOf } from '../storage/segmentImage.ts';
import type { BackupFile, Manifest } from './manifest.ts';
import { fileName } from './names.ts';

const PIECE_BYTES = 1024 * 1024;

/** What makes one file unusable, and not the others. */
const OF_ONE_FILE = ['ELOOP', 'NOT_OURS', 'EIO', 'ENOENT', 'ENXIO'];

export interface FileReading {
  readonly workspace: Workspace;
  /** Term of the entry before the file. */
  readonly minTerm: number;
  /** Told how many more bytes were read. */
  readonly onRead: (bytes: number) => void;
  /** Gets whole, verified entries at a log offset; what it throws ends the reading. */
  readonly take?: (offset: number, entries: Uint8Array) => void;
}

/** What a file has, up to the first damage if there is any. */
export interface FileFacts {
  readonly damage: Damage | undefined;
  readonly entries: number;
  readonly lastTerm: number;
  readonly lastEntry: number | undefined;
}

/** What is wrong with what `manifest`, the file at `path`, says of the last entry, where the files have it otherwise. */
export function lastEntryDamage(
  path: string,
  { lastEntry, lastTerm }: Manifest,
  found: Pick<Manifest, 'lastEntry' | 'lastTerm'>,
): Damage | undefined {
  if (lastEntry === found.lastEntry && lastTerm === found.lastTerm) return undefined;
  const is = `is the one at offset ${found.lastEntry}, of term ${found.lastTerm}`;
  return damageAt(path, 0, `by it the last entry is at offset ${lastEntry}, of term ${lastTerm}, but it ${is}`);
}

/** An error as damage of the file at `path`, if it is one that other files need not share; throws any other. */
export function fileDamage(thrown: unknown, path: string): Damage {
  if (thrown instanceof LogError && OF_ONE_FILE.includes(String(thrown.details.errno)))
    return damageAt(path, 0, thrown.message.replace(`${path}: `, ''));
  if (thrown instanceof LogError && thrown.code === 'DAMAGE') return { file: path, position: 0, sentence: thrown.message };
  return damageOf(thrown, path);
}

/** Damage is said, not thrown. Throws a LogError `IO` when files cannot be opened. */
export function readBackupFile(disk: Disk, directory: string, file: BackupFile, reading: FileReading): FileFacts {
  const path = `${directory}/${fileName(file)}`;
  const nothing = { entries: 0, lastTerm: reading.minTerm, lastEntry: undefined };
  let opened: FileHandle;
  try {
    opened = disk.openRead(path);
  } catch (thrown) {
    return { ...nothing, damage: fileDamage(thrown, path) };
  }
  try {
    const bytes = file.end - file.base;
    const found = disk.size(opened);
    if (found === bytes) return readOpen(disk, opened, path, file, reading);
    return { ...nothing, damage: damageAt(path, Math.min(found, bytes), `it has ${found} bytes, and by the manifest ${bytes}`) };
  } finally {
    disk.close(opened);
  }
}

function readOpen(disk: Disk, opened: FileHandle, path: string, { base, end, sha256 }: BackupFile, reading: FileReading): FileFacts {
  const hash = createHash('sha256');
  const verifier = new EntryVerifier(reading.workspace, base, reading.minTerm);
  let damage: Damage | undefined;
  for (let at = 0; at < end - base && damage === undefined; ) {
    // The verifier may keep it.
    const piece = new Uint8Array(Math.min(PIECE_BYTES, end - base - at));
    try {
      const count = disk.read(opened, piece, at);
      if (count < piece.length) damage = damageAt(path, at + count, 'it ends here, although it was longer a moment ago');
    } catch (thrown) {
      damage = fileDamage(thrown, path);
    }
    if (damage !== undefined) break;
    hash.update(piece);
    const { offset } = verifier;
    const entries = verifier.push(piece);
    const wrong = firstControlFault(viewOf(entries), offset);
    if (wrong !== undefined) damage = damageAt(path, wrong.offset - base, `the entry at log offset ${wrong.offset} ${wrong.what}`);
    else if (entries.length > 0) reading.take?.(offset, entries);
    at += piece.length;
    reading.onRead(piece.length);
  }
  const { entryCount, lastTerm, lastEntry, fault, batchEnd } = verifier;
  const at = (fault?.offset ?? batchEnd) - base;
  if (damage !== undefined) return { damage, entries: entryCount, lastTerm, lastEntry };
  if (fault !== undefined) damage = damageAt(path, at, `the entry at log offset ${fault.offset} ${fault.what}`);
  else if (batchEnd !== end) damage = damageAt(path, at, `the batch that begins at log offset ${batchEnd} is not complete`);
  else if (hash.digest('hex') !== sha256)
    damage = damageAt(path, 0, 'its SHA-256 is not that of the manifest, although its entries are valid: it is of another backup');
  return { damage, entries: entryCount, lastTerm, lastEntry };
}
