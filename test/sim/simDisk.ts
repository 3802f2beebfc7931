// The disk of one simulated node over all its lives: what a process sees of it (MemoryDisk), what is surely on it, and what a power cut
// may make of the rest (CrashModel). It can be told to fail, or to take the process with it, at any later operation.

import { assert } from '../../src/core/assert.ts';
import { LogError } from '../../src/core/errors.ts';
import { DIRECT_BYTES, type Disk, type FileHandle, readFile } from '../../src/storage/disk.ts';
import type { Random } from '../assembly/random.ts';
import { CrashModel } from '../crash/crashModel.ts';
import { type DiskImage, type DiskOperation, type ImageFile, MemoryDisk } from '../crash/memoryDisk.ts';

/** Thrown by an operation at which the process dies. Nothing may catch it. */
export class ProcessDeath extends Error {
  override readonly name = 'ProcessDeath';
  /** Whether the power goes, too: what was not synced may be lost. */
  readonly isPowerCut: boolean;

  constructor(isPowerCut: boolean) {
    super('the process dies');
    this.isPowerCut = isPowerCut;
  }
}

type WriteOperation = Extract<DiskOperation, { readonly kind: 'write' | 'truncate' }>;
type NameOperation = Extract<DiskOperation, { readonly kind: 'create' | 'rename' | 'link' | 'remove' }>;

/** A file as the platter has it, and what is on its way there. */
interface FileState {
  durable: Uint8Array;
  size: number;
  pending: WriteOperation[];
}

export type DiskErrno = 'EIO' | 'ENOSPC';

const HIDDEN = '/unnamed/';

export class SimDisk implements Disk {
  readonly #random: Random;
  #visible: MemoryDisk;
  #files = new Map<number, FileState>();
  #durableNames = new Map<string, number>();
  #pendingNames: NameOperation[] = [];
  /** By the number of a file: its page that cannot be read any more. */
  readonly #badPages = new Map<number, number>();
  /** By the number of a file: where it has lost a bit. */
  readonly #flipped = new Map<number, readonly number[]>();
  /** Files that are open for direct writes. */
  readonly #direct = new Set<FileHandle>();
  /** Operations until the process dies; 0: it does not. */
  #deathIn = 0;
  #deathIsPowerCut = false;
  /** Writes and syncs until one fails, and reads until one does; 0: none does. */
  #errorIn = 0;
  #errno: DiskErrno = 'EIO';
  #readErrorIn = 0;
  /** How long a sync takes at most, in milliseconds, and from when on syncs return again when the disk hangs. */
  syncMs = 2;
  hungUntilMs = 0;

  constructor(random: Random) {
    this.#random = random;
    this.#visible = new MemoryDisk(new Map(), (operation) => this.#observe(operation));
  }

  /** The process dies at the `operations`-th operation from now that changes the disk. */
  dieIn(operations: number, isPowerCut: boolean): void {
    this.#deathIn = operations;
    this.#deathIsPowerCut = isPowerCut;
  }

  /** The `operations`-th write or sync from now fails; 0: none. */
  failIn(operations: number, errno: DiskErrno): void {
    this.#errorIn = operations;
    this.#errno = errno;
  }

  /** Whether a read from now on is to fail. */
  get failsReads(): boolean {
    return this.#readErrorIn > 0;
  }

  /** The `reads`-th read from now fails; 0: none. */
  failReadIn(reads: number): void {
    this.#readErrorIn = reads;
  }

  /** How many files are open for direct writes. */
  get directFiles(): number {
    return this.#direct.size;
  }

  /** Whether the next write or sync is the one that fails. */
  get failsNow(): boolean {
    return this.#errorIn === 1;
  }

  /** What a process sees of it now, as a snapshot of the whole disk has it. */
  copy(): DiskImage {
    return this.#visible.image();
  }

  /** A copy takes its place. */
  restore(image: DiskImage): void {
    this.#reset(image);
  }

  /** Everything is gone: the disk was replaced. */
  wipe(): void {
    this.#reset(new Map());
  }

  /** The disk loses a bit of a file: what a process sees, and what is left after a power cut. */
  flipBit(path: string, position: number): void {
    const number = this.#visible.flipBit(path, position);
    const { durable } = this.#file(number);
    durable[position] = (durable[position] ?? 0) ^ 1;
    this.#flipped.set(number, [...(this.#flipped.get(number) ?? []), position]);
  }

  /** The disk has other bytes at a place, which nobody has written: until something is written there again. */
  lose(path: string, position: number, bytes: Uint8Array): void {
    this.#file(this.#visible.lose(path, position, bytes)).durable.set(bytes, position);
  }

  /** The bytes of a file as they were written, before the disk lost any of them. */
  writtenBytes(path: string): Uint8Array | undefined {
    const bytes = this.visibleBytes(path);
    return bytes === undefined ? undefined : this.#unflipped(this.#visible.numberOf(path), bytes);
  }

  /** The same bytes with those bits right that the disk has lost. */
  #unflipped(file: number, bytes: Uint8Array): Uint8Array {
    const flips = this.#flipped.get(file);
    if (flips === undefined) return bytes;
    const copy = bytes.slice();
    for (const position of flips) copy[position] = (copy[position] ?? 0) ^ 1;
    return copy;
  }

  /** The page of a file at `position` cannot be read any more. */
  loseSector(path: string, position: number): void {
    this.#badPages.set(this.#visible.numberOf(path), position - (position % DIRECT_BYTES));
  }

  /** A file is gone, name and all, and no power cut brings it back: as a file system leaves it that was repaired. */
  loseFile(path: string): void {
    // It is no operation of a process, which may be about to die at one.
    const deathIn = this.#deathIn;
    this.#deathIn = 0;
    this.#visible.remove(path);
    this.#syncNames();
    this.#deathIn = deathIn;
  }

  /** Whether the file under this name has a page that cannot be read. */
  hasBadPage(path: string): boolean {
    return this.#has(path, this.#badPages);
  }

  /** Whether it has lost a bit. */
  wasFlipped(path: string): boolean {
    return this.#has(path, this.#flipped);
  }

  #has(path: string, files: { has(file: number): boolean }): boolean {
    const slash = path.lastIndexOf('/');
    return this.#visible.list(path.slice(0, slash)).includes(path.slice(slash + 1)) && files.has(this.#visible.numberOf(path));
  }

  /** The process is gone; what it wrote stays visible, unless the power went too. */
  processDied(isPowerCut: boolean): void {
    this.#deathIn = 0;
    this.#errorIn = 0;
    this.#readErrorIn = 0;
    if (isPowerCut) this.#reset(this.#afterPowerCut());
    else {
      this.#direct.clear();
      this.#visible.processDied();
    }
  }

  #reset(image: DiskImage): void {
    this.#direct.clear();
    // Numbers of files that are gone are given to others.
    const kept = new Set([...image.values()].map(({ file }) => file));
    for (const lost of [this.#badPages, this.#flipped]) for (const file of lost.keys()) if (!kept.has(file)) lost.delete(file);
    this.#visible = new MemoryDisk(image, (operation) => this.#observe(operation));
    this.#files = new Map(
      [...image.values()].map(({ file, bytes }) => [file, { durable: bytes.slice(), size: bytes.length, pending: [] }]),
    );
    this.#durableNames = new Map([...image].map(([path, { file }]) => [path, file]));
    this.#pendingNames = [];
  }

  /** One state of those that the crash model knows. */
  #afterPowerCut(): DiskImage {
    const image = new Map<string, ImageFile>();
    for (const [file, { durable, size }] of this.#files) image.set(`${HIDDEN}${file}`, { file, bytes: durable.slice(0, size) });
    for (const [path, file] of this.#durableNames)
      image.set(path, { file, bytes: this.#file(file).durable.slice(0, this.#file(file).size) });
    const model = new CrashModel(image);
    for (const operation of this.#pendingNames) {
      if (operation.kind === 'create') model.apply({ kind: 'rename', from: `${HIDDEN}${operation.file}`, to: operation.path });
      else model.apply(operation);
    }
    for (const { pending } of this.#files.values()) for (const operation of pending) model.apply(operation);
    return new Map([...model.anyState(this.#random)].filter(([path]) => !path.startsWith(HIDDEN)));
  }

  #file(number: number): FileState {
    let state = this.#files.get(number);
    if (state === undefined) {
      state = { durable: new Uint8Array(0), size: 0, pending: [] };
      this.#files.set(number, state);
    }
    return state;
  }

  #observe(operation: DiskOperation): void {
    if (this.#deathIn > 0) {
      this.#deathIn -= 1;
      if (this.#deathIn === 0) throw new ProcessDeath(this.#deathIsPowerCut);
    }
    if (operation.kind === 'write' || operation.kind === 'dataSync') this.#maybeFail(operation);
    switch (operation.kind) {
      case 'write':
      case 'truncate':
        this.#file(operation.file).pending.push(operation);
        break;
      case 'dataSync':
        settle(this.#file(operation.file));
        break;
      case 'syncDirectory':
        this.#syncNames();
        break;
      default:
        this.#pendingNames.push(operation);
    }
  }

  #maybeFail(operation: Extract<DiskOperation, { readonly kind: 'write' | 'dataSync' }>): void {
    if (this.#errorIn === 0) return;
    // A full disk says so when it is written to.
    if (operation.kind === 'dataSync' && this.#errno === 'ENOSPC') return;
    this.#errorIn -= 1;
    if (this.#errorIn > 0) return;
    // The kernel forgets what it could not write, and goes on showing it: a second try, also of another process, would find nothing to do
    // (ATC'20). A new length is not data: the file system's journal has it.
    const file = this.#file(operation.file);
    if (operation.kind === 'dataSync') file.pending = file.pending.filter(({ kind }) => kind === 'truncate');
    throw simulatedError(this.#errno);
  }

  #syncNames(): void {
    for (const operation of this.#pendingNames) {
      if (operation.kind === 'create') this.#durableNames.set(operation.path, operation.file);
      if (operation.kind === 'remove') this.#durableNames.delete(operation.path);
      if (operation.kind !== 'rename' && operation.kind !== 'link') continue;
      const file = this.#durableNames.get(operation.from);
      if (operation.kind === 'rename') this.#durableNames.delete(operation.from);
      if (file !== undefined) this.#durableNames.set(operation.to, file);
    }
    this.#pendingNames = [];
  }

  /** Whether `bytes` stand at `position` of the file at `path` after any power cut. */
  surelyHas(path: string, position: number, bytes: Uint8Array): boolean {
    const file = this.#durableNames.get(path);
    if (file === undefined) return false;
    const { durable, size } = this.#file(file);
    if (position + bytes.length > size) return false;
    const there = this.#unflipped(file, durable);
    return Buffer.compare(there.subarray(position, position + bytes.length), bytes) === 0;
  }

  /** The bytes of a file as a process sees them. */
  visibleBytes(path: string): Uint8Array | undefined {
    return this.#visible.list(path.slice(0, path.lastIndexOf('/'))).includes(path.slice(path.lastIndexOf('/') + 1))
      ? readFile(this.#visible, path)
      : undefined;
  }

  openRead(path: string): FileHandle {
    return this.#visible.openRead(path);
  }

  openDirectRead(path: string): FileHandle {
    return this.#visible.openRead(path);
  }

  openWrite(path: string): FileHandle {
    return this.#visible.openWrite(path);
  }

  openDirect(path: string): FileHandle {
    const file = this.#visible.openDirect(path);
    this.#direct.add(file);
    return file;
  }

  create(path: string): FileHandle {
    return this.#visible.create(path);
  }

  close(file: FileHandle): void {
    this.#direct.delete(file);
    this.#visible.close(file);
  }

  size(file: FileHandle): number {
    return this.#visible.size(file);
  }

  sizeOf(path: string): number {
    return this.#visible.sizeOf(path);
  }

  read(file: FileHandle, into: Uint8Array, position: number): number {
    if (this.#readErrorIn > 0) {
      this.#readErrorIn -= 1;
      if (this.#readErrorIn === 0) throw simulatedError('EIO');
    }
    const bad = this.#badPages.size === 0 ? undefined : this.#badPages.get(this.#visible.numberOfOpen(file));
    if (bad !== undefined && position < bad + DIRECT_BYTES && bad < position + into.length)
      throw new LogError('IO', 'a simulated sector is gone', { errno: 'EIO' });
    return this.#visible.read(file, into, position);
  }

  readHead(path: string, into: Uint8Array): number {
    const file = this.openRead(path);
    try {
      return this.read(file, into, 0);
    } finally {
      this.close(file);
    }
  }

  write(file: FileHandle, parts: readonly Uint8Array[], position: number): void {
    const isWhole = position % DIRECT_BYTES === 0 && parts.every((part) => part.length % DIRECT_BYTES === 0);
    assert(isWhole || !this.#direct.has(file), 'direct writes are whole pages');
    const [first] = parts;
    if (this.failsNow && this.#errno === 'ENOSPC' && first !== undefined) {
      // There is room for a part of it.
      this.#errorIn = 0;
      this.#visible.write(file, [first.subarray(0, this.#random.below(first.length + 1))], position);
      throw simulatedError('ENOSPC');
    }
    this.#overwrites(this.#visible.numberOfOpen(file), position, position + parts.reduce((sum, { length }) => sum + length, 0));
    this.#visible.write(file, parts, position);
  }

  /** A page that cannot be read can be written as a whole only, and can be read then. */
  #overwrites(number: number, from: number, to: number): void {
    const bad = this.#badPages.get(number);
    if (bad === undefined || to <= bad || bad + DIRECT_BYTES <= from) return;
    if (from > bad || to < bad + DIRECT_BYTES) throw new LogError('IO', 'a simulated sector is gone', { errno: 'EIO' });
    this.#badPages.delete(number);
  }

  dataSync(file: FileHandle): void {
    this.#visible.dataSync(file);
  }

  truncate(file: FileHandle, bytes: number): void {
    this.#visible.truncate(file, bytes);
  }

  rename(from: string, to: string): void {
    this.#visible.rename(from, to);
  }

  link(from: string, to: string): boolean {
    return this.#visible.link(from, to);
  }

  remove(path: string): void {
    this.#visible.remove(path);
  }

  syncDirectory(path: string): void {
    this.#visible.syncDirectory(path);
  }

  freeBytes(): number {
    return this.#visible.freeBytes();
  }

  has(path: string): boolean {
    return this.#visible.has(path);
  }

  list(path: string): string[] {
    return this.#visible.list(path);
  }

  makeDirectory(): void {}
}

function simulatedError(errno: DiskErrno): LogError {
  return new LogError('IO', `a simulated disk failed (${errno})`, { errno, isSimulated: true });
}

/** Whether an error is one that the disk was told to have. */
export function isSimulated(thrown: unknown): thrown is LogError {
  return thrown instanceof LogError && thrown.details.isSimulated === true;
}

/** All that was on its way has arrived. */
function settle(file: FileState): void {
  for (const operation of file.pending) {
    const end = operation.kind === 'write' ? operation.position + operation.bytes.length : operation.bytes;
    const size = operation.kind === 'write' ? Math.max(file.size, end) : end;
    if (size > file.durable.length) {
      const grown = new Uint8Array(size);
      grown.set(file.durable.subarray(0, file.size));
      file.durable = grown;
    }
    if (operation.kind === 'write') file.durable.set(operation.bytes, operation.position);
    else file.durable.fill(0, Math.min(size, file.size));
    file.size = size;
  }
  file.pending = [];
}
