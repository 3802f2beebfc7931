// A backup's folder: its manifest, and files that never change once they have their name. What the manifest does not name does not count, so
// whatever a crash leaves, the folder is the backup that its manifest says: files are durable before the manifest that names them, and those
// that it no longer names go after it.

import { LogError } from '../core/errors.ts';
import { type Disk, readFile, writeFileAtomically } from '../storage/disk.ts';
import { LOCK_FILE, TEMPORARY_SUFFIX } from '../storage/names.ts';
import { type BackupFile, decodeManifest, encodeManifest, type Manifest } from './manifest.ts';
import { baseOfFile, fileName, MANIFEST_FILE } from './names.ts';

const TEMPORARY_MANIFEST = `${MANIFEST_FILE}${TEMPORARY_SUFFIX}`;

/** Reads the manifest of `directory`; undefined when there is none. Throws a LogError `DAMAGE`, `NEWER_FORMAT` or `IO`. */
export function readManifest(disk: Disk, directory: string): Manifest | undefined {
  if (!disk.list(directory).includes(MANIFEST_FILE)) return undefined;
  const path = `${directory}/${MANIFEST_FILE}`;
  return decodeManifest(readFile(disk, path), path);
}

/** Throws a LogError `USAGE` unless `directory` is a backup's, or empty. Nothing is changed. */
export function refuseForeign(disk: Disk, directory: string): void {
  const names = disk.list(directory);
  if (names.includes(MANIFEST_FILE)) return;
  const foreign = names.filter((name) => ![LOCK_FILE, TEMPORARY_MANIFEST, 'lost+found'].includes(name));
  if (foreign.length === 0) return;
  const shown = foreign.slice(0, 3).join(', ');
  throw new LogError(
    'USAGE',
    `${directory} is not the folder of a backup: it has no ${MANIFEST_FILE}, but other files (${shown}); name an empty or new folder`,
  );
}

/** A file is not what the manifest names, for the reason `why`. */
export function damagedFile(path: string, why: string): LogError {
  const sentence = `${path} is not what the manifest says: ${why}. So this backup is not whole, and it was not gone on with: put a copy of the file in its place, or begin another backup in a new folder; loglog verify looks at all files`;
  return new LogError('DAMAGE', sentence, { file: path, position: 0 });
}

/** Why what stands under a file's name cannot be it; undefined: it has its size. */
function wrongSize(disk: Disk, path: string, { base, end }: BackupFile): string | undefined {
  try {
    const bytes = disk.sizeOf(path);
    return bytes === end - base ? undefined : `it has ${bytes} bytes, and ${end - base} by the manifest`;
  } catch (thrown) {
    if (thrown instanceof LogError && thrown.details.errno === 'NOT_OURS') return thrown.message.replace(`${path}: `, '');
    throw thrown;
  }
}

export class BackupFolder {
  readonly disk: Disk;
  readonly directory: string;
  #manifest: Manifest | undefined;

  /** The folder must be this process's alone. Throws a LogError when it is no backup's, or when its manifest is damaged. */
  constructor(disk: Disk, directory: string) {
    refuseForeign(disk, directory);
    this.disk = disk;
    this.directory = directory;
    this.#manifest = readManifest(disk, directory);
    if (disk.list(directory).includes(TEMPORARY_MANIFEST)) disk.remove(this.path(TEMPORARY_MANIFEST));
  }

  /** What was saved last; undefined for a new folder. */
  get manifest(): Manifest | undefined {
    return this.#manifest;
  }

  path(name: string): string {
    return `${this.directory}/${name}`;
  }

  /** Looks, without reading them, whether the files that the manifest names are there and have their sizes. Throws a LogError `DAMAGE` for the first that is not. */
  checkFiles(): void {
    const { disk, directory } = this;
    const there = new Set(disk.list(directory));
    for (const file of this.#manifest?.files ?? []) {
      const name = fileName(file);
      const why = there.has(name) ? wrongSize(disk, this.path(name), file) : 'it is not there';
      if (why !== undefined) throw damagedFile(this.path(name), why);
    }
  }

  /** Names of files from log offset `base` on that no manifest names: what an earlier run had not finished. */
  leftovers(base: number): string[] {
    const named = new Set(this.#manifest?.files.map(fileName));
    return this.disk.list(this.directory).filter((name) => baseOfFile(name) === base && !named.has(name));
  }

  /** Makes `manifest` what the folder says: its files must be durable, their names need not be yet. */
  save(manifest: Manifest): void {
    const { disk, directory } = this;
    const gone = this.#missing(manifest.files);
    // The names of new files come before the manifest that names them.
    disk.syncDirectory(directory);
    writeFileAtomically(disk, directory, MANIFEST_FILE, encodeManifest(manifest));
    this.#manifest = manifest;
    for (const file of gone) disk.remove(this.path(fileName(file)));
  }

  /** Removes files of a backup that the manifest does not name. */
  removeLeftovers(): void {
    const named = new Set(this.#manifest?.files.map(fileName));
    for (const name of this.disk.list(this.directory)) {
      if (baseOfFile(name) !== undefined && !named.has(name)) this.disk.remove(this.path(name));
    }
  }

  /** Files of the manifest that are not among `files` any more. */
  #missing(files: readonly BackupFile[]): BackupFile[] {
    const kept = new Set(files.map(fileName));
    return (this.#manifest?.files ?? []).filter((file) => !kept.has(fileName(file)));
  }
}
