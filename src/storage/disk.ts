// The seam between LogLog and a file system: every file operation of the storage layer is one of these, so that a test can record
// them and rebuild what any crash may leave. All calls block (they run on worker threads) and throw a LogError `IO` that names the
// file, the position and the reason. Nothing that touches a file's bytes is ever retried: after a failed fsync the page cache may lie.

import { LogError } from '../core/errors.ts';

/** An open file, only for the Disk that returned it. */
export type FileHandle = number;

export interface Disk {
  /** Opens an existing file for reading. */
  openRead(path: string): FileHandle;
  /** Opens an existing file for reading and writing. */
  openWrite(path: string): FileHandle;
  /**
   * The same, past the page cache where the file system can. Every write must then begin and end at a multiple of DIRECT_BYTES, in the
   * file and in memory.
   */
  openDirect(path: string): FileHandle;
  /** Opens an existing file for reading past the page cache, where the file system can. Every read must then be of whole DIRECT_BYTES, as a write is. */
  openDirectRead(path: string): FileHandle;
  /**
   * Another thread of the process has opened `file`, at `path`: it may be written here, too, as long as that thread has it open; after that writing it is refused. A
   * disk that all threads share needs not to be told.
   */
  adopt?(file: FileHandle, path: string): void;
  /** Makes a new file; fails when it exists. Its name is durable only after {@link syncDirectory}. */
  create(path: string): FileHandle;
  close(file: FileHandle): void;
  /** Bytes in the file. */
  size(file: FileHandle): number;
  /** Bytes in the file at `path`, which is not opened for that. */
  sizeOf(path: string): number;
  /** Fills `into` from `position`; returns fewer bytes only at the end of the file. */
  read(file: FileHandle, into: Uint8Array, position: number): number;
  /**
   * Reads the file at `path` from its beginning, as far as `into` has room, in as few calls to the system as there can be: for very many small files. Returns how many
   * bytes there were; what is no regular file may have 0.
   */
  readHead(path: string, into: Uint8Array): number;
  /** Writes all of `parts` one after the other from `position`; a short write is an error. */
  write(file: FileHandle, parts: readonly Uint8Array[], position: number): void;
  /** Returns once all that was written to the file, and its size, will survive a crash. `position` is only for the error's text. */
  dataSync(file: FileHandle, position?: number): void;
  truncate(file: FileHandle, bytes: number): void;
  rename(from: string, to: string): void;
  /** Gives the file at `from` the name `to`, too, which nothing has. False: this file system cannot. */
  link(from: string, to: string): boolean;
  remove(path: string): void;
  /** Makes the directory's entries (files made, renamed, removed) durable. */
  syncDirectory(path: string): void;
  /** Bytes that files in a directory may yet take. */
  freeBytes(path: string): number;
  /** Whether there is anything under this name: one look, however many others a directory has. */
  has(path: string): boolean;
  /** Names in a directory, in no order. */
  list(path: string): string[];
  /** Makes a directory and its parents, and makes their entries durable; nothing when it exists. */
  makeDirectory(path: string): void;
}

/** What direct writes are aligned to: a memory page, and a multiple of every disk's block. */
export const DIRECT_BYTES = 4096;

/** No small file (identity, vote, index) is larger: an index of this size would have millions of terms in one segment. */
const MAX_FILE_BYTES = 64 * 1024 * 1024;

/** The error for what stands under a name of ours and cannot be what LogLog put there: it is neither read, nor written, nor removed. */
export function notOurs(path: string, sentence: string): LogError {
  return new LogError('IO', `${path}: ${sentence}`, { file: path, errno: 'NOT_OURS' });
}

/** All bytes of a small file. Throws a LogError `IO` when it has more than any of ours. */
export function readFile(disk: Disk, path: string, maxBytes = MAX_FILE_BYTES): Uint8Array {
  const file = disk.openRead(path);
  try {
    const size = disk.size(file);
    if (size > maxBytes) {
      throw notOurs(
        path,
        `it has ${size} bytes, and no such file of LogLog has more than ${maxBytes}; move it away, and restore it from a backup`,
      );
    }
    const bytes = new Uint8Array(size);
    return bytes.subarray(0, disk.read(file, bytes, 0));
  } finally {
    disk.close(file);
  }
}

/**
 * Replaces or makes `directory/name` so that after a crash it is either the old file or all of the new one: write under another
 * name, sync, rename, sync the directory (KAFKA-3968, KAFKA-16541 are what is lost otherwise).
 */
export function writeFileAtomically(disk: Disk, directory: string, name: string, bytes: Uint8Array): void {
  const temporary = `${directory}/${name}.tmp`;
  const file = disk.create(temporary);
  disk.write(file, [bytes], 0);
  disk.dataSync(file);
  disk.close(file);
  disk.rename(temporary, `${directory}/${name}`);
  disk.syncDirectory(directory);
}

/** What a read says that no second try will bring: Linux has several for sectors that are gone, and for what its file systems find wrong. */
const UNREADABLE = ['EIO', 'ENODATA', 'EUCLEAN', 'EBADMSG', 'EILSEQ', 'EREMOTEIO', 'Unknown system error -117'];

/** Whether `thrown` says that the disk cannot give what stands in a file. */
export function isUnreadable(thrown: unknown): thrown is LogError {
  return thrown instanceof LogError && thrown.code === 'IO' && UNREADABLE.includes(String(thrown.details.errno));
}
