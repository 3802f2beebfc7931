// A Disk in memory: what a process sees of its files (the page cache), with every operation that changes something shown to an
// observer first. The observer may throw: the process then died before that operation.

import { LogError } from '../../src/core/errors.ts';
import type { Disk, FileHandle } from '../../src/storage/disk.ts';

/** One operation that changes a disk; `file` is the file's number, which a rename does not change. */
export type DiskOperation =
  | { readonly kind: 'create'; readonly path: string; readonly file: number }
  | { readonly kind: 'write'; readonly file: number; readonly position: number; readonly bytes: Uint8Array }
  | { readonly kind: 'dataSync'; readonly file: number }
  | { readonly kind: 'truncate'; readonly file: number; readonly bytes: number }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string }
  | { readonly kind: 'link'; readonly from: string; readonly to: string }
  | { readonly kind: 'remove'; readonly path: string }
  | { readonly kind: 'syncDirectory'; readonly path: string };

/** A file's number and its bytes, which nobody changes. */
export interface ImageFile {
  readonly file: number;
  readonly bytes: Uint8Array;
}

/** What is on a disk: files by path. Two paths may name one file. */
export type DiskImage = ReadonlyMap<string, ImageFile>;

class MemoryFile {
  readonly number: number;
  #bytes: Uint8Array;
  /** Whether others hold `#bytes`, so that it must be copied before a change. */
  #shared: boolean;
  size: number;

  constructor(number: number, bytes: Uint8Array) {
    this.number = number;
    this.#bytes = bytes;
    this.#shared = true;
    this.size = bytes.length;
  }

  /** The file's bytes; they stay as they are, whatever happens to the file. */
  share(): Uint8Array {
    this.#shared = true;
    return this.#bytes.subarray(0, this.size);
  }

  read(into: Uint8Array, position: number): number {
    const bytes = this.#bytes.subarray(Math.min(position, this.size), Math.min(position + into.length, this.size));
    into.set(bytes);
    return bytes.length;
  }

  /** Makes the file's bytes its own, with room for `size`; what lies past the present size reads as zeros. */
  #own(size: number): void {
    if (!this.#shared && size <= this.#bytes.length) return;
    const copy = new Uint8Array(Math.max(size, this.size));
    copy.set(this.#bytes.subarray(0, this.size));
    this.#bytes = copy;
    this.#shared = false;
  }

  write(bytes: Uint8Array, position: number): void {
    this.#own(position + bytes.length);
    this.#bytes.set(bytes, position);
    this.size = Math.max(this.size, position + bytes.length);
  }

  truncate(size: number): void {
    this.#own(size);
    this.#bytes.fill(0, size);
    this.size = size;
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

export class MemoryDisk implements Disk {
  readonly #observe: (operation: DiskOperation) => void;
  readonly #names = new Map<string, MemoryFile>();
  readonly #handles = new Map<FileHandle, MemoryFile>();
  #nextHandle = 1;
  #nextFile = 1;

  constructor(image: DiskImage = new Map(), observe: (operation: DiskOperation) => void = () => undefined) {
    this.#observe = observe;
    const files = new Map<number, MemoryFile>();
    for (const [path, { file, bytes }] of image) {
      const known = files.get(file) ?? new MemoryFile(file, bytes);
      files.set(file, known);
      this.#names.set(path, known);
      this.#nextFile = Math.max(this.#nextFile, file + 1);
    }
  }

  /** What a process sees of this disk now. */
  image(): DiskImage {
    return new Map([...this.#names].map(([path, file]) => [path, { file: file.number, bytes: file.share() }]));
  }

  /** The number of a file, by name, and of an open one. */
  numberOf(path: string): number {
    return this.#named(path).number;
  }

  numberOfOpen(file: FileHandle): number {
    return this.#file(file).number;
  }

  /** A bit of a file is lost, and nobody is told. Returns the number of the file. */
  /** Other bytes are there, although nobody has written them. Returns the file's number. */
  lose(path: string, position: number, bytes: Uint8Array): number {
    const file = this.#named(path);
    file.write(bytes, position);
    return file.number;
  }

  flipBit(path: string, position: number): number {
    const file = this.#named(path);
    const byte = new Uint8Array(1);
    file.read(byte, position);
    file.write(Uint8Array.of((byte[0] ?? 0) ^ 1), position);
    return file.number;
  }

  /** Files that are open; a process that ends well leaves none. */
  get openFiles(): number {
    return this.#handles.size;
  }

  /** The process died: its open files are closed, and what it wrote stays visible. */
  processDied(): void {
    this.#handles.clear();
  }

  #failure(errno: string, path: string): LogError {
    return new LogError('IO', `${path}: ${errno}`, { file: path, errno });
  }

  #named(path: string): MemoryFile {
    const file = this.#names.get(path);
    if (file === undefined) throw this.#failure('ENOENT', path);
    return file;
  }

  #file(handle: FileHandle): MemoryFile {
    const file = this.#handles.get(handle);
    if (file === undefined) throw this.#failure('EBADF', `file ${handle}`);
    return file;
  }

  #open(file: MemoryFile): FileHandle {
    const handle = this.#nextHandle;
    this.#nextHandle += 1;
    this.#handles.set(handle, file);
    return handle;
  }

  openRead(path: string): FileHandle {
    return this.#open(this.#named(path));
  }

  openDirect(path: string): FileHandle {
    return this.openWrite(path);
  }

  openDirectRead(path: string): FileHandle {
    return this.openRead(path);
  }

  openWrite(path: string): FileHandle {
    return this.#open(this.#named(path));
  }

  create(path: string): FileHandle {
    if (this.#names.has(path)) throw this.#failure('EEXIST', path);
    this.#observe({ kind: 'create', path, file: this.#nextFile });
    const file = new MemoryFile(this.#nextFile, new Uint8Array(0));
    this.#nextFile += 1;
    this.#names.set(path, file);
    return this.#open(file);
  }

  close(file: FileHandle): void {
    this.#file(file);
    this.#handles.delete(file);
  }

  size(file: FileHandle): number {
    return this.#file(file).size;
  }

  sizeOf(path: string): number {
    return this.#named(path).size;
  }

  read(file: FileHandle, into: Uint8Array, position: number): number {
    return this.#file(file).read(into, position);
  }

  readHead(path: string, into: Uint8Array): number {
    return this.#named(path).read(into, 0);
  }

  write(file: FileHandle, parts: readonly Uint8Array[], position: number): void {
    const bytes = joined(parts);
    this.#observe({ kind: 'write', file: this.#file(file).number, position, bytes });
    this.#file(file).write(bytes, position);
  }

  dataSync(file: FileHandle): void {
    this.#observe({ kind: 'dataSync', file: this.#file(file).number });
  }

  truncate(file: FileHandle, bytes: number): void {
    this.#observe({ kind: 'truncate', file: this.#file(file).number, bytes });
    this.#file(file).truncate(bytes);
  }

  rename(from: string, to: string): void {
    const file = this.#named(from);
    this.#observe({ kind: 'rename', from, to });
    this.#names.delete(from);
    this.#names.set(to, file);
  }

  link(from: string, to: string): boolean {
    const file = this.#named(from);
    if (this.#names.has(to)) throw this.#failure('EEXIST', to);
    this.#observe({ kind: 'link', from, to });
    this.#names.set(to, file);
    return true;
  }

  remove(path: string): void {
    this.#named(path);
    this.#observe({ kind: 'remove', path });
    this.#names.delete(path);
  }

  syncDirectory(path: string): void {
    this.#observe({ kind: 'syncDirectory', path });
  }

  freeBytes(): number {
    return Number.MAX_SAFE_INTEGER;
  }

  has(path: string): boolean {
    return this.#names.has(path);
  }

  list(path: string): string[] {
    const prefix = `${path}/`;
    return [...this.#names.keys()].filter((each) => each.startsWith(prefix)).map((each) => each.slice(prefix.length));
  }

  makeDirectory(): void {}
}
