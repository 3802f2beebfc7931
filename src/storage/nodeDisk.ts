// The Disk of a real node: node's blocking file calls, each with its result checked and its errors explained.

import * as fs from 'node:fs';
import { dirname, resolve } from 'node:path';
import { isOutOfDescriptors, RAISE_LIMIT } from '../core/descriptors.ts';
import { LogError } from '../core/errors.ts';
import { DIRECT_BYTES, type Disk, type FileHandle, notOurs } from './disk.ts';

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'no space is left on the disk: make room and start again; nothing that was acknowledged is lost',
  EDQUOT: 'the disk quota is used up: make room and start again; nothing that was acknowledged is lost',
  EIO: 'the disk reported an input/output error: what it holds can no longer be trusted to be readable',
  EROFS: 'the file system is read-only',
  ENOENT: 'there is nothing under this name',
  ENOTDIR: 'a part of the path is no directory',
  EISDIR: 'it is a directory, and LogLog did not make it: move it away',
  EEXIST: 'there is something under this name already',
  ENOTEMPTY: 'there is something in it',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  ELOOP: 'it is a symbolic link, and LogLog follows none in a data directory',
  ENAMETOOLONG: 'the path, or a name in it, is longer than the file system takes',
  ENXIO: 'it is not a regular file',
  ENOMEM: 'the system has no memory for it',
  EMFILE: `out of descriptors: this process may have no more open files and sockets; ${RAISE_LIMIT}`,
  ENFILE: `out of descriptors: this machine may have no more open files and sockets; ${RAISE_LIMIT}`,
};

/** What the system said of `operation` on `path`, as a LogError `IO`. */
export function diskFailure(operation: string, path: string, position: number | undefined, thrown: unknown): LogError {
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : 'unknown';
  const reason = REASONS[code] ?? (thrown instanceof Error ? thrown.message : String(thrown));
  const where = position === undefined ? path : `${path} at byte ${position}`;
  return new LogError('IO', `${operation} ${where} failed (${code}): ${reason}`, {
    file: path,
    errno: code,
    ...(position === undefined ? {} : { position }),
  });
}

/** What file systems without hard links say. */
const NO_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EXDEV'];

/** How often a disk that waits for a descriptor tries again. */
const DESCRIPTOR_PAUSE_MS = 20;

const pauseWord = new Int32Array(new SharedArrayBuffer(4));

/** Whatever stands under a name: a link is not followed, and a pipe does not block. */
const SAFE_FLAGS = fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK;
const READ_FLAGS = fs.constants.O_RDONLY | SAFE_FLAGS;

const NO_FILE = 'it is not a regular file: LogLog did not make it, and does not touch it; move it away';
/** What a read of a directory, and of a pipe, says. */
const NO_FILE_CODES = ['EISDIR', 'ESPIPE'];

/** Node's `fs`, as a Disk. One instance a thread. */
export class NodeDisk implements Disk {
  /** Paths of open files, for error texts. */
  readonly #paths = new Map<FileHandle, string>();
  /** Files that are read past the page cache. */
  readonly #direct = new Set<FileHandle>();
  /** Files that another thread opened. What a thread leaves open is closed when it ends, and then the number is that of the next file or socket. */
  readonly #adopted = new Map<FileHandle, Pick<fs.Stats, 'dev' | 'ino'>>();
  readonly #patienceMs: number;

  /**
   * Where no descriptor is free, a call waits up to `patienceMs` for one: it has done nothing yet, and the log cannot go on without it. That
   * blocks its thread.
   */
  constructor(patienceMs = 0) {
    this.#patienceMs = patienceMs;
  }

  #open(path: string, flags: string | number, operation: string): FileHandle {
    const file = this.#withDescriptor(operation, path, () => fs.openSync(path, flags, 0o600));
    this.#paths.set(file, path);
    this.#adopted.delete(file);
    return file;
  }

  /** Runs `call`, which opens something. */
  #withDescriptor<T>(operation: string, path: string, call: () => T): T {
    const untilMs = performance.now() + this.#patienceMs;
    for (;;) {
      try {
        return call();
      } catch (thrown) {
        const error = diskFailure(operation, path, undefined, thrown);
        if (!isOutOfDescriptors(error.details.errno) || performance.now() >= untilMs) throw error;
        Atomics.wait(pauseWord, 0, 0, DESCRIPTOR_PAUSE_MS);
      }
    }
  }

  /**
   * Opens a file of a data directory, whatever stands under its name: a pipe would block for ever, and what has a second name would be changed
   * under that one too.
   */
  #openFile(path: string, flags: number): FileHandle {
    const file = this.#open(path, flags | SAFE_FLAGS, 'opening');
    const stat = this.#try('looking at', path, undefined, () => fs.fstatSync(file));
    const isWritten = (flags & fs.constants.O_RDWR) !== 0;
    if (stat.isFile() && !(isWritten && stat.nlink > 1)) return file;
    this.close(file);
    const sentence = stat.isFile()
      ? `it has ${stat.nlink} names (hard links), and to write to it would change what the others name, too: put a copy in its place`
      : NO_FILE;
    throw notOurs(path, sentence);
  }

  #path(file: FileHandle): string {
    return this.#paths.get(file) ?? `file ${file}`;
  }

  #try<T>(operation: string, path: string, position: number | undefined, call: () => T): T {
    try {
      return call();
    } catch (thrown) {
      throw thrown instanceof LogError ? thrown : diskFailure(operation, path, position, thrown);
    }
  }

  openRead(path: string): FileHandle {
    return this.#openFile(path, fs.constants.O_RDONLY);
  }

  openWrite(path: string): FileHandle {
    return this.#openFile(path, fs.constants.O_RDWR);
  }

  openDirect(path: string): FileHandle {
    try {
      return this.#openFile(path, fs.constants.O_RDWR | fs.constants.O_DIRECT);
    } catch (thrown) {
      // EINVAL: this file system has no direct writes.
      if (thrown instanceof LogError && thrown.details.errno === 'EINVAL') return this.openWrite(path);
      throw thrown;
    }
  }

  openDirectRead(path: string): FileHandle {
    try {
      const file = this.#openFile(path, fs.constants.O_RDONLY | fs.constants.O_DIRECT);
      this.#direct.add(file);
      return file;
    } catch (thrown) {
      if (thrown instanceof LogError && thrown.details.errno === 'EINVAL') return this.openRead(path);
      throw thrown;
    }
  }

  adopt(file: FileHandle, path: string): void {
    this.#paths.set(file, path);
    this.#adopted.set(
      file,
      this.#try('looking at', path, undefined, () => fs.lstatSync(path)),
    );
    this.#checkAdopted(file);
  }

  /** Refuses a file whose number has become another one's since its thread opened it. */
  #checkAdopted(file: FileHandle): void {
    const adopted = this.#adopted.get(file);
    if (adopted === undefined) return;
    const path = this.#path(file);
    const { dev, ino } = this.#try('looking at', path, undefined, () => fs.fstatSync(file));
    if (dev === adopted.dev && ino === adopted.ino) return;
    throw new LogError(
      'IO',
      `writing ${path} failed (EBADF): the thread that opened it has ended, so what was to be written is not durable; nothing that was acknowledged is lost`,
      {
        file: path,
        errno: 'EBADF',
      },
    );
  }

  create(path: string): FileHandle {
    return this.#open(path, 'wx+', 'making');
  }

  close(file: FileHandle): void {
    this.#try('closing', this.#path(file), undefined, () => fs.closeSync(file));
    this.#paths.delete(file);
    this.#direct.delete(file);
  }

  size(file: FileHandle): number {
    return this.#try('measuring', this.#path(file), undefined, () => fs.fstatSync(file).size);
  }

  has(path: string): boolean {
    return this.#try('looking for', path, undefined, () => fs.lstatSync(path, { throwIfNoEntry: false })) !== undefined;
  }

  sizeOf(path: string): number {
    const stat = this.#try('looking at', path, undefined, () => fs.lstatSync(path));
    if (stat.isFile()) return stat.size;
    throw notOurs(path, stat.isSymbolicLink() ? 'it is a symbolic link, and none is followed: put the file itself in its place' : NO_FILE);
  }

  read(file: FileHandle, into: Uint8Array, position: number): number {
    let done = 0;
    while (done < into.length) {
      const at = position + done;
      const count = this.#try('reading', this.#path(file), at, () => fs.readSync(file, into, done, into.length - done, at));
      done += count;
      // A direct read that is short has met the end of the file; the rest would begin inside of a page.
      if (count === 0 || (count % DIRECT_BYTES !== 0 && this.#direct.has(file))) break;
    }
    return done;
  }

  readHead(path: string, into: Uint8Array): number {
    const file = this.#withDescriptor('opening', path, () => fs.openSync(path, READ_FLAGS));
    try {
      return this.#try('reading', path, 0, () => fs.readSync(file, into, 0, into.length, 0));
    } catch (thrown) {
      if (thrown instanceof LogError && NO_FILE_CODES.includes(String(thrown.details.errno))) throw notOurs(path, NO_FILE);
      throw thrown;
    } finally {
      fs.closeSync(file);
    }
  }

  write(file: FileHandle, parts: readonly Uint8Array[], position: number): void {
    this.#checkAdopted(file);
    const asked = parts.reduce((sum, part) => sum + part.length, 0);
    const written = this.#try('writing', this.#path(file), position, () => fs.writevSync(file, parts, position));
    // On a full disk node's write calls return short, without an error.
    if (written !== asked) {
      const path = this.#path(file);
      throw new LogError(
        'IO',
        `writing ${path} at byte ${position} failed (short write): ${written} of ${asked} bytes were written, so the disk is ` +
          'probably full: make room and start again; nothing that was acknowledged is lost',
        { file: path, position, errno: 'SHORT_WRITE' },
      );
    }
  }

  dataSync(file: FileHandle, position?: number): void {
    this.#try('syncing', this.#path(file), position, () => fs.fdatasyncSync(file));
    // What was written before would not be durable by the sync of another file.
    this.#checkAdopted(file);
  }

  truncate(file: FileHandle, bytes: number): void {
    this.#try('truncating', this.#path(file), bytes, () => fs.ftruncateSync(file, bytes));
  }

  rename(from: string, to: string): void {
    this.#try('renaming', from, undefined, () => fs.renameSync(from, to));
    for (const [file, path] of this.#paths) if (path === from) this.#paths.set(file, to);
  }

  link(from: string, to: string): boolean {
    try {
      this.#try('linking', from, undefined, () => fs.linkSync(from, to));
      return true;
    } catch (thrown) {
      if (thrown instanceof LogError && NO_LINKS.includes(String(thrown.details.errno))) return false;
      throw thrown;
    }
  }

  remove(path: string): void {
    this.#try('removing', path, undefined, () => fs.unlinkSync(path));
  }

  syncDirectory(path: string): void {
    const directory = this.#open(path, 'r', 'opening');
    this.#try('syncing', path, undefined, () => fs.fsyncSync(directory));
    this.close(directory);
  }

  freeBytes(path: string): number {
    const { bavail, bsize } = this.#try('measuring', path, undefined, () => fs.statfsSync(path));
    return bavail * bsize;
  }

  list(path: string): string[] {
    return this.#withDescriptor('listing', path, () => fs.readdirSync(path));
  }

  makeDirectory(path: string): void {
    const missing: string[] = [];
    for (let at = resolve(path); !this.#isDirectory(at); at = dirname(at)) missing.push(at);
    // One after the other: Node's own `recursive` never returns where a directory that is there takes no others, as in /proc.
    for (const made of missing.toReversed()) this.#makeOne(made);
    // The new directories' names must survive a crash too: sync the parent of each, from the last one up to the first one made.
    for (const made of missing) this.syncDirectory(dirname(made));
  }

  /** Whether there is a directory; false where nothing has that name. Throws a LogError `NOT_A_DATA_DIRECTORY` for what is something else. */
  #isDirectory(path: string): boolean {
    try {
      if (fs.statSync(path).isDirectory()) return true;
    } catch (thrown) {
      const error = diskFailure('looking at', path, undefined, thrown);
      // ENOTDIR: a parent is something else, which is found next.
      if (error.details.errno === 'ENOENT' || error.details.errno === 'ENOTDIR') return false;
      throw error;
    }
    throw new LogError('NOT_A_DATA_DIRECTORY', `${path} is a file, not a directory; name an empty or new directory`);
  }

  #makeOne(path: string): void {
    try {
      fs.mkdirSync(path, { mode: 0o700 });
    } catch (thrown) {
      const error = diskFailure('making', path, undefined, thrown);
      if (error.details.errno === 'ENOENT') {
        throw new LogError('IO', `making ${path} failed (ENOENT): ${dirname(path)} takes no directories; name another one`, error.details);
      }
      // Another process may have made it meanwhile.
      if (error.details.errno !== 'EEXIST' || !this.#isDirectory(path)) throw error;
    }
  }
}
