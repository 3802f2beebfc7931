// What planted bugs are made of: a disk between a node and its disk that does something else with some calls.

import type { TailMemory } from '../../src/memory/tailMemory.ts';
import type { Disk, FileHandle } from '../../src/storage/disk.ts';

export interface PlantedBug {
  readonly name: string;
  readonly plant: (disk: Disk) => Disk;
  /** For bugs that are not between a node and its disk. */
  readonly plantInMemory?: (memory: TailMemory) => void;
  /** Seed of the script that found it last, counted from 1: it is looked at first. Default 1. */
  readonly foundAt?: number;
}

export const SEGMENT_PATTERN = /\/\d{20}\.segment$/;
export const INDEX_PATTERN = /\/\d{20}\.index$/;

/** Hands every call on, and knows the paths of open files. */
export class FaultyDisk implements Disk {
  protected readonly disk: Disk;
  readonly #paths = new Map<FileHandle, string>();

  constructor(disk: Disk) {
    this.disk = disk;
  }

  protected pathOf(file: FileHandle): string {
    return this.#paths.get(file) ?? '';
  }

  #opened(path: string, file: FileHandle): FileHandle {
    this.#paths.set(file, path);
    return file;
  }

  openRead(path: string): FileHandle {
    return this.#opened(path, this.disk.openRead(path));
  }

  openDirect(path: string): FileHandle {
    return this.openWrite(path);
  }

  openDirectRead(path: string): FileHandle {
    return this.openRead(path);
  }

  openWrite(path: string): FileHandle {
    return this.#opened(path, this.disk.openWrite(path));
  }

  create(path: string): FileHandle {
    return this.#opened(path, this.disk.create(path));
  }

  close(file: FileHandle): void {
    this.disk.close(file);
  }

  size(file: FileHandle): number {
    return this.disk.size(file);
  }

  sizeOf(path: string): number {
    return this.disk.sizeOf(path);
  }

  read(file: FileHandle, into: Uint8Array, position: number): number {
    return this.disk.read(file, into, position);
  }

  readHead(path: string, into: Uint8Array): number {
    const file = this.openRead(path);
    const bytes = this.read(file, into, 0);
    this.close(file);
    return bytes;
  }

  write(file: FileHandle, parts: readonly Uint8Array[], position: number): void {
    this.disk.write(file, parts, position);
  }

  dataSync(file: FileHandle): void {
    this.disk.dataSync(file);
  }

  truncate(file: FileHandle, bytes: number): void {
    this.disk.truncate(file, bytes);
  }

  rename(from: string, to: string): void {
    this.disk.rename(from, to);
    // An open file keeps its number under its new name.
    for (const [file, path] of this.#paths) if (path === from) this.#paths.set(file, to);
  }

  link(from: string, to: string): boolean {
    return this.disk.link(from, to);
  }

  remove(path: string): void {
    this.disk.remove(path);
  }

  syncDirectory(path: string): void {
    this.disk.syncDirectory(path);
  }

  freeBytes(path: string): number {
    return this.disk.freeBytes(path);
  }

  has(path: string): boolean {
    return this.disk.has(path);
  }

  list(path: string): string[] {
    return this.disk.list(path);
  }

  makeDirectory(path: string): void {
    this.disk.makeDirectory(path);
  }
}
