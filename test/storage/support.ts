// What the storage tests share: real disks in directories that go away, and small logs on them.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { LogError } from '../../src/core/errors.ts';
import type { TailMemory } from '../../src/memory/tailMemory.ts';
import { createIdentity, writeIdentity } from '../../src/storage/dataDirectory.ts';
import type { Disk, FileHandle } from '../../src/storage/disk.ts';
import { NodeDisk } from '../../src/storage/nodeDisk.ts';
import { DIRECTORY, TestNode } from '../crash/testNode.ts';

const made: string[] = [];

afterAll(() => {
  for (const path of made.splice(0)) rmSync(path, { recursive: true, force: true });
});

/** A new directory under the system's temporary one; removed after the file's tests. */
export function temporaryDirectory(): string {
  const path = mkdtempSync(join(tmpdir(), 'loglog-test-'));
  made.push(path);
  return path;
}

/** A NodeDisk on which `/data` is a temporary directory. */
export class TemporaryDisk extends NodeDisk {
  readonly root = temporaryDirectory();

  #real(path: string): string {
    return path.startsWith(DIRECTORY) ? this.root + path.slice(DIRECTORY.length) : path;
  }

  override openRead(path: string): FileHandle {
    return super.openRead(this.#real(path));
  }

  override openWrite(path: string): FileHandle {
    return super.openWrite(this.#real(path));
  }

  override openDirect(path: string): FileHandle {
    return super.openDirect(this.#real(path));
  }

  override openDirectRead(path: string): FileHandle {
    return super.openDirectRead(this.#real(path));
  }

  override create(path: string): FileHandle {
    return super.create(this.#real(path));
  }

  override readHead(path: string, into: Uint8Array): number {
    return super.readHead(this.#real(path), into);
  }

  override sizeOf(path: string): number {
    return super.sizeOf(this.#real(path));
  }

  override rename(from: string, to: string): void {
    super.rename(this.#real(from), this.#real(to));
  }

  override link(from: string, to: string): boolean {
    return super.link(this.#real(from), this.#real(to));
  }

  override remove(path: string): void {
    super.remove(this.#real(path));
  }

  override syncDirectory(path: string): void {
    super.syncDirectory(this.#real(path));
  }

  override freeBytes(path: string): number {
    return super.freeBytes(this.#real(path));
  }

  override has(path: string): boolean {
    return super.has(this.#real(path));
  }

  override list(path: string): string[] {
    return super.list(this.#real(path));
  }
}

export const NOW_MS = 1_700_000_000_000;
export const IDENTITY_BYTES = Uint8Array.from({ length: 32 }, (_, i) => i);

/** Starts a node in `/data` of `disk` and orders its no-op. What it orders is added to `ordered`. */
export function startNode(disk: Disk, memory: TailMemory, ordered: Uint8Array[] = []): TestNode {
  const node = new TestNode(disk, memory, IDENTITY_BYTES, () => NOW_MS, { ordered: (_first, _end, bytes) => ordered.push(bytes.slice()) });
  node.begin();
  return node;
}

/** Makes `/data` a data directory whose log starts at `start`, as if all before it had been trimmed. */
export function createAt(disk: Disk, start: number): void {
  writeIdentity(disk, DIRECTORY, {
    ...createIdentity(disk, DIRECTORY, IDENTITY_BYTES),
    start,
    startTerm: 1,
    startLeader: 'f'.repeat(16),
    removeFrom: start,
  });
}

/** Writes a file in `/data`, over any that is there. */
export function putFile(disk: Disk, name: string, bytes: Uint8Array | string): void {
  if (disk.list(DIRECTORY).includes(name)) disk.remove(`${DIRECTORY}/${name}`);
  const file = disk.create(`${DIRECTORY}/${name}`);
  disk.write(file, [typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes], 0);
  disk.close(file);
}

/** The LogError that `act` throws. */
export function errorOf(act: () => unknown): LogError {
  try {
    act();
  } catch (thrown) {
    if (thrown instanceof LogError) return thrown;
    throw thrown;
  }
  throw new Error('nothing was thrown');
}
