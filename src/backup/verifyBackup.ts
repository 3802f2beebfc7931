// Looks at every byte of a backup: the manifest, each file's size and digest, every entry, and that all is one log without gaps. Changes nothing.

import { createHash } from 'node:crypto';
import { EntryVerifier } from '../client/segments/entryVerifier.ts';
import type { Workspace } from '../client/wasm.ts';
import { LogError } from '../core/errors.ts';
import type { Disk } from '../storage/disk.ts';
import { type Damage, damageAt, damageOf } from '../storage/segmentImage.ts';
import { readManifest } from './folder.ts';
import type { BackupFile, Manifest } from './manifest.ts';
import { fileName, MANIFEST_FILE } from './names.ts';

export interface BackupFacts {
  readonly directory: string;
  /** Undefined where it is damaged. */
  readonly manifest: Manifest | undefined;
  /** Of all kinds, the log's own among them. */
  readonly entries: number;
  readonly damage: readonly Damage[];
}

export interface VerifyBackupOptions {
  readonly workspace: Workspace;
  /** Told now and then how many of all bytes are done. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
}

const PIECE_BYTES = 1024 * 1024;

/** What makes one file unusable, and not the others. */
const OF_ONE_FILE = ['ELOOP', 'NOT_OURS', 'EIO', 'ENOENT', 'ENXIO'];

/** Damage is listed, not thrown. Throws a LogError `NEWER_FORMAT`, `USAGE` where there is no backup, or `IO` when files cannot be opened. */
export function verifyBackup(disk: Disk, directory: string, options: VerifyBackupOptions): BackupFacts {
  const path = `${directory}/${MANIFEST_FILE}`;
  let manifest: Manifest | undefined;
  try {
    manifest = readManifest(disk, directory);
  } catch (thrown) {
    return { directory, manifest, entries: 0, damage: [fileDamage(thrown, path)] };
  }
  if (manifest === undefined) throw new LogError('USAGE', `${directory} is not the folder of a backup: it has no ${MANIFEST_FILE}`);
  const walk = new Walk(disk, directory, manifest, options);
  for (const file of manifest.files) walk.verify(file);
  walk.checkEnd(path);
  return { directory, manifest, entries: walk.entries, damage: walk.damage };
}

function fileDamage(thrown: unknown, path: string): Damage {
  if (thrown instanceof LogError && OF_ONE_FILE.includes(String(thrown.details.errno))) return damageAt(path, 0, thrown.message);
  if (thrown instanceof LogError && thrown.code === 'DAMAGE') return { file: path, position: 0, sentence: thrown.message };
  return damageOf(thrown, path);
}

class Walk {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #manifest: Manifest;
  readonly #options: VerifyBackupOptions;
  readonly damage: Damage[] = [];
  entries = 0;
  #lastTerm = 0;
  #lastEntry: number | null = null;
  #doneBytes = 0;

  constructor(disk: Disk, directory: string, manifest: Manifest, options: VerifyBackupOptions) {
    this.#disk = disk;
    this.#directory = directory;
    this.#manifest = manifest;
    this.#options = options;
  }

  verify(file: BackupFile): void {
    const path = `${this.#directory}/${fileName(file)}`;
    try {
      const opened = this.#disk.openRead(path);
      try {
        this.#verifyOpen(file, path, opened);
      } finally {
        this.#disk.close(opened);
      }
    } catch (thrown) {
      this.damage.push(fileDamage(thrown, path));
    }
  }

  #verifyOpen(file: BackupFile, path: string, opened: number): void {
    const bytes = file.end - file.base;
    const found = this.#disk.size(opened);
    if (found !== bytes) {
      this.damage.push(damageAt(path, Math.min(found, bytes), `it has ${found} bytes, and by the manifest ${bytes}`));
      return;
    }
    const hash = createHash('sha256');
    const verifier = new EntryVerifier(this.#options.workspace, file.base, this.#lastTerm);
    for (let at = 0; at < bytes; ) {
      // The verifier may keep it.
      const piece = new Uint8Array(Math.min(PIECE_BYTES, bytes - at));
      const count = this.#disk.read(opened, piece, at);
      if (count === 0) break;
      hash.update(piece.subarray(0, count));
      verifier.push(piece.subarray(0, count));
      at += count;
      this.#doneBytes += count;
      this.#options.onProgress?.(this.#doneBytes, this.#manifest.end - this.#manifest.start);
    }
    this.entries += verifier.entryCount;
    this.#lastTerm = verifier.lastTerm;
    this.#lastEntry = verifier.lastEntry ?? null;
    const { fault, batchEnd } = verifier;
    const at = (fault?.offset ?? batchEnd) - file.base;
    if (fault !== undefined) this.damage.push(damageAt(path, at, `the entry at log offset ${fault.offset} ${fault.what}`));
    else if (verifier.received !== verifier.offset || batchEnd !== file.end)
      this.damage.push(damageAt(path, at, `the batch that begins at log offset ${batchEnd} is not complete`));
    else if (hash.digest('hex') !== file.sha256)
      this.damage.push(
        damageAt(path, 0, 'its SHA-256 is not that of the manifest, although its entries are valid: it is of another backup'),
      );
  }

  /** What the manifest says of the last entry must be so. */
  checkEnd(path: string): void {
    const { lastEntry, lastTerm } = this.#manifest;
    if (this.damage.length > 0 || (lastEntry === this.#lastEntry && lastTerm === this.#lastTerm)) return;
    const found = `is the one at offset ${this.#lastEntry}, of term ${this.#lastTerm}`;
    this.damage.push(damageAt(path, 0, `by it the last entry is at offset ${lastEntry}, of term ${lastTerm}, but it ${found}`));
  }
}
