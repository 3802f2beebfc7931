// Looks at every byte of a backup: the manifest, each file's size and digest, every entry, and that all is one log without gaps. Changes nothing.

import type { Workspace } from '../client/wasm.ts';
import { LogError } from '../core/errors.ts';
import type { Disk } from '../storage/disk.ts';
import type { Damage } from '../storage/segmentImage.ts';
import { fileDamage, lastEntryDamage, readBackupFile } from './fileReader.ts';
import { readManifest } from './folder.ts';
import type { BackupFile, Manifest } from './manifest.ts';
import { MANIFEST_FILE } from './names.ts';

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
    const { workspace, onProgress } = this.#options;
    const { start, end } = this.#manifest;
    const facts = readBackupFile(this.#disk, this.#directory, file, {
      workspace,
      minTerm: this.#lastTerm,
      onRead: (bytes) => {
        this.#doneBytes += bytes;
        onProgress?.(this.#doneBytes, end - start);
      },
    });
    this.entries += facts.entries;
    this.#lastTerm = facts.lastTerm;
    this.#lastEntry = facts.lastEntry ?? null;
    if (facts.damage !== undefined) this.damage.push(facts.damage);
  }

  /** What the manifest says of the last entry must be so. */
  checkEnd(path: string): void {
    if (this.damage.length > 0) return;
    const damage = lastEntryDamage(path, this.#manifest, { lastEntry: this.#lastEntry, lastTerm: this.#lastTerm });
    if (damage !== undefined) this.damage.push(damage);
  }
}
